"""Histories with mistakes in them, and whom each thing truly is of: nobody's data may go as another patient's.

A history has mistakes of one kind: in identifiers (of JSONs and headers), or in file names. A JSON and a header each
have at most one of patient id, name and birth date wrong, missing, or written so that it may not be compared (in
pinyin, in bytes that the declared character set does not fit): two that are wrong alike pass for right.
"""

import functools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from router.model import Header, Patient
from support.header_bytes import name_as_read
from support.node_without_sockets import slice_of
from support.sample_exam import exam_document

# One digit or one character apart, so that a slip of the pen may hit another patient.
PEOPLE = (
    Patient("P1001", "张三", "19491231", "F"),
    Patient("P1010", "张三丰", "19600214", "M"),
    Patient("P1011", "李四", "19810809", "F"),
    Patient("TEST11", "王五", "19701112", "M"),
    Patient("P1001X", "章三", "19501231", "F"),
)
PINYIN = {"张三": "ZHANG^SAN", "张三丰": "ZHANG^SANFENG", "李四": "LI^SI", "王五": "WANG^WU", "章三": "ZHANG^SAN"}
_CHARSETS = ("", "ISO_IR 100", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 58")
EXCLUDED = "\n[[share.exclude]]\nname = 'phantoms'\nPatientID = '^TEST'\n"
_SEXES = {"M": "1", "F": "2"}


@dataclass(frozen=True)
class Exam:
    """An exam as it truly is."""

    number: int
    person: int
    studies: tuple[str, ...]

    @property
    def exam_id(self) -> str:
        return f"V{self.number}"

    @property
    def accession(self) -> str:
        return f"A{1000 + self.number}"


@dataclass(frozen=True)
class Json:
    """An exam JSON under a file name. `person` is whom it truly is of."""

    stem: str
    person: int
    exam_id: str
    accession: str
    patient: Patient
    studies: tuple[str, ...]
    approved: bool
    minute: int
    findings: str

    def data(self) -> bytes:
        """The file; Order.Note tells whom it truly is of."""
        patient, born = self.patient, self.patient.birth_date
        return json.dumps(exam_document({
            "ExamId": self.exam_id, "Order.AccessionNumber": self.accession, "Order.Note": f"of {self.person}",
            "Order.Status": "Reported" if self.approved else "Registered",
            "Patient.PatientId": patient.patient_id, "Patient.Name": patient.name,
            "Patient.Gender": _SEXES.get(patient.sex, ""),
            "Patient.DateOfBirth": f"{born[:4]}-{born[4:6]}-{born[6:]}" if born else "",
            "Study.StudyInstanceUIDs": list(self.studies), "Study.StudyDate": "2026-03-02 09:00:00",
            "Report.ApproveTime": f"2026-03-02 10:{self.minute:02}:00" if self.approved else "",
            "Report.SubmitTime": f"2026-03-02 10:{self.minute:02}:00", "Report.Findings": self.findings,
        })).encode()  # fmt: skip


@dataclass(frozen=True)
class Pdf:
    """A report PDF under a file name, and its text."""

    stem: str
    person: int
    text: str


@dataclass(frozen=True)
class Image:
    """An instance, whom it truly shows, and what its header says."""

    person: int
    header: Header


@dataclass(frozen=True)
class Pause:
    """Seconds that go by, and whether the node starts anew before them."""

    seconds: int
    restart: bool


Happening = Json | Pdf | Image | Pause


def history(chance: random.Random) -> list[Happening]:
    """What happens, in order."""
    exams = _exams(chance)
    names_wrong = chance.random() < 0.5
    stems = _stems(chance, exams, wrong=names_wrong)
    things: list[Happening] = []
    for exam in exams:
        things += _jsons(chance, exam, exams, stems, wrong=not names_wrong)
        things += _pdfs(chance, exam, stems, wrong=names_wrong)
        things += _images(chance, exam, exams, wrong=not names_wrong)
    chance.shuffle(things)
    return [one for thing in things for one in (thing, *_pauses(chance))]


def _pauses(chance: random.Random) -> Iterator[Pause]:
    if chance.random() < 0.5:
        yield Pause(chance.choice((5, 300, 60000)), chance.random() < 0.3)


def _exams(chance: random.Random) -> list[Exam]:
    people = [chance.randrange(len(PEOPLE)) for _ in range(chance.choice((2, 2, 3)))]
    exams = [Exam(n, person, (f"1.2.{n}", f"1.3.{n}")[: chance.choice((1, 1, 2))]) for n, person in enumerate(people)]
    for n, exam in enumerate(exams):  # one study may serve several exams of a patient
        sibling = next((other for other in exams[:n] if other.person == exam.person), None)
        if sibling and chance.random() < 0.5:
            exams[n] = replace(exam, studies=sibling.studies[:1])
    return exams


def _stems(chance: random.Random, exams: list[Exam], *, wrong: bool) -> dict[int, str]:
    names = ["r0"] if wrong and chance.random() < 0.5 else [f"r{exam.number}" for exam in exams]
    return {exam.number: names[exam.number % len(names)] for exam in exams}


def _slip(chance: random.Random, value: str) -> str:
    at = chance.randrange(1, len(value))
    return f"{value[:at]}{chance.randrange(10)}{value[at + 1 :]}"


def _mistyped(chance: random.Random, person: int) -> Patient:
    """The patient with one field swapped with another's, mistyped or missing."""
    own, other = PEOPLE[person], chance.choice(PEOPLE)
    return chance.choice((
        own, replace(own, patient_id=other.patient_id), replace(own, patient_id=_slip(chance, own.patient_id)),
        replace(own, patient_id=""), replace(own, name=other.name), replace(own, name=""),
        replace(own, birth_date=other.birth_date), replace(own, birth_date=""), replace(own, sex=other.sex),
    ))  # fmt: skip


@functools.cache
def written(name: str) -> tuple[str, ...]:
    """The name as headers have it, and as the node reads it: Han, pinyin, both, in whatever bytes and declaration."""
    pinyin = PINYIN[name]
    read = tuple(
        name_as_read(text.encode(codec), charset)
        for text in (name, f"{pinyin}={name}")
        for codec in ("gb18030", "utf-8")
        for charset in _CHARSETS
    )
    return (*[name] * 8, *[pinyin] * 8, *[f"{pinyin}={name}"] * 4, *read)


def _jsons(
    chance: random.Random, exam: Exam, exams: list[Exam], stems: dict[int, str], *, wrong: bool
) -> Iterator[Json]:
    for version in range(chance.choice((1, 1, 2, 3))):
        findings = chance.choice(("one", "two"))
        right = Json(
            stems[exam.number], exam.person, exam.exam_id, exam.accession, PEOPLE[exam.person], exam.studies,
            chance.random() < 0.8, 10 * exam.number + version, findings,
        )  # fmt: skip
        yield _with_mistakes(chance, right, exams, stems) if wrong and chance.random() < 0.5 else right


def _with_mistakes(chance: random.Random, right: Json, exams: list[Exam], stems: dict[int, str]) -> Json:
    other = chance.choice(exams)
    if chance.random() < 0.15:  # the ExamId was used for another exam before
        patient = PEOPLE[other.person]
        itself = replace(right, stem=stems[other.number], person=other.person, accession=other.accession)
        return replace(itself, patient=patient, studies=other.studies)
    accession = chance.choice((right.accession, other.accession, _slip(chance, right.accession), ""))
    studies = chance.choice((right.studies, other.studies, right.studies + other.studies, ()))
    return replace(right, accession=accession, studies=studies, patient=_mistyped(chance, right.person))


def _pdfs(chance: random.Random, exam: Exam, stems: dict[int, str], *, wrong: bool) -> Iterator[Pdf]:
    for version in range(chance.choice((1, 1, 2))):
        stem = chance.choice(list(stems.values())) if wrong and chance.random() < 0.3 else stems[exam.number]
        name = PEOPLE[exam.person].name
        named = chance.choice((
            f"No. {exam.accession}", f"No. {exam.accession} {name}", f"姓名：{name} 检查号：{exam.accession}",
            f"姓名 性别 检查号\n{name} 女 {exam.accession}",
        ))  # fmt: skip
        text = "" if not wrong and chance.random() < 0.2 else f"{named} p{version}"
        yield Pdf(stem, exam.person, f"{text}\n%of {exam.person}")


def _images(chance: random.Random, exam: Exam, exams: list[Exam], *, wrong: bool) -> Iterator[Image]:
    own = PEOPLE[exam.person]
    for study in exam.studies:
        for number in range(1, chance.choice((2, 3))):
            patient = replace(own, name=chance.choice(written(own.name)))
            right = Image(exam.person, slice_of(study, 10 * exam.number + number, patient, exam.accession))
            mistaken = wrong and chance.random() < 0.4
            yield _misfiled(chance, right, exams) if mistaken else right
            if mistaken and chance.random() < 0.5:  # the PACS sends it again, corrected
                yield right


def _misfiled(chance: random.Random, right: Image, exams: list[Exam]) -> Image:
    head, other = right.header, chance.choice(exams)
    accession = chance.choice((head.accession_number, other.accession, _slip(chance, head.accession_number), ""))
    uids = head.uids
    if chance.random() < 0.15:
        uids = replace(uids, study=other.studies[0])
    return replace(
        right, header=replace(head, uids=uids, patient=_mistyped(chance, right.person), accession_number=accession)
    )
