"""Histories of five hospitals whose numbers are all alike, and whom each thing truly is of: nothing may cross.

Branches, ExamIds, accession numbers and PatientIDs are the same in each for different patients, study UIDs often. Three
hospitals have a sender and a folder of their own; two share a PACS and a folder: of one a rule knows the images, of the
other nothing does. As in `mixups`, a JSON and a header each have one mistake at most.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from router.model import Header, Patient
from support.node_without_sockets import slice_of
from support.patient_mixups import PEOPLE, Pause, Pdf, written

NAMES = ("a", "b", "c", "d", "e")
OWN = frozenset("abc")
"""The hospitals that have a sender and a folder of their own."""
_BY_RULE = "d"
_SEXES = {"M": "1", "F": "2"}
_HOSPITAL = """
[[hospital]]
name = "{name}"
USCI = "12110000400000000{name}"
HospitalCode = "H-{name}"
HospitalName = "医院{name}"
HospitalBranchCode = "01"
"""
_MORE = {name: f'senders = [{{ ae_title = "CT-{name}" }}]\n' for name in OWN} | {
    _BY_RULE: 'study = [{ InstitutionName = "医院d.*" }]\n'
}
HOSPITALS = "".join(_HOSPITAL.format(name=name) + _MORE.get(name, "") for name in NAMES)
"""Their tables of a configuration."""


@dataclass(frozen=True)
class Visit:
    """An exam as it truly is. `who` is whom it is of; `clash`: its study UID is another hospital's, too."""

    hospital: str
    number: int
    who: str
    patient: Patient
    studies: tuple[str, ...]
    clash: bool = False

    @property
    def accession(self) -> str:
        return f"A{1000 + self.number}"

    @property
    def stem(self) -> str:
        return f"@{self.hospital}/r{self.number}" if self.hospital in OWN else f"{self.hospital}-r{self.number}"


@dataclass(frozen=True)
class Report:
    """An exam JSON as it comes; `codes` is the hospital whose constants it has, "" for none."""

    visit: Visit
    codes: str
    patient: Patient
    studies: tuple[str, ...]
    approved: bool
    minute: int

    @property
    def origin(self) -> str | None:
        """The hospital whose folder it comes by."""
        return self.visit.hospital if self.visit.hospital in OWN else None

    def data(self) -> bytes:
        """The file; Order.Note tells whose and whom it truly is of."""
        patient, born, visit = self.patient, self.patient.birth_date, self.visit
        at = f"2026-03-02 10:{self.minute:02}:00"
        return json.dumps({
            "USCI": f"12110000400000000{self.codes}" if self.codes else "",
            "HospitalCode": f"H-{self.codes}" if self.codes else "", "HospitalBranchCode": "01",
            "ExamId": f"V{visit.number}",
            "Order": {
                "AccessionNumber": visit.accession, "Note": f"{visit.hospital} of {visit.who}",
                "Status": "Reported" if self.approved else "Registered",
            },
            "Patient": {
                "PatientId": patient.patient_id, "Name": patient.name, "Gender": _SEXES.get(patient.sex, ""),
                "DateOfBirth": f"{born[:4]}-{born[4:6]}-{born[6:]}" if born else "",
            },
            "Study": {"StudyInstanceUIDs": list(self.studies), "StudyDate": "2026-03-02 09:00:00"},
            "Report": {
                "ApproveTime": at if self.approved else "", "SubmitTime": at, "Findings": f"one of {visit.who}",
            },
        }).encode()  # fmt: skip


@dataclass(frozen=True)
class Paper:
    """The PDF of an exam, under the name of its JSON."""

    visit: Visit
    pdf: Pdf


@dataclass(frozen=True)
class Picture:
    """An instance as it comes, and whom it truly shows."""

    who: str
    header: Header


Happening = Report | Paper | Picture | Pause


def history(chance: random.Random) -> list[Happening]:
    """What happens, in order."""
    visits = [visit for name in chance.sample(NAMES, chance.choice((2, 2, 3))) for visit in _visits(chance, name)]
    visits += _with_cd(chance, visits)
    things: list[Happening] = []
    for visit in visits:
        things += _reports(chance, visit, visits)
        text = f"No. {visit.accession} {visit.patient.name}\n%{visit.hospital} of {visit.who}"
        things.append(Paper(visit, Pdf(visit.stem, 0, text)))
        things += _pictures(chance, visit, visits)
    chance.shuffle(things)
    return [one for thing in things for one in (thing, *_pauses(chance))]


def _pauses(chance: random.Random) -> Iterator[Pause]:
    if chance.random() < 0.25:
        yield Pause(chance.choice((5, 300, 60000)), chance.random() < 0.2)


def _visits(chance: random.Random, hospital: str) -> Iterator[Visit]:
    shift = NAMES.index(hospital)
    for number in range(chance.choice((1, 1, 2))):
        at, clash = chance.randrange(len(PEOPLE)), chance.random() < 0.25
        own, other = PEOPLE[at], PEOPLE[(at + shift) % len(PEOPLE)]
        born = f"{int(other.birth_date[:4]) + 3 * shift}{other.birth_date[4:]}"
        patient = Patient(own.patient_id, other.name, born, other.sex)
        study = f"1.2.{number}" if clash else f"1.2.{shift + 1}.{number}"
        yield Visit(hospital, number, f"{hospital}{at}", patient, (study,), clash)


def _with_cd(chance: random.Random, visits: Sequence[Visit]) -> Iterator[Visit]:
    """Someone takes a study along to another hospital, which has a number of its own for them."""
    first = chance.choice(visits)
    elsewhere = sorted({visit.hospital for visit in visits} - {first.hospital})
    if chance.random() < 0.3 and not first.clash:
        name = chance.choice(elsewhere)
        patient = replace(first.patient, patient_id="P2000")
        yield Visit(name, 7, first.who, patient, (*first.studies, f"1.2.{NAMES.index(name) + 1}.7"))


def _reports(chance: random.Random, visit: Visit, visits: Sequence[Visit]) -> Iterator[Report]:
    for version in range(chance.choice((1, 1, 2))):
        codes = visit.hospital if visit.hospital not in OWN or chance.random() < 0.6 else ""
        minute, approved = 10 * (visit.number % 5) + version, chance.random() < 0.8
        right = Report(visit, codes, visit.patient, visit.studies, approved, minute)
        yield _mistaken(chance, right, visits) if chance.random() < 0.4 else right


def _mistaken(chance: random.Random, right: Report, visits: Sequence[Visit]) -> Report:
    other = chance.choice(visits)
    mistakes = [
        replace(right, studies=other.studies), replace(right, studies=right.studies + other.studies),
        replace(right, studies=()), replace(right, patient=replace(right.patient, patient_id="")),
        replace(right, patient=replace(right.patient, name="")),
        replace(right, patient=replace(right.patient, birth_date="")),
        replace(right, codes="" if right.visit.hospital not in OWN else other.hospital),
    ]  # fmt: skip
    return chance.choice(mistakes)


def _pictures(chance: random.Random, visit: Visit, visits: Sequence[Visit]) -> Iterator[Picture]:
    for study in visit.studies:
        first = next(one for one in visits if study in one.studies and (one.clash, one.who) == (visit.clash, visit.who))
        for number in range(1, chance.choice((2, 3))):
            # The image that came by CD is the one that the other hospital made.
            sop = number if visit.clash and chance.random() < 0.5 else 100 * (NAMES.index(first.hospital) + 1) + number
            patient = replace(first.patient, name=chance.choice(written(first.patient.name)))
            header = slice_of(study, sop, patient, first.accession)
            yield from _ways(chance, visit, header, mistaken=not visit.clash and chance.random() < 0.3)


def _ways(chance: random.Random, visit: Visit, header: Header, *, mistaken: bool) -> Iterator[Picture]:
    """The image by the way or ways that images of this hospital come by."""
    if visit.hospital in OWN:
        if mistaken:
            header = _misread(chance, header)
        if chance.random() < 0.2 and not mistaken:  # the shared PACS has it, too
            yield Picture(visit.who, replace(header, sending_ae="PACS"))
        yield Picture(visit.who, replace(header, sending_ae=f"CT-{visit.hospital}"))
    elif visit.hospital == _BY_RULE and not mistaken:
        yield Picture(visit.who, replace(header, sending_ae="PACS", institution_name="医院d 放射科"))
    else:  # nothing in it tells the hospital, which is mistake enough
        yield Picture(visit.who, replace(header, sending_ae="PACS"))


def _misread(chance: random.Random, header: Header) -> Header:
    patient = header.patient
    return chance.choice((
        replace(header, accession_number=""), replace(header, accession_number="A1001"),
        replace(header, patient=replace(patient, patient_id="")), replace(header, patient=replace(patient, name="")),
        replace(header, patient=replace(patient, birth_date="")),
    ))  # fmt: skip
