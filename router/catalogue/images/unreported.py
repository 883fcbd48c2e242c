"""Studies that no exam names and reports that have come, with a number a day and the senders that need none."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.fields import instant
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.images import DismissedSender, Facts, Instance, Study, UnreportedDay
from router.matching.images.unreported import Reported, Waiting

_KEYWORDS = (
    "PatientID", "PatientName", "AccessionNumber", "StudyDescription", "StationName", "Manufacturer",
    "ManufacturerModelName", "StudyDate",
)  # fmt: skip
_HOUR = 3_600_000_000  # in an instant's microseconds
# A probe of the index for each study, never a join, for which PostgreSQL would read all of exam_study: years of exams.
# of all hospitals: by the study's own links
_UNNAMED = "s.purged IS NULL AND (SELECT 1 FROM exam_study e WHERE e.study_uid = s.uid LIMIT 1) IS NULL"
# The one hospital that brought a study.
_HOSPITAL = (
    "COALESCE((SELECT CASE WHEN COUNT(*) = 1 THEN MIN(h.hospital) END FROM study_hospital h"
    " WHERE h.study_id = s.id), '')"
)
_COLUMNS = (
    "s.uid, s.sending_ae, s.sending_address, s.device_modality, s.study_date, s.first_received, s.last_received,"
    f" {_HOSPITAL}"
)


# of all hospitals: each with its own
WAITING = f"SELECT {_COLUMNS} FROM study s WHERE {_UNNAMED}"  # noqa: S608 our own text
# of all hospitals: by the study's own links
_SINCE = "(SELECT MIN(e.since) FROM exam_study e WHERE e.study_uid = s.uid)"
_AT = f"(CASE WHEN since < came THEN came ELSE since END) / {_HOUR}"
REPORTED = (
    "WITH found AS MATERIALIZED ("  # noqa: S608 our own text
    f"SELECT s.sending_ae AS ae, s.study_date AS day, s.first_received AS came, {_SINCE} AS since,"
    f" {_HOSPITAL} AS hospital"
    " FROM study s WHERE s.last_received >= ?)"
    f" SELECT ae, day, {_AT}, MIN(came), hospital FROM found WHERE since IS NOT NULL"
    f" GROUP BY ae, day, {_AT}, hospital"
)
# Studies that no exam names, the oldest first; one of them.
_ALL_WAITING = Statement(f"{WAITING} ORDER BY s.first_received, s.id")
_ONE_WAITING = Statement(f"{WAITING} AND s.uid = ?", Study.uid)
# Header texts of the studies that no exam names.
# of all hospitals: each is judged by the rules of its own
_HEADERS = Statement(
    "SELECT s.uid, i.patient_id, i.name, i.accession_number, s.description, s.station_name, s.manufacturer,"  # noqa: S608 our own text
    f" s.model, s.study_date FROM study s JOIN study_identity i ON i.study_id = s.id WHERE {_UNNAMED}"
)
# Studies that exams name and that something came of since then: sender, study date, hour of the report, first arrival.
_REPORTED = Statement(REPORTED, Study.last_received)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Instances of a study, and their modalities in order."""

    instances: int
    modalities: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissal:
    """Studies of a sender need no report, as a person says: those that came until `until`, None while it has no end."""

    sender: str
    why: str
    who: str
    at: datetime
    until: datetime | None


class Unreported(Rows):
    """Counts by rows of studies; no instance is read for it but by `contents`."""

    def waiting(self) -> list[Waiting]:
        """Every study here that no exam names, the oldest first."""
        return [_waiting(row) for row in _ALL_WAITING.run(self._engine)]

    def waiting_of(self, study_uid: str) -> Waiting | None:
        """The study; None where it is not here, or an exam names it."""
        return next(map(_waiting, _ONE_WAITING.run(self._engine, study_uid)), None)

    def headers(self) -> dict[str, list[dict[str, str]]]:
        """By UID, headers of unnamed studies under the keywords of [[share.exclude]]: one a patient and order."""
        found: dict[str, list[dict[str, str]]] = defaultdict(list)
        for uid, *values in _HEADERS.run(self._engine):
            found[uid].append(dict(zip(_KEYWORDS, values, strict=True)))
        return found

    def reported(self, since: datetime) -> list[Reported]:
        """Studies of which something came since then and that exams name, by sender, study date and hour."""
        return [
            Reported(
                sender=sender, study_date=day, came=instant(int(came)), at=instant(int(hour) * _HOUR), hospital=hospital
            )
            for sender, day, hour, came, hospital in _REPORTED.run(self._engine, since)
        ]

    def contents(self, study_uids: Sequence[str]) -> dict[str, Contents]:
        """How many instances these studies have, and of which modalities."""
        names: dict[int, str] = {}
        counts: dict[int, int] = {}
        modalities: dict[int, set[str]] = defaultdict(set)
        for some in portions(study_uids):
            here = dict(self._engine.rows(Study.select(Study.id, Study.uid).where(Study.uid.in_(some))))
            names |= here
            count = Instance.select(Instance.study, fn.COUNT(fn.DISTINCT(Instance.sop_uid)))
            mine = Instance.study.in_(list(here))
            counts |= dict(self._engine.rows(count.where(mine).group_by(Instance.study)))
            facts = Facts.select(Facts.study, Facts.body).where(Facts.study.in_(list(here)))
            for study, body in self._engine.rows(facts):
                modalities[study].add(json.loads(body).get("modality", ""))
        return {
            uid: Contents(instances=counts.get(number, 0), modalities=tuple(sorted(modalities[number] - {""})))
            for number, uid in names.items()
        }

    # -- day by day

    def note(self, day: str, number: int) -> None:
        """Keep the number of the day, an ISO date."""
        row = UnreportedDay.insert(day=day, number=number)
        row = row.on_conflict(conflict_target=[UnreportedDay.day], update={UnreportedDay.number: number})
        with self._engine.write():
            self._engine.run(row)

    def numbers(self, first: str, end: str) -> list[int]:
        """The numbers of the days from `first` to before `end`; older ones are removed."""
        with self._engine.write():
            self._engine.run(UnreportedDay.delete().where(UnreportedDay.day < first))
        query = UnreportedDay.select(UnreportedDay.number).where(UnreportedDay.day < end).order_by(UnreportedDay.day)
        return self._engine.column(query)

    # -- dismissed

    def dismissals(self) -> list[Dismissal]:
        """All dismissals."""
        rows: Any = self._engine.run(DismissedSender.select().order_by(DismissedSender.at))
        return [Dismissal(sender=r.sender, why=r.why, who=r.who, at=r.at, until=r.until) for r in rows]

    def dismiss(self, sender: str, why: str, who: str, at: datetime) -> None:
        """Keep that the sender's studies need no report, as a person says, until one of them gets its."""
        row = DismissedSender.insert(sender=sender, why=why, who=who, at=at, until=None)
        kept = [DismissedSender.why, DismissedSender.who, DismissedSender.at, DismissedSender.until]
        with self._engine.write():
            self._engine.run(row.on_conflict(conflict_target=[DismissedSender.sender], preserve=kept))

    def end(self, sender: str, until: datetime) -> None:
        """End the dismissal: a report of the sender came, so its studies count again from then on."""
        with self._engine.write():
            self._engine.run(DismissedSender.update(until=until).where(DismissedSender.sender == sender))


def _waiting(row: tuple[Any, ...]) -> Waiting:
    uid, sender, address, modality, study_date, came, last, hospital = row
    return Waiting(
        study_uid=uid, sender=sender, address=address, modality=modality, study_date=study_date, came=instant(came),
        last=instant(last), hospital=hospital,
    )  # fmt: skip
