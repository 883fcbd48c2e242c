"""What waits for a person, on both engines: every state in which something can stay is in the list, or has its time."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from router.catalogue import Catalogue
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.queue import Delivery
from router.catalogue.queue.attention import Unread
from router.catalogue.queue.backlog import Place
from router.events import Event, Kind
from router.matching.exam.approval import Part, UnreadApproval
from router.model import Channel
from router.policy.attention import Cause, Onward, Stuck, judge
from router.policy.states import CLOSED, HeldBy, Needs, State
from router.review.attention import alarms_of, look, look_by_hospital
from support.catalogue_rows import CLOUD, MINUTE, NOW, driver, exam

WITHIN = timedelta(hours=1)
PLACES = [Place(CLOUD, channel, WITHIN) for channel in Channel]
NOWHERE = Path("/nonexistent")
OLD = NOW - timedelta(hours=2)  # long enough for whatever was moved to be evaluated


@dataclass(frozen=True)
class Stand:
    """A way in which a delivery stands. `late`: half of its time is over."""

    state: State
    held_by: str
    need: Needs | None
    approved: bool
    late: bool
    place: str


def stands() -> Iterator[Stand]:
    """Every state, cause of a hold, need, approval and time, from the enumerations; what is impossible is left out."""
    holds, needs = ["", *HeldBy, "a cause of a later version"], [None, *Needs]
    for state, by, need, approved, late, place in itertools.product(
        State, holds, needs, (True, False), (True, False), (CLOUD, "gone")
    ):
        possible = bool(by) == (state == State.HELD) and (need is None or state == State.WAITING)
        if possible and (approved or not late) and not (approved and need == Needs.APPROVAL):
            yield Stand(state, by, need, approved, late, place)


def enter(catalogue: Catalogue, n: int, stand: Stand) -> Stuck:
    """A delivery that stands like that, with the times that the flow gives it."""
    number = exam(catalogue, f"E{n}")
    catalogue.queue.make(number, [(stand.place, Channel.REPORT)], OLD)
    (made,) = catalogue.queue.of_exam(number)
    due = (NOW + WITHIN / 2 - MINUTE if stand.late else NOW + WITHIN - MINUTE) if stand.approved else None
    entered = Stuck(
        id=made.id, exam=number, destination=stand.place, channel=Channel.REPORT, state=stand.state, changed=OLD,
        needs=() if stand.need is None else (stand.need,), held_by=stand.held_by, due=due,
        next_try=NOW + MINUTE if stand.state == State.DEFERRED else None,
        lease_until=NOW + MINUTE if stand.state == State.SENDING else None,
        approved_at=OLD if stand.approved else None, check_at=NOW + MINUTE,
    )  # fmt: skip
    write(catalogue, entered)
    return entered


def write(catalogue: Catalogue, one: Stuck) -> None:
    """Have the rows say so."""
    changes = {
        "state": one.state, "held_by": one.held_by, "waiting_for": " ".join(one.needs), "due": one.due,
        "next_try": one.next_try, "lease_until": one.lease_until, "changed": one.changed,
    }  # fmt: skip
    with driver(catalogue).bind_ctx([Delivery, Exam]):
        Delivery.update(**changes).where(Delivery.id == one.id).execute()
        Exam.update(approved_at=one.approved_at, check_at=one.check_at).where(Exam.id == one.exam).execute()


# When the node goes on by itself; with what is ready as soon as there is room, with the rest not before it is approved.
TIMES: Mapping[Onward, Callable[[Stuck], object]] = {
    Onward.NEXT_TRY: lambda one: one.next_try,
    Onward.LEASE: lambda one: one.lease_until,
    Onward.EVALUATION: lambda one: one.check_at,
    Onward.HALF: lambda one: one.due is not None and one.due - WITHIN / 2 > NOW,
    Onward.QUEUE: lambda one: one.state == State.READY and (one.destination == CLOUD or one.approved_at is None),
    Onward.APPROVAL: lambda one: one.approved_at is None,
    Onward.CLOSED: lambda one: one.state in CLOSED,
}


def test_every_state_in_which_something_stays_is_in_the_list_or_has_its_time(catalogue: Catalogue) -> None:
    with catalogue.engine.write():
        entered = {(one := enter(catalogue, n, way)).exam: one for n, way in enumerate(stands())}
    found = {number: one.what for one in look(catalogue, PLACES, NOWHERE, NOW) for number in one.exams}
    judged: set[Cause | Onward] = set()
    for number, one in entered.items():
        verdict = judge(one, WITHIN if one.destination == CLOUD else None, NOW)
        judged.add(verdict)
        if isinstance(verdict, Cause):
            assert found[number] == verdict, one
        else:
            assert number not in found, one
            assert TIMES[verdict](one), one
    assert judged >= set(Onward)
    assert judged >= set(Cause) - NO_DELIVERYS_STATE


# Told by a reason's words, by what is lost on its way, or by no delivery: each has a test of its own.
NO_DELIVERYS_STATE = {
    Cause.LEDGER, Cause.REFUSED, Cause.STUCK, Cause.APPROVAL, Cause.ACCOUNT, Cause.QUARANTINE,
}  # fmt: skip


def test_what_is_lost_on_its_way_is_seen(catalogue: Catalogue) -> None:
    lost = [
        enter(catalogue, n, Stand(state, "", None, True, False, CLOUD))
        for n, state in enumerate((State.WAITING, State.SENDING, State.DEFERRED))
    ]
    for one in lost:
        write(catalogue, replace(one, next_try=None, lease_until=None, check_at=None))
    (found,) = look(catalogue, PLACES, NOWHERE, NOW)
    assert (found.what, set(found.exams)) == (Cause.STUCK, {one.exam for one in lost})


def unread(word: str = "已审核") -> UnreadApproval:
    return UnreadApproval(part=Part.STATUS if word else Part.TIME, word=word)


def test_an_approval_that_cannot_be_read_is_kept_since_when_until_it_is_read(catalogue: Catalogue) -> None:
    first, second = exam(catalogue, "E1"), exam(catalogue, "E2")
    catalogue.queue.make(first, [(CLOUD, channel) for channel in Channel], NOW)
    catalogue.open_deliveries.note(first, unread(), "HL7", NOW)
    catalogue.open_deliveries.note(first, unread(), "HL7", NOW + MINUTE)
    catalogue.open_deliveries.note(second, None, "HL7", NOW)
    numbers = tuple(one.id for one in catalogue.queue.of_exam(first))
    kept = Unread(exam=first, source="HL7", approval=unread(), since=NOW, deliveries=numbers)
    assert catalogue.open_deliveries.unread() == [kept]
    assert catalogue.open_deliveries.unread([second]) == []
    catalogue.open_deliveries.note(first, unread(""), "HL7", NOW + MINUTE)
    assert [(one.approval.part, one.since) for one in catalogue.open_deliveries.unread()] == [(Part.TIME, NOW + MINUTE)]
    catalogue.open_deliveries.note(first, None, "", NOW)
    assert catalogue.open_deliveries.unread() == []


def test_alarms_keep_their_destination_and_end_when_nothing_waits_any_more(catalogue: Catalogue) -> None:
    failed = enter(catalogue, 1, Stand(State.FAILED, "", None, True, False, CLOUD))
    for event in alarms_of({"": look(catalogue, PLACES, NOWHERE, NOW)}, catalogue.alarms.standing(), NOW):
        assert catalogue.alarms.is_news(event)
    (standing,) = catalogue.alarms.standing()
    assert (standing.alarm, standing.subject, standing.destination) == ("failed", f"failed at {CLOUD}", CLOUD)
    write(catalogue, replace(failed, state=State.READY))
    over: list[Event] = alarms_of({"": look(catalogue, PLACES, NOWHERE, NOW)}, catalogue.alarms.standing(), NOW)
    assert [(event.kind, catalogue.alarms.is_news(event)) for event in over] == [(Kind.CLEARED, True)]
    assert not catalogue.alarms.standing()


def test_of_several_hospitals_each_has_its_list_and_its_alarm_which_ends_alone(catalogue: Catalogue) -> None:
    failed = {name: enter(catalogue, n, Stand(State.FAILED, "", None, True, False, CLOUD))
              for n, name in enumerate(("renmin", "xiehe", "renmin2"))}  # fmt: skip
    with driver(catalogue).bind_ctx([Exam]):
        for name, one in failed.items():
            Exam.update(hospital=name).where(Exam.id == one.exam).execute()

    def news() -> set[tuple[Kind, str, str]]:
        lists = look_by_hospital(catalogue, PLACES, NOWHERE, NOW)
        events = alarms_of(lists, catalogue.alarms.standing(), NOW)
        assert all(map(catalogue.alarms.is_news, events))
        return {(one.kind, one.subject, str(one.fields["hospital"])) for one in events}

    found = {
        name: [one.exams for one in some] for name, some in look_by_hospital(catalogue, PLACES, NOWHERE, NOW).items()
    }
    assert found == {"": [], **{name: [(one.exam,)] for name, one in failed.items()}}
    assert news() == {(Kind.ALARM, f"failed at {CLOUD} for {name}", name) for name in failed}
    assert news() == set()
    write(catalogue, replace(failed["renmin"], state=State.READY))
    assert news() == {(Kind.CLEARED, f"failed at {CLOUD} for renmin", "renmin")}
