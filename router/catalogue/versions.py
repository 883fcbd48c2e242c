"""Newer versions of what a destination has already."""

from collections.abc import Iterable
from typing import Any

from router.catalogue.dialect import Engine, portions
from router.catalogue.exams import identity_of
from router.catalogue.ledger import Fate
from router.catalogue.tables import Instance, Ledger, StudyIdentity
from router.correlate.identity import StudyIdentity as Identity
from router.correlate.renewal import Fingerprint

_THERE = (Fate.SENT, Fate.STORED)


class Versions:
    """Instances that came again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def renewed(self, destination: str, instances: Iterable[int]) -> dict[int, tuple[Fingerprint, Fingerprint]]:
        """For each of the instances of which the destination has an older version: its latest one there, and this."""
        newer, older = Instance.alias(), Instance.alias()
        query = (
            newer.select(newer.id, older.identity, older.orientation, older.pixels,
                         newer.identity, newer.orientation, newer.pixels)
            .join(older, on=(older.study == newer.study) & (older.sop_uid == newer.sop_uid))
            .join(Ledger, on=Ledger.instance == older.id)
            .where((older.version < newer.version) & (Ledger.destination == destination) & Ledger.state.in_(_THERE))
            .order_by(older.version)
            .tuples()
        )  # fmt: skip
        rows = [row for some in portions(list(instances)) for row in self._engine.run(query.where(newer.id.in_(some)))]
        names = self._identities({number for row in rows for number in (row[1], row[4])})
        return {row[0]: (Fingerprint(names[row[1]], *row[2:4]), Fingerprint(names[row[4]], *row[5:])) for row in rows}

    def _identities(self, numbers: set[int]) -> dict[int, Identity]:
        found: dict[int, Identity] = {}
        for some in portions(sorted(numbers)):
            rows: Any = self._engine.run(StudyIdentity.select().where(StudyIdentity.id.in_(some)))
            found |= {row.id: identity_of(row) for row in rows}
        return found
