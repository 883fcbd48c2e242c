"""The hospital of an exam and of a study: what agrees, what is held, and what no one knows."""

import pytest

from router.config.sections import Hospital, Sender, StudyRule
from router.matching.exam.institution import UNREGISTERED, hospital_of
from router.matching.images.hospital import NONE, hospital_of_study, may_join


def _hospital(name: str, number: int, **more: object) -> Hospital:
    constants = {"USCI": f"U{number}", "HospitalCode": f"H{number}", "HospitalName": name, "HospitalBranchCode": "01"}
    return Hospital.model_validate({"name": name, **constants, **more})


A, B = _hospital("a", 1), _hospital("b", 2)


@pytest.mark.parametrize(
    ("institution", "origin", "name"),
    [
        (("U1", "H1"), None, "a"),
        (("U2", ""), None, "b"),
        (("", "h2 "), None, "b"),
        (("Ｕ１", ""), None, "a"),
        (("", ""), None, UNREGISTERED),
        (("U3", "H1"), None, UNREGISTERED),
        (("U1", "H2"), None, UNREGISTERED),
        (("", "01"), None, UNREGISTERED),
        (("", ""), "b", "b"),
        (("U1", "H1"), "b", "b"),
    ],
)
def test_an_exam_is_of_the_hospital_that_its_way_or_its_codes_name(
    institution: tuple[str, str], origin: str | None, name: str
) -> None:
    assert hospital_of(institution, origin, (A, B)) == name


def test_of_one_hospital_alone_every_exam_is_filed_there() -> None:
    assert hospital_of(("U9", "H9"), None, (A,)) == "a"


CT = Sender(ae_title="CT", address="10.1.0.0/16")
SENDS = _hospital("a", 1, senders=[CT])
RULES = _hospital(
    "b", 2, study=[StudyRule(InstitutionName="医院B.*"), StudyRule(StationName="B", AccessionNumber="B.*")]
)
OVERLAPS = _hospital("c", 3, study=[StudyRule(StationName="B")])


@pytest.mark.parametrize(
    ("sender", "address", "elements", "name"),
    [
        ("CT", "10.1.2.3", {"InstitutionName": "医院B"}, "a"),
        ("CT", "10.2.2.3", {}, NONE),
        ("CT", "", {}, NONE),
        ("PACS", "10.9.9.9", {"InstitutionName": "医院B 放射科"}, "b"),
        ("PACS", "10.9.9.9", {"InstitutionName": "X 医院B"}, NONE),
        ("PACS", "10.9.9.9", {"StationName": "B", "AccessionNumber": "A1"}, "c"),
        ("PACS", "10.9.9.9", {"StationName": "B ", "AccessionNumber": "B1"}, NONE),
    ],
)
def test_a_study_is_of_its_senders_hospital_or_of_the_one_whose_rule_fits(
    sender: str, address: str, elements: dict[str, str], name: str
) -> None:
    assert hospital_of_study(sender, address, elements, (SENDS, RULES, OVERLAPS)) == name


def test_a_study_joins_an_exam_of_a_hospital_that_sent_it_or_of_any_where_none_is_known() -> None:
    assert may_join("a", frozenset())
    assert may_join("a", frozenset({"a", "b"}))
    assert not may_join("a", frozenset({"b"}))
