"""Doubts that several hospitals bring: claims of a study, numbers that say nothing, images of two patients."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.exams.links import OverlappingExam, told_apart
from router.catalogue.images.studies import StudyHere
from router.config.file import parse
from router.config.hospitals import NOBODY, HospitalConfigs, registered, the_only
from router.correlator.assess import images_of
from router.correlator.document import fill_for
from router.correlator.joining import doubts, foreign
from router.exam.key import ExamKey
from router.images.rulebook import books_of
from router.matching.images.hospital import HospitalOf
from router.matching.images.join import Candidate, ExamSide, by_accession
from router.matching.patient.identity import IdentityPolicy, StudyIdentity
from router.model import Header, InstanceUids, Patient
from support.catalogue_rows import key
from support.sample_exam import exam_document, shipped_tables

STUDY = "1.2"
KEY = key()  # 张三, P1, 1949-12-31, A1
HERE = Patient("P1", "Zhang^San", "19491231", "F")
SEVERAL = IdentityPolicy(several=True)
TWO = """
[[hospital]]
name = "a"
USCI = "U1"
HospitalCode = "H1"
HospitalName = "一"
HospitalBranchCode = "01"
senders = [{ ae_title = "CT-A" }]
[hospital.identity]
strip = "^A-"
[hospital.series]
thin = [{ modality = "CT", up_to = 3.0 }]
[[hospital]]
name = "b"
USCI = "U2"
HospitalCode = "H2"
HospitalName = "二"
HospitalBranchCode = "01"
[[hospital.study]]
InstitutionName = "二.*"
"""


def here(*patients: Patient, hospitals: frozenset[str] = frozenset()) -> StudyHere:
    identities = tuple(StudyIdentity(patient, "A1") for patient in patients)
    return StudyHere(
        uid=STUDY, identities=identities, accession_number="A1", study_date="20260301", study_time="", description="",
        manufacturer="", model="", station_name="", serial_number="", sending_ae="", modalities=("CT",), instances=1,
        doubt="", last_received=datetime(2026, 3, 1, tzinfo=UTC), hospitals=hospitals,
    )  # fmt: skip


def case(
    study: StudyHere | None = None, *rivals: OverlappingExam, foreign: frozenset[str] = frozenset()
) -> ExamSnapshot:
    studies = {study.uid: study} if study else {}
    return ExamSnapshot(
        hospital="a", exam=1, branch="01", exam_id="E1", touched=0, doubt="", jsons=(), pdfs=(), places={},
        links=dict.fromkeys(studies, "listed in StudyInstanceUIDs"), studies=studies, siblings=(), approved=False,
        rivals=rivals, foreign=foreign,
    )  # fmt: skip


def rules(of: ExamSnapshot, key: ExamKey = KEY, policy: IdentityPolicy = SEVERAL) -> set[str]:
    return {doubt.rule for doubt in doubts(of, key, [], policy).values()}


def rival(name: str, hospital: str = "b") -> OverlappingExam:
    return OverlappingExam(
        exam=2, hospital=hospital, accession_number="A1", patient_id="P1", patient_name=name, study_uid=STUDY,
        approved=True,
    )  # fmt: skip


def test_a_study_of_another_hospital_is_named_and_its_place_is_waited_for() -> None:
    assert foreign(case(foreign=frozenset({STUDY}))) == f"study {STUDY} is of another hospital"
    assert foreign(case()) == ""
    waits = images_of(case(replace(here(HERE), uid="1.3"), foreign=frozenset({STUDY})), None)
    assert (waits.missing, waits.present) == (1, 1)


def test_a_report_does_not_name_a_study_of_another_hospital() -> None:
    config = HospitalConfigs(parse(TWO, base=Path("/nowhere"))).of("a")
    given = exam_document({"Study.StudyInstanceUIDs": [STUDY, "1.3"]})
    filled = fill_for(config, shipped_tables(), case(foreign=frozenset({STUDY})), given, None).document
    study = filled["Study"]
    assert isinstance(study, dict)
    assert study["StudyInstanceUIDs"] == ["1.3"]


@pytest.mark.parametrize(("name", "doubted"), [("李四", True), ("张三", False), ("", True)])
def test_two_hospitals_that_claim_a_study_are_a_doubt_unless_the_patients_agree_by_name(
    name: str, doubted: bool
) -> None:
    assert ("rival" in rules(case(here(HERE), rival(name)))) is doubted


@pytest.mark.parametrize(
    ("patient", "doubted"),
    [
        (HERE, False),
        (replace(HERE, birth_date=""), False),
        (replace(HERE, birth_date="", sex=""), True),
        (replace(HERE, name=""), True),
    ],
)
def test_numbers_alone_do_not_say_whose_a_study_of_two_hospitals_or_of_none_is(patient: Patient, doubted: bool) -> None:
    assert ("shared" in rules(case(here(patient)))) is doubted
    assert ("shared" in rules(case(here(patient, hospitals=frozenset({"a", "b"}))))) is doubted
    assert "shared" not in rules(case(here(patient, hospitals=frozenset({"a"}))))
    assert "shared" not in rules(case(here(patient)), policy=IdentityPolicy())


def test_a_study_whose_images_name_different_patients_is_a_doubt_also_where_the_exam_says_too_little() -> None:
    both = here(HERE, replace(HERE, birth_date="19521231"), hospitals=frozenset({"a", "b"}))
    vague = replace(KEY, patient=replace(KEY.patient, birth_date=""))
    assert "patients" in rules(case(both), vague)
    assert "patients" not in rules(case(both), vague, IdentityPolicy())
    assert "patients" not in rules(case(here(HERE, replace(HERE, patient_id="X9"), hospitals=frozenset({"a"}))), vague)


@pytest.mark.parametrize(
    ("patient", "own", "joins"),
    [
        (HERE, True, True),
        (HERE, False, True),
        (replace(HERE, name=""), True, True),
        (replace(HERE, birth_date=""), True, False),
        (replace(HERE, name="Zhang^San=张三", birth_date=""), True, True),
        (replace(HERE, patient_id="", name="Zhang^San=张三", birth_date=""), True, False),
        (replace(HERE, patient_id=""), True, True),
        (replace(HERE, name="", birth_date=""), True, False),
        (replace(HERE, name="Ouyang^Nana", birth_date=""), True, False),
        (replace(HERE, name=""), False, False),
        (replace(HERE, birth_date=""), False, False),
    ],
)
def test_by_accession_number_a_study_that_may_be_anothers_joins_by_name_and_birth_date(
    patient: Patient, own: bool, joins: bool
) -> None:
    one = Candidate(STUDY, (StudyIdentity(patient, "A1"),), None, own=own)
    side = ExamSide((), "A1", KEY.patient, None)
    assert by_accession(side, [one], SEVERAL, timedelta(days=30)) == ([STUDY] if joins else [])


def test_exams_of_others_claim_what_nobody_sent_and_share_nothing() -> None:
    fellow, other = rival("张三", "a"), rival("李四")
    assert told_apart("a", [fellow, other], {}) == ((fellow,), (other,))
    assert told_apart("a", [fellow, other], {STUDY: frozenset({"a", "b"})}) == ((fellow,), ())


def test_a_hospitals_own_keys_count_and_the_common_ones_for_what_is_nobodys() -> None:
    configs = HospitalConfigs(parse(TWO, base=Path("/nowhere")))
    assert [configs.of(name).identity.strip for name in ("a", "b", "?")] == ["^A-", "", ""]
    assert registered(configs.of("a")) == configs.of("a").own
    assert registered(configs.of("c")) is None
    assert configs.of("c").own is NOBODY
    assert (configs.several, the_only(configs.common)) == (True, None)


def test_series_rules_are_those_of_the_hospital_that_brought_the_study() -> None:
    book = books_of(parse(TWO, base=Path("/nowhere")))
    limits = [book(frozenset(names)).limits[0].up_to for names in ("a", "b", "", "ab")]
    assert limits == [3.0, 1.25, 1.25, 1.25]


def test_a_header_tells_the_hospital_by_sender_or_rule_and_a_sole_one_needs_none() -> None:
    hospitals = parse(TWO, base=Path("/nowhere")).hospital
    head = Header(uids=InstanceUids("1", "2", "3"), sop_class="", transfer_syntax="", patient=HERE)
    of = HospitalOf(hospitals)
    told = [
        of(one) for one in (
            replace(head, sending_ae="CT-A"), replace(head, sending_ae="PACS", institution_name="二院"),
            replace(head, sending_ae="PACS"), replace(head, sending_ae="CT-A"),
        )
    ]  # fmt: skip
    assert told == ["a", "b", "", "a"]
    assert HospitalOf(hospitals[:1])(replace(head, sending_ae="CT-A")) == ""
