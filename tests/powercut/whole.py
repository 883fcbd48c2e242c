"""The whole node on a state: it comes up, delivers what is missing, sends nothing again beyond the batch in flight.

Its platform is empty: what comes there is what the node sends after the power cut. Senders send what they saw no
Success for, and the RIS's files lie where the power cut left them.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from verdict import AT_ONCE, Expected, rows
from workload import SEEN

from router.policy.states import State
from router.trial.demo.studies import DemoStudy, read_studies
from support.harness import Site, command_here, send_all

_DRAIN = 90.0


class Revived(Site):
    """A site whose node has the data folder of `folder`/node as it is, with the keys and files of `former`."""

    def __init__(self, folder: Path, former: Path, expected: Expected) -> None:
        super().__init__(folder, stable_after="300 ms", workers=1, journal="16 MiB", min_free="1 MiB")
        shutil.rmtree(folder / "keys")
        shutil.copytree(former / "keys", folder / "keys")
        (self.drop_folder / "done").mkdir()
        for path in sorted((former / "drop" / "done").iterdir()):
            given_up = path.name in expected.keys("given up")
            shutil.copy(path, self.drop_folder / ("done" if given_up else "") / path.name)
        self.studies = {path.name: _study(path) for path in sorted((former / "made").iterdir())}
        # The platform had these before, whenever that was seen: the ledger has none without the platform's answer.
        self.ledger = rows(folder / "node", SEEN["sent"]) | expected.purgeable
        self.exams = {path.stem for path in (former / "drop" / "done").glob("*.json")}

    def go_on(self, expected: Expected) -> None:
        """Come up, take what was not acknowledged, deliver everything."""
        self.start()
        files = [file for study in self.studies.values() for file in study.files]
        send_all(self.port, [file for file in files if file.sop_instance not in expected.keys("acknowledged")])
        command_here("queue", "resume", "--why", "after the power cut", "--config", self.config_file)
        self.wait_until(lambda: self._is_done(expected), "everything is delivered", _DRAIN)

    def _is_done(self, expected: Expected) -> bool:
        lines = self.lines()
        all_there = {line.exam_id for line in lines} == self.exams
        delivered = all(line.delivery.state == State.DELIVERED for line in lines)
        return all_there and delivered and not self._lacking(expected)

    def _lacking(self, expected: Expected) -> set[str]:
        """Instances of the exams that the platform had neither before nor has now."""
        wanted = {
            file.sop_instance for name, study in self.studies.items() for file in study.files
            if f"EXM7183-{int(name):04}" in self.exams
        }  # fmt: skip
        return wanted - expected.keys("confirmed") - self.ledger - set(self.stored_requests())

    def wrong(self, expected: Expected) -> Iterator[str]:
        """What was lost or sent again."""
        stored, before = self.stored_requests(), expected.keys("confirmed")
        if doubled := [uid for uid, count in stored.items() if count > 1]:
            yield f"{len(doubled)} instance(s) were sent twice after the start"
        if known := (expected.keys("sent") | self.ledger) & set(stored):
            yield f"{len(known)} instance(s) were sent again although the ledger had them"
        if len(before & set(stored)) > AT_ONCE:
            yield f"{len(before & set(stored))} instances were sent again"
        idems = [receipt["idem"] for exam in self.exams for receipt in self.receipts_if_any(exam)]
        if len(idems) > len(set(idems)):
            yield "a report was sent twice after the start"

    def receipts_if_any(self, exam: str) -> list[dict[str, str]]:
        """As `receipts`, none where the platform got none."""
        return self.receipts(exam) if (self.platform_data / "receipts.jsonl").exists() else []


def _study(folder: Path) -> DemoStudy:
    return read_studies(sorted(folder.glob("*.dcm")))[0]


def revive(folder: Path, former: Path, expected: Expected) -> list[str]:
    """What is wrong once the node has gone on; its data folder is `folder`/node."""
    site = Revived(folder, former, expected)
    try:
        site.go_on(expected)
        return list(site.wrong(expected))
    finally:
        site.stop()
