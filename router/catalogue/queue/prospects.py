"""Prospects of a delivery that waits: its place in the queue, and when images of its exam came last."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice

from peewee import fn

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import ExamStudy
from router.catalogue.db.tables.images import Study
from router.catalogue.db.tables.queue import Delivery
from router.model import Channel

_MOST = 1000  # places are counted of so many that can still make it, and of as many that cannot
_PLACE = (Delivery.destination, Delivery.channel)
_READY = "FROM delivery WHERE destination = ? AND channel = ? AND state = 'ready'"
_FIRST = f"SELECT due, -critical, changed, id {_READY} AND hospital = ? AND due"
_IN_ORDER = f"ORDER BY due, critical DESC, changed, id LIMIT {_MOST}"
# How many deliveries of a place are ready, by hospital.
_COUNT = Statement(f"SELECT hospital, COUNT(*) {_READY} GROUP BY hospital", *_PLACE)
# The first of a hospital's that can still make it, and the first that cannot, each in the order of the claims.
_TIMELY = Statement(f"{_FIRST} > ? {_IN_ORDER}", *_PLACE, Delivery.hospital, Delivery.due)
_MISSED = Statement(f"{_FIRST} <= ? {_IN_ORDER}", *_PLACE, Delivery.hospital, Delivery.due)
# How many of them can still make it.
_COUNT_TIMELY = Statement(f"SELECT COUNT(*) {_READY} AND due > ?", *_PLACE, Delivery.due)


@dataclass(frozen=True, slots=True)
class Queued:
    """The places in the queue of the first ones, by delivery, from 1; `count` is how many are in it."""

    places: dict[int, int]
    count: int


class Prospects(Rows):
    """Reads the queue's index, and the studies of the exams that are asked for."""

    def queued(self, destination: str, channel: Channel, now: datetime) -> Queued:
        """In the order of due times: what is missed already comes after all that can still make it.

        They are claimed in this order where they are of one hospital; of several each has turns besides.
        """
        place = destination, channel
        counts = {str(hospital): int(count) for hospital, count in _COUNT.run(self._engine, *place)}
        if not counts:
            return Queued({}, 0)
        timely, missed = (self._first_of(one, place, counts, now) for one in (_TIMELY, _MISSED))
        before = int(_COUNT_TIMELY.run(self._engine, *place, now)[0][0]) if len(timely) == _MOST else len(timely)
        places = {number: n + 1 for n, number in enumerate(timely)}
        return Queued(places | {number: before + n + 1 for n, number in enumerate(missed)}, sum(counts.values()))

    def _first_of(
        self, statement: Statement, place: tuple[str, Channel], hospitals: Iterable[str], now: datetime
    ) -> list[int]:
        rows = (statement.run(self._engine, *place, one, now) for one in hospitals)
        return [int(row[-1]) for row in islice(merge(*rows), _MOST)]

    def last_images(self, exams: Sequence[int]) -> dict[int, datetime]:
        """When the last image of any study of each exam came; exams without images are left out."""
        found: dict[int, datetime] = {}
        for portion in portions(exams):
            query = (
                ExamStudy.select(ExamStudy.exam, fn.MAX(Study.last_received))
                .join(Study, on=ExamStudy.study_uid == Study.uid)
                .where(ExamStudy.exam.in_(list(portion)))
                .group_by(ExamStudy.exam)
            )
            found |= dict(self._engine.rows(query))
        return found
