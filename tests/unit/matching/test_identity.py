"""Whether an exam and a study speak of the same patient: any doubt is a doubt, and the same data never is."""

import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.exam.key import PATIENT_ID_PATHS, ExamPatient
from router.matching.patient.identity import (
    IdentityPolicy,
    StudyIdentity,
    agreeing_patients,
    compare,
    contradictions,
    same_patient,
    stripped,
)
from router.model import Patient
from router.text.decoding import UNREADABLE

PLAIN = IdentityPolicy()
ALL_FIELDS = frozenset({"patient id", "accession number", "sex", "birth date", "name"})
EXAM = ExamPatient({"Patient.PatientId": "P0001"}, "张三", "1949-12-31", "F")
STUDY = StudyIdentity(Patient("P0001", "Zhang^San=张^三", "19491231", "F"), "A0001")


def differ(
    exam: ExamPatient = EXAM, accession: str = "A0001", study: StudyIdentity = STUDY, policy: IdentityPolicy = PLAIN
) -> tuple[str, ...]:
    return compare(exam, accession, study, policy).differ


def with_patient(**changes: str) -> StudyIdentity:
    return replace(STUDY, patient=replace(STUDY.patient, **changes))


def test_the_same_patient_agrees_in_every_field() -> None:
    found = compare(EXAM, "A0001", STUDY, PLAIN)
    assert found.agree == ALL_FIELDS
    assert found.differ == ()


def test_two_sides_that_say_nothing_neither_agree_nor_differ() -> None:
    found = compare(ExamPatient({}), "", StudyIdentity(Patient()), PLAIN)
    assert (found.agree, found.differ) == (frozenset(), ())


@pytest.mark.parametrize(
    ("study", "field"),
    [
        (with_patient(patient_id="P0002"), "patient id"),
        (with_patient(patient_id="p0001"), "patient id"),
        (with_patient(patient_id="P00011"), "patient id"),
        (with_patient(sex="M"), "sex"),
        (with_patient(birth_date="19491230"), "birth date"),
        (with_patient(birth_date="19480101"), "birth date"),  # 1 January of another year is another year
        (with_patient(name="Zhang^San=张^四"), "name"),
        (with_patient(name="张三丰"), "name"),
        (replace(STUDY, accession_number="A0002"), "accession number"),
    ],
)
def test_each_field_that_contradicts_is_a_doubt_by_itself(study: StudyIdentity, field: str) -> None:
    assert differ(study=study) == (field,)


@pytest.mark.parametrize("field", ["patient_id", "name", "birth_date", "sex"])
def test_a_field_that_one_side_leaves_blank_is_neither(field: str) -> None:
    found = compare(EXAM, "A0001", with_patient(**{field: ""}), PLAIN)
    assert found.differ == ()
    assert len(found.agree) == 4


# -- patient id


@pytest.mark.parametrize(
    ("theirs", "policy", "same"),
    [
        ("P0001 ", PLAIN, True),  # padding of LO
        ("P0001\0", PLAIN, True),
        ("Ｐ０００１", PLAIN, True),  # full width
        ("P0001\u3000", PLAIN, True),
        ("Ｐ０００２", PLAIN, False),
        ("Ｈ0001－Ｐ0001", IdentityPolicy(strip="^H0001-"), True),
        ("（门）P0001", IdentityPolicy(strip="^（门）"), True),  # stripped as the policy writes it
        ("UNKNOWN", PLAIN, None),
        ("unknown", PLAIN, None),
        ("0", PLAIN, None),
        ("00", PLAIN, None),  # zeros are no number
        ("H0001-P0001", IdentityPolicy(strip="^H0001-"), True),
        ("H0001-P0002", IdentityPolicy(strip="^H0001-"), False),
        ("H0001-", IdentityPolicy(strip="^H0001-"), None),  # nothing is left of it
        ("H0001-0", IdentityPolicy(strip="^H0001-"), None),  # blank once it is stripped
        ("C0001", PLAIN, False),  # the clinic's number counts only where the policy says so
        ("C0001", IdentityPolicy(patient_id_fields=PATIENT_ID_PATHS), True),
        ("M0001", IdentityPolicy(patient_id_fields=PATIENT_ID_PATHS), True),
        ("P0001", IdentityPolicy(patient_id_fields=("Visit.ClinicalNumber",)), False),
    ],
)
def test_the_patient_id_is_compared_as_the_policy_says(theirs: str, policy: IdentityPolicy, same: bool | None) -> None:
    ids = {"Patient.PatientId": "P0001", "Visit.ClinicalNumber": "C0001", "Visit.InpatientNumber": "",
           "Visit.MedicalRecordNumber": "M0001"}  # fmt: skip
    found = compare(replace(EXAM, patient_ids=ids), "A0001", with_patient(patient_id=theirs), policy)
    assert ("patient id" in found.agree) == (same is True)
    assert ("patient id" in found.differ) == (same is False)


def test_two_blank_ids_do_not_agree() -> None:
    found = compare(ExamPatient({"Patient.PatientId": "0"}), "", StudyIdentity(Patient("0")), PLAIN)
    assert (found.agree, found.differ) == (frozenset(), ())


@pytest.mark.parametrize("value", ["", " ", "\0", "Anonymous", "0"])
def test_values_that_say_nothing_are_blank(value: str) -> None:
    assert stripped(value, PLAIN) == ""


# -- accession number


@pytest.mark.parametrize(
    ("ours", "study", "siblings", "same"),
    [
        ("A1", StudyIdentity(Patient(), "A1"), set(), True),
        ("A1", StudyIdentity(Patient(), "A2"), set(), False),
        ("A1", StudyIdentity(Patient(), "A2", ("A1", "A3")), set(), True),  # RequestAttributesSequence
        ("A1", StudyIdentity(Patient(), "", ("A2",)), set(), False),
        ("A1", StudyIdentity(Patient(), "A2"), {"A2"}, True),  # another exam of this patient lists the study
        ("A1", StudyIdentity(Patient(), "A2"), {"A3"}, False),
        ("", StudyIdentity(Patient(), "A2"), {"A2"}, None),
        ("A1", StudyIdentity(Patient()), {"A2"}, None),
        ("A1", StudyIdentity(Patient(), "", ("",)), set(), None),
    ],
)
def test_the_accession_number_may_come_from_the_requests_or_from_sibling_exams(
    ours: str, study: StudyIdentity, siblings: set[str], same: bool | None
) -> None:
    found = compare(ExamPatient({}), ours, study, PLAIN, frozenset(siblings))
    assert ("accession number" in found.agree) == (same is True)
    assert ("accession number" in found.differ) == (same is False)


# -- sex and birth date


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [("M", "M", True), ("M", "F", False), ("F", "M", False), ("M", "O", None), ("O", "F", None), ("", "F", None),
     ("M", "", None), ("F", " f ", True), ("O", "O", None)],
)  # fmt: skip
def test_only_male_and_female_contradict_each_other(ours: str, theirs: str, same: bool | None) -> None:
    found = compare(ExamPatient({}, sex=ours), "", StudyIdentity(Patient(sex=theirs)), PLAIN)
    assert (found.agree, found.differ) == (frozenset({"sex"} if same else ()), ("sex",) if same is False else ())


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("1949-12-31", "19491231", True),
        ("1949-12-31", "19491230", False),
        ("1949-01-01", "19491231", None),  # only the year is known: no doubt, no agreement either
        ("1949-12-31", "19490101", None),
        ("1949-01-01", "19490101", True),
        ("1949-01-01", "19501231", False),
        ("1949-10-11", "19491231", False),  # 01 01 across month and day is no 1 January
        ("", "19491231", None),
        ("1949-12-31", "1949", None),
        ("1949-12-31", "not a day", None),
    ],
)
def test_the_first_of_january_means_that_only_the_year_is_known(ours: str, theirs: str, same: bool | None) -> None:
    found = compare(ExamPatient({}, birth_date=ours), "", StudyIdentity(Patient(birth_date=theirs)), PLAIN)
    assert ("birth date" in found.agree, "birth date" in found.differ) == (same is True, same is False)


# -- names, script by script

_NAMES = [
    ("张三", "张三", True),
    ("张三", "张^三", True),
    ("张三", "Zhang^San=张^三", True),
    ("张 三", "张三", True),
    ("张三", "李四", False),
    ("张三", "Zhang^San", True),  # Han on one side, its pinyin on the other
    ("张三", "Zhang^Si", None),  # a spelling that no reading gives is no contradiction by itself
    ("Zhang San", "ZHANG^SAN", True),
    ("San Zhang", "ZHANG^SAN", True),
    ("ZhangSan", "Zhang^San=张^三", True),
    ("Zhang San", "Zhang^San=张^三=Zhang^San", True),
    ("Zhang Si", "ZHANG^SAN", False),
    ("Müller Jörg", "MULLER^JORG", True),
    ("O'Brien Ann", "OBRIEN^ANN", True),
    ("Maria de la Cruz y Soto", "CRUZ Y SOTO^MARIA DE LA", True),  # more than four words, in another order
    ("Ｚｈａｎｇ　Ｓａｎ", "ZHANG^SI", False),  # full-width letters are letters
    ("Ｚｈａｎｇ　Ｓａｎ", "ZHANG^SAN", True),
    ("\uf9e1三", "李三", True),  # a compatibility ideograph is the character it stands for
    ("张三之子A", "张三之子B", False),  # twins: Han agrees, Latin does not
    ("张三 Zhang San", "Zhang^San=张^三", True),
    ("张三 Zhang San", "Li^Si=张^三", False),
    ("张三之子1", "张三之子2", False),
    ("张三之子1", "Zhang^San1=张^三之子1", True),
    ("张三之子", "张三之子2", True),
    ("买买提·阿依古丽", "买买提阿依古丽", True),
    ("", "张三", None),
    ("^^^^", "张三", None),
    ("===", "张三", None),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs", "same"), _NAMES)
def test_names_are_compared_script_by_script(ours: str, theirs: str, same: bool | None) -> None:
    for one, other in ((ours, theirs), (theirs, ours)):
        found = compare(ExamPatient({}, one), "", StudyIdentity(Patient(name=other)), PLAIN)
        assert ("name" in found.agree, "name" in found.differ) == (same is True, same is False)


_WORDS = st.lists(st.text(string.ascii_letters, min_size=1, max_size=6), min_size=1, max_size=4)
_SEPARATORS = st.sampled_from(["^", " ", ", ", "-", "^^", ". "])
_HAN = st.text("张王李赵三四五伟芳娜", min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(words=_WORDS, one=_SEPARATORS, other=_SEPARATORS, order=st.randoms(use_true_random=False))
def test_separators_case_and_order_of_a_latin_name_do_not_matter(
    words: list[str], one: str, other: str, order: st.DataObject
) -> None:
    shuffled = list(words)
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random
    exam = ExamPatient({}, one.join(words).lower())
    study = StudyIdentity(Patient(name=other.join(shuffled).upper()))
    assert compare(exam, "", study, PLAIN).agree == {"name"}


@settings(max_examples=80, deadline=None)
@given(_HAN, _HAN, _SEPARATORS, _SEPARATORS)
def test_han_names_agree_exactly_when_their_characters_do(ours: str, theirs: str, one: str, other: str) -> None:
    exam = ExamPatient({}, one.join(ours))
    study = StudyIdentity(Patient(name=f"Somebody={other.join(theirs)}"))
    found = compare(exam, "", study, PLAIN)
    assert ("name" in found.agree) == (ours == theirs)
    assert ("name" in found.differ) == (ours != theirs)


# -- properties of the whole

_ID = st.text(string.ascii_uppercase + string.digits + "-", min_size=1, max_size=8)
_PATIENTS = st.builds(
    Patient,
    patient_id=_ID,
    name=_HAN | _WORDS.map("^".join) | st.text(max_size=8),
    birth_date=st.dates().map(lambda day: f"{day:%Y%m%d}".rjust(8, "0")),
    sex=st.sampled_from(["M", "F", "O", ""]),
)


def _as_the_ris_names(patient: Patient) -> ExamPatient:
    day = patient.birth_date
    return ExamPatient(
        {"Patient.PatientId": patient.patient_id}, patient.name, f"{day[:4]}-{day[4:6]}-{day[6:]}", patient.sex
    )


@settings(max_examples=60, deadline=None)
@given(_PATIENTS, st.text(string.digits, max_size=6))
def test_equal_data_is_never_a_doubt(patient: Patient, accession: str) -> None:
    exam = _as_the_ris_names(patient)
    assert compare(exam, accession, StudyIdentity(patient, accession), PLAIN).differ == ()
    assert same_patient(exam, exam, PLAIN)


@settings(max_examples=60, deadline=None)
@given(_PATIENTS, _ID, st.text(string.digits, max_size=6))
def test_another_patient_id_is_always_a_doubt(patient: Patient, other: str, accession: str) -> None:
    ids = {stripped(patient.patient_id, PLAIN), stripped(other, PLAIN)}
    exam, swapped = _as_the_ris_names(patient), replace(patient, patient_id=other)
    doubted = len(ids) == 2 and "" not in ids
    found = compare(exam, accession, StudyIdentity(swapped, accession), PLAIN)
    assert ("patient id" in found.differ) == doubted
    assert same_patient(exam, _as_the_ris_names(swapped), PLAIN) != doubted


@settings(max_examples=60, deadline=None)
@given(_PATIENTS, _PATIENTS)
def test_the_comparison_does_not_depend_on_who_says_what(one: Patient, other: Patient) -> None:
    here = compare(_as_the_ris_names(one), "", StudyIdentity(other), PLAIN)
    there = compare(_as_the_ris_names(other), "", StudyIdentity(one), PLAIN)
    assert here == there
    mine, theirs = _as_the_ris_names(one), _as_the_ris_names(other)
    assert same_patient(mine, theirs, PLAIN) == same_patient(theirs, mine, PLAIN)


# -- two versions of an exam, two exams


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"patient_ids": {"Patient.PatientId": "P0002"}}, False),
        ({"patient_ids": {"Patient.PatientId": ""}}, True),
        ({"patient_ids": {}}, True),
        ({"patient_ids": {"Patient.PatientId": "UNKNOWN"}}, True),
        ({"name": "李四"}, False),
        ({"name": ""}, True),
        ({"name": "Zhang San"}, True),
        ({"birth_date": "1950-12-31"}, True),  # corrected data of the same patient
    ],
)
def test_versions_of_an_exam_name_one_patient_as_far_as_they_say(changes: dict[str, object], same: bool) -> None:
    assert same_patient(EXAM, replace(EXAM, **changes), PLAIN) == same  # type: ignore[arg-type]  # table of fields


def test_the_texts_never_hold_a_value() -> None:
    other = StudyIdentity(Patient("P9", "Li^Si=李^四", "19500505", "M"), "A9")
    assert set(differ(study=other)) == ALL_FIELDS


# -- what says nothing, and what cannot be read


@pytest.mark.parametrize(
    "value",
    ["0", "000000", "0000000000", "1", "7", "UNKNOWN", "unknown", "None", "NULL", "N/A", "NA", "-", "--", "****", "?",
     "无", "不详", "未知", "", " ", "\0", f"P000{UNREADABLE}", "ANONYMOUS", "9999999", "111111", "88888", "AAAAA",
     "12345", "123456", "1234567890", "0123456", "654321", "9876543210", "x", "xxx", "XXX-XXX", "TEMP", "temp", "TEST",
     "Test.", "临时", "测试", "0.0", "00000-0", "０００", "-1", "１２３４５６", "ＴＥＳＴ", "\u3000"],
)  # fmt: skip
def test_a_number_that_says_nothing_neither_agrees_nor_contradicts(value: str) -> None:
    for ours, theirs in ((value, "P0001"), ("P0001", value), (value, value)):
        exam = ExamPatient({"Patient.PatientId": ours})
        found = compare(exam, ours, StudyIdentity(Patient(theirs), theirs, (theirs,)), PLAIN)
        assert (found.agree, found.differ) == (frozenset(), ())
        assert same_patient(exam, ExamPatient({"Patient.PatientId": theirs}), PLAIN)


@pytest.mark.parametrize("value", [
    "10", "01", "12", "P0", "0P", "A", "UNKNOWN1", "00001", "1111", "1234", "4321", "34567", "10000000", "112233",
    "1212121", "12-345", "P123456", "1111112", "TEST11", "TEMP20261129", "临时12",
])  # fmt: skip
def test_a_short_number_is_a_number(value: str) -> None:
    found = compare(ExamPatient({"Patient.PatientId": value}), value, StudyIdentity(Patient(value), value), PLAIN)
    assert found.agree == {"patient id", "accession number"}


@pytest.mark.parametrize("day", ["1900-01-01", "1970-01-01", "0001-01-01", "1899-12-30", "1753-01-01", "0000-00-00"])
def test_a_birth_date_that_stands_for_none_is_no_evidence(day: str) -> None:
    for ours, theirs in ((day, "1949-12-31"), ("1949-12-31", day), (day, day)):
        for written in (theirs, theirs.replace("-", ""), theirs.replace("-", ".")):
            found = compare(ExamPatient({}, birth_date=ours), "", StudyIdentity(Patient(birth_date=written)), PLAIN)
            assert (found.agree, found.differ) == (frozenset(), ())


@pytest.mark.parametrize(("ignore_case", "same"), [(False, False), (True, True)])
def test_case_matters_unless_it_is_to_be_ignored(ignore_case: bool, same: bool) -> None:
    policy = IdentityPolicy(ignore_case=ignore_case, aliases={"P9": "P0001"})
    found = compare(EXAM, "A0001", replace(with_patient(patient_id="p0001"), accession_number="a0001"), policy)
    assert ({"patient id", "accession number"} <= found.agree) is same
    assert ({"patient id", "accession number"} <= set(found.differ)) is not same
    assert ("patient id" in compare(EXAM, "", with_patient(patient_id="p9"), policy).agree) is same


def test_versions_whose_names_cannot_be_read_or_stand_for_none_are_of_one_patient_as_far_as_they_say() -> None:
    for name in (UNREADABLE, f"李{UNREADABLE}", "无名氏", "急诊12", "LI SI"):
        other = ExamPatient({}, name)
        assert same_patient(EXAM, other, PLAIN)
        assert not agreeing_patients(EXAM, other, PLAIN)
    assert agreeing_patients(EXAM, ExamPatient({}, "Zhang San"), PLAIN)
    assert agreeing_patients(EXAM, ExamPatient({"Patient.PatientId": "P0001"}), PLAIN)
    assert not agreeing_patients(EXAM, ExamPatient({"Patient.PatientId": "P0001"}, "李四"), PLAIN)


@pytest.mark.parametrize(
    ("siblings", "vague", "same"), [({"A2"}, set(), True), (set(), {"A2"}, None), ({"A3"}, {"A4"}, False)]
)
def test_the_number_of_an_exam_that_may_be_of_this_patient_is_no_evidence_and_no_contradiction(
    siblings: set[str], vague: set[str], same: bool | None
) -> None:
    other = StudyIdentity(Patient(), "A2")
    found = compare(ExamPatient({}), "A1", other, PLAIN, frozenset(siblings), frozenset(vague))
    assert ("accession number" in found.agree, "accession number" in found.differ) == (same is True, same is False)


def test_another_version_of_an_image_whose_name_no_reading_spells_is_a_doubt_where_no_number_agrees() -> None:
    one, other = StudyIdentity(Patient(name="张^三")), StudyIdentity(Patient(name="LI^SI"))
    assert contradictions(one, other, PLAIN) == ("name",)
    assert contradictions(one, other, replace(PLAIN, checks=1)) == ()
    assert contradictions(replace(one, accession_number="A1"), replace(other, accession_number="A1"), PLAIN) == ()
