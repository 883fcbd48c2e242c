"""The destinations of an exam: by its hospital and by the rules of [[destination.accept]]."""

from pathlib import Path

import pytest

from router.config.file import parse
from router.config.sections import Config, Destination
from router.matching.exam.destinations import Traits, asked, away_from, goes_to, has_rules
from router.policy.states import State

HOSPITALS = """
[[hospital]]
name = "a"
USCI = "U1"
HospitalCode = "H1"
HospitalName = "一"
HospitalBranchCode = "01"
[[hospital]]
name = "b"
USCI = "U2"
HospitalCode = "H2"
HospitalName = "二"
HospitalBranchCode = "01"
"""
DOCUMENT = {
    "HospitalBranchCode": "02",
    "Order": {
        "ModalityCode": "CT",
        "DeviceAETitle": "CT01",
        "ExecDepartmentCode": "3202",
        "ExecDepartmentName": "放射科",
    },
    "Visit": {"PatientType": "3"},
}
TRAITS = Traits(
    hospital="a", branch="01", document=DOCUMENT, said={"Visit.PatientType": ["体检"], "拒绝共享": ["true"]},
    modalities=frozenset({"MR"}),
)  # fmt: skip


def config(destination: str) -> Config:
    return parse(f'{HOSPITALS}[[destination]]\nname = "cloud"\n{destination}', base=Path("/nowhere"))


def at(destination: str) -> Destination:
    return config(destination).destination[0]


@pytest.mark.parametrize(("hospitals", "goes"), [("", True), ('["a"]', True), ('["b"]', False), ('["a", "b"]', True)])
def test_a_destination_takes_the_exams_of_its_hospitals(hospitals: str, goes: bool) -> None:
    assert goes_to(at(f"hospitals = {hospitals}" if hospitals else ""), TRAITS) is goes


@pytest.mark.parametrize(
    ("rule", "goes"),
    [
        ('branch = "0[12]"', True),
        ('branch = "01"', False),
        ('modality = "CT|MR"', True),
        ('modality = "C"', False),
        ('modality = "MR"', False),
        ('device = "CT.*"', True),
        ('department = "放射科"', True),
        ('department = "32.."', True),
        ('department = "超声科"', False),
        ('Visit.PatientType = "体检"', True),
        ('Visit.PatientType = "3"', True),
        ('Visit.PatientType = "门诊"', False),
        ('"拒绝共享" = "true"', True),
        ('"$.vip" = "1"', False),
        ('"$.vip" = ""', True),
        ('modality = "CT"\ndevice = "MR.*"', False),
        ('modality = "CT"\ndevice = "CT.*"', True),
    ],
)
def test_a_rule_takes_an_exam_of_which_every_named_field_matches_as_a_whole(rule: str, goes: bool) -> None:
    assert goes_to(at(f"[[destination.accept]]\n{rule}"), TRAITS) is goes


def test_one_of_several_rules_is_enough() -> None:
    assert goes_to(at('[[destination.accept]]\nbranch = "9"\n[[destination.accept]]\nmodality = "CT"'), TRAITS)


def test_the_images_tell_branch_and_modality_where_the_json_does_not() -> None:
    bare = Traits(hospital="a", branch="01", modalities=frozenset({"MR"}))
    assert goes_to(at('[[destination.accept]]\nbranch = "01"\nmodality = "MR"'), bare)


def test_what_does_not_go_is_out_of_scope_and_says_by_what() -> None:
    by_hospital, by_rule = (
        away_from(at(words), TRAITS) for words in ('hospitals = ["b"]', '[[destination.accept]]\nbranch = "9"')
    )
    assert by_hospital is not None
    assert by_rule is not None
    assert (by_hospital.state, "hospital" in by_hospital.why) == (State.OUT_OF_SCOPE, True)
    assert (by_rule.state, "accept" in by_rule.why) == (State.OUT_OF_SCOPE, True)


def test_rules_ask_the_document_for_the_fields_that_have_no_short_name() -> None:
    with_rules = config('[[destination.accept]]\nbranch = "01"\nVisit.PatientType = "3"\n"$.vip" = "1"')
    assert asked(with_rules) == {"Visit.PatientType", "$.vip"}
    assert has_rules(with_rules)
    assert not has_rules(config(""))
