"""The backlog's picture: the bars of each place, one piece an age, measured in units of the drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

from router.catalogue.queue.backlog import Age, BacklogCount, Place

_LEFT, _LONGEST, _SHORTEST_PIECE = 210.0, 560, 2.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Deliveries of one age, from `x` on."""

    age: Age
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """The deliveries of one place, the youngest first."""

    place: Place
    pieces: Sequence[Piece]

    @property
    def count(self) -> int:
        """All of them."""
        return sum(piece.count for piece in self.pieces)

    @property
    def end(self) -> float:
        """Where the last piece ends."""
        return self.pieces[-1].x + self.pieces[-1].width if self.pieces else _LEFT


def bars(counts: Sequence[BacklogCount], places: Sequence[Place]) -> list[Bar]:
    """One bar for each place; the longest is as wide as the drawing."""
    most = max((sum(_of(counts, place, age) for age in Age) for place in places), default=0)
    found = []
    for place in places:
        pieces: list[Piece] = []
        for age in Age:
            if count := _of(counts, place, age):
                width = max(count / most * _LONGEST, _SHORTEST_PIECE)
                pieces.append(Piece(age, count, Bar(place, pieces).end, width))
        found.append(Bar(place, pieces))
    return found


def _of(counts: Sequence[BacklogCount], place: Place, age: Age) -> int:
    where = (place.destination, place.channel, age)
    return sum(one.deliveries for one in counts if (one.destination, one.channel, one.age) == where)
