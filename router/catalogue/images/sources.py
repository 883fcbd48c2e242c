"""Arrivals by source and hour, and the sources that a person says are not to be waited for."""

from collections import defaultdict
from collections.abc import Sequence
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
    f"SELECT '', sending_ae, first_received / {_HOUR}, COUNT(*), MAX(last_received) FROM study"  # noqa: S608 our own text
    f" WHERE last_received >= ? GROUP BY sending_ae, first_received / {_HOUR}", Study.last_received,
)  # fmt: skip
_STUDIES_OF = Statement(
    f"SELECT h.hospital, s.sending_ae, s.first_received / {_HOUR}, COUNT(*), MAX(s.last_received) FROM study s"  # noqa: S608 our own text
    " JOIN study_hospital h ON h.study_id = s.id"
    f" WHERE s.last_received >= ? GROUP BY h.hospital, s.sending_ae, s.first_received / {_HOUR}", Study.last_received,
)  # fmt: skip
# Exam JSONs that came since then, by hospital and hour.
_REPORTS = Statement(
    f"SELECT e.hospital, e.hospital, d.arrived / {_HOUR}, COUNT(*), MAX(d.arrived)"  # noqa: S608 our own text
    " FROM document d JOIN exam e ON e.id = d.exam_id"
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

    def senders(self, since: datetime, hospitals: Sequence[str] = ()) -> list[Source]:
        """Every AE title of which images came since then, of these hospitals or of all, by name."""
        return self._sources(_STUDIES_OF if hospitals else _STUDIES, since, hospitals)

    def reports(self, since: datetime, hospitals: Sequence[str] = ()) -> list[Source]:
        """Each of these hospitals, or of all, of which an exam JSON came since then; "" where there is one alone."""
        return self._sources(_REPORTS, since, hospitals)

    def _sources(self, statement: Statement, since: datetime, hospitals: Sequence[str]) -> list[Source]:
        hours: dict[str, dict[datetime, int]] = defaultdict(lambda: defaultdict(int))
        last: dict[str, datetime] = {}
        for hospital, name, hour, count, at in statement.run(self._engine, since):
            if hospitals and hospital not in hospitals:
                continue
            hours[name][instant(int(hour) * _HOUR)] += int(count)
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
