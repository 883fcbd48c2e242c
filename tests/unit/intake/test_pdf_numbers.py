"""A PDF whose file name is an exam's number: the exam that it joins, however the report came; where several fit."""

import pytest

from router.catalogue.exams.exams import Chosen, ExamSnapshot
from router.catalogue.exams.files import FileKind
from router.events import Kind
from router.exam.key import ExamKey
from router.intake.exam_reader import ExamReader
from router.intake.report_pdfs import SEVERAL, PaperReader
from router.matching.exam.versions import JsonVersion
from support.hl7_messages import oru
from support.intake_folder import E1, E2, IntakeFolder, OpenDesk, another, exam, printed

SCAN = printed("seen by nobody")


def message(exam_id: str = E1, accession: str = "A1", **changes: object) -> bytes:
    return oru(exam_id=exam_id, accession=accession, **changes).encode()  # type: ignore[arg-type]  # as oru takes them


def weighed(desk: IntakeFolder, exam_id: str = E1) -> tuple[bytes | None, str]:
    """The PDF that goes with the exam as the node weighs it, and why none does."""
    references, reports = ExamReader(desk.config), desk.storage.reports

    def load(case: ExamSnapshot, version: JsonVersion) -> tuple[dict[str, object], ExamKey]:
        document = references.read(reports.read(case.places[version.document]))
        return document, references.key(document, case.hospital, case.branch)

    case = desk.case(exam_id)
    choice = PaperReader(desk.config, desk.exams, reports, load).weigh(
        case, case.jsons, case.pdfs, desk.clock.now()
    ).choice  # fmt: skip
    return (reports.read(case.places[choice.pdf.document]) if choice.pdf else None), choice.doubt


def held(desk: IntakeFolder, exam_id: str = E1) -> str:
    """Why the exam's only PDF does not go."""
    (pdf,) = desk.case(exam_id).pdfs
    return pdf.doubt


@pytest.mark.parametrize("name", [E1, "A1", f"2026/11/{E1}"], ids=["exam", "accession", "folder"])
@pytest.mark.parametrize("first", ["message", "pdf"])
def test_a_pdf_named_by_a_number_of_the_exam_joins_the_message_in_either_order(
    desk: IntakeFolder, name: str, first: str
) -> None:
    if first == "message":
        desk.intake.take_message(message())
    desk.drop(f"{name}.pdf", SCAN)
    if first == "pdf":
        desk.intake.take_message(message())
    assert desk.pdf_of() == SCAN


def test_a_pdf_named_by_the_exam_joins_the_json_of_another_name(desk: IntakeFolder) -> None:
    desk.drop("export-77.json", exam())
    desk.drop(f"{E1}.pdf", SCAN)
    assert desk.pdf_of() == SCAN


def test_the_pdf_of_a_correction_joins_by_its_name_before_and_after_it(desk: IntakeFolder) -> None:
    desk.intake.take_message(message())
    desk.drop("A1.pdf", SCAN)
    second, third = printed("second"), printed("third")
    desk.intake.take_message(message(status="C", approved="20240506120000", impression="右肺结节。", control="M2"))
    desk.drop("A1.pdf", second)
    desk.clock.advance(3600)
    desk.drop(f"{E1}.pdf", third)
    desk.intake.take_message(message(status="C", approved="20240506130000", impression="左肺结节。", control="M3"))
    assert desk.counts() == (3, 3)
    assert desk.pdf_of() == third


@pytest.mark.parametrize("order", ["exams, pdf", "pdf, exams", "exam, pdf, exam"])
def test_a_pdf_whose_number_two_exams_have_is_never_guessed(desk: IntakeFolder, order: str) -> None:
    steps = {
        "exams, pdf": [message(), message(E2), None],
        "pdf, exams": [None, message(), message(E2)],
        "exam, pdf, exam": [message(), None, message(E2)],
    }[order]
    for step in steps:
        if step is None:
            desk.drop("A1.pdf", SCAN)
        else:
            desk.intake.take_message(step)
    assert weighed(desk, E1) == (None, SEVERAL if desk.case(E1).pdfs else "")
    assert weighed(desk, E2) == (None, "")


@pytest.mark.parametrize("order", ["exams, pdf", "pdf, exams", "exam, pdf, exam"])
def test_of_two_exams_with_its_number_a_pdf_joins_the_one_that_its_text_names(desk: IntakeFolder, order: str) -> None:
    of_second = printed(f"report of {E2}, A1")
    steps = {
        "exams, pdf": [message(), message(E2), None],
        "pdf, exams": [None, message(), message(E2)],
        "exam, pdf, exam": [message(), None, message(E2)],
    }[order]
    for step in steps:
        if step is None:
            desk.drop("A1.pdf", of_second)
        else:
            desk.intake.take_message(step)
    assert weighed(desk, E1) == (None, "")
    assert weighed(desk, E2) == (of_second, "")


def test_the_exam_id_of_one_exam_that_is_the_accession_number_of_another_is_not_guessed(desk: IntakeFolder) -> None:
    desk.intake.take_message(message(exam_id="N100", accession="N200"))
    desk.intake.take_message(message(exam_id="N200", accession="N300"))
    desk.drop("N200.pdf", SCAN)
    assert (desk.counts("N100"), desk.counts("N200")) == ((1, 0), (1, 0))
    desk.drop("N300.pdf", SCAN)
    assert desk.counts("N200") == (1, 1)


def test_a_pdf_that_names_another_patient_s_exam_is_in_doubt(desk: IntakeFolder) -> None:
    desk.drop("other.json", another())
    desk.intake.take_message(message())
    desk.drop(f"{E1}.pdf", printed(f"report of {E2}"))
    assert desk.pdf_of() is None
    assert "names e" in held(desk)


def test_a_branch_s_folder_holds_no_other_branch_s_pdf(desk: IntakeFolder) -> None:
    desk.intake.take_message(message())
    desk.drop(f"branch2/{E1}.pdf", SCAN)
    assert desk.counts() == (1, 0)
    desk.drop("branch2/x.json", exam(HospitalBranchCode="02"))
    first, second = desk.exams.find(E1)
    assert not desk.exams.case(first).pdfs
    assert desk.exams.case(second).pdfs


@pytest.mark.parametrize("name", ["A10", "XA1", "a1", "A1 - 副本", "A1_2"])
def test_a_name_that_is_only_nearly_the_number_joins_nothing(desk: IntakeFolder, name: str) -> None:
    desk.intake.take_message(message())
    desk.drop(f"{name}.pdf", SCAN)
    assert desk.counts() == (1, 0)


def test_the_pdf_of_an_accession_number_is_not_a_delivered_report_s_but_waits(desk: IntakeFolder) -> None:
    """Its exam has its PDF: this one may be the next exam's of that accession number."""
    desk.intake.take_message(message(pdf=printed(f"report of {E1}")))
    case = desk.case()
    chosen = Chosen(pdf=case.pdfs[0].document, weighed=max(case.places))
    desk.exams.checked(case, None, None, "", chosen=chosen)
    desk.drop("A1.pdf", SCAN)
    assert desk.counts() == (1, 1)
    desk.intake.take_message(message(E2))
    assert desk.counts(E2) == (1, 0)


def test_one_that_several_exams_claim_is_listed_with_their_numbers(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.intake.take_message(message())
    desk.intake.take_message(message(E2))
    desk.put("A1.pdf", SCAN)
    for _ in range(5):
        desk.clock.advance(400)
        loop.step()
    (one,) = desk.exams.files.open()
    assert (one.found.kind, one.found.why, one.found.text) == (FileKind.UNCLAIMED, "several", "e1, e2")
    assert "e1, e2" in desk.told(Kind.ALARM)[-1]


def test_with_a_pattern_the_pattern_decides_first(open_desk: OpenDesk) -> None:
    desk = open_desk('name_pattern = "^(?P<accession>[^_]+)_.*"\n')
    desk.intake.take_message(message())
    desk.intake.take_message(message(E2, accession="A2"))
    desk.drop("A1_2.pdf", SCAN)
    desk.drop("A2.pdf", printed("two"))
    assert desk.pdf_of(E1) == SCAN
    assert desk.pdf_of(E2) == printed("two")
