"""Completeness: the one state in which an exam counts, whether it was in time, and the reason of a miss.

Every exam that should be shared is in one state, so that the states sum up to the total. Pure decisions over rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from router.model import Channel
from router.policy.attention import Cause
from router.policy.deadlines import Deadline, Punctuality, punctuality
from router.policy.pause import Pause, taken, within
from router.policy.states import CLOSED, HeldBy, Needs, State


class Completeness(StrEnum):
    """States of an exam in the account of what should be shared. The value is its name in JSON."""

    ON_TIME = "on time"
    LATE = "late"
    ON_ITS_WAY = "on its way"
    PAUSED = "paused"
    PERSON = "waits for a person"
    NOT_SHARED = "not shared"
    UNREPORTED = "unreported"
    NEVER_CAME = "never came"


class Whose(StrEnum):
    """Side on which a miss was caused."""

    OURS = "ours"
    OTHERS = "others'"


QUEUE = "it stood in the queue"
INTERRUPTED = "a node stopped while it was being sent"
PAUSED = "sending was paused"
ARRIVED_LATE = "its last part came too late"
DESTINATION = "the destination did not take it"
REFUSED = "the destination refused it"
NO_IMAGES = "no images came"
NO_DESTINATION = "no destination takes it"
CANCELLED = "cancelled by a person"
HISTORY = "approved before [share] from"
WITHDRAWN = "taken back there after its delivery"
_WAITS: dict[Needs, str] = {
    Needs.APPROVAL: "waits for approval",
    Needs.JSON: "the exam JSON has faults",
    Needs.PDF: "the report PDF has not come",
    Needs.IMAGES: "images have not come",
    Needs.STABLE: "images still come",
    Needs.COMMITMENT: "the destination has not committed to keeping it",
    Needs.OTHERS: "waits for the approval of another exam",
}
# Of a delivery that waits for a person: others' mistakes, or their part that is missing. The rest is ours.
_OF_OTHERS = frozenset({Cause.EXAM_JSON, Cause.PDF_MISSING, Cause.IMAGES_MISSING, Cause.OTHERS, Cause.LATE,
                        Cause.VERSIONS, Cause.CUT_OFF})  # fmt: skip
_ABSENT = frozenset({Cause.IMAGES_MISSING, Cause.PDF_MISSING})
_HELD: dict[str, Cause] = {by.value: Cause[by.name] for by in HeldBy} | {HeldBy.APPROVAL.value: Cause.WITHDRAWN}


@dataclass(frozen=True, slots=True)
class Moved:
    """A move of a delivery, as its event says it: `why` is what stands behind the states."""

    at: datetime
    start: str
    to: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A delivery with its history in order. `budget` is its destination's, zero where that is not configured.

    `cause` is why it waits for a person, None where it does not; `pauses` are those of its destination, in order.
    """

    destination: str
    channel: Channel
    state: str
    needs: tuple[Needs, ...] = ()
    cause: Cause | None = None
    legal_due: datetime | None = None
    budget: timedelta = timedelta(0)
    delivered_at: datetime | None = None
    moves: Sequence[Moved] = ()
    pauses: Sequence[Pause] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """An exam and its deliveries. `images` says whether any image of it came; `history`: approved before the start.

    `unread`: it has an approval that cannot be read. `withdrawn` is the time of the approval that it had before, where
    it has none.
    """

    approved_at: datetime | None
    images: bool
    courses: Sequence[Course]
    history: bool = False
    unread: bool = False
    withdrawn: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """The reason why an exam is not, or was not, in time, in the node's own words, and whose it is."""

    reason: str
    whose: Whose


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An exam as it counts. `reason` goes with the state: who has to act, or which rule keeps it back.

    `due`: it counts for the rates. A channel is None where no destination takes it; the times are from approval to
    confirmation. `miss` is there for what is due and not in time, once it is late or a person has to act.
    """

    state: Completeness
    reason: str = ""
    due: bool = False
    uploaded: bool = False
    report_on_time: bool | None = None
    images_on_time: bool | None = None
    on_time: bool = False
    first_time: bool = False
    report_took: timedelta | None = None
    images_took: timedelta | None = None
    miss: Miss | None = None


def outcome(one: Examined, now: datetime) -> Outcome:
    """The state of an exam and what it adds to the rates. What was delivered and withdrawn later counts as uploaded."""
    live = [course for course in one.courses if course.state not in CLOSED or course.delivered_at is not None]
    if not live:
        if one.courses or one.approved_at is not None:
            return Outcome(state=Completeness.NOT_SHARED, reason=_kept_back(one.courses))
        return Outcome(state=Completeness.UNREPORTED)
    uploaded = all(course.delivered_at is not None for course in live)
    approved_at = one.approved_at or (one.withdrawn if uploaded else None)
    if approved_at is None:
        return _unapproved(one, live)
    if one.history:
        return _of_history(live, uploaded=uploaded)
    done = [confirmed(course, approved_at) for course in live]
    timely = [
        at is not None and at <= _legal(course, approved_at) for course, at in zip(live, done, strict=True)
    ]  # fmt: skip
    late = [course for course, met in zip(live, timely, strict=True) if not met]
    state, reason = _state(one.images, live, done, approved_at, now)
    if one.approved_at is None and (causes := _causes(live)):
        state, reason = Completeness.PERSON, causes[0]
    elif uploaded and any(course.state == State.WITHDRAWN for course in live):
        reason = WITHDRAWN
    over = any(now >= _legal(course, approved_at) for course in late)
    missed = bool(late) and (over or state in (Completeness.LATE, Completeness.PERSON))
    took = [None if at is None or at < approved_at else at - approved_at for at in done]
    return Outcome(
        state=state, reason=reason, due=True, uploaded=uploaded,
        report_on_time=_of_channel(live, timely, Channel.REPORT),
        images_on_time=_of_channel(live, timely, Channel.IMAGES), on_time=all(timely),
        first_time=uploaded and not any(_was_refused(c, at) for c, at in zip(live, done, strict=True)),
        report_took=_longest(live, took, Channel.REPORT), images_took=_longest(live, took, Channel.IMAGES),
        miss=_miss(late, approved_at, now) if missed else None,
    )  # fmt: skip


def confirmed(course: Course, approved_at: datetime) -> datetime | None:
    """When the destination confirmed what was approved: the first time since then; None while it has not.

    What was delivered before a later approval and is not sent again counts by its own time.
    """
    since = (one.at for one in course.moves if one.to == State.DELIVERED and one.at >= approved_at)
    first = next(since, None)
    if first is None and course.delivered_at is not None and course.delivered_at >= approved_at:
        return course.delivered_at
    return course.delivered_at if first is None and course.state in CLOSED else first


def _legal(course: Course, approved_at: datetime) -> datetime:
    return course.legal_due or approved_at + course.budget


def _kept_back(courses: Sequence[Course]) -> str:
    """The rule that keeps it back; of several the first by state, the same whatever the order of the rows."""
    first = min(courses, key=lambda one: one.state, default=None)
    if first is None:
        return NO_DESTINATION
    if first.state == State.CANCELLED:
        return CANCELLED  # the reason that a person gave is in the events
    said = [one.why for one in first.moves if one.to == first.state and one.why]
    return said[-1] if said else first.state.replace("_", " ")


def _unapproved(one: Examined, live: Sequence[Course]) -> Outcome:
    """Not approved, or not readably so, and nothing whole was delivered before."""
    causes = [Cause.APPROVAL] if one.unread else _causes(live)
    # Held because it is not approved: nothing for a person to do.
    causes = [cause for cause in causes if cause != Cause.WITHDRAWN]
    if causes:
        return Outcome(state=Completeness.PERSON, reason=causes[0])
    return Outcome(state=Completeness.UNREPORTED)


def _causes(live: Sequence[Course]) -> list[Cause]:
    return [course.cause for course in live if course.cause is not None]


def _of_history(live: Sequence[Course], *, uploaded: bool) -> Outcome:
    """Backfilled: outside the rates, and never late."""
    causes = _causes(live)
    if not uploaded and causes:
        return Outcome(state=Completeness.PERSON, reason=causes[0])
    return Outcome(state=Completeness.ON_TIME if uploaded else Completeness.ON_ITS_WAY, reason=HISTORY)


def _state(
    images_came: bool, live: Sequence[Course], done: Sequence[datetime | None], approved_at: datetime, now: datetime
) -> tuple[Completeness, str]:
    """A delivery that was made is not late again by what follows: late images, a count that has changed."""
    undone = [course for course, at in zip(live, done, strict=True) if at is None]
    if not undone:
        met = all(at <= _legal(c, approved_at) for c, at in zip(live, done, strict=True) if at is not None)
        return (Completeness.ON_TIME if met else Completeness.LATE), ""
    over = any(now >= _legal(course, approved_at) for course in undone)
    images = [course for course in undone if course.channel == Channel.IMAGES]
    causes = _causes(undone)
    absent = not images_came and bool(images) and all(now >= _legal(course, approved_at) for course in images)
    if absent and _ABSENT.issuperset(causes):  # what is held for a doubt is that first
        return Completeness.NEVER_CAME, NO_IMAGES
    if causes:
        return Completeness.PERSON, causes[0]
    if any(each.until is None for course in undone for each in course.pauses):
        return Completeness.PAUSED, ""
    return (Completeness.LATE if over else Completeness.ON_ITS_WAY), ""


def _of_channel(live: Iterable[Course], timely: Iterable[bool], channel: Channel) -> bool | None:
    mine = [met for course, met in zip(live, timely, strict=True) if course.channel == channel]
    return all(mine) if mine else None


def _longest(
    live: Iterable[Course], took: Iterable[timedelta | None], channel: Channel
) -> timedelta | None:  # fmt: skip
    """The time of the slowest destination; None while one has not confirmed."""
    mine = [time for course, time in zip(live, took, strict=True) if course.channel == channel]
    known = [time for time in mine if time is not None]
    return max(known) if known and len(known) == len(mine) else None


def _was_refused(course: Course, until: datetime | None) -> bool:
    """Whether the destination refused what it took later: a line that broke, or a destination that was down, did not.

    `until` is when it was confirmed.
    """
    refusals = (one for one in course.moves if one.to == State.FAILED)
    return any(until is None or one.at <= until for one in refusals)


# -- reasons of misses


def _miss(late: Sequence[Course], approved_at: datetime, now: datetime) -> Miss:
    """The reason of the first channel that missed; a report's before the images', ours before others'."""
    found = [
        (course.channel != Channel.REPORT, miss.whose != Whose.OURS, miss.reason, miss)
        for course in late for miss in [_miss_of(course, approved_at, now)]
    ]  # fmt: skip
    return min(found, key=lambda each: each[:3])[-1]


def _miss_of(course: Course, approved_at: datetime, now: datetime) -> Miss:
    end = confirmed(course, approved_at)
    if end is None and course.cause is not None:
        return Miss(reason=course.cause, whose=Whose.OTHERS if course.cause in _OF_OTHERS else Whose.OURS)
    if end is None and course.state == State.WAITING and course.needs:
        theirs = course.needs[0]
        return Miss(reason=_WAITS[theirs], whose=Whose.OTHERS)
    moves = [move for move in course.moves if end is None or move.at <= end]
    ready = [m.at for m in moves if (m.start, m.to) == (State.WAITING, State.READY)]
    complete = max(ready, default=None)
    mine = within(course.pauses, course.destination, complete, end or now) if complete is not None else ()
    paused = taken(mine, complete, end or now) if complete is not None else timedelta(0)
    due = Deadline(_legal(course, approved_at), _legal(course, approved_at), course.budget)
    verdict = punctuality(due, complete=complete, delivered=end, now=now, paused=paused)
    if verdict == Punctuality.LATE:
        return Miss(reason=ARRIVED_LATE, whose=Whose.OTHERS)
    if verdict == Punctuality.PAUSED or (end is None and any(one.until is None for one in course.pauses)):
        return Miss(reason=PAUSED, whose=Whose.OURS)
    return _trouble(moves)


def _trouble(moves: Sequence[Moved]) -> Miss:
    """The last reason that kept it."""
    for move in reversed(moves):
        if move.to == State.DEFERRED:
            return Miss(reason=DESTINATION, whose=Whose.OTHERS)
        if move.to == State.FAILED:
            return Miss(reason=REFUSED, whose=Whose.OURS)
        if move.to == State.HELD:
            held = _HELD.get(move.why.partition(":")[0], Cause.HELD)
            return Miss(reason=held, whose=Whose.OTHERS if held in _OF_OTHERS else Whose.OURS)
        if (move.start, move.to) == (State.SENDING, State.READY):
            return Miss(reason=INTERRUPTED, whose=Whose.OURS)
    return Miss(reason=QUEUE, whose=Whose.OURS)
