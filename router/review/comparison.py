"""Comparison of the patient by the report and by the images, for a person who settles an identity doubt."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from router.catalogue.exams.exams import ExamSnapshot
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config
from router.correlator.joining import comparisons, is_shared, of_patients
from router.errors import InvalidData
from router.intake.exam_reader import ExamReader
from router.matching.exam.versions import successive
from router.matching.patient.identity import FIELDS, Comparison, IdentityPolicy, StudyIdentity
from router.matching.patient.policy import identity_policy
from router.matching.patient.weighing import doubts_of, remarks
from router.text.decoding import is_readable

NO_READING = "(no certain reading 文字无法确认)"
"""Stands for a text whose bytes can be read in several ways, or in none: no guess is shown as a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The patient by the report or by a study, "" where it says nothing. `study_uid` is "" for the report.

    Of a study: the fields that `agree` with the report's and those that `differ`, and `remarks` in words without
    values. The other fields cannot be compared.
    This is patient data, shown only to a person who asks, whose name is recorded.
    """

    study_uid: str
    accession_number: str
    patient_id: str
    name: str
    sex: str
    birth_date: str
    agree: tuple[str, ...] = ()
    differ: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def incomparable(self) -> tuple[str, ...]:
        """Fields of which the report or the study says nothing that can be compared."""
        return tuple(field for field in FIELDS if field not in (*self.agree, *self.differ))


class IdentityComparison:
    """Reads only.

    `read` gives a report file of the data folder, `aliases` the numbers of a hospital that are of one patient.
    """

    def __init__(
        self, config: Config, read: Callable[[str], bytes], aliases: Callable[[str], Mapping[str, str]] = lambda _: {}
    ) -> None:
        self._configs = HospitalConfigs(config)
        self._aliases = aliases
        self._references = ExamReader(config)
        self._read = read

    def of(self, case: ExamSnapshot) -> list[Side]:
        """The report's side, then each study's, one a header. InvalidData where the exam JSON does not read."""
        place = case.places[successive(case.jsons)[-1].document]
        try:
            reader = self._references.of(case.hospital)
            key = reader.key(reader.read(self._read(place)), case.hospital, case.branch)
        except OSError as error:
            raise InvalidData("the node's copy of the exam JSON cannot be read", hint="run `verify`") from error
        identity = self._configs.of(case.hospital).identity
        policy = identity_policy(identity, self._aliases(case.hospital), several=self._configs.several)
        patient = key.patient
        ids = [patient.patient_ids.get(path, "") for path in identity.patient_id]
        numbers = ", ".join(dict.fromkeys(_certain(number) for number in ids if number))
        report = Side(
            study_uid="", accession_number=_certain(key.accession_number), patient_id=numbers,
            name=_certain(patient.name), sex=patient.sex, birth_date=patient.birth_date,
        )  # fmt: skip
        return [report, *(_images(case, *each, policy) for each in comparisons(case, key, policy))]

    def remarks(self, case: ExamSnapshot) -> tuple[str, ...]:
        """Remarks on the studies' patients, in words without values; none where the report does not read."""
        try:
            sides = self.of(case) if case.jsons else []
        except InvalidData:
            return ()
        found = ((one.study_uid, text) for one in sides for text in one.remarks)
        return tuple(dict.fromkeys(text if uid in text else f"study {uid}: {text}" for uid, text in found))


def unreadable(identities: Iterable[StudyIdentity]) -> list[str]:
    """Fields whose text has no certain reading in one of these, and therefore agrees with nothing."""
    texts: dict[str, list[str]] = {"patient id": [], "name": [], "accession number": []}
    for one in identities:
        texts["patient id"].append(one.patient.patient_id)
        texts["name"].append(one.patient.name)
        texts["accession number"] += [one.accession_number, *one.other_accession_numbers]
    return [name for name, said in texts.items() if not all(map(is_readable, said))]


def _images(case: ExamSnapshot, uid: str, said: StudyIdentity, found: Comparison, policy: IdentityPolicy) -> Side:
    named, patient = dict.fromkeys((said.accession_number, *said.other_accession_numbers)), said.patient
    by_itself = doubts_of(uid, found, policy, shared=is_shared(case, uid, policy))
    doubts = (*by_itself, *of_patients(case.studies[uid], policy))
    texts = [doubt.text for doubt in doubts if doubt.rule != "differs"]
    born = patient.birth_date
    if len(born) == 8 and born.isdecimal():  # a DICOM date (DA), as the exam JSON writes it
        born = f"{born[:4]}-{born[4:6]}-{born[6:]}"
    return Side(
        study_uid=uid, accession_number=", ".join(_certain(number) for number in named if number),
        patient_id=_certain(patient.patient_id), name=_certain(patient.name), sex=patient.sex,
        birth_date=born, agree=tuple(field for field in FIELDS if field in found.agree),
        differ=found.differ, remarks=(*texts, *remarks(found)),
    )  # fmt: skip


def _certain(text: str) -> str:
    return text if is_readable(text) else NO_READING
