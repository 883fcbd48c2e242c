"""The contract of the queue: moves, claims and leases."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from router.catalogue import Catalogue
from router.catalogue.queue.queue import UNWRITTEN, Delivery
from router.errors import TransientError
from router.events import Event, Kind
from router.model import Channel
from router.policy.states import MOVES, ForbiddenMove, Needs, State
from support.catalogue_rows import CLOUD, MINUTE, NOW, Database, at_once, delivery, document, driver, exam, key

LEASE = timedelta(seconds=60)
READY, SENDING, DEFERRED = State.READY, State.SENDING, State.DEFERRED


def claim(catalogue: Catalogue, owner: str = "node1") -> Delivery | None:
    return catalogue.queue.claim(CLOUD, Channel.IMAGES, owner, NOW, LEASE)


def claimed(catalogue: Catalogue, owner: str = "node1") -> Delivery:
    found = claim(catalogue, owner)
    assert found is not None
    return found


def moves(catalogue: Catalogue, number: int) -> list[str]:
    return [e.text for _, e in catalogue.history.of([number], []) if e.kind == Kind.MOVED]


def test_deliveries_are_made_once_waiting_for_approval(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    places = [(CLOUD, Channel.IMAGES), (CLOUD, Channel.REPORT), ("other", Channel.IMAGES)]
    catalogue.queue.make(number, places, NOW)
    first = catalogue.queue.of_exam(number)
    at_once(catalogue, [lambda: catalogue.queue.make(number, places, NOW + MINUTE)] * 4)
    assert catalogue.queue.of_exam(number) == first
    assert [(d.destination, d.channel) for d in first] == places
    assert {(d.state, d.waiting_for, d.due, d.lease) for d in first} == {(State.WAITING, (Needs.APPROVAL,), None, 0)}
    catalogue.queue.make(number, [], NOW)


def test_every_move_is_an_event_with_when_from_to_why_and_who(catalogue: Catalogue) -> None:
    made = delivery(catalogue, exam(catalogue))
    assert catalogue.queue.move(made, READY, NOW, "all there", who="Li", changes={"due": NOW + MINUTE, "error": "e"})
    moved = catalogue.queue.get(made.id)
    assert moved is not None
    assert (moved.state, moved.due, moved.error, moved.changed) == (READY, NOW + MINUTE, "e", NOW)
    events = [event for _, event in catalogue.history.of([made.exam], [])]
    assert events == [Event(NOW, Kind.MOVED, "waiting -> ready: all there", who="Li", exam=made.exam, delivery=made.id)]


def test_a_move_that_the_table_lacks_is_refused_and_changes_nothing(catalogue: Catalogue) -> None:
    made = delivery(catalogue, exam(catalogue))
    for to in {to for to in State if (State.WAITING, to) not in MOVES}:
        with pytest.raises(ForbiddenMove):
            catalogue.queue.move(made, to, NOW, "no")
    assert catalogue.queue.get(made.id) == made
    assert moves(catalogue, made.exam) == []


def test_of_two_threads_that_move_one_delivery_one_wins(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    ready = delivery(catalogue, number, READY)
    ways = [State.HELD, State.CANCELLED, State.WAITING, SENDING]
    won = at_once(catalogue, [partial(catalogue.queue.move, ready, to, NOW, "race") for to in ways])
    assert sum(won) == 1
    assert [d.state for d in catalogue.queue.of_exam(number)] == [
        to for to, mine in zip(ways, won, strict=True) if mine
    ]
    assert len(moves(catalogue, number)) == 2


def test_a_move_and_its_event_are_undone_together(catalogue: Catalogue) -> None:
    made = delivery(catalogue, exam(catalogue))

    def work() -> None:
        with catalogue.engine.write():
            assert catalogue.queue.move(made, READY, NOW, "lost")
            assert len(moves(catalogue, made.exam)) == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert catalogue.queue.get(made.id) == made
    assert moves(catalogue, made.exam) == []


def test_an_event_that_cannot_be_kept_undoes_the_move(database: Database) -> None:
    def refuse(_: Event) -> None:
        raise OSError("no room")

    catalogue = database.open(refuse)
    made = delivery(catalogue, exam(catalogue))
    with pytest.raises(OSError, match="no room"):
        catalogue.queue.move(made, READY, NOW, "lost")
    assert catalogue.queue.get(made.id) == made
    assert moves(catalogue, made.exam) == []
    catalogue.engine.close_thread()


def test_columns_change_only_where_the_delivery_is_still_the_same(catalogue: Catalogue) -> None:
    made = delivery(catalogue, exam(catalogue))
    catalogue.queue.update(made, waiting_for="pdf images", due=NOW)
    changed = catalogue.queue.get(made.id)
    assert changed is not None
    assert (changed.waiting_for, changed.due) == ((Needs.PDF, Needs.IMAGES), NOW)
    catalogue.queue.move(changed, READY, NOW, "go")
    catalogue.queue.update(made, error="too late")
    after = catalogue.queue.get(made.id)
    assert after is not None
    assert after.error == ""


def test_what_is_due_first_is_claimed_first_and_what_has_no_due_time_last(catalogue: Catalogue) -> None:
    dues = [None, NOW + 3 * MINUTE, NOW + MINUTE, None, NOW + 2 * MINUTE]
    made = [delivery(catalogue, exam(catalogue, f"E{n}"), READY, due=due).id for n, due in enumerate(dues)]
    order = [made[n] for n in (2, 4, 1, 0, 3)]
    assert [d.id for d in catalogue.queue.in_state([READY])] == order
    assert [claimed(catalogue).id for _ in made] == order
    assert claim(catalogue) is None


def test_what_is_missed_comes_after_what_can_still_make_it_unless_it_is_its_turn(catalogue: Catalogue) -> None:
    dues = [NOW - MINUTE, NOW, NOW + MINUTE, NOW + 2 * MINUTE, None]
    made = [delivery(catalogue, exam(catalogue, f"E{n}"), READY, due=due).id for n, due in enumerate(dues)]
    order = []
    for turn in (True, False, False, False, True):
        found = catalogue.queue.claim(CLOUD, Channel.IMAGES, "node1", NOW, LEASE, missed_first=turn)
        assert found is not None
        order.append(made.index(found.id))
    assert order == [0, 2, 3, 1, 4]


def test_of_several_due_at_one_time_each_has_its_turn(catalogue: Catalogue) -> None:
    made = [delivery(catalogue, exam(catalogue, f"E{n}"), READY, due=NOW + MINUTE).id for n in range(3)]
    turns = []
    for n in range(6):
        found = claimed(catalogue)
        turns.append(made.index(found.id))
        assert catalogue.queue.move(found, READY, NOW + (n + 1) * MINUTE / 60, "given back")
    assert turns == [0, 1, 2, 0, 1, 2]


def test_one_gives_way_to_what_is_as_urgent_and_can_still_make_it(catalogue: Catalogue) -> None:
    mine = delivery(catalogue, exam(catalogue, "E0"), READY, due=NOW + MINUTE)
    other = delivery(catalogue, exam(catalogue, "E1"), READY, due=NOW + 2 * MINUTE)
    claimed(catalogue)
    answers = []
    for due in (NOW + 2 * MINUTE, NOW + MINUTE, NOW + MINUTE / 2, NOW, None):
        catalogue.queue.update(other, due=due)
        answers.append(catalogue.queue.as_urgent(mine, NOW))
    assert answers == [False, True, True, False, False]
    catalogue.queue.update(other, due=NOW + 9 * MINUTE)
    assert catalogue.queue.as_urgent(mine, NOW + MINUTE)


def test_a_claim_takes_only_what_is_ready_for_its_destination_and_channel(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    delivery(catalogue, number)
    assert claim(catalogue) is None
    delivery(catalogue, number, READY)
    assert catalogue.queue.claim("other", Channel.IMAGES, "node1", NOW, LEASE) is None
    assert catalogue.queue.claim(CLOUD, Channel.REPORT, "node1", NOW, LEASE) is None
    found = claimed(catalogue)
    assert (found.state, found.attempts, found.lease, found.lease_owner) == (SENDING, 1, 1, "node1")
    assert catalogue.queue.holds(found)


def test_many_threads_claim_each_delivery_exactly_once(catalogue: Catalogue) -> None:
    made = [delivery(catalogue, exam(catalogue, f"E{n}"), READY, due=NOW).id for n in range(24)]

    def worker() -> list[int]:
        found = []
        while (one := claim(catalogue)) is not None:
            found.append(one.id)
        return found

    assert Counter(n for found in at_once(catalogue, [worker] * 6) for n in found) == Counter(made)
    assert {d.lease for d in catalogue.queue.in_state([SENDING])} == {1}


def test_a_lease_that_is_renewed_does_not_run_out(catalogue: Catalogue) -> None:
    for n in range(3):
        delivery(catalogue, exam(catalogue, f"E{n}"), READY)
    kept, forgotten, foreign = claimed(catalogue), claimed(catalogue), claimed(catalogue, "node2")
    assert catalogue.queue.take_back(None, NOW) == 0
    lapse(catalogue)
    catalogue.queue.renew("node1", [kept.id, foreign.id], LEASE)
    catalogue.queue.renew("node1", [], LEASE)
    assert catalogue.queue.take_back(None, NOW) == 2
    assert [catalogue.queue.holds(d) for d in (kept, forgotten, foreign)] == [True, False, False]


def test_at_start_a_node_takes_back_its_own_leases_and_only_lapsed_ones_of_others(catalogue: Catalogue) -> None:
    for n in range(2):
        delivery(catalogue, exam(catalogue, f"E{n}"), READY)
    mine, other = claimed(catalogue), claimed(catalogue, "node2")
    assert catalogue.queue.take_back("node1", NOW) == 1
    assert [catalogue.queue.holds(d) for d in (mine, other)] == [False, True]
    lapse(catalogue)
    assert catalogue.queue.take_back("node1", NOW) == 1
    assert {(d.state, d.lease_owner, d.lease) for d in catalogue.queue.in_state(list(State))} == {(READY, "", 2)}
    assert catalogue.queue.take_back("node1", NOW) == 0


def test_an_exam_is_evaluated_once_its_delivery_is_not_being_sent_any_more(catalogue: Catalogue) -> None:
    """An evaluation leaves a delivery alone that is being sent: what came meanwhile would change nothing of it."""
    number, later = exam(catalogue), NOW + MINUTE
    delivery(catalogue, number, READY)

    def evaluated() -> None:
        catalogue.exams.checked(catalogue.exams.case(number), None, None, "")
        assert catalogue.exams.to_check(later, 1) == []

    evaluated()
    claimed(catalogue)
    assert catalogue.exams.to_check(later, 1) == []
    catalogue.queue.take_back("node1", NOW)
    assert catalogue.exams.to_check(NOW, 1) == [number]
    evaluated()
    catalogue.queue.move(claimed(catalogue), State.READY, NOW, UNWRITTEN)
    assert catalogue.exams.to_check(NOW, 1) == [number]
    evaluated()
    catalogue.queue.move(claimed(catalogue), State.DELIVERED, NOW, "all sent")
    assert catalogue.exams.to_check(NOW, 1) == [number]


def test_a_delivery_is_interrupted_when_its_lease_is_taken_back_while_it_is_sent(catalogue: Catalogue) -> None:
    for n in range(2):
        delivery(catalogue, exam(catalogue, f"E{n}"), READY)
    first, second = claimed(catalogue), claimed(catalogue, "node2")
    assert catalogue.queue.interrupted(first) is None
    catalogue.queue.take_back("node1", NOW)
    assert (catalogue.queue.interrupted(first), catalogue.queue.interrupted(second)) == (NOW, None)
    again = claimed(catalogue)
    catalogue.queue.move(again, State.READY, NOW + MINUTE, "given back")
    assert catalogue.queue.interrupted(first) == NOW
    again = claimed(catalogue)
    catalogue.queue.move(again, State.READY, NOW + 2 * MINUTE, UNWRITTEN)
    assert catalogue.queue.interrupted(first) == NOW + 2 * MINUTE


@pytest.mark.parametrize("to", [State.HELD, State.CANCELLED])
def test_a_delivery_is_interrupted_when_a_person_takes_it_from_its_sender(catalogue: Catalogue, to: State) -> None:
    """The sender may not come to writing down what it has sent."""
    number = exam(catalogue)
    delivery(catalogue, number, READY)
    going = claimed(catalogue)
    assert catalogue.queue.move(going, to, NOW, "held: asked the ward", who="wang")
    assert catalogue.queue.interrupted(going) == NOW
    (one,) = catalogue.queue.of_exam(number)
    other = delivery(catalogue, exam(catalogue, "E2"), State.HELD)
    assert catalogue.queue.interrupted(other) is None, "nobody was sending it"
    assert one.state == to


@pytest.mark.parametrize("ahead", [-1, 1])
def test_a_node_whose_clock_is_wrong_takes_back_only_what_has_lapsed(catalogue: Catalogue, ahead: int) -> None:
    delivery(catalogue, exam(catalogue), READY)
    theirs = claimed(catalogue, "node2")
    wrong = datetime.now(UTC) + ahead * timedelta(days=900)
    assert catalogue.queue.take_back(None, wrong) == 0
    assert catalogue.queue.holds(theirs)
    lapse(catalogue)
    assert catalogue.queue.take_back(None, wrong) == 1


def lapse(catalogue: Catalogue) -> None:
    """Let every lease have run out, by the database's clock."""
    driver(catalogue).execute_sql("UPDATE delivery SET lease_until = lease_until - 3600000000")


def test_a_worker_that_lost_its_lease_cannot_settle_the_delivery(catalogue: Catalogue) -> None:
    delivery(catalogue, exam(catalogue), READY)
    old = claimed(catalogue)
    catalogue.queue.take_back("node1", NOW)
    new = claimed(catalogue)
    assert not catalogue.queue.move(old, State.DELIVERED, NOW, "late")
    assert not catalogue.queue.holds(old)
    assert (new.lease, new.attempts) == (3, 2)
    assert catalogue.queue.move(new, State.DELIVERED, NOW, "confirmed")
    assert not catalogue.queue.holds(new)


def test_two_nodes_take_back_and_wake_each_delivery_once(catalogue: Catalogue) -> None:
    for n in range(10):
        number = exam(catalogue, f"E{n}")
        way = (READY, SENDING, DEFERRED) if n % 2 else (READY, SENDING)
        made = delivery(catalogue, number, *way)
        catalogue.queue.update(made, next_try=NOW, lease_until=NOW)
    later = NOW + MINUTE
    counts = at_once(
        catalogue, [lambda: catalogue.queue.promote(later), lambda: catalogue.queue.take_back(None, later)] * 3
    )
    assert sum(counts) == 10
    assert len(catalogue.queue.in_state([READY], CLOUD)) == 10


def test_what_was_deferred_is_ready_again_at_its_time(catalogue: Catalogue) -> None:
    made = delivery(catalogue, exam(catalogue), READY, SENDING, DEFERRED)
    catalogue.queue.update(made, next_try=NOW + MINUTE)
    assert catalogue.queue.promote(NOW) == 0
    assert catalogue.queue.promote(NOW + MINUTE) == 1
    after = catalogue.queue.get(made.id)
    assert after is not None
    assert (after.state, after.next_try) == (READY, None)


def test_deliveries_are_listed_and_found(catalogue: Catalogue) -> None:
    one, other = exam(catalogue, "E_1", "1.2.3"), exam(catalogue, "EX1", "9.9")
    catalogue.exams.describe(one, key("ACC%7"))
    first, second = delivery(catalogue, one, READY), delivery(catalogue, other)
    assert [d.id for d in catalogue.queue.in_state([READY, State.WAITING], CLOUD)] == [first.id, second.id]
    assert catalogue.queue.in_state([READY], "other") == catalogue.queue.in_state([]) == []
    found = {text: [d.id for d in catalogue.queue.find(text)] for text in ("E_1", "C%7", "2.3", "9.", "nothing")}
    assert found == {"E_1": [first.id], "C%7": [first.id], "2.3": [first.id], "9.": [second.id], "nothing": []}


def test_a_number_that_no_delivery_has_finds_none(catalogue: Catalogue) -> None:
    assert [catalogue.queue.get(number) for number in (0, 2**31, 2**63 - 1, 2**63, 10**30)] == [None] * 5


def test_uploads_are_frozen_in_order_refused_and_confirmed(catalogue: Catalogue) -> None:
    made = delivery(catalogue, exam(catalogue))
    for n in (1, 2):
        catalogue.uploads.freeze(made.id, n, f"idem{n}", "w", exam_place=f"e{n}", pdf_place="p", now=NOW)
    with pytest.raises(TransientError, match="another node"):
        catalogue.uploads.freeze(made.id, 2, "idem", "w", exam_place="e", pdf_place="p", now=NOW)
    first, second = catalogue.uploads.of(made.id)
    catalogue.uploads.refuse(first.id)
    catalogue.uploads.confirm(second.id, "R-1", "receipt.json", NOW + MINUTE)
    first, second = catalogue.uploads.of(made.id)
    assert (first.n, first.idem, first.refused, first.confirmed) == (1, "idem1", True, None)
    assert (second.exam_place, second.refused, second.receipt, second.confirmed) == ("e2", False, "R-1", NOW + MINUTE)
    assert catalogue.uploads.of(made.id + 1) == []


def test_the_history_of_an_exam_and_its_studies_is_told_in_order(catalogue: Catalogue) -> None:
    events = [
        Event(NOW + MINUTE, Kind.DOUBT, "later", exam=1),
        Event(NOW, Kind.JOINED, "first", exam=1, study_uid="1.2"),
        Event(NOW, Kind.QUARANTINED, "of the study", study_uid="1.2"),
        Event(NOW, Kind.DOUBT, "of another", exam=2, study_uid="1.3"),
        Event(NOW, Kind.RECEIVED, "too many to keep", study_uid="1.2"),
    ]
    for event in events:
        catalogue.history.keep(event)
    assert [event for _, event in catalogue.history.of([1], ["1.2"])] == [events[1], events[2], events[0]]
    assert catalogue.history.of([], []) == []


def test_a_document_and_the_touch_of_its_exam_are_entered_together(catalogue: Catalogue) -> None:
    number = exam(catalogue)

    def work() -> None:
        with catalogue.engine.write():
            catalogue.exams.documents.add(document(), "p", number, 1, NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert catalogue.exams.case(number).pdfs == ()
    assert catalogue.exams.to_check(NOW, 9) == []
