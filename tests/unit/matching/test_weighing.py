"""Which comparisons are doubts: sending what is another's weighs against holding what is right."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from router.exam.key import ExamPatient
from router.matching.patient.doubt import Doubt, holding
from router.matching.patient.identity import IdentityPolicy, StudyIdentity, compare
from router.matching.patient.weighing import doubts_of, remarks
from router.model import Patient
from router.text.decoding import UNREADABLE
from support.ordinary_exams import Visit, visits

PLAIN = IdentityPolicy()
EXAM = ExamPatient({"Patient.PatientId": "P0001"}, "张三", "1949-12-31", "F")
NO_NUMBERS = StudyIdentity(Patient("", "ZHANG^SAN", "19491231", "F"))


def doubts(
    study: StudyIdentity, policy: IdentityPolicy = PLAIN, *, accession: str = "A0001", vouched: bool = False
) -> list[Doubt]:
    return list(doubts_of("1.2", compare(EXAM, accession, study, policy), policy, vouched=vouched))


def rules(study: StudyIdentity, policy: IdentityPolicy = PLAIN, *, vouched: bool = False) -> list[tuple[str, int]]:
    return [(doubt.rule, doubt.since) for doubt in doubts(study, policy, vouched=vouched)]


def study(
    patient_id: str = "", name: str = "", birth_date: str = "", sex: str = "", accession: str = ""
) -> StudyIdentity:
    return StudyIdentity(Patient(patient_id, name, birth_date, sex), accession)


@pytest.mark.parametrize(
    "enough",
    [
        study(patient_id="P0001"),
        study(accession="A0001"),
        study(name="ZHANG^SAN", sex="F"),
        study(name="张^三", birth_date="19491231"),
        study(patient_id="P0001", name="LI^SI", sex="F"),  # a spelling that may be a dialect's: remarked only
        study(accession="A0001", name="CHEUNG^SAM"),
        study(patient_id="P0001", name=UNREADABLE),
    ],
)  # fmt: skip
def test_one_kind_of_evidence_besides_the_study_uid_is_enough(enough: StudyIdentity) -> None:
    assert rules(enough) == []


@pytest.mark.parametrize(
    "little",
    [
        study(),
        study(sex="F", birth_date="19491231"),
        study(name="ZHANG^SAN"),
        study(name="张^三"),
        study(name="张^三", birth_date="19000101"),
        study(name="无名氏", sex="F", birth_date="19491231"),
        study(patient_id="0", accession="000000", sex="F"),
        study(patient_id="1", accession="UNKNOWN"),
        study(patient_id="N/A", accession="-", name="急诊001", sex="F"),
        study(name="ZHANG^SANF", sex="O"),
    ],
)
def test_what_cannot_be_compared_is_no_evidence(little: StudyIdentity) -> None:
    found = doubts(little)
    assert [(doubt.rule, doubt.since) for doubt in found] in ([("evidence", 2)], [("spelling", 2)])
    assert all(doubt.study_uid == "1.2" and doubt.text.startswith("study 1.2") for doubt in found)
    assert holding(found, 1) == []
    assert holding(found, 2) == found


@pytest.mark.parametrize("evidence", [0, 1, 2, 3])
def test_the_setting_says_how_many_kinds_must_agree(evidence: int) -> None:
    policy = replace(PLAIN, evidence=evidence)
    given = [study(), study("P0001"), study("P0001", accession="A0001"), study("P0001", "张三", "", "F", "A0001")]
    assert [rules(one, policy) for one in given] == [[("evidence", 2)] * (n < evidence) for n in range(4)]


@pytest.mark.parametrize("name", [UNREADABLE * 2, f"张{UNREADABLE}"])
def test_a_name_that_cannot_be_read_holds_at_once_where_nothing_else_agrees(name: str) -> None:
    assert rules(study(name=name, sex="F", birth_date="19491231")) == [("unreadable", 1)]
    assert rules(study(name=f"LI^SI={name}")) == [("spelling", 1)]
    assert rules(study(name=name, patient_id="P0002")) == [("differs", 1)]
    assert "no certain reading" in " ".join(remarks(compare(EXAM, "", study(name=name), PLAIN)))


@pytest.mark.parametrize("name", ["LI^SI", "CHEUNG^SAM", "ZHANG^SI", "ZHANG", "SMITH^JOHN"])
def test_a_name_that_no_reading_spells_is_a_doubt_where_no_number_agrees(name: str) -> None:
    assert rules(study(name=name, sex="F", birth_date="19491231")) == [("spelling", 2)]
    assert rules(study("P0001", name)) == rules(study("", name, accession="A0001")) == []
    assert rules(study("P0002", name, accession="A0001")) == [("differs", 1)]
    assert rules(study("P0002", name)) == [("differs", 1), ("spelling", 2)]
    assert "no reading" in " ".join(remarks(compare(EXAM, "A0001", study("P0001", name), PLAIN)))


def test_a_name_far_from_every_reading_is_a_doubt_where_sex_or_birth_date_differ_too() -> None:
    assert rules(study("P0001", "LI^SI", sex="M")) == [("differs", 1), ("spelling", 2)]
    assert rules(study("P0001", "LI^SI", birth_date="19500505")) == [("differs", 1), ("spelling", 2)]
    assert rules(study("P0001", "ZHANG^SI", sex="M")) == [("differs", 1)]


def test_a_latin_group_beside_the_same_characters_that_spells_another_name_is_remarked_and_holds_nothing() -> None:
    for name in ("Li^Si=张^三", "Zhang^Si=张^三", "张三(Li Si)"):
        assert rules(study("", name, sex="F")) == rules(study("P0001", name)) == []
        assert "no reading" in " ".join(remarks(compare(EXAM, "A0001", study("P0001", name), PLAIN)))
    assert remarks(compare(EXAM, "A0001", study("P0001", "Zhang^San=张^三"), PLAIN)) == ()


def test_a_cut_off_name_is_no_other_patient_and_no_evidence_where_it_may_be_a_whole_name() -> None:
    exam = replace(EXAM, name="张晓明")
    for name, agrees in (("ZHANG^XIAOM", True), ("ZHANG^XIAO", False), ("ZHANGXIA", False)):
        found = compare(exam, "A0001", study("P0001", name, sex="F"), PLAIN)
        assert not list(doubts_of("1.2", found, PLAIN))
        assert ("name" in found.agree) == agrees
    alone = compare(exam, "A0001", study("", "ZHANG^XIAO", sex="F"), PLAIN)
    assert [doubt.rule for doubt in doubts_of("1.2", alone, PLAIN)] == ["evidence"]


def test_a_person_who_has_joined_the_study_is_evidence_and_settles_no_contradiction() -> None:
    assert rules(study(), vouched=True) == []
    assert rules(study("P0002"), vouched=True) == [("differs", 1)]
    assert rules(study(name="LI^SI"), vouched=True) == [("spelling", 2)]


def test_no_text_holds_a_value() -> None:
    texts = [
        d.text
        for one in (study("P0002", "LI^SI", "19500505", "M", "A9"), study(name="LI^SI"), study())
        for d in doubts(one)
    ]
    assert not any(
        value in text for text in texts for value in ("P000", "LI", "SI^", "张", "1950", "1949", "A9", "A0001")
    )


# -- the two dangers, by figures


def of(visit: Visit, other: StudyIdentity | None = None) -> list[Doubt]:
    said = other or visit.study
    return list(doubts_of(visit.study_uid, compare(visit.exam, visit.accession_number, said, PLAIN), PLAIN))


def _held(count: int, seed: int) -> Counter[str]:
    return Counter(f"{visit.kind}: {doubt.rule}" for visit in visits(count, seed) for doubt in of(visit))


def test_of_an_ordinary_month_at_most_one_exam_in_a_thousand_is_held() -> None:
    held = _held(3000, 1)
    assert held.total() <= 3, held


@pytest.mark.torture
def test_of_a_large_hospitals_month_at_most_one_exam_in_a_thousand_is_held() -> None:
    held = _held(90_000, 2)
    print(held)  # noqa: T201  # the figures
    assert held.total() <= 90, held


def _without_numbers(said: StudyIdentity) -> StudyIdentity:
    return StudyIdentity(replace(said.patient, patient_id="0"), "")


def test_the_study_of_another_visit_is_held_also_without_its_numbers() -> None:
    month = list(visits(3000, 3))
    for mine, other in pairwise(month):
        if mine.exam.name != other.exam.name:
            assert any(doubt.since == 1 for doubt in of(mine, other.study)), (mine, other)
            assert of(mine, _without_numbers(other.study)), (mine, other)
