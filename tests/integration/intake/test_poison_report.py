"""Values in reports that nobody has thought of: whatever one file holds, the others are taken and go."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.alarms import Alarm
from router.intake.exam_reader import ExamReader
from router.intake.pickup import Pickup
from router.model import Channel
from router.policy.states import State
from router.reports.folder.watch import scan
from router.reports.pdf.reader import Readers
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1, E2, IntakeFolder, OpenDesk, another, printed
from support.sample_exam import exam_document

_TIMES = st.sampled_from([
    "0001-01-01T00:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "9999-12-31T23:59:59-12:00", "1899-12-30", "",
    "2026-02-30 10:00:00", "2026-03-02 10:00:00", "00010101000000", "0000-00-00 00:00:00", "1.7e12", "-1",
])  # fmt: skip
_SCALARS = (
    _TIMES | st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["\0", "\ud800", "\uffff", "张\0三", "x" * 5000, "'); DROP TABLE exam; --", "1" * 5000])
)  # fmt: skip
_VALUES = _SCALARS | st.lists(_SCALARS, max_size=3) | st.dictionaries(st.text(max_size=4), _SCALARS, max_size=2)
_PATHS = st.sampled_from([
    "Report.ApproveTime", "Report.SubmitTime", "Order.Status", "Order.AccessionNumber", "Patient.Name",
    "Patient.PatientId", "Report.Findings", "Report.Impression", "Study.StudyInstanceUIDs", "Study.StudyDate",
    "Study.ImageCount", "HospitalBranchCode", "Patient.DateOfBirth", "Patient.Gender", "Order", "Report", "Patient",
    "Study", "ExamId",
])  # fmt: skip
_MTIMES = st.sampled_from([None, 0, -1, 2**33, 253402300800, -(2**31)])
HERE: dict[str, Any] = {"Report__ApproveTime": "2026-03-02 17:00:00", "Study__StudyDate": "2026-03-01 09:00:00",
        "Study__StudyInstanceUIDs": ["1.2.99"]}  # fmt: skip


@pytest.fixture
def clinics(tmp_path: Path, readers: Readers) -> Iterator[Any]:
    made: list[ExamWorkflow] = []

    def make(settings: str = "") -> ExamWorkflow:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(ExamWorkflow(folder, readers))
        return made[-1]

    yield make
    for clinic in made:
        clinic.catalogue.engine.close_thread()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_PATHS, _VALUES, min_size=1, max_size=4), _MTIMES)
def test_no_value_of_one_report_stops_another_one(clinics: Any, changes: dict[str, object], mtime: int | None) -> None:
    clinic: ExamWorkflow = clinics()
    document = exam_document({"ExamId": E1})
    for path, value in changes.items():
        _put(document, path.split("."), value)
    poison = clinic.put("a.json", json.dumps(document).encode())
    if mtime is not None:
        _written(poison, mtime)
    clinic.put("b.json", another(**HERE))
    clinic.put("b.pdf", printed("report of A0002"))
    clinic.clock.advance(1)
    found = clinic.intake.read(sorted(scan(clinic.inbox).files, key=lambda seen: str(seen.path)))
    clinic.intake.file(found.documents)
    for seen, error in found.invalid.items():
        clinic.intake.refuse(seen, error)
    clinic.settle()
    clinic.later(hours=1)
    assert clinic.delivery(E2, Channel.REPORT).state == State.READY
    assert clinic.pdf_of(E2) is not None
    clinic.restart()
    clinic.settle()
    assert clinic.delivery(E2, Channel.REPORT).state == State.READY


def _put(document: dict[str, Any], path: list[str], value: object) -> None:
    *parents, last = path
    for name in parents:
        inner = document.setdefault(name, {})
        document = inner if isinstance(inner, dict) else document
    document[last] = value


def _written(path: Path, seconds: int) -> None:
    try:
        os.utime(path, (seconds, seconds))
    except (OSError, OverflowError):
        return  # a file system that has no such time


def test_a_file_whose_rows_cannot_be_entered_is_refused_and_the_others_are_taken(
    clinics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic: ExamWorkflow = clinics()
    add = clinic.exams.filings._documents.add

    def fails(document: Any, *rest: Any) -> int:
        if document.stem == "a":
            raise OverflowError("nobody has thought of it")
        return add(document, *rest)

    monkeypatch.setattr(clinic.exams.filings._documents, "add", fails)
    clinic.put("a.json", another(E1))
    clinic.put("b.json", another(**HERE))
    found = clinic.intake.read(sorted(scan(clinic.inbox).files, key=lambda seen: str(seen.path)))
    assert clinic.intake.file(found.documents) == {}
    assert {name for name in clinic.left() if not name.endswith("/.gitkeep")} == {
        "rejected/a.json", "rejected/a.reason.txt", "done/b.json",
    }  # fmt: skip
    assert clinic.counts(E2) == (1, 0)


@pytest.mark.parametrize("keep", ["", 'on_pickup = "keep"\n'], ids=["move", "keep"])
@pytest.mark.parametrize("stage", ["read", "key"])
def test_a_file_that_was_being_read_at_two_ends_of_the_program_is_refused_and_the_others_are_taken(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch, keep: str, stage: str
) -> None:
    desk = open_desk(keep)
    desk.put("a.json", another(E1))
    desk.put("b.json", another(**HERE))
    real = getattr(ExamReader, stage)

    class Ended(BaseException):
        """The process is gone: nothing after this point happens."""

    def dies(references: ExamReader, given: Any, *rest: Any) -> Any:
        if E1 in (given.decode() if isinstance(given, bytes) else given["ExamId"]):
            raise Ended
        return real(references, given, *rest)

    monkeypatch.setattr(ExamReader, stage, dies)
    monkeypatch.setattr(os, "pwrite", _but_for_the_end(os.pwrite))
    for _ in range(2):
        loop = desk.pickup()
        with pytest.raises(Ended):
            _steps(desk, loop)
        desk.restart()
    _steps(desk, desk.pickup())
    (one,) = desk.exams.files.open()
    assert (one.found.path, one.found.why) == ("a.json", "poison")
    assert one.found.exam is None  # it is not read again, for that either
    assert [alarm.alarm for alarm in desk.catalogue.alarms.standing()] == [Alarm.REJECTED_FILE]
    assert desk.exams.find(E2)


def _steps(desk: IntakeFolder, loop: Pickup) -> None:
    for _ in range(4):
        loop.step()
        desk.clock.advance(3)


def _but_for_the_end(pwrite: Any) -> Any:
    """As it is where the process is killed: that an attempt ended is never written."""

    def write(handle: int, data: bytes, offset: int) -> int:
        return int(pwrite(handle, data, offset)) if data.strip() or sys.exc_info()[0] is None else len(data)

    return write


def test_a_file_that_changed_since_is_not_the_one_that_ended_the_program(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_desk()
    path = desk.put("a.json", another(E1))
    (seen,) = scan(desk.inbox).files
    ended = {desk.intake._reader._attempt(seen).name: 2}
    monkeypatch.setattr(desk.storage.incoming.dropped, "_ended", ended)
    assert [error.fields["why"] for error in desk.intake.read([seen]).invalid.values()] == ["poison"]
    path.write_bytes(another(E1, Order__Note="corrected"))
    (seen,) = scan(desk.inbox).files
    assert not desk.intake.read([seen]).invalid
