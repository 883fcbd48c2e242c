"""Arrivals by source and hour, and the sources that a person says are not to be waited for."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from router.catalogue.db.engine import Rows
from router.catalogue.db.fields import instant
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Document
from router.catalogue.db.tables.images import Study
from router.catalogue.db.tables.outcomes import SilentSourceRow as Row
from router.policy.sources import Source

_HOUR = 3_600_000_000  # in an instant's microseconds
# Studies that came since then, by sender and hour, and when images of them came last.
# of all hospitals: a sender is a device or a PACS, whoever's images it brings
_STUDIES = Statement(
    f"SELECT sending_ae, first_received / {_HOUR}, COUNT(*), MAX(last_received) FROM study WHERE last_received >= ?"  # noqa: S608 our own text
    f" GROUP BY sending_ae, first_received / {_HOUR}", Study.last_received,
)  # fmt: skip
# Exam JSONs that came since then, by hospital and hour.
_REPORTS = Statement(
    f"SELECT e.hospital, d.arrived / {_HOUR}, COUNT(*), MAX(d.arrived) FROM document d JOIN exam e ON e.id = d.exam_id"  # noqa: S608 our own text
    f" WHERE d.kind = 'json' AND d.arrived >= ? GROUP BY e.hospital, d.arrived / {_HOUR}", Document.arrived,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DismissedSource:
    """A source that a person says is not to be waited for, until it sends again."""

    source: str
    why: str
    who: str
    at: datetime


class Sources(Rows):
    """Reads rows of studies and documents alone."""

    def senders(self, since: datetime) -> list[Source]:
        """Every AE title of which images came since then, by name."""
        return self._sources(_STUDIES, since)

    def reports(self, since: datetime) -> list[Source]:
        """Every hospital of which an exam JSON came since then, "" where the node serves one alone."""
        return self._sources(_REPORTS, since)

    def _sources(self, statement: Statement, since: datetime) -> list[Source]:
        hours: dict[str, dict[datetime, int]] = defaultdict(dict)
        last: dict[str, datetime] = {}
        for name, hour, count, at in statement.run(self._engine, since):
            hours[name][instant(int(hour) * _HOUR)] = int(count)
            last[name] = max(instant(int(at)), last.get(name, instant(int(at))))
        return [Source(name=name, hours=hours[name], last=last[name]) for name in sorted(hours)]

    def dismissed(self) -> list[DismissedSource]:
        """The sources that are not to be waited for."""
        rows = self._engine.run(Row.select().order_by(Row.source).dicts())
        return [DismissedSource(**row) for row in rows]

    def dismiss(self, source: str, why: str, who: str, at: datetime) -> None:
        """Do not wait for the source until it sends again."""
        with self._engine.write():
            self._engine.run(Row.delete().where(Row.source == source))
            self._engine.run(Row.insert(source=source, why=why, who=who, at=at))

    def end(self, source: str) -> None:
        """It has sent again: wait for it as before."""
        with self._engine.write():
            self._engine.run(Row.delete().where(Row.source == source))
