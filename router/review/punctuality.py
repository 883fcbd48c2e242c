"""The daily report: deliveries that were in time, those that were not, and whose fault that was."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.catalogue import Catalogue
from router.catalogue.db.engine import portions
from router.catalogue.queue.queue import Delivery
from router.config.sections import Config
from router.events import Event, Kind
from router.matching.exam.readiness import PERSON
from router.model import Channel
from router.policy.deadlines import Deadline, Punctuality, punctuality
from router.policy.pause import Pause, taken, within
from router.policy.states import PENDING, Needs, State

_LONGEST = timedelta(days=31)  # a budget: what was due on a day may have been kept from going long before
# Others have to bring these; a destination that does not commit is no matter of theirs.
_OTHERS = frozenset({Needs.APPROVAL, Needs.JSON, Needs.PDF, Needs.IMAGES, Needs.STABLE, Needs.OTHERS})


@dataclass(frozen=True, slots=True, kw_only=True)
class DueDelivery:
    """A delivery that was due on the day. `complete` is when all of it was here, `reason` says why it is late."""

    delivery: Delivery
    exam_id: str
    punctuality: Punctuality
    complete: datetime | None
    delivered: datetime | None
    reason: str


def findings(
    config: Config, catalogue: Catalogue, start: datetime, end: datetime, now: datetime, hospital: str | None = None
) -> list[DueDelivery]:
    """Deliveries that were, or are, due between the two instants, by due time, but for those that were closed.

    Those of the hospital, or of all.
    """
    due = [
        one
        for one in catalogue.queue.due_between(start, end, hospital)
        if one.state == State.DELIVERED or one.state in PENDING
    ]  # fmt: skip
    pauses = catalogue.pauses.since(start - _LONGEST)
    names: dict[int, str] = {}
    for portion in portions([one.exam for one in due]):
        names |= catalogue.exams.names(portion)
    return [_finding(config, catalogue, pauses, one, names[one.exam], now) for one in due]


def _finding(
    config: Config, catalogue: Catalogue, pauses: Sequence[Pause], one: Delivery, exam_id: str, now: datetime
) -> DueDelivery:
    delivered = (one.delivered_at or one.changed) if one.state == State.DELIVERED else None
    due = _deadline(config, one, now)
    found = punctuality(due, complete=None, delivered=delivered, now=now)
    if found in (Punctuality.MET, Punctuality.PENDING):
        return DueDelivery(
            delivery=one, exam_id=exam_id, punctuality=found, complete=None, delivered=delivered, reason=""
        )
    moves = [event for _, event in catalogue.history.of([one.exam], []) if event.delivery == one.id]
    complete = None if set(one.waiting_for) & _OTHERS else _complete(moves)
    end = delivered or now
    mine = within(pauses, one.destination, complete, end, one.hospital) if complete is not None else []
    paused = taken(mine, complete, end) if complete is not None else timedelta(0)
    found = punctuality(due, complete=complete, delivered=delivered, now=now, paused=paused)
    late = found == Punctuality.LATE and complete is not None
    reason = "its last part came too late" if late else _reason(one, moves)
    if found == Punctuality.PAUSED:
        reason = "; ".join(dict.fromkeys(f"paused by {each.who}: {each.why}" for each in mine))
    return DueDelivery(
        delivery=one, exam_id=exam_id, punctuality=found, complete=complete, delivered=delivered, reason=reason
    )


def _deadline(config: Config, one: Delivery, now: datetime) -> Deadline:
    destination, working = config.destination_named(one.destination), one.due or now
    budget = timedelta(0)
    if destination is not None:
        budget = destination.report_within if one.channel == Channel.REPORT else destination.images_within
    return Deadline(one.legal_due or working, working, budget)


def _complete(moves: Iterable[Event]) -> datetime | None:
    """The instant at which the last part came: what failed, was put off or given back later was complete already."""
    came = [event.at for event in moves if event.text.startswith(f"{State.WAITING} -> {State.READY}")]
    return max(came, default=None)


def _reason(one: Delivery, moves: Sequence[Event]) -> str:
    """Why the delivery does not go, or did not go last."""
    if one.state == State.WAITING and one.waiting_for:
        return f"waits for {', '.join(one.waiting_for)}"
    if one.state != State.DELIVERED and one.error:
        return f"held by a {PERSON}" if one.held_by == PERSON else one.error
    trouble = (f"{State.SENDING} -> {State.DEFERRED}", f"{State.SENDING} -> {State.READY}", f"-> {State.HELD}",
               f"-> {State.FAILED}")  # fmt: skip
    told = [e.text for e in moves if e.kind == Kind.MOVED and any(words in e.text for words in trouble)]
    return told[-1].partition(": ")[2] if told else "it stood in the queue"
