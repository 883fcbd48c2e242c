"""Identities whose texts were read by the rules of an older version, to be read again."""

from dataclasses import dataclass

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.images import READING, Instance, Study, StudyAccession, StudyIdentity
from router.catalogue.images.instances import accession_numbers, identity_row
from router.catalogue.images.studies import is_outdated
from router.model import Header, InstanceUids


@dataclass(frozen=True, slots=True)
class Outdated:
    """A row of StudyIdentity, and an instance whose file says what it should be."""

    identity: int
    uids: InstanceUids
    version: int


class Readings(Rows):
    """The identities of a study, as far as they are to be read again."""

    def outdated(self, study_uid: str) -> list[Outdated]:
        """The identities of which a file is left, each with the latest."""
        rows = self._engine.run(StudyIdentity.select().join(Study).where(Study.uid == study_uid))
        latest = Instance.select(Instance.series_uid, Instance.sop_uid, Instance.version).order_by(Instance.id.desc())
        found: list[Outdated] = []
        for row in filter(is_outdated, rows):
            mine = (Instance.study == row.study_id) & (Instance.identity == row.id) & Instance.purged.is_null()
            for series, sop, version in self._engine.rows(latest.where(mine).limit(1)):
                found.append(Outdated(row.id, InstanceUids(study_uid, series, sop), version))
        return found

    def renew(self, identity: int, header: Header) -> None:
        """Set the row to the header as read by today's rules; where such a row exists it takes the instances."""
        with self._engine.write():
            study = self._engine.run(StudyIdentity.select().where(StudyIdentity.id == identity))[0].study_id
            now = identity_row(study, header)
            same = (StudyIdentity.study == study) & (StudyIdentity.digest == now["digest"])
            others = [row.id for row in self._engine.run(StudyIdentity.select().where(same)) if row.id != identity]
            if others:
                mine = (Instance.study == study) & (Instance.identity == identity)
                self._engine.run(Instance.update(identity=others[0]).where(mine))
                now = {"reading": READING}
            self._engine.run(StudyIdentity.update(now).where(StudyIdentity.id == identity))
            for number in accession_numbers(header):
                row = StudyAccession.insert(study=study, accession_number=number)
                self._engine.run(row.on_conflict_ignore())
