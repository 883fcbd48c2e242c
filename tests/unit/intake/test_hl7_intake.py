"""HL7 messages in the drop folder: JSON part and PDF part of one message, versions, withdrawal, what is refused."""

import pytest

from router.matching.exam.versions import successive, withdrawn
from support.hl7_messages import oru
from support.intake_folder import E1, E2, IntakeFolder, OpenDesk, another, printed

ONE = printed(f"report of {E1}")


def hl7(**changes: object) -> bytes:
    return oru(**{"exam_id": E1, **changes}).encode()  # type: ignore[arg-type]  # as oru takes them


def test_one_message_is_the_exam_and_its_pdf(desk: IntakeFolder) -> None:
    desk.drop("m1.HL7", hl7(pdf=ONE))
    assert desk.counts() == (1, 1)
    assert desk.pdf_of() == ONE
    assert desk.case().jsons[0].approved
    assert desk.left() == {"done/m1.HL7"}
    (kept,) = (desk.config.node.data / "reports").glob("*/*/exam.hl7")
    assert kept.read_bytes() == hl7(pdf=ONE)


def test_a_message_without_pdf_waits_for_a_later_one_or_for_a_pdf_of_its_name(desk: IntakeFolder) -> None:
    desk.drop("m1.hl7", hl7())
    assert desk.pdf_of() is None
    desk.drop("m2.hl7", hl7(pdf=ONE, control="M2"))
    assert desk.counts() == (1, 1)
    assert desk.pdf_of() == ONE
    desk.drop("n1.pdf", printed(f"another of {E2}"))
    desk.drop("n1.hl7", hl7(exam_id=E2, accession="A2"))
    assert desk.pdf_of(E2) == printed(f"another of {E2}")


def test_the_same_message_sent_again_changes_nothing(desk: IntakeFolder) -> None:
    for number in ("M1", "M2", "M3"):
        desk.drop(f"{number}.hl7", hl7(pdf=ONE, control=number))
    assert desk.counts() == (1, 1)


def test_draft_final_correction_and_withdrawal_follow_each_other(desk: IntakeFolder) -> None:
    corrected = printed(f"corrected report of {E1}")
    desk.drop("a.hl7", hl7(status="P", approved=""))
    assert not desk.case().jsons[-1].approved
    desk.drop("b.hl7", hl7(pdf=ONE))
    desk.drop("c.hl7", hl7(status="C", approved="20240506120000", impression="右肺结节。"))
    assert desk.pdf_of() is None
    desk.drop("d.hl7", hl7(status="C", approved="20240506120000", impression="右肺结节。", pdf=corrected))
    assert desk.pdf_of() == corrected
    desk.drop("e.hl7", hl7(status="X", approved="20240506130000", impression="右肺结节。"))
    assert withdrawn(successive(desk.case().jsons))


def test_a_file_name_used_again_takes_each_pdf_to_the_exam_of_its_message(desk: IntakeFolder) -> None:
    two = printed("nothing that names anyone")
    desk.drop("r.hl7", hl7(pdf=ONE))
    desk.drop("r.json", another())
    desk.drop("r.hl7", hl7(pdf=two, control="M2"))
    assert desk.counts() == (1, 2)
    assert desk.counts(E2) == (1, 0)


def test_what_cannot_be_read_goes_to_rejected_whole(desk: IntakeFolder) -> None:
    desk.drop("m.hl7", hl7(pdf=b"%PDF-1.4 cut off"))
    desk.drop("n.hl7", hl7().replace(b"ORU^R01", b"ADT^A01"))
    assert desk.left() == {"rejected/m.hl7", "rejected/m.reason.txt", "rejected/n.hl7", "rejected/n.reason.txt"}
    assert desk.exams.find(E1) == []


@pytest.mark.parametrize("findings", ["右|左", "MRA|左侧\n中动脉", "\\XFF\\"])
def test_a_message_whose_text_cannot_be_read_whole_goes_to_rejected_with_the_reason(
    desk: IntakeFolder, findings: str
) -> None:
    desk.drop("m.hl7", hl7(findings=findings))
    assert desk.left() == {"rejected/m.hl7", "rejected/m.reason.txt"}
    assert findings not in (desk.inbox / "rejected" / "m.reason.txt").read_text(encoding="utf-8")
    assert desk.exams.find(E1) == []


def test_on_a_read_only_share_a_message_is_taken_once(open_desk: OpenDesk) -> None:
    desk = open_desk('on_pickup = "keep"')
    desk.drop("m.hl7", hl7(pdf=ONE))
    desk.restart()
    desk.take()
    assert desk.counts() == (1, 1)


def test_a_message_from_the_listener_is_durable_and_changes_nothing_when_it_comes_again(desk: IntakeFolder) -> None:
    for number in ("M1", "M2"):
        desk.intake.take_message(hl7(pdf=ONE, control=number))
    assert desk.counts() == (1, 1)
    assert desk.pdf_of() == ONE
    (kept,) = (desk.config.node.data / "reports").glob("*/*/exam.hl7")
    assert kept.read_bytes() == hl7(pdf=ONE)


def test_a_pdf_that_comes_again_in_its_message_is_that_versions_at_once(desk: IntakeFolder) -> None:
    signed = printed("signed")
    desk.intake.take_message(hl7(pdf=ONE))
    desk.intake.take_message(hl7(pdf=signed, control="M2"))
    assert desk.counts() == (1, 2)
    assert desk.pdf_of() == signed


def test_the_pdf_of_a_preliminary_message_does_not_go_with_a_final_one_that_says_something_else(
    desk: IntakeFolder,
) -> None:
    desk.intake.take_message(hl7(status="P", pdf=ONE))
    desk.intake.take_message(hl7(findings="右肺见结节。", control="M2"))
    assert desk.pdf_of() is None
    desk.intake.take_message(hl7(findings="右肺见结节。", control="M3", pdf=printed("final")))
    assert desk.pdf_of() == printed("final")


@pytest.mark.parametrize("order", [("pdf", "hl7"), ("hl7", "pdf")])
def test_a_pdf_apart_from_its_messages_is_the_final_ones_in_any_order(
    desk: IntakeFolder, order: tuple[str, str]
) -> None:
    draft, final = hl7(status="P"), hl7(findings="右肺见结节。", control="M2")
    desk.drop("r.hl7", draft)
    for form in order:
        desk.clock.advance(5)
        desk.drop(f"r.{form}", ONE if form == "pdf" else final)
    assert desk.pdf_of() == ONE
