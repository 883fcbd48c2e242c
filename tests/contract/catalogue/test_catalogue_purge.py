"""The contract of what may be purged."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import TypeVar

import pytest

from router.catalogue import Catalogue
from router.catalogue.images.instances import NewInstance
from router.catalogue.images.ledger import Fate, Outcome, Tally
from router.catalogue.images.purge import BATCH, Files, Old
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, NOW, delivery, driver, exam, instance

T = TypeVar("T")
LATER = NOW + timedelta(days=31)
BEFORE = LATER - timedelta(days=30)
TO_DELIVERED = (State.READY, State.SENDING, State.DELIVERED)


def settled(catalogue: Catalogue, exam_id: str, *studies: str, way: tuple[State, ...] = TO_DELIVERED) -> int:
    """An exam with an evaluated delivery that went `way`, whatever was selected sent."""
    number = exam(catalogue, exam_id, *studies)
    delivery(catalogue, number, *way)
    undecided = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.decide(CLOUD, [(one.key, True, "a rule") for one in undecided], NOW)
    sent = [
        Outcome(key=one.key, fate=Fate.SENT, status=0, association="a")
        for one in catalogue.ledger.to_send(number, CLOUD, 9999)
    ]
    catalogue.ledger.record(sent, NOW)
    evaluated(catalogue)
    return number


def evaluated(catalogue: Catalogue) -> None:
    driver(catalogue).execute_sql("UPDATE exam SET check_at = NULL")


def ready(catalogue: Catalogue, before: datetime = BEFORE) -> list[str]:
    found = catalogue.purge.delivered(before, LATER, 10) + catalogue.purge.unmatched(before, 10)
    return [old.uid for old in found]


def purge(catalogue: Catalogue, old: Old, before: datetime = BEFORE) -> list[str]:
    gone: list[str] = []
    while (files := catalogue.purge.take(old, before, LATER)) is not None:
        gone += [uids.sop for uids, _ in files.instances]
        gone_now(catalogue, files)
    return gone


def gone_now(catalogue: Catalogue, files: Files) -> list[tuple[str, int]]:
    """Have the files be gone; which of them still had to go."""
    with catalogue.purge.removing(files) as left:
        return [(uids.sop, version) for uids, version in left.instances]


def test_a_delivered_study_goes_when_its_time_is_over(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1), instance(2)])
    settled(catalogue, "E1", "1.2")
    assert ready(catalogue, NOW) == []
    assert ready(catalogue) == ["1.2"]


def test_what_goes_without_having_been_sent_is_gone_and_not_still_to_be_sent(catalogue: Catalogue) -> None:
    """A person cancelled it, and takes that back when its files are gone."""
    catalogue.instances.add([instance(1), instance(2), instance(3)])
    number = exam(catalogue, "E1", "1.2")
    delivery(catalogue, number, State.CANCELLED)
    one, two, three = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.decide(CLOUD, [(one.key, True, "a"), (two.key, True, "a"), (three.key, False, "b")], NOW)
    first, _ = catalogue.ledger.to_send(number, CLOUD, 9)
    catalogue.ledger.record([Outcome(key=first.key, fate=Fate.SENT, status=0, association="a")], NOW)
    evaluated(catalogue)
    (old,) = catalogue.purge.delivered(BEFORE, LATER, 10)
    assert len(purge(catalogue, old)) == 3
    assert catalogue.ledger.tallies([number]) == {(number, CLOUD): Tally(selected=2, sent=1, filtered=1, gone=1)}
    assert catalogue.ledger.tally_of(["1.2"], CLOUD).unsent == 0


@pytest.mark.parametrize(
    "way",
    [(), (State.READY,), (State.READY, State.SENDING), (State.READY, State.SENDING, State.DEFERRED),
     (State.READY, State.SENDING, State.FAILED), (State.HELD,), (*TO_DELIVERED, State.WAITING)],
)  # fmt: skip
def test_nothing_goes_that_has_work_before_it(catalogue: Catalogue, way: tuple[State, ...]) -> None:
    catalogue.instances.add([instance(1)])
    settled(catalogue, "E1", "1.2", way=way)
    assert ready(catalogue) == []
    assert catalogue.purge.take(Old(1, "1.2", named=True), BEFORE, LATER) is None


def test_a_study_of_two_exams_stays_until_both_are_done(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    settled(catalogue, "E1", "1.2")
    second = settled(catalogue, "E2", "1.2", way=(State.READY, State.SENDING))
    assert ready(catalogue) == []
    catalogue.queue.move(catalogue.queue.of_exam(second)[0], State.DELIVERED, NOW, "sent")
    assert ready(catalogue) == [], "it is to be evaluated"
    catalogue.exams.checked(catalogue.exams.case(second), None, NOW, "")
    assert ready(catalogue) == ["1.2"]


def test_an_exam_that_is_to_be_evaluated_or_has_no_delivery_keeps_its_study(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    settled(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(2)])
    assert ready(catalogue) == []
    exam(catalogue, "E2", "1.2")
    evaluated(catalogue)
    assert ready(catalogue) == []


@pytest.mark.parametrize("fate", [Fate.HELD, Fate.STORED])
def test_what_is_held_or_not_committed_yet_keeps_its_study(catalogue: Catalogue, fate: Fate) -> None:
    catalogue.instances.add([instance(1)])
    settled(catalogue, "E1", "1.2")
    driver(catalogue).execute_sql(f"UPDATE ledger SET state = '{fate}'")
    assert ready(catalogue) == []


def test_what_is_purged_is_known_when_it_comes_again_and_is_not_sent_again(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1), instance(2)])
    number = settled(catalogue, "E1", "1.2")
    before = catalogue.ledger.tallies([number])
    (old,) = catalogue.purge.delivered(BEFORE, LATER, 10)
    assert purge(catalogue, old) == ["1.2.1.1", "1.2.1.2"]
    assert ready(catalogue) == []
    assert [known.digest for known in catalogue.instances.known(["1.2.1.1"])["1.2.1.1"]] == ["1.2/1/1"]
    assert catalogue.ledger.tallies([number]) == before
    assert catalogue.ledger.undecided(number, "another") == []
    assert list(catalogue.instances.walk()) == []
    assert "purged" in {event.kind for _, event in catalogue.history.of([], ["1.2"])}


def test_an_instance_that_comes_after_the_purge_is_kept_for_its_own_time(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    number = settled(catalogue, "E1", "1.2")
    purge(catalogue, catalogue.purge.delivered(BEFORE, LATER, 10)[0])
    catalogue.instances.add([instance(2, received=LATER)])
    evaluated(catalogue)
    assert [one.sop_uid for one in catalogue.ledger.undecided(number, CLOUD)] == ["1.2.1.2"]
    assert ready(catalogue) == []
    assert ready(catalogue, LATER + MINUTE) == ["1.2"]


def test_a_study_without_an_exam_goes_with_its_rows(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1), instance(2), instance(1, "1.3", received=LATER)])
    assert ready(catalogue) == ["1.2"]
    (old,) = catalogue.purge.unmatched(BEFORE, 10)
    assert purge(catalogue, old) == ["1.2.1.1", "1.2.1.2"]
    assert catalogue.instances.known(["1.2.1.1"]) == {}
    assert [row.uids.study for row in catalogue.instances.walk()] == ["1.3"]


def test_a_study_without_an_exam_that_comes_again_stays_its_time_once_more(catalogue: Catalogue) -> None:
    """A PACS may send a study again when its report is approved, a month after the images."""
    catalogue.instances.add([instance(1), instance(1, "1.3")])
    settled(catalogue, "E1", "1.3")
    for study in ("1.2", "1.3"):
        catalogue.instances.again(study, LATER)
    assert ready(catalogue) == ["1.3"], "what is delivered need not stay longer"
    assert ready(catalogue, LATER + MINUTE) == ["1.3", "1.2"]


@pytest.mark.parametrize(("fate", "known"), [(Fate.SENT, 2), (Fate.FILTERED, 0), (Fate.REFUSED, 0), (Fate.SELECTED, 0)])
def test_of_a_study_that_lost_its_exam_only_what_was_sent_is_known_when_it_comes_again(
    catalogue: Catalogue, fate: Fate, known: int
) -> None:
    """The right exam may come after the purge; the PACS then sends again what nobody has."""
    catalogue.instances.add([instance(1), instance(2)])
    number = settled(catalogue, "E1", "1.2")
    driver(catalogue).execute_sql(f"UPDATE ledger SET state = '{fate}'")
    catalogue.exams.links.unlink(number, ["1.2"])
    (old,) = catalogue.purge.unmatched(BEFORE, 10)
    assert purge(catalogue, old) == ["1.2.1.1", "1.2.1.2"]
    assert len(catalogue.instances.known(["1.2.1.1", "1.2.1.2"])) == known


def test_a_study_that_an_exam_names_meanwhile_stays(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    (old,) = catalogue.purge.unmatched(BEFORE, 10)
    exam(catalogue, "E1", "1.2")
    assert purge(catalogue, old) == []


def test_an_exam_that_names_a_half_purged_study_is_told_so(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(n) for n in range(BATCH + 1)])
    (old,) = catalogue.purge.unmatched(BEFORE, 10)
    assert catalogue.purge.take(old, BEFORE, LATER) is not None
    number = exam(catalogue, "E1", "1.2")
    assert purge(catalogue, old) == []
    assert "purged" in catalogue.exams.case(number).studies["1.2"].doubt


def test_files_that_a_crash_left_are_named_unless_they_have_rows_again(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1), instance(2)])
    (old,) = catalogue.purge.unmatched(BEFORE, 10)
    catalogue.purge.take(old, BEFORE, LATER)
    catalogue.instances.add([instance(2)])
    (left,) = catalogue.purge.removals()
    assert gone_now(catalogue, left) == [("1.2.1.1", 1)]
    assert gone_now(catalogue, left) == [], "another node was first"
    assert catalogue.purge.removals() == []


def test_those_received_first_go_first(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1, "1.4", received=NOW - MINUTE), instance(1, "1.3", received=NOW - 2 * MINUTE)])
    catalogue.instances.add([instance(1, "1.2")])
    assert [old.uid for old in catalogue.purge.unmatched(BEFORE, 2)] == ["1.3", "1.4"]


def test_tombstones_and_events_end_with_the_audit(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    settled(catalogue, "E1", "1.2")
    purge(catalogue, catalogue.purge.delivered(BEFORE, LATER, 10)[0])
    while catalogue.purge.expire(LATER):
        pass
    assert len(catalogue.instances.known(["1.2.1.1"])) == 1
    purge(catalogue, catalogue.purge.delivered(BEFORE, LATER, 10)[0])
    assert [event.kind for _, event in catalogue.history.of([1], ["1.2"])] == ["purged"]
    while catalogue.purge.expire(LATER + MINUTE):
        pass
    assert catalogue.instances.known(["1.2.1.1"]) == {}
    assert catalogue.history.of([1], ["1.2"]) == []


def on_its_own(catalogue: Catalogue, job: Callable[[], T]) -> T:
    """The job on a connection of its own."""
    try:
        return job()
    finally:
        catalogue.engine.close_thread()


def while_adding(catalogue: Catalogue, new: NewInstance, job: Callable[[], T]) -> T:
    """What the job gives that begins when another node has added an instance and not yet committed."""
    with ThreadPoolExecutor(1) as pool:
        with catalogue.instances.lock_names([new.header.uids.study]):
            catalogue.instances.add([new])
            done = pool.submit(on_its_own, catalogue, job)
            wait([done], 0.2)
        return done.result(10)


def test_what_is_added_to_an_expiring_study_keeps_its_row(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    settled(catalogue, "E1", "1.2")
    purge(catalogue, catalogue.purge.delivered(BEFORE, LATER, 10)[0])
    after_audit = LATER + timedelta(days=2000)
    while_adding(catalogue, instance(2, received=after_audit), lambda: catalogue.purge.expire(after_audit))
    while catalogue.purge.expire(after_audit):
        pass
    assert [row.uids.sop for row in catalogue.instances.walk()] == ["1.2.1.2"]


def test_a_study_that_an_exam_is_just_being_joined_to_stays(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    (old,) = catalogue.purge.unmatched(BEFORE, 10)
    with ThreadPoolExecutor(1) as pool:
        with catalogue.engine.write():
            exam(catalogue, "E1", "1.2")
            done = pool.submit(on_its_own, catalogue, lambda: purge(catalogue, old))
            wait([done], 0.2)
        assert done.result(10) == []


def test_an_exam_that_is_joined_to_what_is_just_being_added_sees_it_or_is_evaluated(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1")
    touched = catalogue.exams.case(number).touched

    def join() -> bool:
        catalogue.exams.links.link(number, ["1.2"], "listed", NOW)
        return "1.2" in catalogue.exams.links.studies(["1.2"])

    seen = while_adding(catalogue, instance(1), join)
    assert seen or catalogue.exams.case(number).touched > touched
