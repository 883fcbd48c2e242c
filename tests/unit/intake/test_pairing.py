"""Pairing of JSONs and PDFs: from the rows that a document concerns to the rows that follow, without a database."""

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.catalogue.exams.exam_rows import Description, description
from router.catalogue.exams.filing import Filing
from router.catalogue.exams.snapshots import Candidate, JsonSnapshot, LostCopy, PdfSnapshot, WaitingPdf
from router.config.file import parse
from router.exam.key import ExamKey, ExamPatient
from router.intake import pairing
from router.intake.document import ReadDocument
from router.intake.numbered import registry_of
from router.intake.pairing import Names, Rules, json_filing, pdf_filing, study_filings
from router.matching.exam.versions import JsonVersion
from router.matching.report_pdf.naming import Bearer
from support.intake_folder import CONFIG

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
REGISTRY = registry_of(parse(CONFIG, base=Path("/x")))
PLAIN = Rules(REGISTRY, Names(""))
PATTERNED = Rules(REGISTRY, Names("(?P<accession>A[0-9]+)|(?P<study_uid>[0-9.]+)"))
E1, E2 = frozenset({"V0001", "A0001", "张三"}), frozenset({"V0002"})
KNOWN = JsonSnapshot(exam=1, described=Description("A0001", "张三", "P1"))
WAITING = WaitingPdf(document=7, place="unpaired/7", stem="r", vouched=False, said=frozenset())
OTHERS = replace(WAITING, owner=2, owner_words=E2)


def key(**changes: object) -> ExamKey:
    patient = ExamPatient({"Patient.PatientId": "P1"}, "张三")
    found = ExamKey(
        hospital="", branch="01", exam_id="V0001", accession_number="A0001", study_uids=("1.2",), patient=patient,
        status="Reported", approve_time=NOW, submit_time=None, image_count=None, study_date=None, reported=("f", "i"),
        modality="CT",
    )  # fmt: skip
    return replace(found, **changes)  # type: ignore[arg-type]


def json(of: ExamKey | None = None, digest: str = "j2") -> ReadDocument:
    return ReadDocument(
        seen=None, form="json", stem="r", data=b"{}", digest=digest, file_time=NOW, key=of or key()
    )  # fmt: skip


def pdf(words: frozenset[str] = frozenset(), stem: str = "r") -> ReadDocument:
    return ReadDocument(seen=None, form="pdf", stem=stem, data=b"%", digest="p2", file_time=NOW, words=words)


def version(approved_at: datetime, document: int = 1) -> JsonVersion:
    return JsonVersion(
        document=document, arrived=NOW, file_time=NOW, submit_time=None, approve_time=approved_at, approved=True,
        content="c", reported="r",
    )  # fmt: skip


def candidate(exam: int, own: frozenset[str] = frozenset(), latest: str = "") -> Candidate:
    return Candidate(exam=exam, own=own, latest=latest)


# -- a JSON


def test_a_json_of_an_unknown_exam_makes_it_and_asks_for_those_whose_pdfs_name_it() -> None:
    filing = json_filing(JsonSnapshot(), json(), key(), PLAIN, NOW)
    assert (filing.exam, filing.names, filing.describes) == (key(), E1, None)
    assert filing.enters is not None
    assert (filing.enters.digest, filing.enters.key) == ("j2", key())


@pytest.mark.parametrize(
    "found",
    [
        replace(KNOWN, seen=True),
        replace(KNOWN, jsons=[(version(NOW), "j2")]),
        replace(KNOWN, jsons=[(version(NOW), "j2"), (version(NOW - HOUR, 2), "stale")]),
        replace(KNOWN, damaged=LostCopy(document=1, exam=1, place="x")),
    ],
)
def test_a_json_that_is_known_is_not_entered_and_still_takes_the_pdf_of_its_name(found: JsonSnapshot) -> None:
    filing = json_filing(replace(found, of_name=[WAITING]), json(), key(), PLAIN, NOW)
    assert (filing.exam, filing.enters) == (1, None)
    assert [binding.how for binding in filing.binds] == [pairing.BY_NAME]


def test_an_older_version_that_comes_again_after_a_newer_one_is_entered() -> None:
    found = replace(KNOWN, jsons=[(version(NOW - HOUR), "j2"), (version(NOW, 2), "j3")])
    assert json_filing(found, json(), key(), PLAIN, NOW).enters is not None


@pytest.mark.parametrize(("since", "describes"), [(-HOUR, True), (HOUR, False)])
def test_only_a_version_that_counts_describes_the_exam(since: timedelta, describes: bool) -> None:
    corrected = key(accession_number="A0009")
    found = replace(KNOWN, jsons=[(version(NOW + since), "j1")])
    filing = json_filing(found, json(corrected), corrected, PLAIN, NOW)
    assert (filing.describes == corrected, "A0009" in filing.names) == (describes, describes)


def test_nothing_is_described_again_that_says_the_same() -> None:
    assert json_filing(KNOWN, json(), key(), PLAIN, NOW).describes is None
    assert KNOWN.described == description(key())


@pytest.mark.parametrize(
    ("said", "owner_words", "taken", "evaluated"),
    [
        (frozenset({"V0001"}), E2, True, False),
        (frozenset({"V0001", "V0002"}), E2, False, False),
        (frozenset({"V0002"}), E2, False, True),
        (frozenset(), E2, False, True),
    ],
)
def test_a_pdf_of_another_exam_is_taken_over_only_where_it_names_this_one_alone(
    said: frozenset[str], owner_words: frozenset[str], taken: bool, evaluated: bool
) -> None:
    found = JsonSnapshot(of_name=[replace(OTHERS, said=said, owner_words=owner_words)])
    filing = json_filing(found, json(), key(), PLAIN, NOW)
    assert [binding.how for binding in filing.binds] == [pairing.TAKEN_OVER] * taken
    assert filing.evaluates == ({2} if evaluated else set())


def test_a_stale_version_of_another_patient_takes_no_pdf_over_by_its_name() -> None:
    strange = key(accession_number="A0009", patient=ExamPatient({}, "李四"))
    found = replace(KNOWN, jsons=[(version(NOW + HOUR), "j1")], of_name=[replace(OTHERS, said=frozenset({"李四"}))])
    filing = json_filing(found, json(strange), strange, PLAIN, NOW)
    assert not filing.binds
    assert filing.evaluates == {2}


@pytest.mark.parametrize(
    ("names", "others", "bound"),
    [
        ({"accession": "A0001"}, {"accession": []}, True),
        ({"accession": "A0001"}, {"accession": [2]}, False),
        ({"accession": "A0009"}, {"accession": []}, False),
        ({"study_uid": "1.2", "accession": "A0009"}, {"study_uid": [], "accession": [2]}, True),
        ({"exam_id": "V0002", "accession": "A0001"}, {"exam_id": [2], "accession": []}, False),
    ],
)
def test_the_pattern_joins_a_pdf_to_the_one_exam_of_its_name_as_it_is_once_the_json_is_entered(
    names: dict[str, str], others: dict[str, list[int]], bound: bool
) -> None:
    filing = json_filing(JsonSnapshot(of_pattern=[(WAITING, names, others)]), json(), key(), PATTERNED, NOW)
    assert [binding.how for binding in filing.binds] == [pairing.BY_PATTERN] * bound


@pytest.mark.parametrize(
    ("others", "said", "bound"),
    [([], frozenset(), True), ([2], frozenset(), False), ([2], frozenset({"A0001", "V0001"}), True)],
)
def test_a_number_joins_a_pdf_where_no_other_exam_has_it_or_its_text_tells(
    others: list[int], said: frozenset[str], bound: bool
) -> None:
    waiting = replace(WAITING, stem="A0001", said=said)
    bearers = [Bearer(hospital="", exam=one, branch="01", exam_id=f"V000{one}", own=E2, lacks=True) for one in others]
    found = JsonSnapshot(of_number=[waiting], bearers={"A0001": bearers})
    filing = json_filing(found, json(), key(), PLAIN, NOW)
    assert [binding.how for binding in filing.binds] == [pairing.BY_NUMBER] * bound


@pytest.mark.parametrize(
    ("by_name", "others", "taken", "evaluated"),
    [(True, [], False, False), (False, [], True, False), (False, [3], False, True)],
)
def test_a_pdf_that_another_exam_has_by_its_number_is_taken_over_unless_its_name_is_that_exam_s(
    by_name: bool, others: list[int], taken: bool, evaluated: bool
) -> None:
    pdf = replace(OTHERS, stem="A0001", owner_by_name=by_name)
    bearers = [Bearer(hospital="", exam=one, branch="01", exam_id="x", own=frozenset(), lacks=True) for one in others]
    found = JsonSnapshot(of_number=[pdf], bearers={"A0001": bearers})
    filing = json_filing(found, json(), key(), PLAIN, NOW)
    assert [binding.how for binding in filing.binds] == [pairing.TAKEN_OVER] * taken
    assert filing.evaluates == ({2} if evaluated else set())


def test_a_pdf_is_bound_once_however_often_it_is_found() -> None:
    waiting = replace(WAITING, stem="A0001")
    found = JsonSnapshot(of_name=[waiting], of_pattern=[(waiting, {}, {})], of_number=[waiting, waiting])
    assert len(json_filing(found, json(), key(), PLAIN, NOW).binds) == 1


# -- a PDF


def test_a_pdf_without_an_exam_waits_with_the_words_of_its_text_and_name() -> None:
    filing = pdf_filing(PdfSnapshot(), pdf(frozenset({"V0001"}), "in/A0001"), PATTERNED, NOW)
    assert filing.exam is None
    assert filing.enters is not None
    assert filing.enters.names == {"accession": "A0001", "number": "A0001"}
    assert (filing.enters.named, filing.enters.vouched) == (frozenset(), False)


def test_of_exams_under_one_name_a_pdf_goes_to_the_one_it_names_else_to_the_last() -> None:
    found = PdfSnapshot(of_name=[candidate(2, E2), candidate(1, E1)])
    named = pdf_filing(found, pdf(frozenset({"V0001"})), PLAIN, NOW)
    assert named.exam == 1
    assert named.enters is not None
    assert named.enters.named == {"V0001"}
    assert pdf_filing(found, pdf(), PLAIN, NOW).exam == 2


def test_the_name_of_a_json_decides_before_pattern_and_number() -> None:
    bearer = Bearer(hospital="", exam=4, branch="01", exam_id="A0001", own=frozenset(), lacks=True)
    found = PdfSnapshot(of_name=[candidate(2)], named={"accession": [candidate(3)]}, bearers=[(bearer, "")])
    document = pdf(stem="A0001")
    assert pdf_filing(found, document, PATTERNED, NOW).exam == 2
    assert pdf_filing(replace(found, of_name=()), document, PATTERNED, NOW).exam == 3
    assert pdf_filing(replace(found, of_name=(), named={}), document, PATTERNED, NOW).exam is None
    assert pdf_filing(replace(found, of_name=(), named={}), document, PLAIN, NOW).exam == 4


@pytest.mark.parametrize(
    "found",
    [PdfSnapshot(seen=True), PdfSnapshot(waits=True), PdfSnapshot(of_name=[candidate(2, latest="p2")], waits=True)],
)
def test_a_pdf_that_is_known_changes_nothing(found: PdfSnapshot) -> None:
    assert pdf_filing(found, pdf(), PLAIN, NOW) == Filing()


def test_a_pdf_that_waits_elsewhere_is_entered_for_an_exam_that_lacks_it() -> None:
    filing = pdf_filing(PdfSnapshot(of_name=[candidate(2, latest="p1")], waits=True), pdf(), PLAIN, NOW)
    assert (filing.exam, filing.enters is not None) == (2, True)


def test_a_lost_copy_is_restored_whatever_else_is_known() -> None:
    lost = LostCopy(document=5, exam=9, place="")
    filing = pdf_filing(PdfSnapshot(seen=True, lost=lost, of_name=[candidate(2)]), pdf(), PLAIN, NOW)
    assert (filing.restores, filing.enters, filing.checksum) == (lost, None, pdf().checksum)


def test_the_pdf_of_a_study_waits_for_the_study_s_exam_and_of_several_goes_to_the_one_it_names() -> None:
    document = pdf(frozenset({"V0001"}), "dicom:1.2")
    assert pdf_filing(PdfSnapshot(of_name=[candidate(2)]), document, PLAIN, NOW).exam is None
    named = replace(WAITING, said=frozenset({"V0001"}))
    both = [candidate(1, E1), candidate(2, E2)]
    assert [filing.exam for filing in study_filings([(named, both), (WAITING, both), (WAITING, both[1:])])] == [1, 2]


def test_pairing_is_pure() -> None:
    """No files, no clock, no database: snapshots come in, filings go out."""
    tree = ast.parse(Path(pairing.__file__).read_text(encoding="utf-8"))
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    plain = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    modules = {*plain, *(node.module for node in froms)}
    assert not {"os", "pathlib", "time", "threading", "router.clock", "router.catalogue.db.engine"} & modules
    names = {alias.name for node in froms for alias in node.names}
    assert not {"Documents", "Exams", "Filings", "Links", "Snapshots", "Storage"} & names
