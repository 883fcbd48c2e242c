"""A document against appendices A and B, as given."""

import itertools
import re
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from router.config.sections import Branch, Hospital
from router.exam.codes import parse
from router.exam.faults import Fault, Findings
from router.exam.fields import BY_PATH, FIELDS, FIELDS_OF, SECTION_NAMES, Field
from router.exam.fill import Sources, fill
from router.exam.validate import validate
from support.sample_exam import exam_document, holder_of, shipped_tables

ZONE = ZoneInfo("Asia/Shanghai")
TABLES = shipped_tables()
HOSPITAL = Hospital(
    USCI="121100004000000001",
    HospitalCode="H0001",
    HospitalName="示范医院",
    HospitalBranchCode="01",
    branch=(Branch(code="02"),),
)
REQUIRED = [field for field in FIELDS if field.required == "always"]
OPTIONAL = [field for field in FIELDS if field.required == "never"]


def check(changes: dict[str, object] | None = None, *, accept_empty: frozenset[str] = frozenset()) -> Findings:
    return validate(exam_document(changes), zone=ZONE, tables=TABLES, accept_empty=accept_empty)


def without(path: str) -> dict[str, object]:
    document = exam_document()
    holder, key = holder_of(document, path)
    del holder[key]
    return document


def places(faults: tuple[Fault, ...]) -> list[str]:
    return [fault.path for fault in faults]


def test_a_valid_exam_has_no_faults() -> None:
    assert validate(exam_document(), zone=ZONE, tables=TABLES, hospital=HOSPITAL) == Findings((), ())


@pytest.mark.parametrize("field", REQUIRED, ids=lambda field: field.path)
def test_the_absence_of_a_required_field_is_found_and_named(field: Field) -> None:
    path = field.path.replace("[]", "[0]")
    absent = validate(without(path), zone=ZONE, tables=TABLES)
    assert [(fault.path, fault.name) for fault in absent.errors] == [(path, field.name)]
    empties: tuple[object, ...] = (None, "", " \t", [])
    for empty in empties:
        assert places(check({path: empty}).errors) == [path]


@pytest.mark.parametrize("field", OPTIONAL, ids=lambda field: field.path)
def test_an_optional_field_may_be_absent_or_empty(field: Field) -> None:
    assert validate(without(field.path), zone=ZONE, tables=TABLES) == Findings((), ())
    assert check({field.path: ""}) == check({field.path: None}) == Findings((), ())


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_a_value_of_the_wrong_type_is_found_and_named(field: Field) -> None:
    path = field.path.replace("[]", "[0]")
    wrong: list[object] = [7.5, {"a": 1}]
    wrong += {"string": [1, True, ["x"]], "integer": ["1", True, 1.0], "boolean": [0, "false"]}.get(
        field.kind, [1, "x"]
    )
    for value in wrong:
        assert places(check({path: value}).errors) == [path]


def test_an_empty_document_names_every_required_field_at_once() -> None:
    expected = [field.path for field in REQUIRED if "[]" not in field.path]
    assert places(validate({}, zone=ZONE, tables=TABLES).errors) == expected


def test_a_missing_object_names_its_fields_and_a_wrong_one_itself() -> None:
    document = exam_document()
    del document["Report"]
    expected = [field.path for field in FIELDS_OF["Report"] if field.required == "always"]
    assert places(validate(document, zone=ZONE, tables=TABLES).errors) == expected
    assert [(f.path, f.name) for f in check({"Report": "text"}).errors] == [("Report", SECTION_NAMES["Report"])]


def test_several_faults_are_all_found() -> None:
    found = check({"USCI": "", "Patient.Name": None, "Order.Status": "Draft", "Study.StudyInstanceUIDs": []})
    assert places(found.errors) == ["USCI", "Order.Status", "Patient.Name", "Study.StudyInstanceUIDs"]


def test_a_procedure_that_is_no_object_or_lacks_a_field_is_named_by_its_number() -> None:
    procedures = exam_document()["Order"]["Procedures"]
    second = {**procedures[0], "BodyPartCodeStd": ""}
    found = check({"Order.Procedures": [procedures[0], second, "CT"]})
    assert places(found.errors) == ["Order.Procedures[1].BodyPartCodeStd", "Order.Procedures[2]"]


@pytest.mark.parametrize(
    ("visit", "clinical", "inpatient", "faults"),
    [
        ("1", "C1", "", []),
        ("1", "", "Z1", ["Visit.ClinicalNumber"]),
        ("2", "C1", "", []),
        ("2", "", "", ["Visit.ClinicalNumber"]),
        ("3", "", "Z1", []),
        ("3", "C1", "", ["Visit.InpatientNumber"]),
        ("3", "C1", None, ["Visit.InpatientNumber"]),
        ("9", "", "", []),
    ],
)
def test_the_visit_type_decides_which_number_is_due(
    visit: str, clinical: object, inpatient: object, faults: list[str]
) -> None:
    found = check({"Visit.PatientType": visit, "Visit.ClinicalNumber": clinical, "Visit.InpatientNumber": inpatient})
    assert places(found.errors) == faults
    assert not found.warnings


def test_the_key_of_a_number_that_is_not_due_stays() -> None:
    found = validate(without("Visit.InpatientNumber"), zone=ZONE, tables=TABLES)
    assert found.valid
    assert places(found.warnings) == ["Visit.InpatientNumber"]


def test_a_visit_type_written_as_a_number_hides_no_other_fault() -> None:
    found = check({"Visit.PatientType": 1, "Visit.ClinicalNumber": ""})
    assert places(found.errors) == ["Visit.ClinicalNumber", "Visit.PatientType"]


def test_an_unknown_visit_type_is_a_warning() -> None:
    found = check({"Visit.PatientType": "7", "Visit.ClinicalNumber": ""})
    assert found.valid
    assert places(found.warnings) == ["Visit.PatientType"]


@pytest.mark.parametrize(
    "written",
    [
        "2024-02-30 11:00:00",
        "2024-05-06",
        "2024-05-06T11:00:00",
        "20240506110000",
        "2024-05-06 11:00:00\n",
        "2024-5-6 1:0:0",
    ],
)
def test_a_time_in_another_form_is_an_error_as_given(written: str) -> None:
    assert places(check({"Order.ApplyTime": written}).errors) == ["Order.ApplyTime"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("USCI", "121100004000000002"),
        ("Order.Status", "Approved"),
        ("Patient.IdNo", "110105194912310021"),
        ("Patient.DateOfBirth", "1949-13-31"),
        ("Patient.DateOfBirth", "1949-12-31 00:00:00"),
        ("Patient.AgeDisplay", "74"),
        ("Patient.AgeDisplay", "Y74"),
        ("Patient.AgeDisplay", "3月1岁"),
        ("Report.PositiveStatus", 2),
        ("Report.PositiveStatus", -2),
        ("Study.ImageCount", -1),
        ("Report.ApproveTime", "2024-05-06 24:00:00"),
    ],
)
def test_a_wrong_value_is_one_error_that_quotes_it_only_when_it_is_not_personal(path: str, value: object) -> None:
    (fault,) = check({path: value}).errors
    assert fault.path == path
    assert (f'"{value}"' in fault.message) == BY_PATH[path].shown
    assert fault.expected.startswith("expected")
    assert fault.found
    assert fault.mend


@pytest.mark.parametrize("age", ["74岁", "1岁3月", "10月3周4天", "10月3周", "1天8小时", "0天", "5小时"])
def test_the_ages_of_the_standard_pass(age: str) -> None:
    assert check({"Patient.AgeDisplay": age}).valid


@pytest.mark.parametrize("status", [-1, 0, 1])
def test_positive_status_may_be_unknown_negative_or_positive(status: int) -> None:
    assert check({"Report.PositiveStatus": status}).valid


def test_only_an_identity_card_has_a_check_digit() -> None:
    assert check({"Patient.IdNo": "E12345678", "Patient.IdNoType": "03"}) == Findings((), ())
    assert not check({"Patient.IdNo": "E12345678", "Patient.IdNoType": "01"}).valid


def test_an_identity_number_that_tells_of_somebody_else_is_a_warning() -> None:
    found = check({"Patient.DateOfBirth": "1950-01-01", "Patient.Gender": "1"})
    assert found.valid
    assert places(found.warnings) == ["Patient.IdNo", "Patient.IdNo"]
    assert "DateOfBirth" in found.warnings[0].message
    assert "Gender" in found.warnings[1].message


def test_a_sex_outside_the_national_table_is_a_warning() -> None:
    assert places(check({"Patient.Gender": "男"}).warnings) == ["Patient.Gender"]


def test_uids_are_checked_one_by_one() -> None:
    found = check({"Study.StudyInstanceUIDs": ["1.2.3", "x", 5, "1.2.3", "1.2.04", ""]})
    path = "Study.StudyInstanceUIDs"
    assert places(found.errors) == [f"{path}[1]", f"{path}[2]", f"{path}[3]", f"{path}[5]"]
    assert places(found.warnings) == [f"{path}[4]"]


@pytest.mark.parametrize(
    ("late", "errors", "warnings"),
    [(timedelta(), 0, 0), (timedelta(minutes=10), 0, 1), (timedelta(minutes=10, seconds=1), 1, 0)],
)
def test_an_approval_in_the_future_is_borne_within_the_tolerance(late: timedelta, errors: int, warnings: int) -> None:
    now = datetime(2024, 5, 6, 11, tzinfo=ZONE) - late
    found = validate(exam_document(), zone=ZONE, tables=TABLES, now=now, tolerance=timedelta(minutes=10))
    assert places(found.errors) == ["Report.ApproveTime"] * errors
    assert places(found.warnings) == ["Report.ApproveTime"] * warnings


def test_disagreement_with_the_configured_hospital_is_a_warning() -> None:
    changes: dict[str, object] = {"USCI": "91350100M000100Y43", "HospitalName": "别的医院", "HospitalBranchCode": "03"}
    found = validate(exam_document(changes), zone=ZONE, tables=TABLES, hospital=HOSPITAL)
    assert found.valid
    assert places(found.warnings) == list(changes)


def test_a_configured_branch_agrees() -> None:
    document = exam_document({"HospitalBranchCode": "02"})
    assert validate(document, zone=ZONE, tables=TABLES, hospital=HOSPITAL) == Findings((), ())


def test_what_a_platform_takes_empty_is_no_fault_but_a_wrong_value_is() -> None:
    accepted = frozenset({"Patient.IdNo", "Order.Procedures[].BodyPartCode"})
    changes: dict[str, object] = {"Patient.IdNo": "", "Order.Procedures[0].BodyPartCode": None}
    assert check(changes, accept_empty=accepted) == Findings((), ())
    assert places(check({"Patient.IdNo": "1"}, accept_empty=accepted).errors) == ["Patient.IdNo"]


def test_apply_doctor_code_is_due_where_there_is_one() -> None:
    found = check({"Order.ApplyDoctorCode": ""})
    assert found.valid
    assert places(found.warnings) == ["Order.ApplyDoctorCode"]
    assert "有则必填" in found.warnings[0].message


_TIMES = (
    "Order.ApplyTime", "Order.RegisterTime", "Order.CheckInTime", "Study.StudyDate", "Report.SubmitTime",
    "Report.ApproveTime",
)  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(itertools.pairwise(_TIMES)))
def test_times_in_an_odd_order_are_a_warning_that_names_both(before: str, after: str) -> None:
    times: dict[str, object] = {path: f"2024-05-06 0{hour}:00:00" for hour, path in enumerate(_TIMES)}
    assert check(times) == Findings((), ())
    times[before], times[after] = times[after], times[before]
    found = check(times)
    assert found.valid
    named = [(fault.path, re.findall("[A-Z][a-z]+[.][A-Za-z]+", fault.message)[0]) for fault in found.warnings]
    assert (after, before) in named


def test_an_absent_time_does_not_hide_an_odd_order() -> None:
    found = check({"Order.CheckInTime": "", "Study.StudyDate": "2024-05-06 08:10:00"})
    assert places(found.warnings) == ["Study.StudyDate"]


@pytest.mark.parametrize(
    ("born", "age", "odd"),
    [
        ("1949-12-31", "74岁", False),
        ("1949-12-31", "75岁", False),
        ("1949-12-31", "76岁", True),
        ("1949-12-31", "73岁", True),
        ("1949-12-31", "7岁", True),
        ("2022-06-10", "1岁", False),
        ("2022-06-10", "1岁10月", False),
        ("2022-06-10", "2岁10月", True),
        ("2023-06-11", "10月3周4天", False),
        ("2023-06-11", "10月1周4天", True),
        ("2024-05-05", "1天8小时", False),
        ("2024-05-05", "20天", True),
    ],
)
def test_an_age_that_the_birth_date_does_not_give_is_a_warning(born: str, age: str, odd: bool) -> None:
    found = check({"Patient.DateOfBirth": born, "Patient.AgeDisplay": age, "Patient.IdNoType": "99"})
    assert found.valid
    assert places(found.warnings) == ["Patient.AgeDisplay"] * odd


def test_a_code_that_a_complete_table_lacks_is_an_error_and_else_a_warning() -> None:
    complete = {**TABLES, "departments": replace(TABLES["departments"], complete=True)}
    document = exam_document({"Order.ApplyDepartmentCodeStd": "77"})
    assert places(validate(document, zone=ZONE, tables=TABLES).warnings) == ["Order.ApplyDepartmentCodeStd"]
    (fault,) = validate(document, zone=ZONE, tables=complete).errors
    assert fault.path == "Order.ApplyDepartmentCodeStd"
    assert "departments.csv" in fault.mend


def test_a_visit_type_of_the_region_decides_by_its_kind() -> None:
    text = "own_code,own_name,code,name,kind\n,,01,门诊,outpatient\n,,04,住院,inpatient\n,,05,体检,health_check\n"
    tables = {**TABLES, "visit_types": parse(text, "visit_types")}
    for code, due in (("01", "Visit.ClinicalNumber"), ("04", "Visit.InpatientNumber"), ("05", None)):
        document = exam_document({"Visit.PatientType": code, "Visit.ClinicalNumber": "", "Visit.InpatientNumber": ""})
        found = validate(document, zone=ZONE, tables=tables)
        assert places(found.errors) == ([due] if due else [])


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("USCI", "[hospital]"),
        ("Order.DeviceAETitle", "[[device]]"),
        ("Order.ExecDepartmentCodeStd", "departments.csv"),
        ("Order.Procedures[0].CheckItemCodeStd", "items.csv"),
        ("Patient.Name", "the RIS export"),
    ],
)
def test_a_gap_says_who_can_mend_it(path: str, who: str) -> None:
    (fault,) = check({path: ""}).errors
    assert who in fault.mend
    assert fault.mend in fault.message


def test_keys_that_the_standard_does_not_list_are_warned_of_without_quoting_names() -> None:
    document = exam_document({"Extra": 1, "Order.Procedures[0].Price": 2, "Patient.张三": 3})
    found = validate(document, zone=ZONE, tables=TABLES)
    assert found.valid
    assert places(found.warnings) == ["Extra", "Order.Procedures[0].Price", "Patient.?"]


@pytest.mark.parametrize(
    "written",
    ["13800000000", "+86 138 0000 0000", "010-65551234", "（010）6555－1234", "00852 2345 6781", "无/13900001111"],
)
def test_a_telephone_number_in_any_writing_passes(written: str) -> None:
    assert check({"Patient.Telephone": written}) == Findings((), ())


@pytest.mark.parametrize(
    "written",
    [
        "无",
        "1",
        "０",
        "不详",
        "-",
        "N/A",
        "11111111111",
        "00000000",
        "12345678",
        "138****0000",
        "家属电话",
        "12345678901234567890",
    ],
)
def test_what_is_no_telephone_number_is_a_warning_and_not_quoted(written: str) -> None:
    found = check({"Patient.Telephone": written})
    assert found.valid
    [warning] = found.warnings
    assert warning.path == "Patient.Telephone"
    assert len(written) == 1 or f'"{written}"' not in warning.message


@pytest.mark.parametrize(
    "written", ["2.103E+11", "1.1e15", "5E+17", " 2.103E+11 ", "２.１０３Ｅ＋１１", "20240506001.0"]
)
@pytest.mark.parametrize(
    "path",
    ["ExamId", "Order.AccessionNumber", "Order.Procedures[0].CheckItemCode", "Order.Procedures[0].CheckItemCodeStd",
     "Patient.PatientId", "Visit.VisitSerialNumber", "Visit.ClinicalNumber", "Visit.PatientType",
     "Report.ApproveDoctorCertificateNo"],
)  # fmt: skip
def test_a_code_that_a_spreadsheet_made_a_number_is_an_error_where_it_is_due(path: str, written: str) -> None:
    found = check({path: written})
    assert places(found.errors) == [path]
    assert "spreadsheet" in found.errors[0].message


def test_a_spoiled_code_that_is_not_due_is_a_warning_and_codes_with_an_e_pass() -> None:
    assert places(check({"Order.DeviceCode": "1.5E+10"}).warnings) == ["Order.DeviceCode"]
    for code in ("2E10", "E12", "03.01", "1.0.3", "CT-1E+A"):
        assert check({"Order.DeviceCode": code, "Order.Procedures[0].CheckItemCode": code}) == Findings((), ())
    known = {**TABLES, "departments": parse("own_code,own_name,code,name\n,,32.0,医学影像科\n", "departments")}
    document = exam_document({"Order.ExecDepartmentCodeStd": "32.0", "Order.ApplyDepartmentCodeStd": "32.0"})
    assert validate(document, zone=ZONE, tables=known).valid


def test_a_spoiled_number_of_the_json_is_found_once_it_is_filled() -> None:
    given = exam_document({"Order.Procedures[0].CheckItemCodeStd": 2.103e11})
    filled = fill(given, Sources(hospital=HOSPITAL, branch="01", tables=TABLES)).document
    assert places(validate(filled, zone=ZONE, tables=TABLES).errors) == ["Order.Procedures[0].CheckItemCodeStd"]


@pytest.mark.parametrize(
    ("critical", "kind", "positive", "odd"),
    [
        (True, "", 1, ["Report.CriticalType"]),
        (True, None, 1, ["Report.CriticalType"]),
        (True, "无", 1, ["Report.CriticalType"]),
        (True, "气胸", 1, []),
        (True, "气胸", -1, []),
        (True, "气胸", 0, ["Report.PositiveStatus"]),
        (False, "气胸", 1, ["Report.IsCritical"]),
        (None, "气胸", 1, ["Report.IsCritical"]),
        (False, "无", 0, []),
        (None, "", 0, []),
    ],
)
def test_what_is_critical_has_its_type_and_what_has_a_type_is_critical(
    critical: object, kind: object, positive: int, odd: list[str]
) -> None:
    found = check({"Report.IsCritical": critical, "Report.CriticalType": kind, "Report.PositiveStatus": positive})
    assert found.valid
    assert places(found.warnings) == odd


@pytest.mark.parametrize("exam_id", ["V1_CT01", "MZ_1_CT_2"])
def test_an_exam_id_of_visit_and_item_passes(exam_id: str) -> None:
    assert check({"ExamId": exam_id}) == Findings((), ())


@pytest.mark.parametrize("exam_id", ["CT20240506", "V1_", "_CT01", "_"])
def test_an_exam_id_in_another_form_is_a_warning(exam_id: str) -> None:
    found = check({"ExamId": exam_id})
    assert found.valid
    [warning] = found.warnings
    assert (warning.path, "就诊单号_检查项目编号" in warning.message) == ("ExamId", True)


def test_words_for_none_in_a_required_field_are_a_warning_and_in_the_report_they_are_text() -> None:
    path = "Order.ApplyDoctorName"
    for word in ("无", "不详", "null", "N/A", "--", "　未知 "):
        assert places(check({path: word}).warnings) == [path]
    assert check({path: "吴无忌", "Report.Impression": "无", "Order.Note": "无"}) == Findings((), ())


def test_a_word_is_no_identity_number() -> None:
    assert places(check({"Patient.IdNo": "无"}).errors) == ["Patient.IdNo"]
    for word in ("无", "0", "00000000"):
        found = check({"Patient.IdNo": word, "Patient.IdNoType": "99"})
        assert (found.valid, places(found.warnings)) == (True, ["Patient.IdNo"])


def test_an_unknown_visit_type_says_what_cannot_be_told() -> None:
    [warning] = check({"Visit.PatientType": "7"}).warnings
    assert "门诊号" in warning.message
    assert "住院号" in warning.message
