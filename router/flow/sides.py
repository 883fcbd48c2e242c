"""Who the patient is by the report and by the images, side by side: for a person who settles an identity doubt."""

from collections.abc import Callable
from dataclasses import dataclass

from router.catalogue.exams import Case
from router.config import Config
from router.correlate.identity import StudyIdentity
from router.correlate.versions import successive
from router.errors import InvalidData
from router.flow.references import References


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
        numbers = ", ".join(dict.fromkeys(number for number in ids if number))
        return Side("", key.accession_number, numbers, patient.name, patient.sex, patient.birth_date)


def _images(uid: str, said: StudyIdentity) -> Side:
    named = dict.fromkeys((said.accession_number, *said.other_accession_numbers))
    accessions = ", ".join(number for number in named if number)
    patient = said.patient
    return Side(uid, accessions, patient.patient_id, patient.name, patient.sex, _date(patient.birth_date))


def _date(da: str) -> str:
    """A DICOM date (DA) as the exam JSON writes it; what is no date stays as it is."""
    return f"{da[:4]}-{da[4:6]}-{da[6:]}" if len(da) == 8 and da.isdecimal() else da
