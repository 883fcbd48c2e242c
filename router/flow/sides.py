"""Who the patient is by the report and by the images, side by side: for a person who settles an identity doubt."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from router.catalogue.exams import Case
from router.config import Config
from router.correlate.identity import StudyIdentity
from router.correlate.versions import successive
from router.errors import InvalidData
from router.flow.references import References
from router.text import is_readable

NO_READING = "(no certain reading 文字无法确认)"
"""Stands for a text whose bytes can be read in several ways, or in none: a guess is not shown as somebody's name."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one of them says, "" where it says nothing. `study_uid` is "" for the report.

    Patient data: shown only to a person who asks, whose name is recorded.
    """

    study_uid: str
    accession_number: str
    patient_id: str
    name: str
    sex: str
    birth_date: str


class Sides:
    """Reads only. `read` gives a report file of the data folder."""

    def __init__(self, config: Config, read: Callable[[str], bytes]) -> None:
        self._config = config
        self._references = References(config)
        self._read = read

    def of(self, case: Case) -> list[Side]:
        """The report's side, then each study's; a study whose headers say several things has several.

        InvalidData when the node's copy of the exam JSON does not read.
        """
        return [self._report(case), *(_images(uid, i) for uid, s in case.studies.items() for i in s.identities)]

    def _report(self, case: Case) -> Side:
        place = case.places[successive(case.jsons)[-1].document]
        try:
            key = self._references.key(self._references.read(self._read(place)), case.branch)
        except OSError as error:
            raise InvalidData("the node's copy of the exam JSON cannot be read", hint="run `verify`") from error
        patient = key.patient
        ids = [patient.patient_ids.get(path, "") for path in self._config.identity.patient_id]
        numbers = ", ".join(dict.fromkeys(_certain(number) for number in ids if number))
        accession, name = _certain(key.accession_number), _certain(patient.name)
        return Side("", accession, numbers, name, patient.sex, patient.birth_date)


def unreadable(identities: Iterable[StudyIdentity]) -> list[str]:
    """The fields of these whose text has no certain reading, which therefore agree with nothing."""
    texts: dict[str, list[str]] = {"patient id": [], "name": [], "accession number": []}
    for one in identities:
        texts["patient id"].append(one.patient.patient_id)
        texts["name"].append(one.patient.name)
        texts["accession number"] += [one.accession_number, *one.other_accession_numbers]
    return [name for name, said in texts.items() if not all(map(is_readable, said))]


def _images(uid: str, said: StudyIdentity) -> Side:
    numbers = (number for number in (said.accession_number, *said.other_accession_numbers) if number)
    patient = said.patient
    accessions, number, name = ", ".join(map(_certain, numbers)), _certain(patient.patient_id), _certain(patient.name)
    return Side(uid, accessions, number, name, patient.sex, _date(patient.birth_date))


def _certain(text: str) -> str:
    return text if is_readable(text) else NO_READING


def _date(da: str) -> str:
    """A DICOM date (DA) as the exam JSON writes it; what is no date stays as it is."""
    return f"{da[:4]}-{da[4:6]}-{da[6:]}" if len(da) == 8 and da.isdecimal() else da
