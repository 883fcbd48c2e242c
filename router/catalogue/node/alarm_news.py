"""News of alarms that are to be folded into messages, and the causes as people know them."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from peewee import fn

from router.alarms import Alarm
from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.statement import Insert
from router.catalogue.db.tables.node import AlarmCause, AlarmNewsRow, OpenAlarm
from router.events import Event, Kind
from router.policy.folding import AlarmNews, Cause, Fold

_INSERT = Insert(AlarmNewsRow)


class NewsOfAlarms(Rows):
    """Alarms raised and cleared, in order. `take` and `keep` belong into one `Engine.write()`."""

    def add(self, event: Event, destination: str, hospital: str) -> None:
        """Keep an alarm's event for the messages; part of the transaction around it."""
        _INSERT.run(
            self._engine, alarm=event.alarm, destination=destination, raised=event.kind == Kind.ALARM,
            subject=event.subject, text=event.text, exam=event.exam, delivery=event.delivery, at=event.at,
            hospital=hospital,
        )  # fmt: skip

    def take(self, limit: int) -> Mapping[Cause, Sequence[AlarmNews]]:
        """The oldest news by cause, `limit` of them at most; they are not kept any more."""
        rows: Any = self._engine.run(AlarmNewsRow.select().order_by(AlarmNewsRow.id).limit(limit))
        found: dict[Cause, list[AlarmNews]] = defaultdict(list)
        for row in rows:
            found[Cause(Alarm(row.alarm), row.destination)].append(
                AlarmNews(raised=row.raised, subject=row.subject, text=row.text, at=row.at,
                          exam=row.exam, delivery=row.delivery, hospital=row.hospital)
            )  # fmt: skip
        for portion in portions([row.id for row in rows]):
            self._engine.run(AlarmNewsRow.delete().where(AlarmNewsRow.id.in_(portion)))
        return found

    def waits(self) -> bool:
        """Whether there are news."""
        return self._engine.has(AlarmNewsRow.select(AlarmNewsRow.id))

    def standing(self, hospitals: tuple[str, ...] = ()) -> Mapping[Cause, int]:
        """How many alarms of each cause stand, about these hospitals alone; a cause of which none does is left out."""
        columns = OpenAlarm.alarm, OpenAlarm.destination
        query = OpenAlarm.select(*columns, fn.COUNT(OpenAlarm.subject)).group_by(*columns)
        if hospitals:
            query = query.where(OpenAlarm.hospital.in_(hospitals))
        rows = self._engine.rows(query)
        return {Cause(Alarm(alarm), destination, hospitals): int(count) for alarm, destination, count in rows}

    def folds(self) -> Mapping[Cause, Fold]:
        """Every cause that is remembered."""
        found: dict[Cause, Fold] = {}
        for alarm, destination, hospitals, text in self._engine.rows(AlarmCause.select()):
            cause, body = Cause(Alarm(alarm), destination, tuple(hospitals.split())), json.loads(text)
            first, last = body["first"], body["last"]
            found[cause] = Fold(
                cause=cause, told=body["told"], came=body["came"], untold=body["untold"], names=tuple(body["names"]),
                hospitals=tuple(body.get("hospitals", ())),
                first=None if first is None else AlarmNews(**{**first, "at": datetime.fromisoformat(first["at"])}),
                last=None if last is None else datetime.fromisoformat(last),
                changes=tuple(map(datetime.fromisoformat, body["changes"])),
            )  # fmt: skip
        return found

    def retain(self, audiences: Collection[tuple[str, ...]]) -> None:
        """Forget causes as receivers of other hospitals than one of these know them."""
        known = [" ".join(hospitals) for hospitals in audiences]
        self._engine.run(AlarmCause.delete().where(AlarmCause.hospitals.not_in(known)))

    def keep(self, fold: Fold, now: datetime) -> None:
        """Keep the cause as it is folded; remove one that is over."""
        cause, hospitals = fold.cause, " ".join(fold.cause.hospitals)
        key = {"alarm": cause.alarm, "destination": cause.destination, "hospitals": hospitals}
        with self._engine.write():
            self._engine.run(AlarmCause.delete().where(*(getattr(AlarmCause, name) == key[name] for name in key)))
            if not fold.is_over(now):
                values = asdict(fold)
                del values["cause"]
                self._engine.run(AlarmCause.insert(**key, fold=json.dumps(values, default=datetime.isoformat)))
