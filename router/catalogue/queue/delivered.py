"""Deliveries that ended, read for another look at them: nothing here writes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from peewee import fn

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.exams import Disagreement
from router.catalogue.db.tables.images import Instance, Study
from router.catalogue.db.tables.queue import Delivery
from router.catalogue.images.studies import identities
from router.matching.patient.identity import StudyIdentity as Identity
from router.model import Channel, InstanceUids
from router.policy.states import State

Files = Mapping[Identity, tuple[InstanceUids, int]]
"""For each identity of a study an instance that bears it and is still here: its UIDs and version."""


class Delivered(Rows):
    """Deliveries that are `delivered`, and the rows that they were decided by."""

    def since(self, at: datetime) -> dict[int, dict[int, Channel]]:
        """By exam, the last delivered first: what was delivered of it since then, each delivery with its channel."""
        columns = (Delivery.exam, Delivery.id, Delivery.channel)
        query = Delivery.select(*columns).where((Delivery.state == State.DELIVERED) & (Delivery.delivered_at >= at))
        found: dict[int, dict[int, Channel]] = defaultdict(dict)
        for exam, number, channel in self._engine.rows(query.order_by(Delivery.delivered_at.desc())):
            found[exam][number] = Delivery.channel.word(channel, number)
        return found

    def settled(self, exam: int) -> frozenset[str]:
        """The digests of the disagreements that a person has settled."""
        mine = (Disagreement.exam == exam) & (Disagreement.who != "")
        return frozenset(self._engine.column(Disagreement.select(Disagreement.digest).where(mine)))

    def files(self, studies: Iterable[str]) -> dict[str, Files]:
        """One instance for each identity of the studies, by study; none where all of them are purged."""
        found: dict[str, dict[Identity, tuple[InstanceUids, int]]] = defaultdict(dict)
        place = (Study.uid, Instance.series_uid, Instance.sop_uid, Instance.version, Instance.identity)
        for some in portions(list(studies)):
            here = Study.uid.in_(some) & Instance.newest & Instance.purged.is_null()
            first = Instance.select(fn.MIN(Instance.id)).join(Study).where(here)
            firsts = self._engine.column(first.group_by(Instance.study, Instance.identity))
            rows = self._engine.rows(Instance.select(*place).join(Study).where(Instance.id.in_(firsts)))
            names = identities(self._engine, {row[4] for row in rows})
            for study, series, sop, version, identity in rows:
                found[study][names[identity]] = (InstanceUids(study, series, sop), version)
        return dict(found)
