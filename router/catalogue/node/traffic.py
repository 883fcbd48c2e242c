"""Traffic of the last days: what came, was approved and was confirmed by the hour, and who sends how much when.

Every statement reads the end of an index, so that it takes no longer as the tables grow.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from router.catalogue.db.engine import Rows
from router.catalogue.db.fields import instant
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Document, Exam
from router.catalogue.db.tables.images import Study
from router.catalogue.db.tables.queue import Delivery

USUAL_DAYS = 7
_FEWEST_DAYS = 3  # with anything, for a usual number
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_HOUR_US, _DAY_US = 3_600_000_000, 86_400_000_000
# of all hospitals: those that a study is of are asked for by `_RECEIVED_OF`
_RECEIVED = Statement(
    f"SELECT '', (last_received - ?) / {_HOUR_US} AS hour, COUNT(*) FROM study"  # noqa: S608 our own text
    " WHERE last_received >= ? AND last_received <= ? GROUP BY hour", *[Study.last_received] * 3,
)  # fmt: skip
_RECEIVED_OF = Statement(
    f"SELECT h.hospital, (s.last_received - ?) / {_HOUR_US} AS hour, COUNT(*) FROM study s"  # noqa: S608 our own text
    " JOIN study_hospital h ON h.study_id = s.id"
    " WHERE s.last_received >= ? AND s.last_received <= ? GROUP BY h.hospital, hour", *[Study.last_received] * 3,
)  # fmt: skip
_APPROVED = Statement(
    f"SELECT hospital, (approved_at - ?) / {_HOUR_US} AS hour, COUNT(*) FROM exam"  # noqa: S608 our own text
    " WHERE approved_at >= ? AND approved_at <= ? GROUP BY hospital, hour", *[Exam.approved_at] * 3,
)  # fmt: skip
_CONFIRMED = Statement(
    f"SELECT hospital, (delivered_at - ?) / {_HOUR_US} AS hour, COUNT(*) FROM delivery"  # noqa: S608 our own text
    " WHERE delivered_at >= ? AND delivered_at <= ? GROUP BY hospital, hour", *[Delivery.delivered_at] * 3,
)  # fmt: skip
# Days back from now, whole ones: all of a day, those up to the present time of the day, the last one.
_BY_DAY = (
    f"(? - {{0}}) / {_DAY_US} AS day, COUNT(*),"
    f" SUM(CASE WHEN {{0}} >= ? - (? - {{0}}) / {_DAY_US} * {_DAY_US} THEN 1 ELSE 0 END), MAX({{0}})"
)
# of all hospitals: those that a study is of are asked for by `_SENDERS_OF`
_SENDERS = Statement(
    f"SELECT '', sending_ae, {_BY_DAY.format('last_received')} FROM study"  # noqa: S608 our own text
    " WHERE last_received > ? AND last_received <= ? GROUP BY sending_ae, day",
    *[Study.last_received] * 5,
)  # fmt: skip
_SENDERS_OF = Statement(
    f"SELECT h.hospital, s.sending_ae, {_BY_DAY.format('s.last_received')} FROM study s"  # noqa: S608 our own text
    " JOIN study_hospital h ON h.study_id = s.id"
    " WHERE s.last_received > ? AND s.last_received <= ? GROUP BY h.hospital, s.sending_ae, day",
    *[Study.last_received] * 5,
)  # fmt: skip
_REPORTS = Statement(
    f"SELECT e.hospital, e.hospital, {_BY_DAY.format('d.arrived')} FROM document d LEFT JOIN exam e ON e.id = d.exam_id"  # noqa: S608 our own text
    " WHERE d.kind = 'json' AND d.purged IS NULL AND d.arrived > ? AND d.arrived <= ? GROUP BY e.hospital, day",
    *[Document.arrived] * 5,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Counts of a day by the hour from its `start` on: studies by their last image, exams, deliveries."""

    start: datetime
    received: tuple[int, ...]
    approved: tuple[int, ...]
    confirmed: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Arrivals from one source: when the last came, how many today, how many are usual by this time of the day.

    `usual` is the median of the former days, None where too few of them are known.
    """

    name: str
    last: datetime
    today: int
    usual: float | None


class Traffic(Rows):
    """Reads only. `hospitals` are those that the counts are of; where none is named, all.

    A study of a shared PACS is of none of them, and one that two hospitals brought is counted for each.
    """

    def hours(self, start: datetime, now: datetime, hospitals: tuple[str, ...] = ()) -> Hours:
        """The day that began at `start`, up to `now`."""
        count = (now - start) // _HOUR + 1

        def counted(statement: Statement) -> tuple[int, ...]:
            found: Counter[int] = Counter()
            for hospital, hour, number in statement.run(self._engine, start, start, now):
                if not hospitals or hospital in hospitals:
                    found[int(hour)] += int(number)
            return tuple(found[hour] for hour in range(count))

        return Hours(
            start=start, received=counted(_RECEIVED_OF if hospitals else _RECEIVED), approved=counted(_APPROVED),
            confirmed=counted(_CONFIRMED),
        )  # fmt: skip

    def senders(self, start: datetime, now: datetime, hospitals: tuple[str, ...] = ()) -> list[Flow]:
        """Studies by the AE title that sent their first image, the latest first."""
        return self._flows(_SENDERS_OF if hospitals else _SENDERS, start, now, hospitals)

    def reports(self, start: datetime, now: datetime, hospitals: tuple[str, ...] = ()) -> list[Flow]:
        """Exam JSONs by the hospital that their exam is filed under."""
        return self._flows(_REPORTS, start, now, hospitals)

    def _flows(
        self, statement: Statement, start: datetime, now: datetime, hospitals: tuple[str, ...]
    ) -> list[Flow]:  # fmt: skip
        since = now - (USUAL_DAYS + 1) * _DAY
        of: dict[str, list[tuple[int, int, int]]] = {}
        for hospital, name, day, _, until_now, last in statement.run(self._engine, now, start, now, since, now):
            if not hospitals or hospital in hospitals:
                of.setdefault(name or "", []).append((int(day), int(until_now), int(last)))
        found = [_flow(name, days) for name, days in of.items()]
        return sorted(found, key=lambda one: one.last, reverse=True)


def _flow(name: str, days: Sequence[tuple[int, int, int]]) -> Flow:
    counts: Counter[int] = Counter()
    for day, until_now, _ in days:
        counts[day] += until_now
    former = [counts[day] for day in range(1, USUAL_DAYS + 1)]
    return Flow(
        name=name, last=instant(max(last for _, _, last in days)), today=counts[0],
        usual=median(former) if sum(day > 0 for day in {day for day, _, _ in days}) >= _FEWEST_DAYS else None,
    )  # fmt: skip
