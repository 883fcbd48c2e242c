"""Folding of alarms into messages for people: one message a cause, however many alarms it raises.

The first alarm of a cause is a message at once. Further ones are one message with their count, at most every ten
minutes. The end of all of them is one message. A cause that comes and goes gets two such messages within ten minutes;
the rest waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from router.alarms import Alarm

EVERY = timedelta(minutes=10)
_CHANGES = 4  # beginnings and ends that become messages within EVERY
_NAMES = 5


@dataclass(frozen=True, slots=True)
class Cause:
    """A kind of alarm, at one destination or ("") at none.

    `hospitals`: as those know it who are told of these hospitals' alarms alone; where none is named, of all.
    """

    alarm: Alarm
    destination: str = ""
    hospitals: tuple[str, ...] = ()

    def is_of(self, hospital: str) -> bool:
        """Whether an alarm about this hospital, "" for none alone, counts."""
        return not self.hospitals or hospital in self.hospitals


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNews:
    """An alarm about `subject` that was raised or cleared; `hospital` is the one concerned, "" for none alone."""

    raised: bool
    subject: str
    text: str
    at: datetime
    exam: int | None = None
    delivery: int | None = None
    hospital: str = ""

    @property
    def name(self) -> str:
        """The short name of its subject: `e17`, `d85`, else the subject itself."""
        if self.exam is not None:
            return f"e{self.exam}"
        return self.subject if self.delivery is None else f"d{self.delivery}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """The record of a cause, and of the messages about it.

    `told`: people know that it stands. `came` counts its alarms since it began, `untold` those that no message has
    counted; `first` is the time of the earliest of these, `names` are the names of the first few and `hospitals` those
    that they concern. `last` is the time of the last message, `changes` are the times of the last messages about a
    beginning or an end.
    """

    cause: Cause
    told: bool = False
    came: int = 0
    untold: int = 0
    first: AlarmNews | None = None
    names: tuple[str, ...] = ()
    last: datetime | None = None
    changes: tuple[datetime, ...] = ()
    hospitals: tuple[str, ...] = ()

    def is_over(self, now: datetime) -> bool:
        """Whether the record may be dropped."""
        return not self.told and not self.untold and not _recent(self.changes, now)


class State(StrEnum):
    """Kind of a message; `more` follows a `standing` of the same cause."""

    STANDING = "standing"
    MORE = "more"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A message. `count` is the number of alarms that it stands for; in a `cleared` one, of all that came."""

    cause: Cause
    state: State
    count: int
    standing: int
    news: AlarmNews
    names: tuple[str, ...]
    hospitals: tuple[str, ...] = ()


def fold(known: Fold, news: Sequence[AlarmNews], standing: int, now: datetime) -> tuple[Fold, tuple[Folded, ...]]:
    """The cause after this news, in order of arrival, and the messages to send now.

    `standing` is how many of its alarms stand after the news. Call it again without news as time passes.
    """
    state = _counted(known, [one for one in news if one.raised])
    messages = []
    waited = state.last is None or not timedelta(0) <= now - state.last < EVERY
    if state.untold and (standing and waited if state.told else _may_change(state, now)):
        kind = State.MORE if state.told else State.STANDING
        messages.append(_message(state, kind, state.untold, standing))
        state = _told(state, kind, now)
    ends = [one for one in news if not one.raised]
    # The end of one that stood before causes were recorded is a message all the same.
    unknown = bool(ends) and not (state.told or state.came or state.changes)
    if not standing and (unknown or (state.told and _may_change(state, now))):
        # Alarms may have gone silently with the records of their subjects.
        end = ends[-1] if ends else AlarmNews(raised=False, subject=state.cause.destination, text="", at=now)
        messages.append(_message(replace(state, first=end), State.CLEARED, state.came, 0))
        state = replace(_told(state, State.CLEARED, now), came=0)
    return state, tuple(messages)


def _counted(known: Fold, raised: Sequence[AlarmNews]) -> Fold:
    if not raised:
        return known
    names = dict.fromkeys([*known.names, *(one.name for one in raised[:_NAMES])])
    hospitals = dict.fromkeys([*known.hospitals, *(one.hospital for one in raised if one.hospital)])
    return replace(
        known, came=known.came + len(raised), untold=known.untold + len(raised),
        first=known.first or raised[0], names=tuple(names)[:_NAMES], hospitals=tuple(hospitals),
    )  # fmt: skip


def _told(state: Fold, kind: State, now: datetime) -> Fold:
    changes = state.changes if kind == State.MORE else (*_recent(state.changes, now), now)
    return replace(
        state, told=kind != State.CLEARED, untold=0, first=None, names=(), hospitals=(), last=now, changes=changes
    )


def _message(state: Fold, kind: State, count: int, standing: int) -> Folded:
    if state.first is None:
        raise ValueError("a message about nothing")
    hospitals = state.hospitals or ((state.first.hospital,) if state.first.hospital else ())
    return Folded(
        cause=state.cause, state=kind, count=count, standing=standing, news=state.first, names=state.names,
        hospitals=hospitals,
    )  # fmt: skip


def _may_change(state: Fold, now: datetime) -> bool:
    return len(_recent(state.changes, now)) < _CHANGES


def _recent(changes: Sequence[datetime], now: datetime) -> tuple[datetime, ...]:
    """The times within the last ten minutes; a clock that was put back keeps none of them longer."""
    return tuple(at for at in changes if timedelta(0) <= now - at < EVERY)
