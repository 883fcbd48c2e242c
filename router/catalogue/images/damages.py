"""Stored instances whose files are not what came: set aside at every destination until a sound copy is there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from peewee import fn

from router.catalogue.db.engine import Engine, Rows
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.images import Instance, LedgerRow, Study
from router.catalogue.exams.evaluation import evaluate, exams_of
from router.catalogue.images.ledger import Fate
from router.model import InstanceUids

_RANGE = 5000  # rows that a question looks at


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A stored instance version to read. `checksum`: XXH3-128, else SHA-256. `damaged`: why it is set aside, or ""."""

    key: int
    uids: InstanceUids
    version: int
    size: int
    checksum: str
    damaged: str


class Damages(Rows):
    """Instances set aside as damaged, and those to read again for it."""

    def set_aside(self, instance: int, why: str, now: datetime) -> None:
        """Note that the file of this version is damaged: it is sent nowhere, and its exams are evaluated."""
        selected = (LedgerRow.instance == instance) & (LedgerRow.state == Fate.SELECTED)
        with self._engine.write():
            self._engine.run(Instance.update(damaged=why).where(Instance.id == instance))
            self._engine.run(LedgerRow.update(state=Fate.DAMAGED, reason=why, at=now).where(selected))
            _touch(self._engine, instance, now)

    def mend(self, uids: InstanceUids, version: int, now: datetime) -> None:
        """Note that the file of this version is sound after all."""
        mend(self._engine, [(uids, version)], now)

    def studies(self) -> frozenset[str]:
        """Studies with a damaged instance that is still needed: here, and not replaced by a newer version."""
        # of all hospitals: files are the node's
        here = Instance.damaged.is_null(False) & Instance.purged.is_null() & Instance.newest
        query = Instance.select(Study.uid).join(Study).where(here).distinct()
        return frozenset(self._engine.column(query))

    def is_here(self, instance: int) -> bool:
        """Whether the version still has its file, as far as the rows say."""
        return self._engine.has(
            Instance.select(Instance.id).where((Instance.id == instance) & Instance.purged.is_null())
        )

    def last(self) -> int:
        """The largest number of an instance; 0 without one."""
        return int(self._engine.value(Instance.select(fn.COALESCE(fn.MAX(Instance.id), 0))))

    def unconfirmed(self, after: int, before: datetime) -> tuple[Sequence[Stored], int]:
        """The next instances after number `after`, come before `before`, that a destination may still get; and the last
        number that was looked at."""
        # of all hospitals: files are the node's
        until = after + _RANGE
        rows = LedgerRow.select(LedgerRow.id).where(LedgerRow.instance == Instance.id)
        open_ = LedgerRow.state.not_in([Fate.SENT, Fate.FILTERED])
        wanted = fn.EXISTS(rows.where(open_)) | (Instance.newest & ~fn.EXISTS(rows))
        columns = (Instance.id, Study.uid, Instance.series_uid, Instance.sop_uid, Instance.version, Instance.size,
                   Instance.checksum, Instance.digest, Instance.damaged)  # fmt: skip
        here = (Instance.id > after) & (Instance.id <= until) & Instance.purged.is_null() & (Instance.received < before)
        query = Instance.select(*columns).join(Study).where(here & wanted).order_by(Instance.id)
        found = [
            Stored(key=key, uids=InstanceUids(study, series, sop), version=version, size=size,
                   checksum=checksum or digest, damaged=damaged or "")
            for key, study, series, sop, version, size, checksum, digest, damaged in self._engine.rows(query)
        ]  # fmt: skip
        return found, until


def mend(engine: Engine, versions: Iterable[tuple[InstanceUids, int]], now: datetime) -> None:
    """Note that the files of these versions are sound: they are sent wherever they are still to be sent."""
    with engine.write():
        for uids, version in versions:
            mine = (Instance.sop_uid == uids.sop) & (Instance.version == version) & (Study.uid == uids.study)
            for (instance,) in engine.rows(Instance.select(Instance.id).join(Study).where(mine)):
                damaged = (LedgerRow.instance == instance) & (LedgerRow.state == Fate.DAMAGED)
                engine.run(Instance.update(damaged=None).where(Instance.id == instance))
                engine.run(LedgerRow.update(state=Fate.SELECTED, tries=0, reason="", at=now).where(damaged))
                _touch(engine, instance, now)


def _touch(engine: Engine, instance: int, now: datetime) -> None:
    """Have the exams of its study evaluated."""
    studies = Instance.select(Study.uid).join(Study).where(Instance.id == instance)
    evaluate(engine, Exam.id.in_(exams_of(studies)), now)
