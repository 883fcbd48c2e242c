"""Instances and studies as they were received."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Engine, Rows, portions
from router.catalogue.db.statement import Among, InsertMany
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.images import (
    READING,
    Instance,
    LedgerRow,
    Reference,
    Study,
    StudyAccession,
    StudyIdentity,
)
from router.catalogue.exams.evaluation import evaluate, exams_of
from router.catalogue.images.damages import mend
from router.catalogue.images.hospitals import hospitals_by_uid, hospitals_of, note_hospitals
from router.catalogue.images.returns import Returns
from router.catalogue.images.series_members import facts_numbers
from router.catalogue.images.tombstones import of_instances, revive
from router.model import NO_DEVICE, Digests, Header, InstanceUids, SeriesClass
from router.series.study import purpose_of
from router.text.decoding import is_readable


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A version of an instance that has a row, numbered `key`. `pixels` is of its Digests.

    `purged`: its file went by retention; `cut`: it is not whole; `damaged`: its file is not what came.
    """

    key: int
    study_uid: str
    version: int
    digest: str
    purged: bool = False
    cut: bool = False
    damaged: bool = False
    series_uid: str = ""
    pixels: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstance:
    """An instance version to be given a row. `size` is the file's, in bytes.

    `hospital` brought it, "" where none is certain.
    """

    header: Header
    version: int
    digests: Digests
    size: int
    series_class: SeriesClass
    rule: str
    received: datetime
    hospital: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of an instance, for those who compare it with its file."""

    uids: InstanceUids
    version: int
    digest: str


_PAGE = 5000
_BETWEEN, _MOST_DOUBTS = "; ", 20
_Rank = tuple[bool, int]  # of the versions of an instance: whole, number
_NEW_INSTANCES = InsertMany(Instance)
# Versions of these instances. Of one that came a thousand times few rows are read: the newest, the last, the last sound
# one, and those of given data sets.
# of all hospitals: one SOP instance UID names one instance, whoever sends it
_KNOWN = (
    "SELECT sop_uid, study.uid, version, digest, i.purged, cut, damaged, series_uid, pixels, i.id"
    " FROM instance i JOIN study ON study.id = study_id WHERE sop_uid IN ({}) AND (newest OR digest IN ({})"
    " OR version = (SELECT MAX(m.version) FROM instance m WHERE m.study_id = i.study_id AND m.sop_uid = i.sop_uid)"
    " OR damaged IS NULL AND cut = '' AND version = (SELECT MAX(m.version) FROM instance m WHERE m.study_id ="
    " i.study_id AND m.sop_uid = i.sop_uid AND m.cut = '' AND m.damaged IS NULL))"
)
# The last whole version of each of a study's instances, and the last one.
_RANKS = Among(
    "SELECT sop_uid, MAX(CASE WHEN cut = '' THEN version END), MAX(version) FROM instance"
    " WHERE study_id = ? AND sop_uid IN (?) GROUP BY sop_uid",
    Instance.sop_uid,
)


class Instances(Rows):
    """The index of filed instances."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.returns = Returns(engine)

    def known(self, sop_uids: Iterable[str], digests: Iterable[str] = ()) -> dict[str, list[Known]]:
        """Versions that have rows, in order, by SOP instance UID, whatever the study; tombstones' get them.

        Of each instance and study the last one, the last that is sound, and those with these data sets (`digests`).
        """
        found: dict[str, list[Known]] = defaultdict(list)
        sops = list(set(sop_uids))
        revive(self._engine, of_instances(self._engine, sops))
        same, param = list(set(digests)), self._engine.database.param
        rows: list[tuple[Any, ...]] = []
        for some in portions(sops):
            marks = [", ".join([param] * len(values)) or "NULL" for values in (some, same)]
            rows += self._engine.execute(_KNOWN.format(*marks), [*some, *same])
        for sop, study, version, digest, purged, cut, damaged, series, pixels, key in sorted(rows, key=itemgetter(2)):
            found[sop].append(Known(
                key=key, study_uid=study, version=version, digest=digest, purged=purged is not None, cut=cut != "",
                damaged=damaged is not None, series_uid=series, pixels=pixels,
            ))  # fmt: skip
        return found

    def lock_names(self, study_uids: Iterable[str]) -> AbstractContextManager[None]:
        """While no other node catalogues instances of these studies: of two that find one new, one would be second."""
        return self._engine.lock_names(study_uids)

    def add(self, batch: Sequence[NewInstance]) -> None:
        """Enter a batch whose files are in place, and have the exams evaluated that it concerns."""
        by_study: dict[str, list[NewInstance]] = defaultdict(list)
        for new in batch:
            by_study[new.header.uids.study].append(new)
        with self._engine.write():
            for uid, news in sorted(by_study.items()):
                study = self._study(uid, news)
                note_hospitals(self._engine, {uid: {new.hospital for new in news}}, news[-1].received)
                identities = self._identities(study, news)
                for portion in portions(list(zip(news, identities, strict=True))):
                    self._rows(study, portion)
                numbers = StudyAccession.select(StudyAccession.accession_number).where(StudyAccession.study == study)
                alike = Exam.accession_number.in_(numbers)
                if hospitals := hospitals_of(self._engine, [study]).get(study):
                    alike &= Exam.hospital.in_(sorted(hospitals))
                evaluate(self._engine, Exam.id.in_(exams_of([uid])) | alike, news[-1].received)
            _note_references(self._engine, batch)

    def note_hospitals(self, brought: Mapping[str, Collection[str]], now: datetime) -> None:
        """Note the hospitals that brought studies which are here, by UID; where it is news, exams are evaluated."""
        with self._engine.write():
            note_hospitals(self._engine, brought, now)

    def hospitals_of(self, study_uid: str) -> frozenset[str]:
        """The hospitals that brought images of the study, as far as that is known."""
        return self.hospitals_by_uid([study_uid]).get(study_uid, frozenset())

    def hospitals_by_uid(self, study_uids: Iterable[str]) -> dict[str, frozenset[str]]:
        """The same of several studies, by UID; those that none is known of are left out."""
        return hospitals_by_uid(self._engine, study_uids)

    def mend(self, versions: Iterable[tuple[InstanceUids, int]], now: datetime) -> None:
        """Note that files which came again have replaced the damaged ones of these versions."""
        mend(self._engine, versions, now)

    def again(self, study_uid: str, received: datetime) -> None:
        """Note that something of the study came again: while no exam names it, its time here begins once more."""
        here = (Study.uid == study_uid) & Study.purged.is_null() & (Study.last_received < received)
        links = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid == Study.uid)
        with self._engine.write():
            self._engine.run(Study.update(last_received=received).where(here & ~fn.EXISTS(links)))

    def doubt(self, study_uids: Iterable[str], text: str, now: datetime) -> None:
        """Mark studies as doubtful: every exam that has one of them is held. Earlier doubts stay."""
        uids = list(study_uids)
        with self._engine.write():
            for uid, said in self._engine.rows(Study.select(Study.uid, Study.doubt).where(Study.uid.in_(uids))):
                doubts = list(dict.fromkeys([*parts_of(said), text]))[-_MOST_DOUBTS:]
                self._engine.run(Study.update(doubt=_BETWEEN.join(doubts)).where(Study.uid == uid))
            evaluate(self._engine, Exam.id.in_(exams_of(uids)), now)

    def has_cut(self, study_uid: str, *, undecided: bool = False) -> bool:
        """Whether of an instance of the study no version is whole; `undecided`: of one without a ledger row."""
        mine = (Study.uid == study_uid) & Instance.newest & (Instance.cut != "") & Instance.purged.is_null()
        if undecided:
            mine &= ~fn.EXISTS(LedgerRow.select(LedgerRow.id).where(LedgerRow.instance == Instance.id))
        return self._engine.has(Instance.select(Instance.id).join(Study).where(mine))

    def walk(self) -> Iterable[Recorded]:
        """Every row that has its file, page by page: there are millions, and no transaction stays open in between."""
        # of all hospitals: files are the node's
        columns = (Instance.id, Study.uid, Instance.series_uid, Instance.sop_uid, Instance.version, Instance.digest)
        query = Instance.select(*columns).join(Study).order_by(Instance.id).limit(_PAGE)
        last = 0
        while rows := self._engine.rows(query.where((Instance.id > last) & Instance.purged.is_null())):
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
        later, was_before = {Study.last_received: last.received}, Study.last_received < last.received
        self._engine.run(row.on_conflict(conflict_target=[Study.uid], update=later, where=was_before))
        if device["device_modality"] not in NO_DEVICE:
            of_no_device = (Study.uid == uid) & Study.device_modality.in_(sorted(NO_DEVICE))
            self._engine.run(Study.update(device).where(of_no_device))
        number, purged = self._engine.rows(Study.select(Study.id, Study.purged).where(Study.uid == uid))[0]
        if purged:
            self._engine.run(Study.update(purged=None).where(Study.id == number))
        revive(self._engine, [number])
        return int(number)

    def _identities(self, study: int, news: Sequence[NewInstance]) -> list[int]:
        """Numbers of the new instances' identities."""
        rows = [identity_row(study, new.header) for new in news]
        numbers: dict[str, int] = {}
        for portion in portions(list({row["digest"]: row for row in rows}.values())):
            self._engine.run(StudyIdentity.insert_many(portion).on_conflict_ignore())
            mine = (StudyIdentity.study == study) & StudyIdentity.digest.in_([row["digest"] for row in portion])
            numbers.update(self._engine.rows(StudyIdentity.select(StudyIdentity.digest, StudyIdentity.id).where(mine)))
        accessions = {number: None for new in news for number in accession_numbers(new.header)}
        for portion in portions([{"study": study, "accession_number": number} for number in accessions]):
            self._engine.run(StudyAccession.insert_many(portion).on_conflict_ignore())
        return [numbers[row["digest"]] for row in rows]

    def _rows(self, study: int, entries: Sequence[tuple[NewInstance, int]]) -> None:
        news = [new for new, _ in entries]
        ranks = _RANKS.run(self._engine, list({new.header.uids.sop for new in news}), study)
        have: dict[str, _Rank] = {sop: (whole is not None, whole or last) for sop, whole, last in ranks}
        newest = dict(have)
        for new in news:
            sop = new.header.uids.sop
            newest[sop] = max((not new.header.cut, new.version), newest.get(sop, (False, 0)))
        if replaced := [sop for sop, rank in have.items() if rank < newest[sop]]:
            older = (Instance.study == study) & Instance.sop_uid.in_(replaced)
            self._engine.run(Instance.update(newest=False).where(older))
        facts = facts_numbers(self._engine, study, [new.header.facts for new, _ in entries])
        rows = [
            _row(study, new, identity, facts[new.header.facts], newest[new.header.uids.sop][1] == new.version)
            for new, identity in entries
        ]
        _NEW_INSTANCES.run(self._engine, rows)


def parts_of(doubt: str) -> list[str]:
    """The doubts about a study, each by itself."""
    return doubt.split(_BETWEEN) if doubt else []


def _device(header: Header) -> dict[str, str]:
    return {
        "manufacturer": header.facts.manufacturer, "model": header.facts.manufacturer_model,
        "station_name": header.station_name, "serial_number": header.device_serial_number,
        "sending_ae": header.sending_ae, "sending_address": header.sending_address,
        "device_modality": header.facts.modality,
    }  # fmt: skip


def accession_numbers(header: Header) -> list[str]:
    """Accession numbers by which an exam can find its study."""
    named = dict.fromkeys((header.accession_number, *header.other_accession_numbers))
    return [number for number in named if number and is_readable(number)]


def identity_row(study: int, header: Header) -> dict[str, Any]:
    """The row of StudyIdentity for what the header names."""
    patient = header.patient
    values = {
        "patient_id": patient.patient_id, "name": patient.name, "birth_date": patient.birth_date, "sex": patient.sex,
        "accession_number": header.accession_number,
        "other_accession_numbers": json.dumps(sorted(header.other_accession_numbers)),
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return {"study": study, "digest": digest, **values, "reading": READING}


def _row(study: int, new: NewInstance, identity: int, facts: int, newest: bool) -> Mapping[str, Any]:
    head, digests = new.header, new.digests
    return {
        "study": study, "series_uid": head.uids.series, "sop_uid": head.uids.sop, "version": new.version,
        "newest": newest, "sop_class": head.sop_class, "transfer_syntax": head.transfer_syntax,
        "digest": digests.data_set, "orientation": digests.orientation, "pixels": digests.pixels, "identity": identity,
        "size": new.size, "modality": head.facts.modality, "facts": facts, "position": head.position,
        "series_class": new.series_class, "rule": new.rule, "cut": head.cut, "sending_ae": head.sending_ae,
        "received": new.received, "purged": None, "checksum": digests.checksum or None, "damaged": None,
    }  # fmt: skip


# Studies with an instance among these that a document refers to.
_REFERRED = Among(
    "SELECT DISTINCT study_id FROM instance WHERE sop_uid IN (SELECT sop_uid FROM reference WHERE sop_uid IN (?))",
    Reference.sop_uid,
)


def _note_references(engine: Engine, batch: Sequence[NewInstance]) -> None:
    """Keep a batch's references; mark the studies they refer to, have their exams evaluated. In a transaction."""
    for new in batch:
        purpose = purpose_of(new.header.facts, new.series_class)
        if purpose and new.header.references:
            _keep(engine, new, purpose)
    if not batch:
        return
    uids = {uid for new in batch for uid in (new.header.uids.sop, *new.header.references)}
    revive(engine, of_instances(engine, {uid for new in batch for uid in new.header.references}))
    if studies := sorted({row[0] for row in _REFERRED.run(engine, list(uids))}):
        engine.run(Study.update(referred=True).where(Study.id.in_(studies)))
        referred = Study.select(Study.uid).where(Study.id.in_(studies))
        evaluate(engine, Exam.id.in_(exams_of(referred)), batch[-1].received)


def _keep(engine: Engine, new: NewInstance, purpose: str) -> None:
    uids = new.header.uids
    mine = (Study.uid == uids.study) & (Instance.sop_uid == uids.sop) & (Instance.version == new.version)
    number = engine.value(Instance.select(Instance.id).join(Study).where(mine))
    rows = [{"instance": number, "purpose": purpose, "sop_uid": uid} for uid in new.header.references]
    for portion in portions(rows):
        engine.run(Reference.insert_many(portion))
