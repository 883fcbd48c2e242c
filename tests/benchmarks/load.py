"""A PACS that sends many studies at once: `load.py PORT COUNT SECONDS FOLDER` sends what `plan` says.

Prints JSON: for each modality the seconds that each C-STORE took, from the request to its answer; and by how much the
slowest association was behind its plan in the end.
"""

import json
import os
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from material import CT, RADIOGRAPH, SMALL, Kind, Stream

from router.config.sections import DicomDestination
from router.dicom.scu.client import StorageClient
from router.dicom.scu.session import Session

# Part of all instances, associations at once, instances of a study. 0.5 MB on average, as in a hospital's day.
MIX = ((CT, 0.79, 5, 300), (SMALL, 0.1975, 2, 200), (RADIOGRAPH, 0.0125, 1, 3))


@dataclass(frozen=True, slots=True)
class Lane:
    """One association after the other, one study over each; an instance every `pause` seconds."""

    number: int
    kind: Kind
    studies: tuple[int, ...]
    pause: float


def plan(count: int, seconds: float) -> list[Lane]:
    """About `count` instances in `seconds`, by the mix; within no time: as fast as they are answered."""
    lanes: list[Lane] = []
    for kind, part, associations, of_a_study in MIX:
        each = max(1, round(count * part / associations))
        studies = (*[of_a_study] * (each // of_a_study), each % of_a_study)
        lanes += [Lane(len(lanes) + n, kind, tuple(filter(None, studies)), seconds / each) for n in range(associations)]
    return lanes


class Sending:
    """One lane at work."""

    def __init__(self, lane: Lane, port: int, folder: Path) -> None:
        self.kind = lane.kind
        self.took: list[float] = []
        self.behind = 0.0
        self._lane = lane
        self._stream = Stream(folder / f"{lane.number}.dcm", lane.kind, lane.number)
        title = f"{lane.kind.modality}{lane.number}"
        self._client = StorageClient(
            DicomDestination(ae_title="ROUTER", calling_ae_title=title, port=port, associations=1)
        )

    def carry_out(self) -> None:
        """Send it all; SystemExit when an instance is not taken."""
        due = time.perf_counter() + self._lane.pause * self._lane.number / 8  # not all at the same moment
        for study, count in enumerate(self._lane.studies):
            with self._client.session() as session:
                for number in range(count):
                    time.sleep(max(0.0, due - time.perf_counter()))
                    self._store(session, study, number)
                    due += self._lane.pause
        self.behind = max(0.0, time.perf_counter() - due)

    def _store(self, session: Session, study: int, number: int) -> None:
        item = self._stream.become(study, number)
        began = time.perf_counter()
        [result] = session.send([item], lambda: False)
        self.took.append(time.perf_counter() - began)
        if result.status:
            raise SystemExit(f"the node answered {result.status:04X}")


def main(port: str, count: str, seconds: str, folder: str) -> None:
    sendings = [Sending(lane, int(port), Path(folder)) for lane in plan(int(count), float(seconds))]
    with ThreadPoolExecutor(len(sendings)) as pool:
        for ended in [pool.submit(sending.carry_out) for sending in sendings]:
            ended.result()
    took: dict[str, list[float]] = defaultdict(list)
    for sending in sendings:
        took[sending.kind.modality] += sending.took
    os.write(1, json.dumps({"took": took, "behind": max(sending.behind for sending in sendings)}).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
