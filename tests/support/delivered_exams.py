"""Exams that were delivered, entered as rows and files without going their way: many of them in little time."""

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from router.catalogue import Catalogue
from router.catalogue.exams.documents import TakenDocument
from router.catalogue.exams.exam_rows import description
from router.catalogue.images.instances import NewInstance
from router.clock import FakeClock
from router.exam.key import ExamKey
from router.intake.exam_reader import ExamReader
from router.model import Channel, Digests, Header, Patient, SeriesClass
from router.policy.states import State
from router.storage.reports import Reports
from support.catalogue_rows import CLOUD, NOW
from support.node_without_sockets import slice_of
from support.sample_exam import exam_document

_WAY = (State.WAITING, State.READY, State.SENDING, State.DELIVERED)
_NAMES = (("张三", "ZHANG^SAN"), ("李四", "LI^SI"), ("王五", "WANG^WU"), ("欧阳锋", "OUYANG^FENG"), ("吕布", "LV^BU"))


@dataclass(frozen=True)
class Ordinary:
    """An exam as the RIS gives it, and a header of each of its studies."""

    document: dict[str, Any]
    headers: tuple[Header, ...]


def ordinary(count: int, seed: int = 1) -> Iterator[Ordinary]:
    """Exams of which everything is right, written in the ways that hospitals write it."""
    draw = random.Random(seed)
    for number in range(1, count + 1):
        han, latin = draw.choice(_NAMES)
        born = f"19{draw.randrange(30, 99)}{draw.choice(('0101', '0214', '1231'))}"
        patient = Patient(
            f"P{number:06}", draw.choice((han, f"{latin}={han}", latin)), draw.choice((born, "")),
            draw.choice(("F", "O", "")),
        )  # fmt: skip
        study, accession = f"1.2.3.{number}", f"A{number:06}"
        document = exam_document({
            "ExamId": f"E{number:06}", "Order.AccessionNumber": accession, "Patient.PatientId": patient.patient_id,
            "Patient.Name": han, "Patient.DateOfBirth": f"{born[:4]}-{born[4:6]}-{born[6:]}", "Patient.Gender": "2",
            "Study.StudyInstanceUIDs": [study], "Study.StudyDate": "2026-03-01 09:00:00",
        })  # fmt: skip
        header = replace(slice_of(study, 1, patient, accession), study_date="20260301")
        yield Ordinary(document, (header,))


def fill(catalogue: Catalogue, reports: Reports, references: ExamReader, exams: Iterable[Ordinary]) -> list[int]:
    """Enter them, delivered by both channels; the node's numbers of the exams."""
    with catalogue.engine.write():
        return [_enter(catalogue, reports, references, one) for one in exams]


def _enter(catalogue: Catalogue, reports: Reports, references: ExamReader, one: Ordinary) -> int:
    key: ExamKey = references.key(one.document, "", "01")
    exam = catalogue.exams.number_of(key.hospital, key.branch, key.exam_id, NOW, description(key))
    data = json.dumps(one.document, ensure_ascii=False).encode()
    place = reports.place("json", exam, 1)
    path = reports.path(place)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    taken = TakenDocument(
        kind="json", stem=key.exam_id, digest=f"d{exam}", file_time=NOW, arrived=NOW, key=key
    )  # fmt: skip
    catalogue.exams.documents.add(taken, place, exam, 1, NOW)
    instances = [
        NewInstance(
            header=header,
            version=1,
            digests=Digests(header.uids.sop, "o", "p"),
            size=512,
            series_class=SeriesClass.THIN,
            rule="thin slices",
            received=NOW,
        )
        for header in one.headers
    ]
    catalogue.instances.add(instances)
    catalogue.exams.links.link(exam, [header.uids.study for header in one.headers], "listed", NOW)
    catalogue.queue.make(exam, [(CLOUD, channel) for channel in Channel], NOW)
    for delivery in catalogue.queue.of_exam(exam):
        for before, to in pairwise(_WAY):
            assert catalogue.queue.move(replace(delivery, state=before), to, NOW, "on the way")
    return exam


def clock() -> FakeClock:
    """When all of it is delivered."""
    return FakeClock(NOW)
