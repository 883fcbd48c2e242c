"""Studies with instances here, as an exam sees them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Engine, portions
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.images import READING, Instance, Study, StudyIdentity
from router.catalogue.images.hospitals import hospitals_of
from router.catalogue.images.tombstones import summaries
from router.matching.patient.identity import StudyIdentity as Identity
from router.model import Patient

_STUDIES = Prepared(lambda uids: Study.select().where(Study.uid.in_(uids)).order_by(Study.id))
_BORNE = (Instance.study, Instance.modality, Instance.identity)
_COUNTS = Prepared(
    lambda studies: (
        Instance.select(*_BORNE, fn.COUNT(Instance.id))
        .where(Instance.study.in_(studies) & Instance.newest)
        .group_by(*_BORNE)
    )
)
_DAMAGED = Prepared(
    lambda studies: (
        Instance.select(Instance.study, fn.COUNT(Instance.id))
        .where(
            Instance.study.in_(studies) & Instance.newest & Instance.damaged.is_null(False) & Instance.purged.is_null()
        )
        .group_by(Instance.study)
    )
)
_IDENTITIES = Prepared(
    lambda studies: StudyIdentity.select().where(StudyIdentity.study.in_(studies)).order_by(StudyIdentity.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyHere:
    """A study of which at least one instance is here. `study_date` is DA, `study_time` TM.

    `identities` are what the newest versions of its instances say, each once; `outdated` whether some of their texts
    were read by former rules and may read otherwise; `damaged` of the newest versions have no sound file. `hospitals`
    brought images of it, as far as that is known.
    """

    uid: str
    identities: tuple[Identity, ...]
    accession_number: str
    study_date: str
    study_time: str
    description: str
    manufacturer: str
    model: str
    station_name: str
    serial_number: str
    sending_ae: str
    modalities: tuple[str, ...]
    instances: int
    doubt: str
    last_received: datetime
    outdated: bool = False
    damaged: int = 0
    hospitals: frozenset[str] = frozenset()


def studies_here(engine: Engine, uids: Iterable[str]) -> dict[str, StudyHere]:
    """Those of the studies that are here."""
    return {study.uid: study for portion in portions(list(uids)) for study in _portion(engine, portion)}


def _portion(engine: Engine, uids: Sequence[str]) -> list[StudyHere]:
    rows = engine.run(_STUDIES(uids))
    ids = [row.id for row in rows]
    counts: dict[int, list[tuple[str, int]]] = defaultdict(list)
    borne: set[int] = set()
    for study, modality, identity, n in engine.rows(_COUNTS(ids)):
        counts[study].append((modality, n))
        borne.add(identity)
    for gone in summaries(engine, ids):
        for (modality, identity), n in gone.newest.items():
            counts[gone.study].append((modality, n))
            borne.add(identity)
    damaged: dict[int, int] = dict(engine.rows(_DAMAGED(ids)))
    identities: dict[int, list[Any]] = defaultdict(list)
    for identity in engine.run(_IDENTITIES(ids)):
        if identity.id in borne:
            identities[identity.study_id].append(identity)
    brought = hospitals_of(engine, ids)
    none: frozenset[str] = frozenset()
    return [
        _study(row, identities[row.id], counts[row.id], damaged.get(row.id, 0), brought.get(row.id, none))
        for row in rows
    ]


def identity_of(row: Any) -> Identity:
    """Patient and order of a row of StudyIdentity."""
    patient = Patient(row.patient_id, row.name, row.birth_date, row.sex)
    return Identity(patient, row.accession_number, tuple(json.loads(row.other_accession_numbers)))


def identities(engine: Engine, numbers: Iterable[int]) -> dict[int, Identity]:
    """Patients and orders of rows of StudyIdentity, by number."""
    # of all hospitals: by number
    found: dict[int, Identity] = {}
    for some in portions(sorted(numbers)):
        found |= {
            row.id: identity_of(row) for row in engine.run(StudyIdentity.select().where(StudyIdentity.id.in_(some)))
        }
    return found


def is_outdated(row: Any) -> bool:
    """Whether a row of StudyIdentity was read by former rules, and not all of it is ASCII, which reads one way."""
    texts = row.name + row.patient_id + row.accession_number + row.other_accession_numbers
    return row.reading < READING and not (texts.isascii() and "\\u" not in row.other_accession_numbers)


def _study(
    row: Any, identities: Sequence[Any], counts: Sequence[tuple[str, int]], damaged: int, hospitals: frozenset[str]
) -> StudyHere:
    return StudyHere(
        uid=row.uid, identities=tuple(map(identity_of, identities)), accession_number=row.accession_number,
        study_date=row.study_date, study_time=row.study_time, description=row.description,
        manufacturer=row.manufacturer, model=row.model, station_name=row.station_name,
        serial_number=row.serial_number, sending_ae=row.sending_ae,
        modalities=tuple(sorted({m for m, _ in counts if m})), instances=sum(n for _, n in counts), doubt=row.doubt,
        last_received=row.last_received, outdated=any(map(is_outdated, identities)), damaged=damaged,
        hospitals=hospitals,
    )  # fmt: skip
