"""The timeline of an exam: every moment in order, and what is still to come."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.exams.provenance import Arrival, File
from router.catalogue.images.ledger import Entry, Fate
from router.catalogue.images.studies import StudyHere
from router.catalogue.queue.queue import Delivery
from router.catalogue.queue.uploads import Frozen
from router.events import Event, Kind
from router.model import Channel, InstanceUids, SeriesClass
from router.policy.states import State
from router.review.deliveries import Line, Story
from router.review.timeline import Moment, Sources, timeline

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 3, 2, 18, tzinfo=SHANGHAI)
HOUR = timedelta(hours=1)


def study(date: str = "20260302", time: str = "080000.5") -> StudyHere:
    return StudyHere(
        uid="1.2", identities=(), accession_number="", study_date=date, study_time=time, description="",
        manufacturer="ACME", model="X1", station_name="", serial_number="", sending_ae="CT1", modalities=("CT",),
        instances=2, doubt="", last_received=NOW,
    )  # fmt: skip


def delivery(state: State = State.READY, **changes: object) -> Delivery:
    made = Delivery(
        id=85, exam=17, destination="cloud", channel=Channel.IMAGES, state=state, waiting_for=(), legal_due=None,
        due=NOW + HOUR, next_try=None, attempts=0, error="", held_by="", lease=0, lease_owner="", wanted="",
        delivered="", changed=NOW,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # the test's own names


def sources(one: Delivery, *events: Event, here: StudyHere | None = None, **changes: object) -> Sources:
    case = ExamSnapshot(
        exam=17, hospital="", branch="", exam_id="E17", touched=1, doubt="", jsons=(), pdfs=(), places={}, links={},
        studies={"1.2": here or study()}, siblings=(), approved=False,
    )  # fmt: skip
    line = Line(delivery=one, exam_id="E17", selected=2, sent=0, slack_seconds=None)
    made = Sources(story=Story(case, (line,), (), events), files=(), arrivals=(), approved_at=None, entries={})
    return replace(made, **changes)  # type: ignore[arg-type]  # the test's own names


def told(found: list[Moment]) -> list[str]:
    return [one.says.format(**one.values) for one in found]


def test_an_exam_is_told_from_its_acquisition_to_its_due_time_in_order() -> None:
    file = File(kind="json", name="x", arrived=NOW - 5 * HOUR, exam=17, approved=True, stale=False)
    came = Arrival(study_uid="1.2", sending_ae="CT1", instances=2, first=NOW - 9 * HOUR, last=NOW - 8 * HOUR)
    one = delivery(expected=NOW + HOUR / 2)
    found = timeline(sources(one, files=[file], arrivals=[came], approved_at=NOW - 6 * HOUR), SHANGHAI, NOW)
    assert told(found) == [
        "images taken", "first image came from CT1", "2 images are here, the last one from CT1", "approved",
        "exam JSON came, approved", "will be there, as it looks now", "due",
    ]  # fmt: skip
    assert found[0].at == datetime(2026, 3, 2, 8, tzinfo=SHANGHAI)
    assert (found[0].why, found[-1].about) == ("ACME X1", "d85 cloud")
    assert [one.ahead for one in found] == [False] * 5 + [True] * 2


@pytest.mark.parametrize(("date", "time"), [("", ""), ("20260230", "08"), ("20260302", ""), ("x", "0800")])
def test_a_study_whose_time_does_not_read_has_no_moment_of_acquisition(date: str, time: str) -> None:
    assert timeline(sources(delivery(due=None), here=study(date, time)), SHANGHAI, NOW) == []


def test_what_is_over_its_time_is_bad_and_what_was_delivered_is_not_due_any_more() -> None:
    late = timeline(sources(delivery(due=NOW - 11 * HOUR)), SHANGHAI, NOW)[0]
    assert (late.says, late.style, late.ahead) == ("due", "bad", False)
    over = sources(delivery(State.DELIVERED, delivered_at=NOW - HOUR))
    assert told(timeline(over, SHANGHAI, NOW)) == ["images taken", "delivered and confirmed"]


def test_images_and_revisions_that_went_are_told_with_their_receipt() -> None:
    entries = [
        Entry(uids=InstanceUids("1.2", "1.2.1", f"1.2.1.{n}"), version=1, series_class=SeriesClass.THIN, class_rule="",
              fate=fate, rule="", status=None, at=NOW - n * HOUR)
        for n, fate in enumerate((Fate.SENT, Fate.STORED, Fate.FILTERED, Fate.SELECTED))
    ]  # fmt: skip
    upload = Frozen(
        id=1, n=2, idem="i", wanted="", exam_place="", pdf_place="", refused=False, receipt="R9", receipt_place="",
        frozen=NOW - 4 * HOUR, confirmed=NOW - 3 * HOUR,
    )  # fmt: skip
    one = sources(delivery(due=None), entries={"cloud": entries})
    found = timeline(replace(one, story=replace(one.story, uploads=(upload,))), SHANGHAI, NOW)
    assert told(found)[1:] == [
        "revision 2 of the report goes", "revision 2 confirmed", "first image sent", "2 images sent",
    ]  # fmt: skip
    assert found[2].why == "R9"


def test_holds_withdrawals_and_decisions_are_told_and_ordinary_moves_are_left_to_the_history() -> None:
    events = [
        Event(NOW, Kind.MOVED, "waiting -> ready: everything is there", exam=17, delivery=85),
        Event(NOW + HOUR / 60, Kind.MOVED, "ready -> held: identity: differs", exam=17, delivery=85),
        Event(NOW + HOUR / 30, Kind.DECIDED, "identity settled: asked", who="wang", exam=17),
        Event(NOW + HOUR / 25, Kind.MOVED, "held -> waiting: released: seen", who="li", exam=17, delivery=85),
        Event(NOW + HOUR / 20, Kind.MOVED, "delivered -> withdrawn: the platform confirmed it", exam=17, delivery=85),
    ]
    found = timeline(sources(delivery(due=None), *events), SHANGHAI, NOW + HOUR)
    assert told(found)[1:] == ["held", "decided by wang", "decided by li", "withdrawn"]
    assert [one.why for one in found[1:]] == [
        "identity: differs", "identity settled: asked", "released: seen", "the platform confirmed it",
    ]  # fmt: skip
