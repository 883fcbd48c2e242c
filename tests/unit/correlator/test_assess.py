"""The assessment of an exam, and the plans and moves that follow: pure decisions over frozen values."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from router.catalogue.exams.exams import Chosen, ExamSnapshot
from router.catalogue.exams.links import OverlappingExam
from router.catalogue.images.ledger import Tally
from router.catalogue.images.studies import StudyHere
from router.catalogue.queue.queue import Delivery
from router.config.file import parse
from router.config.sections import HospitalConfig
from router.correlator.assess import Assessment, ExamFacts, assess, objection
from router.correlator.move import Move, move_of, outdated
from router.correlator.plan import ImagesFacts, ReportFacts, plan
from router.exam.key import ExamKey, ExamPatient
from router.intake.report_pdfs import Weighed
from router.matching.exam.versions import JsonVersion, PdfVersion
from router.matching.patient.doubt import Doubt
from router.matching.patient.identity import IdentityPolicy, StudyIdentity
from router.matching.report_pdf.choice import Choice
from router.model import Channel, Patient
from router.policy.backfill import Backfill
from router.policy.states import Needs, State
from support.sample_exam import shipped_tables

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STUDY = "1.2.3"
NAME = "张三"
CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
[share]
from = 2026-03-01
[[share.exclude]]
name = "phantoms"
PatientName = "PHANTOM"
[identity]
doubt = "images"
[[destination]]
name = "cloud"
[destination.dicom]
port = 1
"""


@pytest.fixture(scope="module")
def config() -> HospitalConfig:
    return next(parse(CONFIG, base=Path("/nowhere")).hospitals)


def version(document: int = 1, *, approved: bool = True, at: datetime = NOW - HOUR, **other: Any) -> JsonVersion:
    return JsonVersion(
        document=document,
        arrived=at,
        file_time=at,
        submit_time=at,
        approve_time=at if approved else None,
        approved=approved,
        content="c",
        reported="r",
        **other,
    )


def study(name: str = NAME) -> StudyHere:
    identity = StudyIdentity(Patient("P1", name, "", ""), "A1", ())
    return StudyHere(
        uid=STUDY, identities=(identity,), accession_number="A1", study_date="20260302", study_time="", description="",
        manufacturer="", model="", station_name="", serial_number="", sending_ae="PACS", modalities=("CT",),
        instances=2, doubt="", last_received=NOW - HOUR,
    )  # fmt: skip


def facts(*taken: JsonVersion, studies: Sequence[StudyHere] = (), status: str = "Reported", **other: Any) -> ExamFacts:
    jsons = taken or (version(),)
    pdf = PdfVersion(document=9, arrived=NOW - HOUR, file_time=NOW - HOUR, named=frozenset({NAME}))
    case = ExamSnapshot(
        hospital="", exam=17, branch="01", exam_id="E1", touched=0, doubt="", jsons=jsons, pdfs=(pdf,),
        places={one.document: f"17/{one.document}" for one in jsons}, links={STUDY: "listed"},
        studies={one.uid: one for one in studies}, siblings=(), approved=False,
    )  # fmt: skip
    patient = ExamPatient({"Patient.PatientId": "P1"}, NAME)
    last = jsons[-1]
    key = ExamKey(
        hospital="", branch="01", exam_id="E1", accession_number="A1", study_uids=(STUDY,), patient=patient,
        status=status, approve_time=last.approve_time, submit_time=last.submit_time, image_count=None, study_date=None,
        reported=("", ""), modality="CT",
    )  # fmt: skip
    given: dict[str, Any] = {
        "case": case, "taken": jsons, "document": {}, "key": key, "others": (), "policy": IdentityPolicy(), "said": {},
        "unsettled": (), "weighed": Weighed(choice=Choice(pdf=pdf), kept=Chosen()), "now": NOW,
    }  # fmt: skip
    return ExamFacts(**given | other)


def delivery(channel: Channel, state: State = State.WAITING, **other: Any) -> Delivery:
    plain = Delivery(
        id=85,
        exam=17,
        destination="cloud",
        channel=channel,
        state=state,
        waiting_for=(),
        legal_due=None,
        due=None,
        next_try=None,
        attempts=0,
        error="",
        held_by="",
        lease=0,
        lease_owner="",
        wanted="",
        delivered="",
        changed=NOW,
    )
    return replace(plain, **other)


OF_STUDY = Doubt(rule="differs", text="the name differs", study_uid=STUDY)
OF_EXAM = Doubt(rule="version", text="an earlier version names another patient")
DRAFT = version(2, approved=False, at=NOW)
TORN = replace(version(2), reported="r2", approve_time=NOW - 2 * HOUR, submit_time=NOW)  # earlier, and later


@pytest.mark.parametrize(
    ("known", "begins"),
    [
        (facts(), ""),
        (facts(version(1), DRAFT, unsettled=(OF_STUDY,), status="Submitted"), "identity: the name differs"),
        (facts(version(1), DRAFT, status="Submitted"), "approval: nothing of the exam goes any more"),
        (facts(version(1), TORN), "versions: "),
        (facts(version(1, at=NOW - HOUR), version(2, at=NOW - HOUR / 2)), ""),
        (facts(replace(version(), approve_time=NOW + HOUR)), "approval: ApproveTime"),
    ],
)
def test_the_first_cause_that_speaks_against_an_exam_holds_it(
    known: ExamFacts, begins: str, config: HospitalConfig
) -> None:
    why = assess(known, config).hold
    assert why.startswith(begins) if begins else why == ""


def test_another_hospitals_exam_is_held_whatever_else_is_in_doubt(config: HospitalConfig) -> None:
    known = facts(unsettled=(OF_EXAM,))
    foreign = replace(known, key=replace(known.key, institution=("911100000000000000", "")))
    assert assess(foreign, config).hold.startswith("hospital: USCI")


def test_a_report_goes_without_a_doubted_study_while_its_pdf_names_the_patient(config: HospitalConfig) -> None:
    found = assess(facts(unsettled=(OF_STUDY,)), config)
    assert found.apart == {STUDY}
    waits = delivery(Channel.REPORT, wanted=f"json=1 pdf=9 images=- studies=x without={STUDY}")
    assert objection(found, waits) == ""
    assert objection(found, replace(waits, wanted="json=1 pdf=9 images=- studies=x")) == found.hold
    assert objection(found, delivery(Channel.IMAGES)) == found.hold


@pytest.mark.parametrize("known", [
    facts(unsettled=(OF_STUDY, OF_EXAM)),
    facts(unsettled=(OF_STUDY,), weighed=Weighed(choice=Choice(), kept=Chosen())),
])  # fmt: skip
def test_no_study_is_set_apart_when_more_than_the_study_is_in_doubt(known: ExamFacts, config: HospitalConfig) -> None:
    assert assess(known, config).apart == frozenset()


def test_no_study_is_set_apart_that_another_exam_has(config: HospitalConfig) -> None:
    known = facts(unsettled=(OF_STUDY,))
    other = OverlappingExam(
        exam=18, accession_number="A2", patient_id="P1", patient_name=NAME, study_uid=STUDY, approved=True
    )
    assert assess(replace(known, case=replace(known.case, siblings=(other,))), config).apart == frozenset()


def test_an_excluded_exam_is_closed_only_by_what_is_certain(config: HospitalConfig) -> None:
    phantom = facts(studies=(study("PHANTOM^CT"),))
    found = assess(phantom, config)
    assert found.closed
    assert found.aside is not None
    assert found.aside.state == State.EXCLUDED
    assert not assess(replace(phantom, unsettled=(OF_STUDY,)), config).closed  # the phantom itself is in doubt
    assert not assess(replace(phantom, unsettled=(OF_EXAM,)), config).closed


def test_an_exam_from_before_sharing_goes_by_a_backfill_while_its_images_are_here(config: HospitalConfig) -> None:
    long_ago = facts(version(at=NOW - 100 * HOUR))
    away = assess(long_ago, config).aside
    assert away is not None
    assert away.state == State.NOT_SHARED
    span = Backfill(first=NOW - 200 * HOUR, last=NOW - 50 * HOUR, since=NOW, who="a")
    found = assess(replace(long_ago, backfills=[span]), config)
    assert (found.aside, found.history, found.due(HOUR)) == (None, True, None)
    purged = assess(replace(long_ago, backfills=[span], purged=True), config)
    assert purged.aside is not None
    assert "[retention]" in purged.aside.why
    assert assess(replace(long_ago, backfills=[replace(span, until=NOW)]), config).history  # stopped by now


def test_a_report_that_is_about_to_go_with_another_pdf_is_stopped(config: HospitalConfig) -> None:
    found = assess(facts(), config)
    assert objection(found, delivery(Channel.REPORT, wanted="json=1 pdf=9 images=2 studies=x")) == ""
    assert objection(found, delivery(Channel.REPORT, wanted="json=1 pdf=8 images=2 studies=x")).startswith("another")


def planned(config: HospitalConfig, found: Assessment, one: Delivery, tally: Tally) -> Any:
    (to,) = config.destination
    if one.channel == Channel.IMAGES:
        return plan(found, one, ImagesFacts(destination=to, tally=tally), config)
    return plan(found, one, ReportFacts(destination=to, tally=tally, tables=shipped_tables()), config)


def test_a_delivery_is_moved_one_step_at_a_time_and_then_stays(config: HospitalConfig) -> None:
    found, one = assess(facts(studies=(study(),)), config), delivery(Channel.IMAGES)
    made = planned(config, found, one, Tally(selected=2))
    move = move_of(found, one, made)
    assert move is not None
    assert (move.to, move.why) == (State.READY, "everything is there")
    moved = delivery(Channel.IMAGES, State.READY, **{**move.columns, "waiting_for": ()})
    assert (move_of(found, moved, made), outdated(moved, made)) == (None, {})


def test_a_held_delivery_shows_why_and_a_person_s_hold_stays_as_it_is(config: HospitalConfig) -> None:
    found, one = assess(facts(unsettled=(OF_EXAM,)), config), delivery(Channel.IMAGES)
    made = planned(config, found, one, Tally())
    move = move_of(found, one, made)
    assert isinstance(move, Move)
    assert (move.to, move.columns["held_by"], move.columns["error"]) == (State.HELD, "identity", found.hold)
    mine = delivery(Channel.IMAGES, State.HELD, held_by="person", error="held by a: why")
    assert (move_of(found, mine, made), outdated(mine, made)) == (None, {})


def test_a_report_waits_for_its_json_with_the_faults_in_words(config: HospitalConfig) -> None:
    made = planned(config, assess(facts(studies=(study(),)), config), delivery(Channel.REPORT), Tally())
    assert Needs.JSON in made.readiness.needs
    assert made.error.startswith("exam JSON: ")
    assert made.wanted.startswith("json=1 pdf=9 images=0 studies=")


def test_the_same_facts_give_the_same_assessment(config: HospitalConfig) -> None:
    known = facts(studies=(study(),))
    assert assess(known, config) == assess(known, config)


@pytest.mark.parametrize("said", [True, "true", "1", 1])
def test_a_delivery_of_a_critical_value_is_marked_also_while_it_is_ready_already(
    config: HospitalConfig, said: object
) -> None:
    critical = assess(facts(document={"Report": {"IsCritical": said}}, studies=[study()]), config)
    plain = assess(facts(document={"Report": {"IsCritical": False}}, studies=[study()]), config)
    tally = Tally(selected=1)
    waits, goes = delivery(Channel.IMAGES), delivery(Channel.IMAGES, State.READY)
    for found, expected in ((critical, 1), (plain, 0)):
        made = planned(config, found, waits, tally)
        move = move_of(found, waits, made)
        assert move is not None
        assert move.columns["critical"] == expected
        assert outdated(goes, planned(config, found, goes, tally))["critical"] == expected
