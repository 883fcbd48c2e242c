"""Corrections: exams whose patient's data may have changed since a delivery, and the data they were sent under."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from peewee import fn

from router.catalogue.db.engine import Rows
from router.catalogue.db.fields import instant
from router.catalogue.db.tables.exams import Document, ExamStudy
from router.catalogue.db.tables.images import Instance, LedgerRow, Study, StudyIdentity
from router.catalogue.images.ledger import Fate
from router.catalogue.images.studies import identities
from router.catalogue.images.tombstones import packed
from router.model import Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class Borne:
    """A version of an instance, the patient in its header, when it came, and when it was sent, by destination."""

    sop_uid: str
    version: int
    patient: Patient
    received: datetime
    sent: Mapping[str, datetime] = field(default_factory=dict)


_Row = tuple[str, int, int, datetime, dict[str, datetime]]


class Corrections(Rows):
    """Reads only."""

    def candidates(self, since: datetime) -> list[int]:
        """Exams of which a JSON or an image has come since then, and whose JSONs, or images, are not all alike."""
        # of all hospitals: each exam is then compared with its own studies
        other = Document.alias()
        differs = (other.exam == Document.exam) & (other.kind == "json") & (other.digest != Document.digest)
        came = (Document.kind == "json") & Document.purged.is_null() & (Document.arrived >= since)
        changed = came & Document.exam.is_null(False) & fn.EXISTS(other.select(other.id).where(differs))
        several = StudyIdentity.select(fn.COUNT(StudyIdentity.id)).where(StudyIdentity.study == Study.id)
        images = ExamStudy.select(ExamStudy.exam).join(Study, on=Study.uid == ExamStudy.study_uid)
        images = images.where((Study.last_received >= since) & (several > 1))
        jsons = self._engine.column(Document.select(Document.exam).where(changed))
        return sorted({*jsons, *self._engine.column(images)})

    def sent(self, study_uids: Iterable[str]) -> list[Borne]:
        """Every version of the studies' instances, also where the files are purged, by SOP instance and version."""
        studies = self._engine.column(Study.select(Study.id).where(Study.uid.in_(list(study_uids))))
        rows = [row for study in studies for row in (*self._here(study), *self._packed(study))]
        names = identities(self._engine, {row[2] for row in rows})
        return [
            Borne(sop_uid=sop, version=version, patient=names[identity].patient, received=received, sent=sent)
            for sop, version, identity, received, sent in sorted(rows, key=lambda row: row[:2])
            if identity in names
        ]

    def _here(self, study: int) -> list[_Row]:
        sent: dict[int, dict[str, datetime]] = defaultdict(dict)
        went = (LedgerRow.study == study) & (LedgerRow.state == Fate.SENT)
        query = LedgerRow.select(LedgerRow.instance, LedgerRow.destination, LedgerRow.at).where(went)
        for key, place, at in self._engine.rows(query):
            sent[key][place] = at
        columns = (Instance.id, Instance.sop_uid, Instance.version, Instance.identity, Instance.received)
        rows = self._engine.rows(Instance.select(*columns).where(Instance.study == study))
        return [(sop, version, identity, received, sent.get(key, {})) for key, sop, version, identity, received in rows]

    def _packed(self, study: int) -> list[_Row]:
        found: list[_Row] = []
        for instances, entries in packed(self._engine, [study]):
            sent: dict[int, dict[str, datetime]] = defaultdict(dict)
            for row in entries:
                if row["state"] == Fate.SENT:
                    sent[row["instance_id"]][row["destination"]] = instant(row["at"])
            found += [
                (one["sop_uid"], one["version"], one["identity"], instant(one["received"]), sent.get(n, {}))
                for n, one in enumerate(instances)
            ]
        return found
