"""Rows of the world's database, read by SQL of its own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from router.model import Channel
from router.policy.states import CLOSED
from simulation.hospital import SimExam

if TYPE_CHECKING:
    from simulation.world import World

SECOND, MINUTE, HOUR = 10**6, 60 * 10**6, 3600 * 10**6
BUDGET = {Channel.REPORT: HOUR, Channel.IMAGES: 6 * HOUR}
KEPT, UNMATCHED = 48 * HOUR, 192 * HOUR
_DELIVERIES = (
    "SELECT id, exam_id, destination, channel, state, waiting_for, legal_due, due, next_try, lease, lease_owner,"
    " lease_until, delivered, held_by, changed FROM delivery ORDER BY id"
)
_COLUMNS = (
    "id", "exam", "destination", "channel", "state", "waiting_for", "legal_due", "due", "next_try", "lease",
    "lease_owner", "lease_until", "delivered", "held_by", "changed",
)  # fmt: skip
EVENTS = "SELECT id, at, delivery, text FROM event WHERE kind = 'moved' AND id > {} ORDER BY id"
LEDGER = (
    "SELECT l.destination, l.state, l.status, l.at, i.series_uid, i.sop_uid, s.uid FROM ledger l"
    " JOIN instance i ON i.id = l.instance_id JOIN study s ON s.id = i.study_id"
)


class Facts:
    """What the world's database says now."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._exams: dict[int, str] = {}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._world.desk.engine.execute(sql, [])

    def deliveries(self) -> list[dict[str, Any]]:
        return [dict(zip(_COLUMNS, row, strict=True)) for row in self.rows(_DELIVERIES)]

    def exam_of(self, number: int) -> SimExam:
        if number not in self._exams:
            self._exams = dict(self.rows("SELECT id, exam_id FROM exam"))
        return self._world.hospital.by_id(self._exams[number])

    def instants(self) -> Iterator[int]:
        """Instants at which something becomes due, to be met exactly."""
        for one in self.deliveries():
            if one["due"] is not None:
                budget = BUDGET[one["channel"]]
                yield from (one["due"], one["due"] - budget // 2, one["due"] - budget // 5)
            if one["next_try"] is not None:
                yield one["next_try"]
            if one["state"] in CLOSED:
                yield one["changed"] + KEPT
        for sql in ("SELECT check_at FROM exam", "SELECT probe_at FROM breaker"):
            yield from (at for (at,) in self.rows(sql) if at is not None)
        yield from (at + UNMATCHED for (at,) in self.rows("SELECT last_received FROM study WHERE purged IS NULL"))

    def work(self) -> list[str]:
        """Kinds of calls that have something to do now."""
        due = self.rows(f"SELECT id FROM exam WHERE check_at <= {self._world.clock.stamp}")
        ready = {*self.rows("SELECT destination, channel FROM delivery WHERE state = 'ready'")}
        places = {"reports": ("cloud", "report"), "images": ("cloud", "images"), "region": ("region", "images")}
        return (["correlate"] if due else []) + [kind for kind, place in places.items() if place in ready]


def move_of(text: str) -> tuple[str, str]:
    """The states that the event of a move names: from, to."""
    start, _, rest = text.partition(" -> ")
    return start, rest.partition(":")[0]
