"""What was delivered, judged by the rules of now. It reads, and changes nothing.

The text in a header is read again from a file where one is still here: the database has it as it was read then.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from router.catalogue import Catalogue
from router.catalogue.delivered import Files
from router.catalogue.exams import Case
from router.catalogue.studies import StudyHere
from router.config import Config
from router.correlate.doubt import Doubt
from router.correlate.identity import IdentityPolicy, StudyIdentity, same_patient
from router.correlate.naming import identifiers
from router.correlate.versions import of_patient, successive, to_confirm
from router.errors import InvalidData
from router.exam.key import ExamKey
from router.flow.joining import doubts, forgotten, identity_policy
from router.flow.references import References
from router.model import Channel
from router.storage.reports import Reports
from router.storage.studies import Studies

CHECKS = 2
_PDF = "pdf"
# The rules by the texts of their doubts; the last one has whatever the database says of a study.
_RULES = (
    (r"an earlier version of this exam names another patient", "exam-of-another-patient"),
    (r"exam \d+ of another patient lists study ", "study-of-several-patients"),
    (r"study \S+ differs from the exam in ", "study-differs"),
    (r"there was an exam of this ExamId", "records-removed"),
    (r"", "study-in-doubt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An exam and those of its deliveries that were delivered; `unread` is why it cannot be judged, else ""."""

    exam: int
    deliveries: tuple[int, ...]
    doubts: tuple[Doubt, ...] = ()
    unread: str = ""


class Recheck:
    """Evaluates delivered exams by the newest set of checks, whatever set the node goes by."""

    def __init__(
        self, config: Config, references: References, catalogue: Catalogue, studies: Studies, reports: Reports
    ) -> None:
        self._identity = config.identity.model_copy(update={"checks": CHECKS})
        self._references = references
        self._catalogue = catalogue
        self._studies = studies
        self._reports = reports

    def judged(self, delivered: Mapping[int, Mapping[int, Channel]]) -> Iterator[Judged]:
        """Each of these exams (as `Delivered.since` gives them) with the doubts that nobody has settled."""
        policy = identity_policy(self._identity, self._catalogue.decisions.classes())
        for exam, deliveries in delivered.items():
            numbers = tuple(sorted(deliveries))
            try:
                found = self._found(exam, frozenset(deliveries.values()), policy)
            except (InvalidData, OSError):
                yield Judged(exam=exam, deliveries=numbers, unread="its exam JSON is gone or cannot be read any more")
            else:
                yield Judged(exam=exam, deliveries=numbers, doubts=tuple(found))

    def _found(self, exam: int, channels: frozenset[Channel], policy: IdentityPolicy) -> list[Doubt]:
        known = self._catalogue.exams.case(exam)
        key, *others = [self._key(known, document) for document in _counting_first(known)]
        case = replace(known, studies=self._read_again(known.studies))
        settled = self._settled(known, doubts(known, key, others, policy) | forgotten(known))
        identity = doubts(case, key, others, policy) | forgotten(case)
        found = [_named(doubt) for doubt in identity.values() if doubt not in settled]
        if Channel.REPORT in channels and (text := _pdf_doubt(case, key, others, policy)):
            found.append(Doubt(rule=_PDF, text=text))
        return list(dict.fromkeys(found))

    def _settled(self, case: Case, found: Mapping[str, Doubt | str]) -> frozenset[Doubt | str]:
        """What a person has settled was found in the text as it is known, which may read otherwise in the file."""
        digests = self._catalogue.delivered.settled(case.exam)
        return frozenset(doubt for digest, doubt in found.items() if digest in digests)

    def _key(self, case: Case, document: int) -> ExamKey:
        given = self._references.read(self._reports.read(case.places[document]))
        return self._references.key(given, case.branch)

    def _read_again(self, studies: Mapping[str, StudyHere]) -> dict[str, StudyHere]:
        files = self._catalogue.delivered.files(studies)
        return {uid: self._as_written(study, files.get(uid, {})) for uid, study in studies.items()}

    def _as_written(self, study: StudyHere, files: Files) -> StudyHere:
        identities = [self._identity_in(files, each) for each in study.identities]
        return replace(study, identities=tuple(dict.fromkeys(identities)))

    def _identity_in(self, files: Files, known: StudyIdentity) -> StudyIdentity:
        """What the file says; what is known where there is none, or none that can be read."""
        from router.dicom.header import read_head  # commands that only look start without the DICOM libraries

        if known not in files:
            return known
        try:
            head = read_head(self._studies.path(*files[known]))
        except (InvalidData, OSError):
            return known
        return StudyIdentity(head.patient, head.accession_number, head.other_accession_numbers)


def by_rule(judged: Iterable[Judged]) -> Counter[tuple[int, str]]:
    """How many exams each rule would hold, by the set of checks that brought it and its name."""
    return Counter(rule for one in judged for rule in {(doubt.since, doubt.rule) for doubt in one.doubts})


def _counting_first(case: Case) -> list[int]:
    """The exam's JSONs, by document: the one that counts, then all others."""
    if not case.jsons:
        raise InvalidData("the exam has no JSON")
    counting = successive(case.jsons)[-1].document
    return [counting, *(version.document for version in case.jsons if version.document != counting)]


def _pdf_doubt(case: Case, key: ExamKey, others: Sequence[ExamKey], policy: IdentityPolicy) -> str:
    one = all(same_patient(other.patient, key.patient, policy) for other in others)
    own = identifiers("", key.accession_number, key.patient.name)
    doubted = to_confirm(successive(case.jsons), case.pdfs if one else of_patient(case.pdfs, own))
    return doubted.doubt if doubted is not None else ""


def _named(found: Doubt | str) -> Doubt:
    """A doubt under the name of its rule."""
    if isinstance(found, Doubt):
        return found
    study = re.search(r"\bstudy (\S+)", found)
    rule = next(rule for text, rule in _RULES if re.match(text, found))
    return Doubt(rule=rule, text=found, study_uid=study[1] if study else "")
