"""Delivered exams, judged again by the newest rules; nothing is changed.

The text of a header is read again from its file where that is still here: the database has it as it was read then.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from router.catalogue import Catalogue
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.studies import StudyHere
from router.catalogue.queue.delivered import Files
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config
from router.correlator.assess import pdfs_of
from router.correlator.joining import doubts, forgotten
from router.errors import InvalidData
from router.exam.key import ExamKey
from router.intake.exam_reader import ExamReader
from router.intake.report_pdfs import PaperReader
from router.matching.exam.versions import JsonVersion, successive
from router.matching.patient.doubt import Doubt
from router.matching.patient.identity import StudyIdentity
from router.matching.patient.policy import identity_policy
from router.model import Channel
from router.storage.reports import Reports
from router.storage.studies import Studies

CHECKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An exam and those of its deliveries that were delivered; `unread` is why it cannot be judged, else ""."""

    exam: int
    deliveries: tuple[int, ...]
    doubts: tuple[Doubt, ...] = ()
    unread: str = ""


class Recheck:
    """Evaluates delivered exams by the newest set of checks, whichever set the node uses."""

    def __init__(
        self, config: Config, references: ExamReader, catalogue: Catalogue, studies: Studies, reports: Reports
    ) -> None:
        newest = config.model_copy(update={"identity": config.identity.model_copy(update={"checks": CHECKS})})
        self._configs = HospitalConfigs(newest)
        self._papers = PaperReader(newest, catalogue.exams, reports, self._load)
        self._references = references
        self._catalogue = catalogue
        self._studies = studies
        self._reports = reports

    def judged(self, delivered: Mapping[int, Mapping[int, Channel]], now: datetime) -> Iterator[Judged]:
        """Each of these exams (as `Delivered.since` gives them) with the doubts that nobody has settled."""
        for exam, deliveries in delivered.items():
            numbers = tuple(sorted(deliveries))
            try:
                found = self._found(exam, frozenset(deliveries.values()), now)
            except (InvalidData, OSError):
                yield Judged(exam=exam, deliveries=numbers, unread="its exam JSON is gone or cannot be read any more")
            else:
                yield Judged(exam=exam, deliveries=numbers, doubts=tuple(found))

    def _found(self, exam: int, channels: frozenset[Channel], now: datetime) -> list[Doubt]:
        known = self._catalogue.exams.case(exam)
        if not known.jsons:
            raise InvalidData("the exam has no JSON")
        identity = self._configs.of(known.hospital).identity.model_copy(update={"checks": CHECKS})
        aliases = self._catalogue.decisions.classes(known.hospital)
        policy = identity_policy(identity, aliases, several=self._configs.several)
        keys = {version.document: self._load(known, version)[1] for version in known.jsons}
        key = keys.pop(successive(known.jsons)[-1].document)
        others = list(keys.values())
        case = replace(known, studies=self._read_again(known.studies))
        # A person has settled what the text said as it is known, which may read otherwise in the file.
        digests, before = self._catalogue.delivered.settled(exam), doubts(known, key, others, policy) | forgotten(known)
        settled = frozenset(doubt for digest, doubt in before.items() if digest in digests)
        all_doubts = doubts(case, key, others, policy) | forgotten(case)
        found = [doubt for doubt in all_doubts.values() if doubt not in settled]
        if Channel.REPORT in channels:
            weighed = self._papers.weigh(case, case.jsons, pdfs_of(case, key, others, policy), now)
            choice, pdf = weighed.choice, weighed.choice.in_question
            if choice.doubt:
                of_rules = weighed.doubts.get(pdf.document, ()) if pdf is not None else ()
                found += of_rules or [Doubt(rule="pdf", text=choice.doubt, since=CHECKS)]
        return list(dict.fromkeys(found))

    def _load(self, case: ExamSnapshot, version: JsonVersion) -> tuple[dict[str, object], ExamKey]:
        reader = self._references.of(case.hospital)
        given = reader.read(self._reports.read(case.places[version.document]))
        return given, reader.key(given, case.hospital, case.branch)

    def _read_again(self, studies: Mapping[str, StudyHere]) -> dict[str, StudyHere]:
        """The studies with their identities as they are written in the files."""
        files = self._catalogue.delivered.files(studies)
        found = {}
        for uid, study in studies.items():
            identities = [self._identity_in(files.get(uid, {}), each) for each in study.identities]
            found[uid] = replace(study, identities=tuple(dict.fromkeys(identities)))
        return found

    def _identity_in(self, files: Files, known: StudyIdentity) -> StudyIdentity:
        """Identity in the file; the known one where there is no file, or none that can be read."""
        from router.dicom.dataset.header import read_head

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
