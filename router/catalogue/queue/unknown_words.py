"""Rows with a word that nothing writes there, such as a state in which a bit has flipped: what they decide is held.

A row is put right as far as others vouch for it; the deliveries that it decides about wait for a person.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from peewee import Expression, fn

from router.alarms import Alarm
from router.catalogue.db.engine import Engine, RecordedRows
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.images import Instance, LedgerRow, Study
from router.catalogue.db.tables.queue import CommitmentItem, Upload
from router.catalogue.db.tables.queue import Delivery as Row
from router.catalogue.exams.evaluation import evaluate
from router.catalogue.queue.queue import Delivery, Queue
from router.errors import UnknownWord
from router.events import Event, EventBus, Kind
from router.model import Channel, SeriesClass
from router.policy.attention import LEDGER_LOST
from router.policy.states import MOVES, HeldBy, State

_MOST = 100
_DO = "compare with the platform, then release or cancel it"


class UnknownWords(RecordedRows):
    """Holds what such rows are about. Each is put right in one transaction, with its events."""

    def __init__(self, engine: Engine, bus: EventBus, queue: Queue) -> None:
        super().__init__(engine, bus)
        self._queue = queue

    def look(self, now: datetime) -> None:
        """Hold the deliveries that no query finds by state or channel, and those held by nobody that there is.

        It reads few rows besides.
        """
        looks: list[tuple[Any, Any]] = [(Row.state, gap) for gap in _gaps(Row.state)]
        looks.append((Row.held_by, (Row.state == State.HELD) & Row.held_by.not_in(Row.held_by.known())))
        for destination in self._destinations():
            looks += [(Row.channel, (Row.destination == destination) & gap) for gap in _gaps(Row.channel)]
        for field, where in looks:
            for number in self._engine.column(Row.select(Row.id).where(where).limit(_MOST)):
                self.hold(field.unknown(number), now)

    def _destinations(self) -> Iterator[str]:
        name = self._engine.value(Row.select(fn.MIN(Row.destination)))
        while name is not None:
            yield name
            name = self._engine.value(Row.select(fn.MIN(Row.destination)).where(Row.destination > name))

    def hold(self, found: UnknownWord, now: datetime) -> bool:
        """Hold what the row is about that was `found`; whether there was anything to put right."""
        row = int(str(found.fields["row"]))
        with self._engine.write():
            match found.fields["table"]:
                case "delivery":
                    return self._hold_delivery(row, found, now)
                case "ledger":
                    return self._forget_entry(row, found, now)
                case "instance":
                    return self._classify_again(row, found, now)
        return False

    def _hold_delivery(self, number: int, found: UnknownWord, now: datetime) -> bool:
        """Ledger and uploads say what was sent of it, evaluation what it waits for, a person what follows."""
        columns = (Row.exam, Row.destination, Row.channel, Row.state, Row.held_by)
        rows = self._engine.rows(Row.select(*columns).where(Row.id == number))
        if not rows or all(_reads(field, value) for field, value in zip(columns[2:], rows[0][2:], strict=True)):
            return False
        (exam, destination, channel, state, _), text = rows[0], _lost(found)
        if not _reads(Row.channel, channel):
            channel = self._channel_of(number, exam, destination)
        held = {
            "channel": channel, "state": State.HELD, "held_by": HeldBy.PERSON, "error": text, "waiting_for": "",
            "next_try": None, "lease": Row.lease + 1, "lease_owner": "", "lease_until": None, "changed": now,
        }  # fmt: skip
        self._engine.run(Row.update(held).where(Row.id == number))
        start = state if _reads(Row.state, state) else "unknown"
        place = {"destination": destination, "channel": channel, "to": State.HELD}
        moved = Event(now, Kind.MOVED, f"{start} -> {State.HELD}: {text}", exam=exam, delivery=number, fields=place)
        self._bus.record(moved)
        self._tell([number], found, now)
        evaluate(self._engine, Exam.id == exam, now)
        return True

    def _channel_of(self, number: int, exam: int, destination: str) -> Channel:
        """The channel that the exam lacks at the destination; of two the one by which it was sent, or others go."""
        mine = (Row.exam == exam) & (Row.destination == destination) & (Row.id != number)
        lacks = set(Channel) - set(self._engine.column(Row.select(Row.channel).where(mine)))
        if lacks == {Channel.IMAGES} or self._engine.has(Upload.select(Upload.id).where(Upload.delivery == number)):
            return min(lacks & {Channel.REPORT} or lacks)
        others = (Row.destination == destination) & (Row.channel == Channel.REPORT)
        goes = self._engine.has(Row.select(Row.id).where(others))
        return Channel.REPORT if lacks == {Channel.REPORT} or goes else Channel.IMAGES

    def _forget_entry(self, key: int, found: UnknownWord, now: datetime) -> bool:
        """Decide about the instance once more, as if nothing were known of it; first its deliveries are held."""
        columns = (LedgerRow.destination, LedgerRow.study, LedgerRow.state)
        rows = self._engine.rows(LedgerRow.select(*columns).where(LedgerRow.id == key))
        if not rows or _reads(LedgerRow.state, rows[0][2]):
            return False
        destination, study, _ = rows[0]
        self._hold_images(study, destination, _lost(found), frozenset({State.DELIVERED}), found, now)
        self._engine.run(CommitmentItem.delete().where(CommitmentItem.ledger == key))
        self._engine.run(LedgerRow.delete().where(LedgerRow.id == key))
        return True

    def _classify_again(self, key: int, found: UnknownWord, now: datetime) -> bool:
        """The class follows from the image's facts: the next evaluation finds it. What is on its way is held."""
        rows = self._engine.rows(Instance.select(Instance.study, Instance.series_class).where(Instance.id == key))
        if not rows or _reads(Instance.series_class, rows[0][1]):
            return False
        text = f"{found.message}; release it to send it"
        self._hold_images(rows[0][0], "", text, frozenset(), found, now)
        self._engine.run(Instance.update(series_class=SeriesClass.OTHER, rule="").where(Instance.id == key))
        return True

    def _hold_images(
        self, study: int, destination: str, text: str, ended: Collection[State], found: UnknownWord, now: datetime
    ) -> None:  # fmt: skip
        """Hold deliveries of the study's images, those that have `ended` so, too; to one destination, or to all."""
        linked = ExamStudy.select(ExamStudy.exam).join(Study, on=Study.uid == ExamStudy.study_uid)
        exams = sorted(self._engine.column(linked.where(Study.id == study)))
        held = [
            one.id
            for exam in exams
            for one in self._queue.of_exam(exam)
            if one.channel == Channel.IMAGES
            and destination in ("", one.destination)
            and self._hold_one(one, text, ended, found, now)
        ]
        self._tell(held, found, now)
        evaluate(self._engine, Exam.id.in_(exams), now)

    def _hold_one(
        self, one: Delivery, text: str, ended: Collection[State], found: UnknownWord, now: datetime
    ) -> bool:  # fmt: skip
        held = {"held_by": HeldBy.PERSON, "error": text}
        if one.state == State.HELD:
            self._queue.update(one, **held)
            return True
        if one.state in ended:
            self._queue.move(one, State.WAITING, now, found.message)
            one = self._queue.get(one.id) or one
        return (one.state, State.HELD) in MOVES and self._queue.move(one, State.HELD, now, text, changes=held)

    def _tell(self, held: Collection[int], found: UnknownWord, now: datetime) -> None:
        names = ", ".join(f"d{number}" for number in held)
        text = f"{found.message}: {names or 'no delivery'} held"
        self._bus.record(Event(now, Kind.ALARM, text, alarm=Alarm.LEDGER, subject="ledger"))


def _gaps(field: Any) -> list[Expression]:
    """Conditions that no row meets whose word is known: ranges of an index, between words that follow each other."""
    words = sorted(field.known())
    between = [(field > one) & (field < after) for one, after in pairwise(words)]
    return [field < words[0], *between, field > words[-1]]


def _reads(field: Any, value: str) -> bool:
    return value in field.known()


def _lost(found: UnknownWord) -> str:
    return f"{LEDGER_LOST}: {found.message}; {_DO}"
