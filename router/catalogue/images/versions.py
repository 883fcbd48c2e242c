"""Newer versions of instances that a destination has."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.images import Instance, LedgerRow, Study
from router.catalogue.images.ledger import Fate
from router.catalogue.images.studies import identities
from router.matching.images.renewal import Fingerprint

# What may differ between two versions, by column.
_MATTERS = {
    "series_uid": "series", "identity": "patient or order", "orientation": "laterality, orientation or position",
    "pixels": "pixel data",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """A version of an instance that has several; `differs` is what matters in it beside the one before."""

    study_uid: str
    series_uid: str
    sop_uid: str
    version: int
    newest: bool
    received: datetime
    differs: tuple[str, ...]


class Versions(Rows):
    """Instances that came again."""

    def renewed(self, destination: str, instances: Iterable[int]) -> dict[int, tuple[Fingerprint, Fingerprint]]:
        """For each of the instances of which the destination has an older version: its latest one there, and this."""
        newer, older = Instance.alias(), Instance.alias()
        query = (
            newer.select(newer.id, older.identity, older.orientation, older.pixels,
                         newer.identity, newer.orientation, newer.pixels)
            .join(older, on=(older.study == newer.study) & (older.sop_uid == newer.sop_uid))
            .join(LedgerRow, on=LedgerRow.instance == older.id)
            .where(older.version < newer.version)
            .where((LedgerRow.destination == destination) & LedgerRow.state.in_([Fate.SENT, Fate.STORED]))
            .order_by(older.version)
        )  # fmt: skip
        rows = [row for some in portions(list(instances)) for row in self._engine.rows(query.where(newer.id.in_(some)))]
        names = identities(self._engine, {number for row in rows for number in (row[1], row[4])})
        return {row[0]: (Fingerprint(names[row[1]], *row[2:4]), Fingerprint(names[row[4]], *row[5:])) for row in rows}

    def several(self, study_uids: Iterable[str]) -> list[Several]:
        """Every version of the studies' instances that came in several, by instance."""
        again = Instance.alias()
        sops = again.select(again.sop_uid).where((again.study == Instance.study) & (again.version > 1))
        query = Instance.select(Instance, Study.uid).join(Study)
        mine = Study.uid.in_(list(study_uids)) & Instance.sop_uid.in_(sops)
        rows: Any = self._engine.run(query.where(mine).order_by(Study.uid, Instance.sop_uid, Instance.version))
        return [
            Several(
                study_uid=row.study.uid, series_uid=row.series_uid, sop_uid=row.sop_uid, version=row.version,
                newest=row.newest, received=row.received, differs=_differs(before, row),
            )
            for before, row in pairwise([None, *rows])
        ]  # fmt: skip


def _differs(before: Any, row: Any) -> tuple[str, ...]:
    if before is None or before.sop_uid != row.sop_uid:
        return ()
    return tuple(word for name, word in _MATTERS.items() if getattr(before, name) != getattr(row, name))
