"""The contract of backfills: one stands, its deliveries come last and at its rate, and how far it has come."""

from dataclasses import replace
from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.images import Study as StudyRow
from router.catalogue.db.tables.images import Tombstone
from router.catalogue.queue.backfills import Extent, Stage
from router.catalogue.queue.queue import Delivery
from router.events import Event, Kind
from router.model import Channel
from router.policy.backfill import Backfill
from router.policy.states import State
from support.catalogue_rows import CLOUD, LEASE_FOR, MINUTE, NOW, Database, at_once, delivery, driver, exam, instance

DAY = timedelta(days=1)
SPAN = Backfill(first=NOW - 30 * DAY, last=NOW - DAY, since=NOW, who="wang", at_night=True, per_hour=60)


def claim(catalogue: Catalogue, gap: timedelta | None, *, minutes: float = 0) -> Delivery | None:
    now = NOW + minutes * MINUTE
    return catalogue.queue.claim(CLOUD, Channel.IMAGES, "node1", now, LEASE_FOR, undated=gap)


def approved(catalogue: Catalogue, name: str, *studies: str, days_ago: float = 10) -> int:
    number = exam(catalogue, name, *studies)
    with catalogue.engine.write():
        driver(catalogue).execute(Exam.update(approved_at=NOW - days_ago * DAY).where(Exam.id == number))
    return number


def test_of_many_that_begin_at_once_one_stands_until_it_is_stopped(database: Database) -> None:
    told: list[Event] = []
    mine, other = database.open(told.append), database.open()
    assert sum(at_once(mine, [lambda: mine.backfills.begin(SPAN, "January")] * 4)) == 1
    assert other.backfills.standing() == SPAN
    stopped = other.backfills.stop("li", "January", NOW + MINUTE)
    assert stopped == SPAN
    assert other.backfills.stop("li", "January", NOW + MINUTE) is None
    assert mine.backfills.standing() is None
    [kept] = mine.backfills.all()
    assert (kept.first, kept.last, kept.until) == (SPAN.first, SPAN.last, NOW + MINUTE)
    assert [(one.kind, one.who, one.text) for one in told] == [(Kind.DECIDED, "wang", "a backfill of January is begun")]
    for one in (mine, other):
        one.engine.close_thread()


def test_what_has_no_due_time_goes_last_and_only_where_it_may(catalogue: Catalogue) -> None:
    history = delivery(catalogue, exam(catalogue, "old"), State.READY)
    late = delivery(catalogue, exam(catalogue, "late"), State.READY, due=NOW - DAY)
    today = delivery(catalogue, exam(catalogue, "today"), State.READY, due=NOW + DAY)
    claimed = [claim(catalogue, timedelta(0)) for _ in range(2)]
    assert [one and one.id for one in claimed] == [today.id, late.id]
    assert claim(catalogue, None) is None
    last = claim(catalogue, timedelta(0))
    assert last is not None
    assert last.id == history.id


def test_what_has_no_due_time_gives_way_to_whatever_has_one(catalogue: Catalogue) -> None:
    history = delivery(catalogue, exam(catalogue, "old"), State.READY)
    assert not catalogue.queue.as_urgent(history, NOW)
    delivery(catalogue, exam(catalogue, "late"), State.READY, due=NOW - DAY)
    assert catalogue.queue.as_urgent(history, NOW)


def test_so_many_an_hour_go_over_restarts_on_all_nodes_and_todays_work_takes_no_turn(database: Database) -> None:
    mine, other = database.open(), database.open()
    for n in range(4):
        delivery(mine, exam(mine, f"old{n}"), State.READY)
    gap = 30 * MINUTE
    took = at_once(mine, [lambda: claim(mine, gap) is not None] * 2)
    assert sorted(took) == [False, True]
    assert claim(mine, gap, minutes=29) is None
    delivery(mine, exam(mine, "today"), State.READY, due=NOW + DAY)
    assert claim(other, gap, minutes=29) is not None
    again = database.open()
    assert claim(again, gap, minutes=29) is None
    assert claim(again, gap, minutes=30) is not None
    assert claim(again, gap, minutes=-600) is not None, "the clock was put back"
    for one in (mine, other, again):
        one.engine.close_thread()


def test_the_exams_kept_back_are_found_in_the_span_and_counted_with_their_size(catalogue: Catalogue) -> None:
    here = approved(catalogue, "here", "1.2")
    gone = approved(catalogue, "gone", "1.3")
    for number in (here, gone, approved(catalogue, "recent", days_ago=0.5), approved(catalogue, "older", days_ago=31)):
        delivery(catalogue, number, State.NOT_SHARED)
    shared = approved(catalogue, "shared")
    delivery(catalogue, shared, State.READY)
    catalogue.instances.add([instance(n, study) for study in ("1.2", "1.3") for n in (1, 2)])
    with catalogue.engine.write():
        [row] = driver(catalogue).execute(StudyRow.select(StudyRow.id).where(StudyRow.uid == "1.3").tuples())
        driver(catalogue).execute(Tombstone.insert(study=row[0], summary="{}", body=b""))
    assert catalogue.backfills.kept_back(SPAN) == [here, gone]
    assert catalogue.backfills.kept_back(SPAN, here, 1) == [gone]
    assert catalogue.backfills.still_open(SPAN, 0, 10) == [shared]
    assert catalogue.backfills.purged(["1.2", "1.3"])
    assert not catalogue.backfills.purged(["1.2", "1.9"])
    assert not catalogue.backfills.purged([])
    assert catalogue.backfills.extent(SPAN) == Extent(exams=2, purged=1, size=1024)
    assert catalogue.backfills.extent(Backfill(first=NOW, last=NOW + DAY, since=NOW, who="w")).exams == 0


def test_an_exam_is_as_far_as_its_furthest_delivery_back(catalogue: Catalogue) -> None:
    places = [(CLOUD, Channel.IMAGES), (CLOUD, Channel.REPORT)]
    ways = {
        "a": [State.DELIVERED, State.DELIVERED], "b": [State.DELIVERED, State.HELD], "c": [State.READY, State.WAITING],
        "d": [State.NOT_SHARED, State.NOT_SHARED], "e": [State.CANCELLED, State.CANCELLED],
    }  # fmt: skip
    steps = {State.DELIVERED: [State.READY, State.SENDING, State.DELIVERED], State.WAITING: []}
    for name, states in ways.items():
        number = approved(catalogue, name)
        catalogue.queue.make(number, places, NOW)
        for one, state in zip(catalogue.queue.of_exam(number), states, strict=True):
            for to in steps.get(state, [state]):
                now = catalogue.queue.get(one.id)
                assert now is not None
                assert catalogue.queue.move(now, to, NOW, "x")
    found = {stage: n for stage, n in catalogue.backfills.stages(SPAN).items() if n}
    assert found == {Stage.DELIVERED: 1, Stage.HELD: 1, Stage.GOING: 1, Stage.KEPT: 1, Stage.ASIDE: 1}


def test_a_backfill_of_one_hospital_has_its_exams_alone(catalogue: Catalogue) -> None:
    made: dict[str, int] = {}
    for hospital in ("renmin", "xiehe"):
        number = catalogue.exams.number_of(hospital, "01", "X1", NOW)
        delivery(catalogue, number, State.NOT_SHARED)
        with catalogue.engine.write():
            driver(catalogue).execute(Exam.update(approved_at=NOW - 10 * DAY).where(Exam.id == number))
        made[hospital] = number
    mine = replace(SPAN, hospital="renmin")
    assert catalogue.backfills.kept_back(mine) == [made["renmin"]]
    assert catalogue.backfills.kept_back(SPAN) == list(made.values())
    assert [catalogue.backfills.stages(one)[Stage.KEPT] for one in (mine, SPAN)] == [1, 2]
    assert catalogue.backfills.extent(mine).exams == 1
    assert catalogue.backfills.begin(mine, "January")
    assert catalogue.backfills.standing() == mine
