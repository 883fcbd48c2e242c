"""How many associations one exam is sent over: a few, and more while they carry more, as over a long line. Pure.

Over each association one instance goes at a time, and waits for its answer. Where the answer takes longer than the
bytes, as with a long round trip, more associations side by side carry more, until the line or the destination is full.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

USUAL = 4
"""So many associations are used without asking whether they pay."""

_ANSWERS = 4  # of each association, to judge by
_IN_BYTES = 2**18  # that an instance counts as more: what 100 Mbit/s carry in a round trip of 20 ms
_PAYS = 1.25  # times as much over twice as many associations
_LONG = 0.5  # part of the time in which answers are awaited
_REST, _REFUSED_REST = 16, 32  # judgements until more are tried again


class Exchange(NamedTuple):
    """One instance sent and answered: its bytes, the seconds it took, and how many of them its answer was awaited."""

    size: int
    seconds: float
    awaited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Exchanges over so many associations side by side, in all."""

    associations: int
    answers: int = 0
    work: int = 0
    seconds: float = 0.0
    awaited: float = 0.0

    def after(self, one: Exchange) -> "Measured":
        """With one more."""
        return replace(
            self, answers=self.answers + 1, work=self.work + one.size + _IN_BYTES, seconds=self.seconds + one.seconds,
            awaited=self.awaited + one.awaited,
        )  # fmt: skip

    @property
    def is_enough(self) -> bool:
        """Whether there are enough to judge by."""
        return self.answers >= _ANSWERS * self.associations

    @property
    def rate(self) -> float:
        """Bytes a second over all associations, pauses of the sender left out."""
        return self.associations * self.work / self.seconds if self.seconds else 0.0

    @property
    def is_long(self) -> bool:
        """Whether the associations mostly wait for answers."""
        return self.awaited >= _LONG * self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Breadth:
    """`number` associations are used, at most `limit`.

    While more are tried, `former` is the number before, and `rate` what went over those. `rest` judgements pass until
    more are tried again.
    """

    limit: int
    number: int
    former: int = 0
    rate: float = 0.0
    rest: int = 0


def first(limit: int) -> Breadth:
    """The breadth at the beginning."""
    return Breadth(limit=limit, number=min(USUAL, limit))


def judged(breadth: Breadth, found: Measured) -> Breadth:
    """The breadth after this was measured at its number: twice as many are tried, and kept while they pay."""
    usual = first(breadth.limit)
    if breadth.former and not _pays(breadth, found):
        return replace(usual, number=breadth.former, rest=_REST)
    if breadth.rest:
        return replace(breadth, rest=breadth.rest - 1)
    if breadth.number < usual.number:
        return usual
    if not found.is_long:
        return replace(usual, number=max(breadth.number // 2, usual.number))
    more = min(2 * breadth.number, breadth.limit)
    if more == breadth.number:
        return replace(usual, number=more)
    return replace(usual, number=more, former=breadth.number, rate=found.rate)


def refused(breadth: Breadth, taken: int) -> Breadth:
    """The breadth after the destination refused one more than the `taken` associations that are open."""
    return Breadth(limit=breadth.limit, number=min(max(taken, 1), breadth.number), rest=_REFUSED_REST)


def _pays(breadth: Breadth, found: Measured) -> bool:
    more = breadth.number / breadth.former - 1
    return found.rate >= breadth.rate * (1 + (_PAYS - 1) * more)
