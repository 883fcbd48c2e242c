"""The one table of fields, against the standard's own order and the names other layers use."""

from typing import get_args

from router.config.sections import CodeTable, Identity
from router.exam.fields import BY_PATH, FIELDS, FIELDS_OF, PROCEDURE, SECTION_NAMES, TABLE_NAMES
from router.exam.key import PATIENT_ID_PATHS
from support.sample_exam import exam_document, holder_of


def test_every_field_is_declared_once() -> None:
    assert len(BY_PATH) == len(FIELDS) == 82, "see trial/platform/requirements.py and tests/support/sample_exam.py, too"


def test_the_tables_of_the_standard_require_what_they_require() -> None:
    required = {field.path for field in FIELDS if field.required == "always"}
    assert len(required) == 52
    assert {f.path for f in FIELDS if f.required == "when"} == {"Visit.ClinicalNumber", "Visit.InpatientNumber"}
    assert all(field.required == "always" for field in FIELDS_OF[PROCEDURE])


def test_the_order_is_that_of_appendix_a() -> None:
    def paths(parent: str, document: dict[str, object]) -> list[str]:
        return [f"{parent}{key}" for key in document]

    exam = exam_document()
    whole = [path for path in paths("", exam) if path not in SECTION_NAMES]
    for section in SECTION_NAMES:
        for path in paths(section + ".", exam[section]):
            whole.append(path)
            if path == "Order.Procedures":
                whole += paths(PROCEDURE + ".", exam["Order"]["Procedures"][0])
    assert whole == [field.path for field in FIELDS]


def test_the_sample_holds_each_field_at_its_path() -> None:
    for field in FIELDS:
        holder, key = holder_of(exam_document(), field.path.replace("[]", "[0]"))
        assert key in holder


def test_only_fields_with_a_condition_name_visits() -> None:
    assert {field.path for field in FIELDS if field.visits} == {f.path for f in FIELDS if f.required == "when"}


def test_the_configuration_knows_the_code_tables_by_the_same_names() -> None:
    assert set(get_args(CodeTable)) == set(TABLE_NAMES)


def test_the_configuration_may_name_exactly_the_patient_ids_that_a_key_holds() -> None:
    annotation = Identity.model_fields["patient_id"].annotation
    assert get_args(get_args(annotation)[0]) == PATIENT_ID_PATHS


def test_nothing_that_tells_of_a_person_may_be_quoted() -> None:
    of_persons = {field.path for field in FIELDS if field.parent in {"Patient", "Visit", "Report"} and field.shown}
    codes = {"Visit.PatientType", "Patient.Gender", "Patient.IdNoType", "Report.IsCritical", "Report.PositiveStatus"}
    assert of_persons == codes
    assert not any(field.shown for field in FIELDS if "Doctor" in field.key or field.kind in {"datetime", "date"})
    assert not BY_PATH["ExamId"].shown
    assert not BY_PATH["Order.AccessionNumber"].shown
    assert not BY_PATH["Order.HisOrderCode"].shown
