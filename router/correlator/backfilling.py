"""Backfills: the pace of their deliveries, and their exams brought into the queue."""

from datetime import datetime, timedelta, tzinfo

from router.catalogue import Catalogue
from router.clock import Clock
from router.errors import InvalidData
from router.matching.exam.share import SharePolicy
from router.policy.backfill import Backfill

_FRESH_SECONDS = 1.0
_AT_ONCE = 50


class Backfilling:
    """The pace of the backfill in force; the dispatcher asks before each claim, the row is read once a second."""

    def __init__(self, catalogue: Catalogue, clock: Clock, zone: tzinfo) -> None:
        self._backfills = catalogue.backfills
        self._clock = clock
        self._zone = zone
        self._known: tuple[float, Backfill | None] | None = None

    def gap(self) -> timedelta | None:
        """The least time between two deliveries without a due time at one place; None while none may go."""
        now, known = self._clock.monotonic(), self._known
        if known is None or now - known[0] >= _FRESH_SECONDS:
            newest = next(reversed(self._backfills.all()), None)
            over = newest is not None and newest.until is not None and not self._backfills.still_open(newest, 0, 1)
            self._known = known = (now, None if over else newest)  # in force until all that it brought is taken back
        return timedelta(0) if known[1] is None else known[1].gap(self._clock.now(), self._zone)


class Admission:
    """Has the exams of a backfill evaluated, each once and a few at a time.

    They are all that were kept back when it begins, and all that have not gone when it is stopped. What comes later is
    evaluated by itself.
    """

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._about: Backfill | None = None
        self._after: int | None = None

    def step(self) -> bool:
        """Request the next few evaluations; False when there are none. Called when no other exam is to be evaluated."""
        backfills = self._catalogue.backfills
        newest = next(reversed(backfills.all()), None)
        if newest != self._about:
            self._about, self._after = newest, 0
        if newest is None or self._after is None:
            return False
        find = backfills.kept_back if newest.until is None else backfills.still_open
        found = find(newest, self._after, _AT_ONCE)
        self._after = found[-1] if found else None
        self._catalogue.exams.request_evaluation(found, self._clock.now())
        return bool(found)


def span_of(policy: SharePolicy, first: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The part of these days before sharing began. InvalidData where there is none: the rest goes by itself."""
    if policy.start is None:
        raise InvalidData("[share] from is not set: every approved exam is shared, with its due times")
    if first >= policy.start:
        raise InvalidData("what was approved on these days is shared anyway: they are not before [share] from")
    return first, min(end, policy.start)
