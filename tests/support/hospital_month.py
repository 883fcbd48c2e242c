"""A hospital's month, lived through by a node on a fake clock: outages, withdrawals, corrections, pauses, doubts.

What happens is planned from a seed; what came and what the destination took at what time is the month's own log, from
which `month_account` counts.
"""

import heapq
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from router.dicom.scu.client import Outgoing, Result
from router.errors import PermanentError, TransientError
from router.forward.answer import Receipt
from router.forward.report import Notice, ReportAgent, Upload
from router.intake.exam_reader import ExamReader
from router.model import Channel, Patient
from router.policy.states import State
from router.review.outcomes import OutcomeCounter
from router.storage import open_storage
from support.month_account import ZONE, Interval, Life
from support.node_without_sockets import CONFIG, START, Cloud, Node, slice_of
from support.sample_exam import exam_document

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
TICK = 10 * MINUTE
KINDS = {
    "ordinary": 60, "late images": 8, "corrected": 8, "withdrawn": 5, "approved again": 5, "no images": 3,
    "no report": 4, "draft": 3, "test patient": 2, "ultrasound": 2, "doubted": 3, "refused": 3,
}  # fmt: skip
DEPARTMENTS = ("放射科", "CT室", "核磁室")
_CONFIG = CONFIG.replace('"1 d"', '"1 h"').replace('"6 d"', '"6 h"')
_SETTINGS = '[[share.exclude]]\nname = "test patients"\nPatientID = "^TEST"\nwhy = "no patients"\n'
_OF_DESTINATION = 'withdraw_after = "10 min"\nwithdraw_at_most = 100000'
_PERSON = "zhang"


@dataclass
class LoggingCloud(Cloud):
    """The platform and its archive, which log what they take; while they are `down` they take nothing."""

    down: bool = False
    refuses_reports: set[int] = field(default_factory=set)
    note: Callable[[str, int], None] = lambda what, exam: None

    def _take(self, upload: Upload) -> Receipt:
        number = int(json.loads(upload.exam_file.read_bytes())["ExamId"].removeprefix("E"))
        if self.down:
            raise TransientError("503")
        if number in self.refuses_reports:
            self.note("refused", number)
            raise PermanentError("422")
        receipt = super()._take(upload)
        self.note("report", number)
        return receipt

    def _store(self, items: Sequence[Outgoing]) -> Iterator[Result]:
        if self.down:
            raise TransientError("no answer")
        for item, result in zip(items, super()._store(items), strict=True):
            self.note("stored", int(item.sop_instance.split(".")[3]))
            yield result

    def withdraw(self, agent: ReportAgent, notice: Notice) -> Receipt | None:
        if self.down:
            raise TransientError("503")
        receipt = super().withdraw(agent, notice)
        self.note("taken back", int(notice.words["ExamId"].removeprefix("E")))
        return receipt


class Month:
    """So many exams in so many days: `lives` is its log, `counter` counts the statistics as the node does."""

    def __init__(self, folder: Path, exams: int, days: int, seed: int = 1) -> None:
        self.node = Node(folder, _SETTINGS, _OF_DESTINATION, text=_CONFIG)
        self.cloud = self.node.cloud = LoggingCloud()
        self.node.restart()  # its senders have this cloud
        self.cloud.note = self._note
        self._chance = random.Random(seed)
        self._agenda: list[tuple[datetime, int, str, Callable[[], None]]] = []
        self._count = 0
        self.end = START + days * 24 * HOUR
        self.pauses = self._intervals(days, 1.5)
        self.stops = self._intervals(days, 2)
        self.outages = {"ris": self._intervals(days, 3), "pacs": self._intervals(days, 3), "node": self.stops}
        self.lives = [self._plan(number) for number in range(exams)]
        for begin, end in self.pauses:
            self._at(begin, "person", self._pause)
            self._at(end, "person", self._resume)
        for begin, end in self._intervals(days, 3):
            self._at(begin, "world", lambda: setattr(self.cloud, "down", True))
            self._at(end, "world", lambda: setattr(self.cloud, "down", False))
        self._open_counter()

    def _open_counter(self) -> None:
        node, read = self.node, open_storage(self.node.config.node.data, "n").reports.read
        self.counter = OutcomeCounter(node.config, node.catalogue, ExamReader(node.config), read)

    # -- the plan

    def _intervals(self, days: int, hours: float) -> list[Interval]:
        """An outage about every other day, of up to that many hours, one after the other."""
        found = []
        for day in range(0, days, 2):
            begin = START + timedelta(days=day, minutes=self._chance.randrange(60, 1200))
            found.append((begin, begin + timedelta(minutes=self._chance.randrange(20, int(hours * 60)))))
        return found

    def _at(self, at: datetime, source: str, do: Callable[[], None]) -> None:
        """Have something done at that time, or at the end of the source's outage and the node's."""
        for begin, end in self.outages.get(source, ()) if source != "world" else ():
            at = end if begin <= at < end else at
        for begin, end in self.stops if source not in ("world", "node") else ():
            at = end + SECOND if begin <= at < end else at
        self._count += 1
        heapq.heappush(self._agenda, (at, self._count, source, do))

    def _plan(self, number: int) -> Life:
        chance = self._chance
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        made = START + timedelta(seconds=chance.randrange(int((self.end - START).total_seconds()) - 3600))
        approved = (made + chance.uniform(0.2, 5) * HOUR).replace(microsecond=0)
        life = Life(
            department=chance.choice(DEPARTMENTS), modality="US" if kind == "ultrasound" else "CT",
            kept_back={"test patient": "rule 'test patients' of [[share.exclude]]",
                       "ultrasound": "modality US is not in [share] modalities"}.get(kind, ""),
            doubted=kind == "doubted", critical=chance.random() < 0.1, images=0 if kind == "no images" else 1,
        )  # fmt: skip
        if kind == "late images":
            made = approved + chance.uniform(0.1, 9) * HOUR
        if kind != "no images":
            self._at(made, "pacs", lambda: self._image(number, life, kind))
        if kind != "no report":
            status = "Audited" if kind == "draft" else "Reported"
            self._report(number, life, kind, approved, status)
        if kind == "refused":
            self.cloud.refuses_reports.add(number)
            self._at(approved + 2 * HOUR, "person", lambda: self._retry(number, life))
        later = approved + chance.uniform(0.5, 8) * HOUR
        if kind == "corrected":
            self._report(number, life, kind, later.replace(microsecond=0), "Reported")
        if kind in ("withdrawn", "approved again"):
            self._report(number, life, kind, later.replace(microsecond=0), "Withdrawn")
        if kind == "approved again":
            again = later + chance.uniform(0.5, 5) * HOUR
            self._report(number, life, kind, again.replace(microsecond=0), "Reported")
        return life

    # -- what happens

    def _image(self, number: int, life: Life, kind: str) -> None:
        patient = Patient("P9", "李四", "19600101", "M") if kind == "doubted" else self._patient(number, kind)
        head = replace(slice_of(f"1.2.9.{number}", 1, patient, f"A{number}"), sending_ae="CT1")
        day = self.node.clock.now().astimezone(ZONE)
        head = replace(head, study_date=f"{day:%Y%m%d}", facts=replace(head.facts, modality=life.modality))
        life.arrived.append(self.node.clock.now())
        self.node.receive(head)

    def _report(self, number: int, life: Life, kind: str, at: datetime, status: str) -> None:
        written, approved = at + 30 * SECOND, status == "Reported"

        def drop() -> None:
            patient, local = self._patient(number, kind), at.astimezone(ZONE)
            document: dict[str, Any] = exam_document({
                "ExamId": f"E{number}", "Order.Status": status, "Order.AccessionNumber": f"A{number}",
                "Order.ModalityCode": life.modality, "Order.ExecDepartmentName": life.department,
                "Report.SubmitTime": f"{local - MINUTE:%Y-%m-%d %H:%M:%S}",
                "Report.ApproveTime": f"{local:%Y-%m-%d %H:%M:%S}" if approved else "",
                "Report.IsCritical": life.critical, "Study.StudyInstanceUIDs": [f"1.2.9.{number}"],
                "Study.StudyDate": f"{local:%Y-%m-%d} 00:00:00", "Study.ImageCount": None,
                "Patient.PatientId": patient.patient_id, "Patient.Name": patient.name,
            })  # fmt: skip
            life.versions.append((self.node.clock.now(), at if approved else None))
            self.node.drop(f"E{number}.json", json.dumps(document, ensure_ascii=False).encode())
            self.node.drop(f"E{number}.pdf", f"E{number} {at:%d%H%M%S}".encode())

        self._at(written, "ris", drop)

    def _patient(self, number: int, kind: str) -> Patient:
        return Patient(f"{'TEST' if kind == 'test patient' else 'P'}{number}", "张三", "19491231", "F")

    def _retry(self, number: int, life: Life) -> None:
        self.cloud.refuses_reports.discard(number)
        one = self.node.delivery(f"E{number}", Channel.REPORT)
        if one is not None and one.state == State.FAILED:
            life.retried.append(self.node.clock.now())
            self.node.catalogue.queue.move(one, State.READY, self.node.clock.now(), "tried again", who=_PERSON)

    def _pause(self) -> None:
        self.node.catalogue.pauses.begin("cloud", _PERSON, "upgrade", self.node.clock.now())

    def _resume(self) -> None:
        self.node.catalogue.pauses.end("cloud", _PERSON, "done", self.node.clock.now())

    def _note(self, what: str, number: int) -> None:
        life, now = self.lives[number], self.node.clock.now()
        {"report": life.reports, "stored": life.stored, "refused": life.refused, "taken back": life.taken_back}[
            what
        ].append(now)

    # -- living

    def live(self, until: datetime) -> None:
        """Live on until then; the node is down during its outages."""
        clock = self.node.clock
        while clock.now() < until:
            at = min(self._agenda[0][0] if self._agenda else until, until)
            if self.cloud.down or self.node.catalogue.queue.in_state([State.DEFERRED]):
                at = min(at, clock.now() + TICK)
            down = next((end for begin, end in self.stops if begin <= at < end), None)
            if down is not None:
                clock.advance((down - clock.now()).total_seconds())
                self.node.restart()
                self._open_counter()
                continue
            self.node.wait((at - clock.now()).total_seconds())
            self.node.catalogue.queue.promote(clock.now())
            while self._agenda and self._agenda[0][0] <= clock.now():
                heapq.heappop(self._agenda)[3]()
            self.node.settle()
