"""A database as it stands after months: rows by SQL in bulk, of both engines alike."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import material

from router.catalogue import Catalogue
from router.catalogue.images.instances import NewInstance
from router.model import Digests, Header, InstanceUids, Patient, SeriesClass, SeriesFacts

_PER_STUDY, _EXAMS_AT_LEAST = 250, 1000
_READY = 1000
_AT = 1_780_000_000_000_000
_STEP = 60_000_000
_DAY, _DAY_OF_A_DISTRICT = 86_400_000_000, 2_400_000  # microseconds; instances

# {n}: the numbers from 1 to the count, as a table with the column i. {hospital}: SQL of the hospital of row i, and {of}
# how many there are: each has the same ExamIds and accession numbers. {step}: microseconds from one study to the next.
_STUDIES = f"""INSERT INTO study (id, uid, accession_number, study_date, study_time, description, manufacturer, model,
    station_name, serial_number, sending_ae, sending_address, device_modality, doubt, referred, first_received,
    last_received)
    SELECT i, '1.2.' || i, 'A' || (i / {{of}}), '20260301', '0930', '', '', '', '', '', 'CT01', '', 'CT', '', {{false}},
    {_AT} + i * {{step}}, {_AT} + i * {{step}} FROM {{n}}"""
_FACTS = "INSERT INTO facts (id, study_id, digest, body) SELECT i, i, 'd', '{{}}' FROM {n}"
_EXAMS = f"""INSERT INTO exam (id, hospital, branch, exam_id, accession_number, patient_id, patient_name, touched,
    revisions, approved_at, doubt, created)
    SELECT i, {{hospital}}, '01', 'E' || (i / {{of}}), 'A' || (i / {{of}}), 'P' || (i / {{of}}), 'N',
    1, 2, {_AT}, '', {_AT} + i * {{step}} FROM {{n}}"""
_LINKS = f"""INSERT INTO exam_study (exam_id, study_uid, joined_by, since)
    SELECT i, '1.2.' || i, 'listed', {_AT} FROM {{n}}"""
_DELIVERIES = f"""INSERT INTO delivery (exam_id, hospital, destination, channel, state, waiting_for, legal_due, due,
    attempts, error, held_by, lease, lease_owner, wanted, delivered, created, changed)
    SELECT i, {{hospital}}, 'cloud', '{{channel}}', CASE WHEN i <= {_READY} THEN 'ready' ELSE 'delivered' END, '',
    {_AT} + i * {{step}}, {_AT} + i * {{step}}, 0, '', '', 0, '', '', '', {_AT}, {_AT} + i * {{step}} FROM {{n}}"""
_EVENTS = f"""INSERT INTO event (at, kind, exam, text, who, alarm, subject)
    SELECT {_AT} + i * 1000, 'moved', i / 10 + 1, 'ready -> sending: claimed', 'node', '', '' FROM {{n}}"""
_INSTANCES = f"""INSERT INTO instance (id, study_id, series_uid, sop_uid, version, newest, sop_class, transfer_syntax,
    digest, orientation, pixels, identity, size, modality, facts_id, series_class, rule, sending_ae, received, cut)
    SELECT i, (i - 1) / {{per}} + 1, '1.2.' || ((i - 1) / {{per}} + 1) || '.1',
    '1.2.' || ((i - 1) / {{per}} + 1) || '.1.' || i, 1, {{true}}, '1.2.840.10008.5.1.4.1.1.2',
    '1.2.840.10008.1.2.1', 'd' || i, '', '', (i - 1) / {{per}} + 1, 524288, 'CT', (i - 1) / {{per}} + 1, 'thin',
    'thin slices', 'CT01', {_AT}, '' FROM {{n}}"""
_LEDGER = f"""INSERT INTO ledger (destination, instance_id, study, state, rule, status, association, tries, reason, at)
    SELECT 'cloud', i, (i - 1) / {{per}} + 1,
    CASE WHEN i <= {_READY} * {{per}} THEN 'selected' ELSE 'sent' END, 'a rule', 0, 'a', 0, '',
    {_AT} FROM {{n}}"""
# Of a district besides: whom the headers name, and whose sender it was, but for the first hospital's.
_IDENTITIES = """INSERT INTO study_identity (id, study_id, digest, patient_id, name, birth_date, sex, accession_number,
    other_accession_numbers, reading)
    SELECT i, i, 'd', 'P' || (i / {of}), 'N', '19600501', 'F', 'A' || (i / {of}), '[]', 1 FROM {n}"""
_ACCESSIONS = "INSERT INTO study_accession (study_id, accession_number) SELECT i, 'A' || (i / {of}) FROM {n}"
_SENT_BY = "INSERT INTO study_hospital (study_id, hospital) SELECT i, {hospital} FROM {n} WHERE i > i / {of} * {of}"
_CHUNK = 250_000


def fill(catalogue: Catalogue, ledger: int, hospitals: int = 0) -> int:
    """Enter so many ledger rows and what belongs to them, 1,000 exams ready, the rest delivered; how many exams.

    With several `hospitals`, in turn of each of `names(hospitals)`, at the pace of a district.
    """
    exams = max(ledger // _PER_STUDY, _EXAMS_AT_LEAST)
    per = max(ledger // exams, 1)
    words = {"per": per, "of": max(hospitals, 1), "step": _STEP, "hospital": "''"}
    of_district: Sequence[str] = ()
    if hospitals:
        hospital = f"'h' || (100 + i - i / {hospitals} * {hospitals})"
        words |= {"step": _DAY // (_DAY_OF_A_DISTRICT // per), "hospital": hospital}
        of_district = _IDENTITIES, _ACCESSIONS, _SENT_BY
    for sql in (_STUDIES, _FACTS, _EXAMS, _LINKS, _DELIVERIES.replace("{channel}", "images"),
                _DELIVERIES.replace("{channel}", "report"), *of_district):  # fmt: skip
        _run(catalogue, sql, exams, words)
    _run(catalogue, _EVENTS, exams * 10, words)
    for sql in (_INSTANCES, _LEDGER):
        _run(catalogue, sql, exams * per, words)
    catalogue.engine.execute("ANALYZE", ())
    return exams


def names(hospitals: int) -> tuple[str, ...]:
    """The names of so many hospitals; the first one's images come from a shared PACS."""
    return tuple(f"h{100 + n}" for n in range(hospitals))


def arrivals(study: str, count: int, size: int, at: datetime) -> list[NewInstance]:
    """A thin stack of the study, as the cataloguer enters it."""
    news = []
    for n in range(count):
        uids = InstanceUids(study, f"{study}.1", f"{study}.1.{n}")
        facts = SeriesFacts(modality="CT", slice_thickness=1.0)
        header = Header(
            uids=uids,
            sop_class=material.CT.sop_class,
            transfer_syntax="1.2.840.10008.1.2.1",
            patient=Patient(study),
            accession_number=study,
            facts=facts,
        )
        digests = Digests(f"{study}.{n}", "o", f"{n}")
        news.append(
            NewInstance(
                header=header,
                version=1,
                digests=digests,
                size=size,
                series_class=SeriesClass.THIN,
                rule="thin slices",
                received=at,
            )
        )
    return news


def _run(catalogue: Catalogue, sql: str, count: int, words: Mapping[str, object]) -> None:
    sqlite = catalogue.engine.database.param == "?"
    for first in range(1, count + 1, _CHUNK):
        last = min(first + _CHUNK - 1, count)
        numbers = (
            f"(WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) SELECT i FROM n)"
            if sqlite
            else f"(SELECT generate_series({first}::bigint, {last}) AS i) AS n"
        )
        booleans = ("1", "0") if sqlite else ("true", "false")
        with catalogue.engine.write():
            catalogue.engine.execute(sql.format(n=numbers, true=booleans[0], false=booleans[1], **words), ())
