"""Removal of studies whose exams are all done with, of studies without an exam, and of rows older than the audit.

Each transaction is small, so that nobody waits for a purge. Rows change first and name the files that are to go
(`Removal`), then the files go, then their names: after a crash `removals` gives what is still to be removed.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import JOIN, Expression, Select, fn

from router.alarms import Alarm
from router.catalogue.db.engine import Engine
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.images import (
    OPEN_IN_LEDGER,
    Facts,
    Instance,
    LedgerRow,
    Reference,
    Removal,
    Study,
    StudyAccession,
    StudyHospital,
    StudyIdentity,
)
from router.catalogue.db.tables.node import EventRow
from router.catalogue.db.tables.outcomes import OutcomeRow
from router.catalogue.db.tables.queue import Delivery
from router.catalogue.exams.originals import Originals
from router.catalogue.images.ledger import Fate, fates_of
from router.catalogue.images.tombstones import bury, drop_rows, forget, has_tombstone
from router.events import Event, EventBus, Kind
from router.model import InstanceUids
from router.policy.states import CLOSED

BATCH = 200
_PARTLY = "part of it was purged before an exam named it: have the PACS send it again"


@dataclass(frozen=True, slots=True)
class Old:
    """A study that may go as a whole; `named` by an exam, which keeps its rows."""

    study: int
    uid: str
    named: bool


@dataclass(frozen=True, slots=True)
class Files:
    """Files to remove, by instance and version, and folders of reports (`places`); `number` says that they are gone."""

    number: int
    instances: Sequence[tuple[InstanceUids, int]]
    places: Sequence[str] = ()


class Purge:
    """The rows' side of retention."""

    def __init__(self, engine: Engine, bus: EventBus) -> None:
        self._engine = engine
        self.originals = Originals(engine)
        self._bus = bus

    def delivered(self, before: datetime, now: datetime, limit: int) -> list[Old]:
        """Studies all of whose exams have been closed since before `before`, those received first coming first."""
        return self._old(_done(before, now), before, limit, named=True)

    def unmatched(self, before: datetime, limit: int) -> list[Old]:
        """Studies that no exam names, last received before `before`, in the order in which they came."""
        return self._old(~fn.EXISTS(_links()), before, limit, named=False)

    def _old(self, condition: Expression, before: datetime, limit: int, *, named: bool) -> list[Old]:
        # of all hospitals: [retention] is the node's
        here = Study.purged.is_null() & (Study.last_received < before)
        query = Study.select(Study.id, Study.uid).where(here & condition).order_by(Study.last_received).limit(limit)
        return [Old(number, uid, named) for number, uid in self._engine.rows(query)]

    def take(self, old: Old, before: datetime, now: datetime) -> Files | None:
        """Strike the next files of the study from the rows; None when it is finished, or need not go after all."""
        condition = _done(before, now) if old.named else ~fn.EXISTS(_links())
        with self._engine.lock_names([old.uid]), self._engine.write():
            mine = (Study.id == old.study) & Study.purged.is_null() & (Study.last_received < before)
            # An update that changes nothing locks the row: who adds to the study waits, or was first.
            if not self._engine.run(Study.update(last_received=Study.last_received).where(mine & condition)):
                return None
            return self._strike(old, now)

    def _strike(self, old: Old, now: datetime) -> Files:
        columns = (Instance.id, Instance.series_uid, Instance.sop_uid, Instance.version, Instance.purged)
        unpacked = Instance.purged.is_null() | ~fn.EXISTS(_referring())  # with a file, or put back
        query = Instance.select(*columns).where((Instance.study == old.study) & unpacked).order_by(Instance.id)
        found = self._engine.rows(query.limit(BATCH + 1))
        rows, last = found[:BATCH], len(found) <= BATCH
        keys = [row[0] for row in rows]
        keeps = old.named or self._was_sent(old.study)
        if keeps:
            self._bury(old.study, keys, now)
        else:
            self._drop_instances(keys)
        gone = [row[1:4] for row in rows if row[4] is None]
        if last:
            self._finish(old, now, keeps=keeps, removes=bool(gone))
        elif not old.named:
            self._engine.run(Study.update(doubt=_PARTLY).where(Study.id == old.study))
        files = json.dumps(gone)
        number = self._engine.run(Removal.insert(study_uid=old.uid, files=files))
        return _files(number, old.uid, files)

    def _bury(self, study: int, keys: Sequence[int], now: datetime) -> None:
        """Pack rows, except of documents that refer to others: their references must be found without unpacking."""
        unsent = LedgerRow.instance.in_(keys) & (LedgerRow.state == Fate.SELECTED)
        self._engine.run(LedgerRow.update(state=Fate.GONE).where(unsent))
        self._engine.run(Instance.update(purged=now).where(Instance.id.in_(keys) & Instance.purged.is_null()))
        packs = Instance.select(Instance.id).where(Instance.id.in_(keys) & ~fn.EXISTS(_referring()))
        if mine := self._engine.column(packs):
            bury(self._engine, study, mine, fates_of(self._engine, mine), now)

    def _was_sent(self, study: int) -> bool:
        """Whether a destination has any of it. If none has, files that come again must be taken as new."""
        sent = (LedgerRow.study == study) & LedgerRow.state.in_([Fate.SENT, Fate.STORED])
        return has_tombstone(self._engine, study) or self._engine.has(LedgerRow.select(LedgerRow.id).where(sent))

    def _finish(self, old: Old, now: datetime, *, keeps: bool, removes: bool) -> None:
        if keeps:
            self._engine.run(Study.update(purged=now).where(Study.id == old.study))
        else:
            self._drop_study(old.study)
        subject = f"study {old.uid}"
        self._bus.record(Event(now, Kind.CLEARED, "the study is removed", alarm=Alarm.CUT_OFF, subject=subject))
        if removes:  # else its rows were only put back for a while; what came since would be among the last ones
            why = "everything of its exams is done" if old.named else "no exam named it"
            self._bus.record(Event(now, Kind.PURGED, f"the images are removed: {why}", study_uid=old.uid))

    def _drop_instances(self, keys: Sequence[int]) -> None:
        self._engine.run(Reference.delete().where(Reference.instance.in_(keys)))
        drop_rows(self._engine, keys)

    def _drop_study(self, study: int) -> None:
        for table in (Facts, StudyIdentity, StudyHospital, StudyAccession):
            self._engine.run(table.delete().where(table.study == study))
        self._engine.run(Study.delete().where(Study.id == study))

    # -- files

    def removals(self) -> list[Files]:
        """Files that a former run of the node did not get to remove."""
        rows = self._engine.rows(Removal.select(Removal.id, Removal.study_uid, Removal.files, Removal.places))
        return [_files(*row) for row in rows]

    @contextmanager
    def removing(self, files: Files) -> Iterator[Files]:
        """Those of the files that are still to go: none that has a row again, none where another node was first.

        While they go no other node catalogues into their study; that they are gone is noted at the end.
        """
        # of all hospitals: files are the node's
        same = Instance.sop_uid.in_([uids.sop for uids, _ in files.instances]) & Instance.purged.is_null()
        here = Instance.select(Study.uid, Instance.sop_uid, Instance.version).join(Study).where(same)
        with self._engine.lock_names({uids.study for uids, _ in files.instances}):
            if self._engine.has(Removal.select(Removal.id).where(Removal.id == files.number)):
                needed = set(self._engine.rows(here))
                left = [(u, version) for u, version in files.instances if (u.study, u.sop, version) not in needed]
                yield Files(files.number, left, files.places)
            else:
                yield Files(files.number, ())
            with self._engine.write():
                self._engine.run(Removal.delete().where(Removal.id == files.number))

    # -- what is older than the audit

    def expire(self, before: datetime) -> int:
        """Drop a batch of rows that are kept for the audit only: events, and what is known of purged studies.

        How an exam counted in the statistics goes with the events that it was counted by; the sums of days stay.
        """
        with self._engine.write():
            # Their numbers rise with time; by `at` there is no index.
            first = EventRow.select(EventRow.id, EventRow.at).order_by(EventRow.id).limit(BATCH)
            old = [number for number, at in self._engine.rows(first) if at < before]
            self._engine.run(EventRow.delete().where(EventRow.id.in_(old)))
            self._engine.run(OutcomeRow.delete().where(OutcomeRow.day < before.date().isoformat()))
        return len(old) + self._expire_instances(before)

    def _expire_instances(self, before: datetime) -> int:
        with self._engine.write():
            oldest = Study.select(Study.id).where(Study.purged < before).order_by(Study.purged).limit(1)
            study = self._engine.value(oldest)
            if study is None:
                return 0
            # As in `take`: what was added to it just now has made it a study that is here.
            mine = (Study.id == study) & (Study.purged < before)
            if not self._engine.run(Study.update(purged=Study.purged).where(mine)):
                return 1
            if packed := forget(self._engine, study):
                return packed
            keys = self._engine.column(Instance.select(Instance.id).where(Instance.study == study).limit(BATCH))
            self._drop_instances(keys)
            if len(keys) < BATCH:
                self._drop_study(study)
            return len(keys) + 1


def _links() -> Select:
    return ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid == Study.uid)


def _referring() -> Select:
    """Versions of the outer query's instance that refer to others."""
    document = Instance.alias()
    same = (document.study == Instance.study) & (document.sop_uid == Instance.sop_uid)
    return Reference.select(Reference.instance).join(document, on=Reference.instance == document.id).where(same)


def _done(before: datetime, now: datetime) -> Any:
    """The study has exams, none of them has anything to do, and nothing of it is held or uncommitted."""
    busy = Delivery.id.is_null() | Delivery.state.not_in(sorted(CLOSED)) | (Delivery.changed >= before)
    undone = (
        ExamStudy.select(ExamStudy.exam)
        .join(Exam)
        .join(Delivery, JOIN.LEFT_OUTER, on=Delivery.exam == ExamStudy.exam)
        .where((ExamStudy.study_uid == Study.uid) & (busy | (Exam.check_at <= now)))
    )
    open_ = LedgerRow.select(LedgerRow.id).where((LedgerRow.study == Study.id) & OPEN_IN_LEDGER)
    return fn.EXISTS(_links()) & ~fn.EXISTS(undone) & ~fn.EXISTS(open_)


def _files(number: int, study: str, files: str, places: str = "[]") -> Files:
    instances = [(InstanceUids(study, series, sop), version) for series, sop, version in json.loads(files)]
    return Files(number, instances, json.loads(places))
