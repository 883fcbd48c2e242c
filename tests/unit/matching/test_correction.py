"""What of a patient's data differs between then and now, in exam JSONs and in headers."""

import pytest

from router.exam.key import ExamPatient
from router.matching.patient.correction import Change, changes, contradicted, of_document, of_header
from router.matching.patient.identity import IdentityPolicy
from router.model import Patient
from support.sample_exam import exam_document

POLICY = IdentityPolicy()
NOW = ExamPatient({"Patient.PatientId": "P2"}, "李四", "1949-12-30", "M")
ALL = tuple(Change(field, "was", "now") for field in ("patient id", "name", "sex", "birth date", "identity number"))


def test_a_document_is_described_by_the_five_fields_and_a_header_by_the_four_that_it_has() -> None:
    document = exam_document()
    assert of_document(document) == {
        "patient id": "P0001", "name": "张三", "sex": "2", "birth date": "1949-12-31",
        "identity number": "11010519491231002X",
    }  # fmt: skip
    assert set(of_document({"Patient": "none"}).values()) == {""}
    assert of_header(Patient("P1", "A^B", "19491231", "F")).keys() == of_document(document).keys() - {"identity number"}


def test_only_fields_of_both_that_differ_have_changed() -> None:
    was, now = {"name": "a", "sex": "1", "more": "x"}, {"name": "b", "sex": "1"}
    assert changes(was, now) == (Change("name", "a", "b"),)
    assert changes(now, now) == ()


@pytest.mark.parametrize(("header", "fields"), [
    (Patient("P1", "张^三", "19491231", "F"), ["patient id", "name", "sex", "birth date"]),
    (Patient("P2", "李^四", "19491230", "M"), []),
    (Patient("P2", "Li^Si", "19491230", "M"), []),
    (Patient("P2", "Zhang^San", "19491230", "M"), ["name"]),
    (Patient("P2", "\ufffd\ufffd", "19491230", "M"), ["name"]),
    (Patient("", "", "", ""), []),
    (Patient("0", "UNKNOWN", "19000101", "O"), []),
])  # fmt: skip
def test_a_header_is_old_where_it_contradicts_what_was_corrected_and_not_where_it_says_nothing(
    header: Patient, fields: list[str]
) -> None:
    found = contradicted(header, NOW, ALL, POLICY)
    assert [one.field for one in found] == fields
    assert all(one.was == of_header(header)[one.field] for one in found)
    assert contradicted(header, NOW, (), POLICY) == ()
