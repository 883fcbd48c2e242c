"""Refusals at the door of every node of this database: by day, by sender, and the instances that have not come since.

Anybody may knock, so each table is bounded: refusals beyond its limit are counted together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from peewee import SQL, Expression, Field, Model, fn

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.node import RefusalRow, RefusedInstanceRow, RefusedSenderRow
from router.catalogue.exams.evaluation import evaluate, exams_of
from router.events import Event, Kind
from router.refusals import Why

MOST_NAMED, MOST_UNNAMED = 5000, 1000  # rows a day with a study, and without one
MOST_SENDERS = 1000
MOST_INSTANCES = 20_000
OTHERS = "others"  # in the place of a calling AE title: further senders
ASSOCIATIONS, IMAGES = "associations", "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalCount:
    """Refusals that are alike on one day. `why` is a refusals.Why or a status in hexadecimal, `reason` its last words.

    `study_uid` is "" where it is not known. `place` is the folder in quarantine of what was set aside, else "".
    """

    day: str
    calling: str
    address: str
    called: str
    why: str
    study_uid: str
    place: str = ""
    reason: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedSender:
    """A sender whose ASSOCIATIONS or IMAGES (`kind`) are refused, as of its last refusal; `count` is since the first.

    `stored` is when it stored an image since. `missing` instances have not come whole since, and `untracked` ones are
    too many to tell. `dismissed` says when a person ended its alarm, `dismissal` who and why.
    """

    kind: str
    calling: str
    address: str
    called: str
    why: str
    reason: str
    count: int
    untracked: int
    first: datetime
    last: datetime
    stored: datetime | None = None
    dismissed: datetime | None = None
    dismissal: str = ""
    missing: int = 0


@dataclass(frozen=True, slots=True)
class RefusedInstance:
    """An instance that was refused to a sender at this time."""

    sop_uid: str
    calling: str
    address: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Refusals of a moment. `stored` has the last time at which each calling AE title and address stored an image,
    `came` when instances that had been refused were stored."""

    counts: Sequence[RefusalCount] = ()
    senders: Sequence[RefusedSender] = ()
    instances: Sequence[RefusedInstance] = ()
    stored: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    came: Mapping[str, datetime] = field(default_factory=dict)


_KEY = ("day", "calling", "address", "called", "why", "study_uid", "place")
_COLUMNS = (*_KEY, "reason", "count", "first", "last")
_SENDER_KEY = ("kind", "calling", "address")
_SENDER = (*_SENDER_KEY, "called", "why", "reason", "count", "untracked", "first", "last", "dismissal")
_INSTANCE = ("sop_uid", "calling", "address", "at")


def _fields(table: type[Model], names: Iterable[str]) -> list[Field]:
    return [getattr(table, name) for name in names]


def _insert(table: str, columns: Sequence[str], key: Sequence[str], update: str) -> str:
    marks = ", ".join("?" * len(columns))
    names, target = (", ".join(f'"{name}"' for name in some) for some in (columns, key))
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({target}) DO UPDATE SET {update}"  # noqa: S608 our own names


def _where(key: Sequence[str]) -> str:
    return " AND ".join(f'"{name}" = ?' for name in key)


# Enters refusals of a kind that is new on its day; another node may be quicker.
_ENTER = Statement(
    _insert("refusal", _COLUMNS, _KEY,
            '"count" = refusal."count" + excluded."count", "last" = excluded."last", reason = excluded.reason'),
    *_fields(RefusalRow, _COLUMNS),
)  # fmt: skip
# Adds refusals to a row; no row where there is none.
_ADD = Statement(
    f'UPDATE refusal SET "count" = "count" + ?, "last" = ?, reason = ? WHERE {_where(_KEY)} RETURNING why',  # noqa: S608 as above
    *_fields(RefusalRow, ("count", "last", "reason", *_KEY)),
)
# Adds refusals to a sender. A person has dismissed this cause of refusal; another one is news.
_ADD_SENDER = Statement(
    'UPDATE refused_sender SET "count" = "count" + ?, untracked = untracked + ?, "last" = ?,'  # noqa: S608 as above
    " dismissed = CASE WHEN why = ? THEN dismissed END, called = ?, why = ?, reason = ?"
    f" WHERE {_where(_SENDER_KEY)} RETURNING why",
    *_fields(RefusedSenderRow, ("count", "untracked", "last", "why", "called", "why", "reason", *_SENDER_KEY)),
)
# Enters a sender that is refused for the first time; another node may be quicker.
_ENTER_SENDER = Statement(
    _insert("refused_sender", _SENDER, _SENDER_KEY,
            '"count" = refused_sender."count" + excluded."count", "last" = excluded."last",'
            " untracked = refused_sender.untracked + excluded.untracked"),
    *_fields(RefusedSenderRow, _SENDER),
)  # fmt: skip
# Enters an instance that is refused, for the first time or again.
_ENTER_INSTANCE = Statement(
    _insert("refused_instance", _INSTANCE, _INSTANCE[:3], "at = excluded.at, came = NULL"),
    *_fields(RefusedInstanceRow, _INSTANCE),
)
# Removes the refused instances that have come whole since.
_SETTLE = Statement(
    "DELETE FROM refused_instance WHERE EXISTS"
    " (SELECT 1 FROM instance WHERE instance.sop_uid = refused_instance.sop_uid AND instance.cut = ''"
    " AND (refused_instance.came IS NOT NULL OR instance.received > refused_instance.at))"
)


class Refusals(Rows):
    """Refusals, written in batches by the main process of each node."""

    def write(self, batch: Batch) -> None:
        """Add a batch, and have the exams evaluated whose studies are refused for the first time on a day."""
        with self._engine.write():
            studies = {one.study_uid for one in batch.counts if self._count(one) and one.study_uid}
            for sender in batch.senders:
                self._add_sender(sender)
            self._add_instances(batch.instances)
            for (calling, address), at in batch.stored.items():
                mine = (RefusedSenderRow.address == address) & RefusedSenderRow.calling.in_([calling, ""])
                self._engine.run(RefusedSenderRow.update(stored=at).where(mine))
            for sop_uid, at in batch.came.items():
                self._engine.run(RefusedInstanceRow.update(came=at).where(RefusedInstanceRow.sop_uid == sop_uid))
            for some in portions(sorted(studies)):
                evaluate(self._engine, Exam.id.in_(exams_of(some)), max(one.last for one in batch.counts))

    def _count(self, one: RefusalCount) -> bool:
        """Whether it is the first of its kind."""
        key = [getattr(one, name) for name in _KEY]
        if _ADD.run(self._engine, one.count, one.last, one.reason, *key):
            return False
        alike = RefusalRow.study_uid != "" if one.study_uid else RefusalRow.study_uid == ""
        rows = self._number(RefusalRow, (RefusalRow.day == one.day) & alike)
        if rows < (MOST_NAMED if one.study_uid else MOST_UNNAMED):
            _ENTER.run(self._engine, *(getattr(one, name) for name in _COLUMNS))
            return True
        if one.study_uid:
            self._count(replace(one, study_uid=""))
        else:
            others = replace(one, calling=OTHERS, address="", called="")
            _ENTER.run(self._engine, *(getattr(others, name) for name in _COLUMNS))
        return False

    def _number(self, table: type[Model], where: Expression | bool = True) -> int:
        return int(self._engine.value(table.select(fn.COUNT(SQL("*"))).where(where)))

    def _add_sender(self, one: RefusedSender) -> None:
        key, said = [one.kind, one.calling, one.address], [one.why, one.called, one.why, one.reason]
        if _ADD_SENDER.run(self._engine, one.count, one.untracked, one.last, *said, *key):
            return
        if self._number(RefusedSenderRow) >= MOST_SENDERS:
            one = replace(one, calling=OTHERS, address="", called="")
        _ENTER_SENDER.run(self._engine, *(getattr(one, name) for name in _SENDER))

    def _add_instances(self, found: Sequence[RefusedInstance]) -> None:
        room = max(MOST_INSTANCES - self._number(RefusedInstanceRow), 0) if found else 0
        for one in found[:room]:
            _ENTER_INSTANCE.run(self._engine, one.sop_uid, one.calling, one.address, one.at)
        for one in found[room:]:
            mine = _is(IMAGES, one.calling, one.address)
            self._engine.run(RefusedSenderRow.update(untracked=RefusedSenderRow.untracked + 1).where(mine))

    # -- what is set aside

    def keep(self, event: Event) -> None:
        """The journal's subscriber: an instance in quarantine has a row until it is deleted there."""
        place = event.fields.get("folder")
        if not isinstance(place, str) or event.kind not in (Kind.QUARANTINED, Kind.PURGED):
            return
        with self._engine.write():
            if event.kind == Kind.PURGED:
                self._engine.run(RefusalRow.delete().where(RefusalRow.place == place))
                return
            self._count(RefusalCount(
                day=f"{event.at:%Y-%m-%d}", calling=str(event.fields.get("calling_ae", "")), address="", called="",
                why=Why.QUARANTINE, study_uid=event.study_uid or "", place=place, reason=event.text, count=1,
                first=event.at, last=event.at,
            ))  # fmt: skip

    # -- what is known

    def since(self, at: datetime) -> list[RefusalCount]:
        """Refusals whose last was then or later, the latest first."""
        return self._counts(RefusalRow.last >= at)

    def in_quarantine(self) -> list[RefusalCount]:
        """Refusals that are set aside, the latest first."""
        return self._counts(RefusalRow.place != "")

    def of_studies(self, studies: Iterable[str]) -> list[RefusalCount]:
        """Refusals of images of these studies, and what is set aside of them, the latest first."""
        return [one for some in portions(list(studies)) for one in self._counts(RefusalRow.study_uid.in_(some))]

    def without_study(self, since: datetime) -> list[RefusalCount]:
        """Refusals since then of which nobody knows the study, the latest first."""
        return self._counts((RefusalRow.study_uid == "") & (RefusalRow.last >= since))

    def _counts(self, where: Expression) -> list[RefusalCount]:
        query = RefusalRow.select().where(where).order_by(RefusalRow.last.desc())
        return [RefusalCount(**row) for row in self._engine.run(query.dicts())]

    def senders(self) -> list[RefusedSender]:
        """Every sender that is being refused, the first refused first."""
        rows: list[dict[str, Any]] = self._engine.run(
            RefusedSenderRow.select().order_by(RefusedSenderRow.first).dicts()
        )
        if not rows:
            return []
        place = (RefusedInstanceRow.calling, RefusedInstanceRow.address)
        query = RefusedInstanceRow.select(*place, fn.COUNT(SQL("*"))).group_by(*place)
        missing = {(IMAGES, calling, address): int(count) for calling, address, count in self._engine.rows(query)}
        return [
            RefusedSender(**row, missing=missing.get((row["kind"], row["calling"], row["address"]), 0)) for row in rows
        ]

    def missing(self) -> frozenset[str]:
        """Instances that were refused and have not been stored since."""
        query = RefusedInstanceRow.select(RefusedInstanceRow.sop_uid).where(RefusedInstanceRow.came.is_null())
        return frozenset(self._engine.column(query))

    # -- what is over

    def settle(self) -> None:
        """Forget the refused instances that are here whole by now."""
        if self._engine.rows(RefusedInstanceRow.select(RefusedInstanceRow.sop_uid).limit(1)):
            with self._engine.write():
                _SETTLE.run(self._engine)

    def end(self, one: RefusedSender) -> None:
        """A sender is not refused any more, unless it was refused again just now."""
        with self._engine.write():
            mine = _is(one.kind, one.calling, one.address) & (RefusedSenderRow.last == one.last)
            self._engine.run(RefusedSenderRow.delete().where(mine))

    def dismiss(self, one: RefusedSender, dismissal: str, now: datetime) -> None:
        """A person ends its alarm: of associations while they are refused for this cause, of images those so far."""
        mine = _is(one.kind, one.calling, one.address)
        with self._engine.write():
            if one.kind == ASSOCIATIONS:
                changes = {"dismissed": now, "dismissal": dismissal}
                self._engine.run(RefusedSenderRow.update(changes).where(mine))
                return
            theirs = (RefusedInstanceRow.calling == one.calling) & (RefusedInstanceRow.address == one.address)
            self._engine.run(RefusedInstanceRow.delete().where(theirs))
            self._engine.run(RefusedSenderRow.delete().where(mine))

    def expire(self, before: datetime) -> None:
        """Drop the counts whose last refusal was before then; what lies in quarantine waits for a person."""
        old = (RefusalRow.last < before) & (RefusalRow.place == "")
        if self._engine.rows(RefusalRow.select(RefusalRow.day).where(old).limit(1)):
            with self._engine.write():
                self._engine.run(RefusalRow.delete().where(old))


def _is(kind: str, calling: str, address: str) -> Expression:
    mine = (RefusedSenderRow.kind == kind) & (RefusedSenderRow.calling == calling)
    return mine & (RefusedSenderRow.address == address)
