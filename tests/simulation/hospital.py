"""The hospital: exams with their versions and images, and what of them has truly come."""

import json
import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from router.catalogue.images.instances import NewInstance
from router.model import Digests, Patient
from router.reports.folder.settle import Seen
from router.series.classify import classify
from simulation.far_ends import make_file
from support.node_without_sockets import slice_of
from support.sample_exam import exam_document

if TYPE_CHECKING:
    from simulation.world import World

BEIJING = ZoneInfo("Asia/Shanghai")
IMAGES, MORE = 4, 2
_NAMES = ("张三", "李四", "王五")


@dataclass
class SimExam:
    """An exam as it truly is. `approvals` are the approval times of its versions, None where one is not approved."""

    exam_id: str
    study: str
    patient: Patient
    approvals: list[datetime | None] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    last_received: int = 0

    @property
    def version(self) -> int:
        """The number of the version that counts; 0 before the first."""
        return len(self.approvals)

    @property
    def approved(self) -> datetime | None:
        return self.approvals[-1] if self.approvals else None

    def names(self) -> set[str]:
        """Its images as destinations know them."""
        return {self.name(number) for number in self.images}

    def name(self, number: int) -> str:
        """An image's name below studies/."""
        return f"{self.study}/{self.study}.1/{self.study}.1.{number}.dcm"


class Hospital:
    """Sends by any node that works, in one piece."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.exams = [
            SimExam(f"V2024000{n}_CT001", f"1.2.{n}", Patient(f"P000{n}", name, "19491231", "F"))
            for n, name in enumerate(_NAMES, 1)
        ]

    def by_id(self, exam_id: str) -> SimExam:
        return next(one for one in self.exams if one.exam_id == exam_id)

    def drop(self, pick: int) -> None:
        """A version of a report: often the first ones are drafts, and sometimes an approval is withdrawn."""
        exam = self.exams[pick % len(self.exams)]
        dice = pick // len(self.exams) % 10
        self._drop(exam, approved=dice >= (4 if not exam.approvals else 1))

    def _drop(self, exam: SimExam, *, approved: bool) -> None:
        self._world.advance(10**6)
        node = next((node for node in self._world.nodes if node.well), None)
        if node is None:
            return
        now = self._world.clock.now().astimezone(BEIJING).replace(microsecond=0)
        version, at = exam.version + 1, f"{now:%Y-%m-%d %H:%M:%S}"
        said = f"the lesion {'abcdefghijklmnop'[version % 16] * 6} is of size {version}"
        document = exam_document({
            "ExamId": exam.exam_id, "Order.Status": "Reported" if approved else "Registered",
            "Order.AccessionNumber": f"A{exam.study}", "Report.ApproveTime": at if approved else "",
            "Report.SubmitTime": at, "Report.Findings": said, "Study.StudyInstanceUIDs": [exam.study],
            "Study.StudyDate": "2026-03-02 09:00:00", "Study.ImageCount": None,
            "Patient.Name": exam.patient.name, "Patient.PatientId": exam.patient.patient_id,
        })  # fmt: skip
        data = {"json": json.dumps(document, ensure_ascii=False).encode(), "pdf": f"{exam.exam_id} {said}".encode()}
        seen = []
        for ending, content in data.items():
            path = self._world.config.reports.folder / f"{exam.exam_id}.{ending}"
            path.write_bytes(content)
            os.utime(path, (self._world.clock.now().timestamp(),) * 2)
            state = path.stat()
            seen.append(Seen(path, state.st_size, state.st_mtime_ns))

        def take() -> None:
            for one in seen:
                node.intake.file(node.intake.read([one]).documents)
            exam.approvals.append(now if approved else None)

        self._world.quietly(node, take)

    def receive(self, pick: int, most: int = IMAGES + MORE) -> None:
        """Some images of a study; more than it should have now and then."""
        exam = self.exams[pick % len(self.exams)]
        here = IMAGES if pick // 100 % 5 else most
        for number in range(len(exam.images) + 1, min(len(exam.images) + 1 + pick // 10 % 4, here) + 1):
            self._receive(exam, number)

    def send_again(self) -> None:
        """The PACS sends every image once more."""
        for exam in self.exams:
            for number in exam.images:
                self._receive(exam, number, again=True)

    def _receive(self, exam: SimExam, number: int, *, again: bool = False) -> None:
        node = next((node for node in self._world.nodes if node.well), None)
        if node is None or (number in exam.images) is not again:
            return
        header, clock = slice_of(exam.study, number, exam.patient, f"A{exam.study}"), self._world.clock
        assert self._world.book is not None
        rule = classify(header.facts, self._world.book)
        new = NewInstance(
            header=header, version=1, digests=Digests(f"{exam.study}/{number}", "o", "p"), size=512,
            series_class=rule.series_class, rule=rule.name, received=clock.now(),
        )  # fmt: skip
        path = node.storage.studies.path(header.uids, 1)

        def take() -> None:
            instances = node.catalogue.instances
            known = instances.known([header.uids.sop])[header.uids.sop]
            awaited = instances.returns.awaited([one.key for one in known if one.purged])
            if known and not awaited:
                return
            make_file(path, exam.study)
            if known:
                instances.returns.take(sorted(awaited), clock.now())
                self._world.watch.removal.came_again(exam.name(number))
            else:
                instances.add([new])
                exam.images += [] if again else [number]
            exam.last_received = clock.stamp

        self._world.quietly(node, take)

    def drop_again(self, number: int) -> None:
        """The RIS exports the exam of that number once more."""
        self._drop(self._world.watch.facts.exam_of(number), approved=True)

    def complete(self) -> None:
        """Everything that is still to come comes, and what is not approved is approved."""
        for exam in self.exams:
            exam.images = [number for number in exam.images if self._is_known(exam, number)]
            for number in range(1, IMAGES + 1):
                self._receive(exam, number)
            if exam.approved is None:
                self._drop(exam, approved=True)

    def _is_known(self, exam: SimExam, number: int) -> bool:
        """Whether a node has it, or had it for an exam: what went before an exam named it is not known any more."""
        rows = self._world.watch.facts.rows
        return bool(
            rows(f"SELECT id FROM instance WHERE sop_uid = '{exam.study}.1.{number}'")
            or rows(f"SELECT id FROM study WHERE uid = '{exam.study}' AND purged IS NOT NULL")
        )
