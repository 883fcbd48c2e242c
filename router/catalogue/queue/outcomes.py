"""Outcomes of exams for the statistics: the rows that they are decided by, how each counts, and the sums of each day.

Sums are of the rows, never of the former sums: a day on which any row has changed is summed up again.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.fields import instant
from router.catalogue.db.statement import Among, InsertMany, Statement, listed
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.node import EventRow, Setting
from router.catalogue.db.tables.outcomes import OutcomeRow, OutcomeSum
from router.catalogue.db.tables.queue import Delivery
from router.model import Channel
from router.policy.attention import Stuck
from router.policy.completeness import Moved
from router.policy.states import Needs, State

EXAM, STUDY, IN_PACS = "e", "s", "p"
"""How the key of a row begins: of an exam, of a study that no exam names, of one that only the PACS has."""
DaySum = Mapping[str, Any]
"""Exams of a day that agree in all but the counts: a row of OutcomeSum by its columns."""
_LATE_COMMIT = timedelta(minutes=10)  # an event with a lower number may be seen later, on a server
_EVENTS, _EXAMS, _LOCK = "statistics-event", "statistics-exam", "statistics"
# of all hospitals: each exam counts under its own
_OF_EXAMS = Among("SELECT id, hospital, branch, approved_at, created FROM exam WHERE id IN (?)", Exam.id)
_OF_DELIVERIES = Among(
    "SELECT d.id, d.exam_id, d.destination, d.channel, d.state, d.changed, d.waiting_for, d.held_by,"
    " substr(d.error, 1, 200), d.due, d.next_try, d.lease_until, e.approved_at, e.check_at, d.legal_due,"
    " d.delivered_at FROM delivery d JOIN exam e ON e.id = d.exam_id WHERE e.id IN (?) ORDER BY d.id", Exam.id,
)  # fmt: skip
_OF_MOVES = Among(
    "SELECT delivery, at, text FROM event WHERE kind = 'moved' AND delivery IS NOT NULL AND exam IN (?)"
    " ORDER BY at, id", EventRow.exam,
)  # fmt: skip
# of all hospitals: by the exam's own links
_OF_STUDIES = Among(
    "SELECT l.exam_id, l.study_uid, s.id, s.device_modality, s.station_name, s.model FROM exam_study l"
    " LEFT JOIN study s ON s.uid = l.study_uid WHERE l.exam_id IN (?) ORDER BY l.id", Exam.id,
)  # fmt: skip
_OF_JSONS = Among(
    "SELECT exam_id, id, place, stale, approved, approve_time, purged FROM document WHERE kind = 'json'"
    " AND exam_id IN (?) ORDER BY id", Exam.id,
)  # fmt: skip
_UNREAD = Among("SELECT exam_id FROM unread_approval WHERE exam_id IN (?)", Exam.id)
# of all hospitals: the devices of studies by UID
_DEVICES = Among("SELECT uid, station_name, model FROM study WHERE uid IN (?)", OutcomeRow.key)
# of all hospitals: a study that is here has come
_HERE = Among("SELECT uid FROM study WHERE uid IN (?)", OutcomeRow.key)
# of all hospitals: and so has one that any exam names
_NAMED = Among("SELECT study_uid FROM exam_study WHERE study_uid IN (?)", OutcomeRow.key)
# Exams to whose deliveries time alone may bring another state.
_OPEN = Statement(
    f"SELECT DISTINCT exam_id FROM delivery WHERE state IN {listed(('waiting', 'ready', 'sending', 'deferred'))}"  # noqa: S608 our own text
    " AND due IS NOT NULL AND exam_id > ? ORDER BY exam_id LIMIT ?", Delivery.id, Delivery.id,
)  # fmt: skip
# of all hospitals: each exam counts under its own
_NEW = Statement("SELECT id FROM exam WHERE id > ? ORDER BY id LIMIT ?", Exam.id, Exam.id)
_TOUCHED = Statement(
    "SELECT DISTINCT exam FROM event WHERE id > ? AND id <= ? AND exam IS NOT NULL ORDER BY exam", EventRow.id,
    EventRow.id,
)  # fmt: skip
_LAST = Statement("SELECT MAX(id) FROM event")
_LAST_OLD = Statement("SELECT MAX(id) FROM event WHERE id > ? AND at < ?", EventRow.id, EventRow.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamCount:
    """How an exam or a study counts: a row as its table has it."""

    key: str
    day: str
    hospital: str
    branch: str
    department: str
    modality: str
    device: str
    critical: int
    state: str
    reason: str = ""
    miss: str = ""
    whose: str = ""
    due: int = 0
    uploaded: int = 0
    report_on_time: int = 0
    images_on_time: int = 0
    on_time: int = 0
    first_time: int = 0
    report_took: int | None = None
    images_took: int | None = None
    document: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSum:
    """Sums of a group of exams that agree in state and reasons, added up by the database.

    The times are `minutes:exams`, divided by blanks; one may be there several times.
    """

    group: str
    critical: int
    state: str
    reason: str
    miss: str
    whose: str
    exams: int
    due: int
    uploaded: int
    report_on_time: int
    images_on_time: int
    on_time: int
    first_time: int
    report_took: str
    images_took: str


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as it is judged, with its times and its moves in order."""

    stuck: Stuck
    legal_due: datetime | None
    delivered_at: datetime | None
    moves: tuple[Moved, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamRows:
    """All rows by which an exam counts. `json` is the last document that counts, with its place; None: none is here.

    `studies` are the UIDs that it has, `devices` modality and device of those that are here. `withdrawn` is the last
    approval of its documents.
    """

    exam: int
    hospital: str
    branch: str
    approved_at: datetime | None
    created: datetime
    deliveries: tuple[DeliveryRow, ...]
    studies: tuple[str, ...]
    devices: tuple[tuple[str, str], ...]
    json: tuple[int, str] | None
    withdrawn: datetime | None
    unread: bool


_PLACES = ("day", "hospital", "branch", "department", "modality", "device")
_KINDS = ("critical", "state", "reason", "miss", "whose")
_NUMBERS = ("due", "uploaded", "report_on_time", "images_on_time", "on_time", "first_time")
_TIMES = ("report_took", "images_took")
_SUMMED = (*_PLACES, *_KINDS, "exams", *_NUMBERS, *_TIMES)
_COUNTED = tuple(field.name for field in fields(ExamCount))
_FIELDS = [getattr(OutcomeRow, name) for name in _COUNTED]
_OF_DAY = Statement(f"SELECT {', '.join(_COUNTED)} FROM outcome WHERE day = ?", OutcomeRow.day)  # noqa: S608 our own text
_SUMS = Statement(
    f"SELECT {', '.join(_SUMMED)} FROM outcome_sum WHERE day >= ? AND day <= ? ORDER BY day",  # noqa: S608 our own text
    OutcomeSum.day, OutcomeSum.day,
)  # fmt: skip
_ENTER_SUM = InsertMany(OutcomeSum)


class Outcomes(Rows):
    """Written by whoever brings the statistics up to date: the node that has the duty, or a command."""

    # -- what has changed

    def new(self, limit: int) -> list[int]:
        """The next exams that were never counted, in the order of their numbers."""
        return [int(row[0]) for row in _NEW.run(self._engine, self._mark(_EXAMS), limit)]

    def begin(self) -> None:
        """Where nothing was ever counted: events are looked at from here on, for every exam is counted anyway."""
        with self._engine.lock_names([_LOCK]), self._engine.write():
            if not self._has_mark(_EVENTS):
                self._set_mark(_EVENTS, int(_LAST.run(self._engine)[0][0] or 0))

    def touched(self, now: datetime) -> tuple[list[int], int]:
        """Exams to which something happened since the last count, and the mark to set once they are counted."""
        mark = self._mark(_EVENTS)
        last = int(_LAST.run(self._engine)[0][0] or 0)
        settled = _LAST_OLD.run(self._engine, mark, now - _LATE_COMMIT)[0][0]
        exams = [int(row[0]) for row in _TOUCHED.run(self._engine, mark, last)]
        return exams, int(settled or mark)

    def open(self, after: int, limit: int) -> list[int]:
        """Exams with an approved delivery under way, numbered after `after`, in order."""
        return [int(row[0]) for row in _OPEN.run(self._engine, after, limit)]

    # -- the rows that decide

    def exams(self, numbers: Sequence[int]) -> list[ExamRows]:
        """All about these exams; some hundreds at a time."""
        moves: dict[int, list[Moved]] = defaultdict(list)
        for delivery, at, text in _OF_MOVES.run(self._engine, numbers):
            moves[delivery].append(_moved(instant(at), text))
        deliveries: dict[int, list[DeliveryRow]] = defaultdict(list)
        for row in _OF_DELIVERIES.run(self._engine, numbers):
            deliveries[row[1]].append(_delivery(row, tuple(moves[row[0]])))
        studies: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for exam, *rest in _OF_STUDIES.run(self._engine, numbers):
            studies[exam].append(tuple(rest))
        jsons: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for exam, *rest in _OF_JSONS.run(self._engine, numbers):
            jsons[exam].append(tuple(rest))
        unread = {int(row[0]) for row in _UNREAD.run(self._engine, numbers)}
        return [
            ExamRows(
                exam=exam, hospital=hospital, branch=branch, approved_at=Exam.approved_at.python_value(approved_at),
                created=instant(created), deliveries=tuple(deliveries[exam]),
                studies=tuple(row[0] for row in studies[exam]),
                devices=tuple((row[2], row[3] or row[4]) for row in studies[exam] if row[1] is not None),
                json=_last_json(jsons[exam]), withdrawn=_last_approval(jsons[exam]), unread=exam in unread,
            )
            for exam, hospital, branch, approved_at, created in _OF_EXAMS.run(self._engine, numbers)
        ]  # fmt: skip

    def devices(self, study_uids: Sequence[str]) -> dict[str, str]:
        """The device of each of these studies, by UID."""
        return {uid: station or model for uid, station, model in _DEVICES.run(self._engine, study_uids)}

    def counted(self, keys: Sequence[str]) -> dict[str, ExamCount]:
        """The rows of these keys, as they were counted last."""
        found: dict[str, ExamCount] = {}
        for some in portions(keys):
            rows = self._engine.rows(OutcomeRow.select(*_FIELDS).where(OutcomeRow.key.in_(list(some))))
            found |= {one.key: one for one in _counts(rows)}
        return found

    def in_pacs(self, day: str | None = None) -> list[str]:
        """The UIDs of the studies that only the PACS has, of a day or of all."""
        mine = OutcomeRow.key.startswith(IN_PACS)
        query = OutcomeRow.select(OutcomeRow.key).where(mine if day is None else mine & (OutcomeRow.day == day))
        return [key.removeprefix(IN_PACS) for key in self._engine.column(query)]

    def unknown(self, study_uids: Sequence[str]) -> set[str]:
        """Those of these studies that are not here and that no exam names."""
        here = {row[0] for statement in (_HERE, _NAMED) for row in statement.run(self._engine, study_uids)}
        return set(study_uids) - here

    # -- writing

    def write(
        self, rows: Sequence[ExamCount], drop: Collection[str] = (), *, exams: int | None = None,
        events: int | None = None,
    ) -> None:  # fmt: skip
        """Enter how these count, without those of `drop`, and sum up again the days on which anything has changed.

        `exams`: all up to this number are counted; `events`: likewise.
        """
        with self._engine.lock_names([_LOCK]), self._engine.write():
            known, closed = self.counted([*(row.key for row in rows), *drop]), self._closed({row.day for row in rows})
            changed = [row for row in rows if known.get(row.key) != row and row.day not in closed]
            gone = [known[key] for key in drop if key in known]
            former = [known[row.key] for row in changed if row.key in known]
            for some in portions([one.key for one in (*former, *gone)]):
                self._engine.run(OutcomeRow.delete().where(OutcomeRow.key.in_(list(some))))
            for few in portions(changed):
                self._engine.run(OutcomeRow.insert_many([asdict(row) for row in few]))
            for day in sorted({one.day for one in (*changed, *former, *gone)}):
                self._sum_up(day)
            for name, number in ((_EXAMS, exams), (_EVENTS, events)):
                if number is not None:
                    self._set_mark(name, number)

    def _closed(self, days: Collection[str]) -> set[str]:
        """Those of the days of which the sums alone are kept: by what their exams were counted is gone."""
        queries = (one.select(one.day).where(one.day.in_(list(days))).distinct() for one in (OutcomeSum, OutcomeRow))
        sums, rows = (set(self._engine.column(query)) for query in queries)
        return sums - rows

    def rename_hospital(self, old: str, new: str) -> None:
        """Note that what counted under `old` is of `new`."""
        with self._engine.write():
            for table in (OutcomeRow, OutcomeSum):
                self._engine.run(table.update(hospital=new).where(table.hospital == old))

    def _sum_up(self, day: str) -> None:
        self._engine.run(OutcomeSum.delete().where(OutcomeSum.day == day))
        _ENTER_SUM.run(self._engine, summed(_counts(_OF_DAY.run(self._engine, day))))

    def _mark(self, name: str) -> int:
        return int(self._engine.value(Setting.select(Setting.value).where(Setting.name == name)) or 0)

    def _has_mark(self, name: str) -> bool:
        return bool(self._engine.has(Setting.select(Setting.value).where(Setting.name == name)))

    def _set_mark(self, name: str, number: int) -> None:
        number = max(number, self._mark(name))
        self._engine.run(Setting.delete().where(Setting.name == name))
        self._engine.run(Setting.insert(name=name, value=str(number)))

    # -- reading

    def sums(self, first: str, last: str) -> list[DaySum]:
        """The sums of the days from `first` to `last`, in order."""
        return [dict(zip(_SUMMED, row, strict=True)) for row in _SUMS.run(self._engine, first, last)]

    def grouped(self, first: str, last: str, by: str, hospitals: Sequence[str] = ()) -> list[GroupSum]:
        """The sums of the days from `first` to `last` by one of the places, in order; of these hospitals or of all."""
        assert by in _PLACES
        joined = "STRING_AGG({}, ' ')" if self._engine.is_shared else "GROUP_CONCAT({}, ' ')"
        counts = [f"CAST(SUM({name}) AS INTEGER)" for name in ("exams", *_NUMBERS)]
        times = [joined.format(f"NULLIF({name}, '')") for name in _TIMES]
        keys = ", ".join((by, *_KINDS))
        param = self._engine.database.param
        sql = f"SELECT {keys}, {', '.join([*counts, *times])} FROM outcome_sum WHERE day >= {param} AND day <= {param}"  # noqa: S608 our own names
        if hospitals:
            sql += f" AND hospital IN ({', '.join([param] * len(hospitals))})"
        rows = self._engine.execute(f"{sql} GROUP BY {keys} ORDER BY {keys}", [first, last, *hospitals])
        names = ("group", *_KINDS, "exams", *_NUMBERS, *_TIMES)
        filled = (["" if value is None else value for value in row] for row in rows)
        return [GroupSum(**dict[str, Any](zip(names, row, strict=True))) for row in filled]

    def all(self, first: str, last: str) -> list[ExamCount]:
        """Every row of these days: the full count, for a test of the sums."""
        mine = (OutcomeRow.day >= first) & (OutcomeRow.day <= last)
        return _counts(self._engine.rows(OutcomeRow.select(*_FIELDS).where(mine)))


def summed(rows: Iterable[ExamCount]) -> list[DaySum]:
    """The sums of rows, whatever their days, in a fixed order."""
    groups: dict[tuple[Any, ...], list[ExamCount]] = defaultdict(list)
    for row in rows:
        groups[tuple(getattr(row, name) for name in (*_PLACES, *_KINDS))].append(row)
    return [
        {
            **dict(zip((*_PLACES, *_KINDS), group, strict=True)), "exams": len(mine),
            **{name: sum(getattr(row, name) for row in mine) for name in _NUMBERS},
            **{name: written(getattr(row, name) for row in mine) for name in _TIMES},
        }
        for group, mine in sorted(groups.items())
    ]  # fmt: skip


def _counts(rows: Iterable[Sequence[Any]]) -> list[ExamCount]:
    return [ExamCount(**dict(zip(_COUNTED, row, strict=True))) for row in rows]


def written(minutes: Iterable[int | None]) -> str:
    """How many took how long, as `minutes:exams`; those that did not come to an end are left out."""
    counts = Counter(one for one in minutes if one is not None)
    return " ".join(f"{minute}:{count}" for minute, count in sorted(counts.items()))


def _moved(at: datetime, text: str) -> Moved:
    """`sending -> delivered: why`."""
    start, _, rest = text.partition(" -> ")
    to, _, why = rest.partition(": ")
    return Moved(at, start, to, why)


def _delivery(row: tuple[Any, ...], moves: tuple[Moved, ...]) -> DeliveryRow:
    number, exam, destination, channel, state, changed, needs, held_by, error, *instants = row
    due, next_try, lease_until, approved_at, check_at, legal_due, delivered_at = map(
        Delivery.due.python_value, instants
    )
    stuck = Stuck(
        id=number, exam=exam, destination=destination, channel=Channel(channel), state=State(state),
        changed=instant(changed), needs=tuple(map(Needs, needs.split())), held_by=held_by, error=error, due=due,
        next_try=next_try, lease_until=lease_until, approved_at=approved_at, check_at=check_at,
    )  # fmt: skip
    return DeliveryRow(stuck, legal_due, delivered_at, moves)


def _last_json(rows: Sequence[tuple[Any, ...]]) -> tuple[int, str] | None:
    here = [(number, place) for number, place, stale, _, _, purged in rows if not stale and purged is None]
    return here[-1] if here else None


def _last_approval(rows: Sequence[tuple[Any, ...]]) -> datetime | None:
    times = [instant(at) for _, _, _, approved, at, _ in rows if approved and at is not None]
    return max(times, default=None)
