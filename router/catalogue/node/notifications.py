"""Messages to people: a queue for each way, kept until they arrive, and which ways are down."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Rows
from router.catalogue.db.statement import Insert
from router.catalogue.db.tables.node import NotificationRow as Row
from router.catalogue.db.tables.node import Setting, WayRow

MOST_WAITING = 1000  # on one way
_LEFT_LYING = timedelta(minutes=5)
_REMEMBERED = timedelta(days=1)
_INSERT = Insert(Row)
_KNOWN = "alarm_ways"  # the setting that holds their marks
_LOST = "too many waited, the oldest are given up"
_NOBODY = "not sent yet: does the node run?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A message that waits; `body` is what was put into the queue."""

    id: int
    at: datetime
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """Why a way's messages do not arrive: `waiting` are tried again, `refused` never arrive; not `down`: others do."""

    way: str
    since: datetime
    error: str
    waiting: int
    refused: int
    down: bool

    def __str__(self) -> str:
        counts = [f"{count} {word}" for count, word in ((self.waiting, "wait"), (self.refused, "refused")) if count]
        return f"{self.error} ({', '.join(counts)})" if counts else self.error


class Notifications(Rows):
    """The queues. One node at a time sends, in order; all of them may add."""

    def add(self, way: str, body: str, now: datetime) -> None:
        """Put a message at the end. Beyond MOST_WAITING the oldest are given up, and counted as refused."""
        with self._engine.write():
            _INSERT.run(self._engine, way=way, at=now, body=body)
            surplus = int(self._engine.value(Row.select(fn.COUNT(Row.id)).where(Row.way == way))) - MOST_WAITING
            if surplus > 0:
                oldest = [one.id for one in self.waiting(way, surplus)]
                self._engine.run(Row.delete().where(Row.id.in_(oldest)))
                self._note_refused(way, _LOST, now, surplus)

    def waiting(self, way: str, limit: int) -> Sequence[Waiting]:
        """The first that wait on this way, the oldest first."""
        rows: Any = self._engine.run(Row.select().where(Row.way == way).order_by(Row.id).limit(limit))
        return [Waiting(id=row.id, at=row.at, body=row.body) for row in rows]

    def arrived(self, way: str, number: int, now: datetime) -> None:
        """The message is with its receiver, and so the way is not down."""
        with self._engine.write():
            self._engine.run(Row.delete().where(Row.id == number))
            self.note_up(way, now)

    def refused(self, way: str, number: int, error: str, now: datetime) -> None:
        """The message never arrives. That is remembered for a day."""
        with self._engine.write():
            self._engine.run(Row.delete().where(Row.id == number))
            self._note_refused(way, error, now, 1)

    def note_down(self, way: str, error: str, now: datetime) -> None:
        """Nothing arrives on this way now."""
        with self._engine.write():
            known = self._way(way)
            if known is None:
                self._engine.run(WayRow.insert(name=way, since=now, error=error, down=True, refused=0))
            elif not known.down or known.error != error:
                since = known.since if known.down else now
                self._engine.run(WayRow.update(error=error, down=True, since=since).where(WayRow.name == way))

    def note_up(self, way: str, now: datetime) -> None:
        """A message has arrived on this way."""
        with self._engine.write():
            known = self._way(way)
            if known is None:
                return
            if known.refused and now - known.since < _REMEMBERED:
                self._engine.run(WayRow.update(down=False).where(WayRow.name == way))
            else:
                self._engine.run(WayRow.delete().where(WayRow.name == way))

    def retain(self, ways: Sequence[str]) -> None:
        """Forget the queues of ways that there are no more."""
        with self._engine.write():
            self._engine.run(Row.delete().where(Row.way.not_in(list(ways))))
            self._engine.run(WayRow.delete().where(WayRow.name.not_in(list(ways))))

    def fresh(self, marks: Collection[str]) -> frozenset[str]:
        """Marks of ways not known before; all are known from then on. Where none was ever known, none is new."""
        kept = self._engine.value(Setting.select(Setting.value).where(Setting.name == _KNOWN))
        known = frozenset(marks if kept is None else json.loads(kept))
        if kept is None or known != frozenset(marks):
            with self._engine.write():
                self._engine.run(Setting.delete().where(Setting.name == _KNOWN))
                self._engine.run(Setting.insert(name=_KNOWN, value=json.dumps(sorted(marks))))
        return frozenset(marks) - known

    def undelivered(self, now: datetime) -> Sequence[Undelivered]:
        """The ways on which messages do not arrive, or some of the last day never did, by name."""
        rows: Any = self._engine.run(WayRow.select().order_by(WayRow.name))
        query = Row.select(Row.way, fn.COUNT(Row.id), fn.MIN(Row.at)).group_by(Row.way)
        counts = {way: (int(count), oldest) for way, count, oldest in self._engine.rows(query)}
        found = [
            Undelivered(way=row.name, since=row.since, error=row.error, waiting=counts.get(row.name, (0, now))[0],
                        refused=row.refused, down=row.down)
            for row in rows if row.down or now - row.since < _REMEMBERED
        ]  # fmt: skip
        known = {one.way for one in found}
        found += [
            Undelivered(way=way, since=oldest, error=_NOBODY, waiting=count, refused=0, down=True)
            for way, (count, oldest) in counts.items()
            if now - oldest > _LEFT_LYING and way not in known
        ]
        return sorted(found, key=lambda one: one.way)

    def _note_refused(self, way: str, error: str, now: datetime, count: int) -> None:
        known = self._way(way)
        if known is None:
            self._engine.run(WayRow.insert(name=way, since=now, error=error, down=False, refused=count))
            return
        more = {"error": error, "refused": known.refused + count, "since": known.since if known.down else now}
        self._engine.run(WayRow.update(more).where(WayRow.name == way))

    def _way(self, name: str) -> Any:
        return next(iter(self._engine.run(WayRow.select().where(WayRow.name == name))), None)
