"""Instances and studies as they were received."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from peewee import fn

from router.catalogue.dialect import Engine, portions
from router.catalogue.members import facts_numbers
from router.catalogue.notes import note_references
from router.catalogue.statement import Among, InsertMany
from router.catalogue.tables import Exam, ExamStudy, Instance, Study, StudyAccession, StudyIdentity
from router.catalogue.tombstones import of_instances, revive
from router.model import NO_DEVICE, Digests, Header, InstanceUids, SeriesClass


@dataclass(frozen=True, slots=True)
class Known:
    """A version of an instance that has a row; `purged`: its file went by retention."""

    study_uid: str
    version: int
    digest: str
    purged: bool = False


@dataclass(frozen=True, slots=True)
class NewInstance:
    """An instance version to be given a row. `size` is the file's, in bytes."""

    header: Header
    version: int
    digests: Digests
    size: int
    series_class: SeriesClass
    rule: str
    received: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of an instance, for those who compare it with its file."""

    uids: InstanceUids
    version: int
    digest: str


_PAGE = 5000
_NEW_INSTANCES = InsertMany(Instance)
_KNOWN = Among(
    "SELECT sop_uid, study.uid, version, digest, instance.purged"
    " FROM instance JOIN study ON study.id = study_id WHERE sop_uid IN (?)",
    Instance.sop_uid,
)
_VERSIONS = Among("SELECT sop_uid, version FROM instance WHERE study_id = ? AND sop_uid IN (?)", Instance.sop_uid)


class Instances:
    """The index of filed instances."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def known(self, sop_uids: Iterable[str]) -> dict[str, list[Known]]:
        """The versions that have rows, in order, by SOP instance UID, whatever the study; tombstones' get them."""
        found: dict[str, list[Known]] = defaultdict(list)
        sops = list(set(sop_uids))
        revive(self._engine, of_instances(self._engine, sops))
        rows = _KNOWN.run(self._engine, sops)
        for sop, study, version, digest, purged in sorted(rows, key=itemgetter(2)):
            found[sop].append(Known(study, version, digest, purged is not None))
        return found

    def alone_with(self, study_uids: Iterable[str]) -> AbstractContextManager[None]:
        """While no other node catalogues instances of these studies: of two that find one new, one would be second."""
        return self._engine.alone_with(study_uids)

    def together(self) -> AbstractContextManager[None]:
        """One transaction for what is done within."""
        return self._engine.write()

    def add(self, batch: Sequence[NewInstance]) -> None:
        """Give rows to a batch whose files have their places, and have every exam evaluated that it concerns."""
        by_study: dict[str, list[NewInstance]] = defaultdict(list)
        for new in batch:
            by_study[new.header.uids.study].append(new)
        with self._engine.write():
            for uid, news in sorted(by_study.items()):
                study = self._study(uid, news)
                identities = self._identities(study, news)
                for portion in portions(list(zip(news, identities, strict=True))):
                    self._rows(study, portion)
                self._touch_exams(study, uid, news[-1].received)
            note_references(self._engine, batch)

    def again(self, study_uid: str, received: datetime) -> None:
        """Something of the study came once more: while no exam names it, it stays its full time from now on."""
        here = (Study.uid == study_uid) & Study.purged.is_null() & (Study.last_received < received)
        links = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid == Study.uid)
        with self._engine.write():
            self._engine.run(Study.update(last_received=received).where(here & ~fn.EXISTS(links)))

    def doubt(self, study_uids: Iterable[str], text: str, now: datetime) -> None:
        """Mark studies as doubtful: every exam that has one of them is held."""
        with self._engine.write():
            self._engine.run(Study.update(doubt=text).where(Study.uid.in_(list(study_uids))))
            linked = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid.in_(list(study_uids)))
            self._engine.run(Exam.update(touched=Exam.touched + 1, check_at=now).where(Exam.id.in_(linked)))

    def walk(self) -> Iterable[Recorded]:
        """Every row that has its file, page by page: there are millions, and no transaction stays open in between."""
        columns = (Instance.id, Study.uid, Instance.series_uid, Instance.sop_uid, Instance.version, Instance.digest)
        query = Instance.select(*columns).join(Study).order_by(Instance.id).limit(_PAGE).tuples()
        last = 0
        while rows := self._engine.run(query.where((Instance.id > last) & Instance.purged.is_null())):
            last = rows[-1][0]
            for _, study, series, sop, version, digest in rows:
                yield Recorded(InstanceUids(study, series, sop), version, digest)

    def _study(self, uid: str, news: Sequence[NewInstance]) -> int:
        first, last = news[0], news[-1]
        head = first.header
        device = _device(next((new.header for new in news if new.header.facts.modality not in NO_DEVICE), head))
        row = Study.insert(
            uid=uid, accession_number=head.accession_number, study_date=head.study_date, study_time=head.study_time,
            description=head.study_description, first_received=first.received, last_received=last.received, **device,
        )  # fmt: skip
        kept = row.on_conflict(
            conflict_target=[Study.uid], update={Study.last_received: last.received},
            where=Study.last_received < last.received,
        )  # fmt: skip
        self._engine.run(kept)
        if device["device_modality"] not in NO_DEVICE:
            of_no_device = (Study.uid == uid) & Study.device_modality.in_(sorted(NO_DEVICE))
            self._engine.run(Study.update(device).where(of_no_device))
        number, purged = self._engine.run(Study.select(Study.id, Study.purged).where(Study.uid == uid).tuples())[0]
        if purged:
            self._engine.run(Study.update(purged=None).where(Study.id == number))
        revive(self._engine, [number])
        return int(number)

    def _identities(self, study: int, news: Sequence[NewInstance]) -> list[int]:
        """The number of each new one's identity."""
        rows = [_identity(study, new.header) for new in news]
        numbers: dict[str, int] = {}
        for portion in portions(list({row["digest"]: row for row in rows}.values())):
            self._engine.run(StudyIdentity.insert_many(portion).on_conflict_ignore())
            mine = (StudyIdentity.study == study) & StudyIdentity.digest.in_([row["digest"] for row in portion])
            query = StudyIdentity.select(StudyIdentity.digest, StudyIdentity.id).where(mine)
            numbers.update(self._engine.run(query.tuples()))
        accessions = {number: None for new in news for number in _accession_numbers(new.header)}
        for portion in portions([{"study": study, "accession_number": number} for number in accessions]):
            self._engine.run(StudyAccession.insert_many(portion).on_conflict_ignore())
        return [numbers[row["digest"]] for row in rows]

    def _rows(self, study: int, entries: Sequence[tuple[NewInstance, int]]) -> None:
        news = [new for new, _ in entries]
        have: dict[str, int] = {}
        for sop, version in _VERSIONS.run(self._engine, list({new.header.uids.sop for new in news}), study):
            have[sop] = max(version, have.get(sop, 0))
        newest = dict(have)
        for new in news:
            newest[new.header.uids.sop] = max(new.version, newest.get(new.header.uids.sop, 0))
        replaced = [sop for sop, version in have.items() if version < newest[sop]]
        if replaced:
            older = (Instance.study == study) & Instance.sop_uid.in_(replaced)
            self._engine.run(Instance.update(newest=False).where(older))
        facts = facts_numbers(self._engine, study, [new.header.facts for new, _ in entries])
        rows = [
            _row(study, new, identity, facts[new.header.facts], newest[new.header.uids.sop] == new.version)
            for new, identity in entries
        ]
        _NEW_INSTANCES.run(self._engine, rows)

    def _touch_exams(self, study: int, uid: str, now: datetime) -> None:
        linked = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid == uid)
        accessions = StudyAccession.select(StudyAccession.accession_number).where(StudyAccession.study == study)
        concerned = Exam.id.in_(linked) | Exam.accession_number.in_(accessions)
        self._engine.run(Exam.update(touched=Exam.touched + 1, check_at=now).where(concerned))


def _device(header: Header) -> dict[str, str]:
    return {
        "manufacturer": header.facts.manufacturer, "model": header.facts.manufacturer_model,
        "station_name": header.station_name, "serial_number": header.device_serial_number,
        "sending_ae": header.sending_ae, "device_modality": header.facts.modality,
    }  # fmt: skip


def _accession_numbers(header: Header) -> list[str]:
    named = dict.fromkeys((header.accession_number, *header.other_accession_numbers))
    return [number for number in named if number]


def _identity(study: int, header: Header) -> dict[str, Any]:
    patient = header.patient
    values = {
        "patient_id": patient.patient_id, "name": patient.name, "birth_date": patient.birth_date, "sex": patient.sex,
        "accession_number": header.accession_number,
        "other_accession_numbers": json.dumps(sorted(header.other_accession_numbers)),
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return {"study": study, "digest": digest, **values}


def _row(study: int, new: NewInstance, identity: int, facts: int, newest: bool) -> Mapping[str, Any]:
    head, digests = new.header, new.digests
    return {
        "study": study, "series_uid": head.uids.series, "sop_uid": head.uids.sop, "version": new.version,
        "newest": newest, "sop_class": head.sop_class, "transfer_syntax": head.transfer_syntax,
        "digest": digests.data_set, "orientation": digests.orientation, "pixels": digests.pixels, "identity": identity,
        "size": new.size, "modality": head.facts.modality, "facts": facts, "position": head.position,
        "series_class": new.series_class, "rule": new.rule, "sending_ae": head.sending_ae, "received": new.received,
        "purged": None,
    }  # fmt: skip
