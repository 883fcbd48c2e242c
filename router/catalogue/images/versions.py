"""Newer versions of instances that a destination has."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.images import Instance, LedgerRow, Study, StudyIdentity
from router.catalogue.images.ledger import Fate
from router.catalogue.images.studies import identity_of
from router.matching.images.renewal import Fingerprint
from router.matching.patient.identity import StudyIdentity as Identity

_THERE = (Fate.SENT, Fate.STORED)


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
            .where((LedgerRow.destination == destination) & LedgerRow.state.in_(_THERE))
            .order_by(older.version)
            .tuples()
        )  # fmt: skip
        rows = [row for some in portions(list(instances)) for row in self._engine.run(query.where(newer.id.in_(some)))]
        names = self._identities({number for row in rows for number in (row[1], row[4])})
        return {row[0]: (Fingerprint(names[row[1]], *row[2:4]), Fingerprint(names[row[4]], *row[5:])) for row in rows}

    def several(self, study_uids: Iterable[str]) -> list[Several]:
        """Every version of the studies' instances that came in several, by instance."""
        again = Instance.alias()
        sops = again.select(again.sop_uid).where((again.study == Instance.study) & (again.version > 1))
        query = Instance.select(Instance, Study.uid).join(Study)
        mine = Study.uid.in_(list(study_uids)) & Instance.sop_uid.in_(sops)
        rows: Any = self._engine.run(query.where(mine).order_by(Study.uid, Instance.sop_uid, Instance.version))
        found: list[Several] = []
        before: Any = None
        for row in rows:
            differs = _differs(before, row) if before is not None and before.sop_uid == row.sop_uid else ()
            found.append(
                Several(
                    study_uid=row.study.uid, series_uid=row.series_uid, sop_uid=row.sop_uid, version=row.version,
                    newest=row.newest, received=row.received, differs=differs,
                )
            )  # fmt: skip
            before = row
        return found

    def _identities(self, numbers: set[int]) -> dict[int, Identity]:
        found: dict[int, Identity] = {}
        for some in portions(sorted(numbers)):
            rows: Any = self._engine.run(StudyIdentity.select().where(StudyIdentity.id.in_(some)))
            found |= {row.id: identity_of(row) for row in rows}
        return found


def _differs(before: Any, row: Any) -> tuple[str, ...]:
    same = {
        "series": before.series_uid == row.series_uid, "patient or order": before.identity == row.identity,
        "laterality, orientation or position": before.orientation == row.orientation,
        "pixel data": before.pixels == row.pixels,
    }  # fmt: skip
    return tuple(name for name, equal in same.items() if not equal)
