"""From one hospital to several: the rows of before get its name, on both engines; exams and files by hospital."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from router.catalogue import Catalogue
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.images import Study, StudyHospital
from router.catalogue.exams.files import FileKind, Lying, Part
from router.catalogue.exams.merges import Proposal
from router.catalogue.queue.comparisons import Compared
from router.catalogue.queue.withdrawals import Source
from router.config.file import parse
from router.config.sections import Config
from router.errors import ConfigurationError
from router.events import Event, EventBus
from router.model import Channel
from router.policy.backfill import Backfill
from router.upkeep.upgrade import adopt_former
from support.catalogue_rows import NOW, document, exam, instance


def config(*former: bool) -> Config:
    """Hospitals a, b and so on, and which of them is the former one."""
    text = "".join(
        f'[[hospital]]\nname = "{name}"\nUSCI = "{name}"\nHospitalCode = "{name}"\nHospitalName = "{name}"\n'
        f'HospitalBranchCode = "01"\nformer = {str(one).lower()}\n'
        for name, one in zip("abc", former, strict=False)
    )
    return parse(text, base=Path("/x"))


def adopt(catalogue: Catalogue, *former: bool) -> list[str]:
    """The events of an adoption."""
    told: list[Event] = []
    adopt_former(config(*former), catalogue, EventBus(told.append), NOW)
    return [event.text for event in told]


def hospitals(catalogue: Catalogue) -> dict[str, str]:
    return dict(catalogue.engine.rows(Exam.select(Exam.exam_id, Exam.hospital)))


def test_everything_of_before_is_of_the_former_hospital_once(catalogue: Catalogue) -> None:
    number, exams = exam(catalogue, "E1"), catalogue.exams
    pdf = exams.documents.add(document(digest="d"), "reports/1/1/report.pdf", number, 1, NOW)
    exams.calibrations.learn(pdf, "folder", agreed=True, offset=None, labels=())
    catalogue.instances.add([instance(1, "1.2.3"), instance(2, "1.2.4")])
    first = catalogue.engine.value(Study.select(Study.id).where(Study.uid == "1.2.4"))
    catalogue.engine.run(StudyHospital.insert(study=first, hospital="b"))
    assert adopt(catalogue, True, False) == ["1 exam(s) of before are of hospital a"]
    assert hospitals(catalogue) == {"E1": "a"}
    assert exams.known("a", "01", "E1") == number
    assert (exams.calibrations.of("@a/folder").agreed, exams.calibrations.of("folder").agreed) == ("y", "")
    owners = StudyHospital.select(Study.uid, StudyHospital.hospital).join(Study)
    assert set(catalogue.engine.rows(owners)) == {("1.2.3", "a"), ("1.2.4", "b")}
    catalogue.instances.add([instance(3, "1.2.5")])  # of a shared PACS
    assert adopt(catalogue, True, False) == []
    assert len(catalogue.engine.rows(owners)) == 2


def test_what_was_said_of_the_only_hospital_concerns_no_other(catalogue: Catalogue) -> None:
    """A merge that HL7 proposed, a backfill, a stop of withdrawals, a comparison with the platform."""
    exam(catalogue, "E1")
    catalogue.exams.proposals.add(Proposal(hospital="", old="P1", new="P2", at=NOW))
    span = Backfill(since=NOW, first=NOW - timedelta(days=9), last=NOW, at_night=False, per_hour=None, who="wang")
    catalogue.backfills.begin(span, "nine days")
    catalogue.withdrawals.stop(Source(destination="cloud", hospital="", branch="01"), NOW)
    compared = Compared(
        destination="cloud", hospital="", channel=Channel.REPORT, day=NOW.date(), at=NOW, ours=1, theirs=1, missing=0,
        strange=0, usual=0, whole=True,
    )  # fmt: skip
    catalogue.comparisons.keep([compared])
    adopt(catalogue, True, False)
    assert [one.hospital for one in catalogue.exams.proposals.all()] == ["a"]
    assert [one.hospital for one in catalogue.backfills.all()] == ["a"]
    assert [stop.source.hospital for stop in catalogue.withdrawals.stops()] == ["a"]
    assert [one.hospital for one in catalogue.comparisons.last()] == ["a"]


def test_the_only_hospital_that_gets_a_name_is_the_former_one(catalogue: Catalogue) -> None:
    exam(catalogue, "E1")
    adopt(catalogue, False)
    assert hospitals(catalogue) == {"E1": "a"}


def test_without_a_word_whose_they_are_nothing_is_changed(catalogue: Catalogue) -> None:
    exam(catalogue, "E1")
    with pytest.raises(ConfigurationError, match="former = true"):
        adopt(catalogue, False, False)
    assert hospitals(catalogue) == {"E1": ""}


def test_an_exam_of_no_registered_hospital_is_filed_again_unless_its_place_is_taken(catalogue: Catalogue) -> None:
    exams = catalogue.exams
    held, known = exams.number_of("?", "U1/01", "E1", NOW), exams.number_of("b", "01", "E1", NOW)
    assert exams.of_hospital("?") == [held]
    assert not exams.refile(held, "b", "01", "E1")
    assert exams.refile(held, "a", "01", "E1")
    assert (exams.known("a", "01", "E1"), exams.known("b", "01", "E1")) == (held, known)


def test_exams_of_one_number_are_found_within_a_hospital_or_in_all(catalogue: Catalogue) -> None:
    exams = catalogue.exams
    a, b = (exams.number_of(hospital, "01", "V1000", NOW) for hospital in "ab")
    assert [one.exam for one in exams.pdf_names.bearers("V1000")] == [a, b]
    assert [one.exam for one in exams.pdf_names.bearers("V1000", "b")] == [b]
    assert exams.named_by({"exam_id": "V1000"}) == {"exam_id": [a, b]}
    assert exams.named_by({"exam_id": "V1000"}, a, "a") == {"exam_id": []}
    assert not exams.pdf_names.known_number("V1000", a, "a")
    assert exams.pdf_names.other(["V1000"], 0, "b") == b
    assert exams.files.exams_named(["V1000"]) == [a, b]
    assert exams.files.exams_named(["V1000"], "b") == [b]


def test_files_of_each_folder_are_listed_by_themselves(catalogue: Catalogue) -> None:
    files, own, rest = catalogue.exams.files, Part("@a/"), Part(without=("@a/",))
    paths = ["@a/x.txt", "@b/x.txt", "x.txt", "@A/x.txt"]
    lying = [Lying(kind=FileKind.OTHER, path=path, why="ending") for path in paths]
    files.keep(FileKind.OTHER, lying[:1], 7, NOW, own)
    files.keep(FileKind.OTHER, lying[1:], 3, NOW, rest)
    assert {one.found.path for one in files.listed(FileKind.OTHER)} == set(paths)
    assert [one.found.path for one in files.listed(FileKind.OTHER, part=own)] == paths[:1]
    assert files.counts()[FileKind.OTHER] == 10
    files.keep(FileKind.OTHER, [], 0, NOW, rest)
    assert [one.found.path for one in files.listed(FileKind.OTHER)] == paths[:1]
    waiting = replace(document(digest="p"), stem="@a/E7", key=None, kind="pdf")
    catalogue.exams.documents.add(waiting, "reports/unpaired/1/report.pdf", None, None, NOW)
    later = NOW + timedelta(hours=1)
    found = [files.unclaimed(NOW - timedelta(days=1), later, later, 9, part) for part in (own, rest)]
    assert [[stem for _, stem in each] for each in found] == [["@a/E7"], []]


def test_a_hospitals_folder_is_known_to_have_been_used(catalogue: Catalogue) -> None:
    files = catalogue.exams.files
    assert not files.used("a")
    files.use("a")
    files.use("a")
    assert (files.used("a"), files.used("b")) == (True, False)
