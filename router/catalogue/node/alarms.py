"""Alarms that are not cleared: reported once, and kept over every restart and for every node until they are."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import Expression, Select, fn

from router.alarms import Alarm
from router.catalogue.db.engine import Engine, Rows
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.node import OpenAlarm
from router.catalogue.node.alarm_news import NewsOfAlarms
from router.events import Event, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An alarm that is not cleared.

    `destination` is the one that it concerns, "" where it concerns none alone; `hospital` likewise, where the node
    serves several.
    """

    alarm: Alarm
    subject: str
    text: str
    exam: int | None
    delivery: int | None
    since: datetime
    destination: str = ""
    hospital: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveAlarm:
    """Alarms of one kind about one destination, as people see them: how many, and the first of them.

    `exams` are those that they are about, by number; `subject` is what a single one is about. `hospitals` are those
    that they concern, by name.
    """

    alarm: Alarm
    destination: str
    count: int
    since: datetime
    text: str
    subject: str
    exams: tuple[int, ...]
    hospitals: tuple[str, ...] = ()


def folded(alarms: Iterable[Standing]) -> list[ActiveAlarm]:
    """One for each kind and destination, the node's and the destinations' before those of exams, the oldest first."""
    groups: dict[tuple[Alarm, str], list[Standing]] = {}
    for one in sorted(alarms, key=lambda one: one.since):
        groups.setdefault((one.alarm, one.destination), []).append(one)
    found = [
        ActiveAlarm(alarm=alarm, destination=destination, count=len(group), since=group[0].since, text=group[0].text,
                    subject=group[0].subject if len(group) == 1 else "",
                    exams=tuple(dict.fromkeys(one.exam for one in group if one.exam is not None)),
                    hospitals=tuple(dict.fromkeys(one.hospital for one in group if one.hospital)))
        for (alarm, destination), group in groups.items()
    ]  # fmt: skip
    return sorted(found, key=lambda one: (bool(one.exams), one.since))


class Alarms(Rows):
    """Alarms not cleared; the event bus asks `is_news`. News for the messages is kept in the same transaction."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._news = NewsOfAlarms(engine)

    def is_news(self, event: Event) -> bool:
        """Whether the event raises an alarm that is not raised yet, or clears one that is; keep that it does."""
        stands = self._text(event.alarm, event.subject)
        if event.kind == Kind.CLEARED:
            return stands is not None and self._remove(event)
        return stands is None and self._enter(event)

    def standing(self, exam: int | None = None, subjects: Sequence[str] = ()) -> Sequence[Standing]:
        """Alarms of one exam and about these subjects, or all, the oldest first."""
        if exam is None:
            return self._read(_by_age(OpenAlarm.select()))
        return self._read(_OF_EXAM(exam, list(subjects)) if subjects else _OF_EXAM_ALONE(exam))

    def of(self, kinds: Collection[Alarm]) -> Sequence[Standing]:
        """Alarms of these kinds, the oldest first: of others, refused files say, there may be tens of thousands."""
        return self._read(_by_age(OpenAlarm.select().where(OpenAlarm.alarm.in_(list(kinds)))))

    def _read(self, query: object) -> Sequence[Standing]:
        rows: list[dict[str, Any]] = self._engine.run(query)
        return [Standing(**{**row, "alarm": Alarm(row["alarm"])}) for row in rows]

    def stands(self, alarm: Alarm, subject: str) -> bool:
        """Whether this alarm is raised."""
        return self._text(alarm, subject) is not None

    def subjects(self, alarm: Alarm) -> frozenset[str]:
        """The subjects of this alarm."""
        return frozenset(self._engine.column(OpenAlarm.select(OpenAlarm.subject).where(OpenAlarm.alarm == alarm)))

    def reword(self, alarm: Alarm, subject: str, text: str) -> None:
        """Change the text of an alarm that is raised; that is no news."""
        if self._text(alarm, subject) not in (None, text):
            with self._engine.write():
                self._engine.run(OpenAlarm.update(text=text).where(_is(alarm, subject)))

    def counts(self) -> dict[Alarm, int]:
        """The number of alarms of each kind that has any."""
        query = OpenAlarm.select(OpenAlarm.alarm, fn.COUNT(OpenAlarm.subject)).group_by(OpenAlarm.alarm)
        return {Alarm(alarm): int(number) for alarm, number in self._engine.rows(query)}

    def _text(self, alarm: Alarm | None, subject: str) -> str | None:
        text: str | None = self._engine.value(_TEXT(alarm, subject))
        return text

    def _enter(self, event: Event) -> bool:
        destination, hospital = (str(event.fields.get(name, "")) for name in ("destination", "hospital"))
        row = {"alarm": event.alarm, "subject": event.subject, "destination": destination, "text": event.text,
               "exam": event.exam, "delivery": event.delivery, "since": event.at, "hospital": hospital}  # fmt: skip
        insert = OpenAlarm.insert(row).on_conflict_ignore().returning(OpenAlarm.alarm)
        with self._engine.write():
            if entered := bool(self._engine.run(insert)):
                self._news.add(event, destination, hospital)
            return entered

    def _remove(self, event: Event) -> bool:
        """Remove the alarm; the news of it names destination and hospital as when it was raised, whatever the event
        names."""
        place = OpenAlarm.destination, OpenAlarm.hospital
        gone = OpenAlarm.delete().where(_is(event.alarm, event.subject)).returning(*place)
        with self._engine.write():
            if removed := self._engine.run(gone):
                self._news.add(event, removed[0].destination, removed[0].hospital)
            return bool(removed)


def _is(alarm: Alarm | None, subject: str) -> Expression:
    return (OpenAlarm.alarm == alarm) & (OpenAlarm.subject == subject)


def _by_age(query: Select) -> Select:
    return query.order_by(OpenAlarm.since).dicts()


_OF_EXAM_ALONE = Prepared(lambda exam: _by_age(OpenAlarm.select().where(OpenAlarm.exam == exam)))
_OF_EXAM = Prepared(
    lambda exam, subjects: _by_age(OpenAlarm.select().where((OpenAlarm.exam == exam) | OpenAlarm.subject.in_(subjects)))
)
_TEXT = Prepared(lambda alarm, subject: OpenAlarm.select(OpenAlarm.text).where(_is(alarm, subject)))
