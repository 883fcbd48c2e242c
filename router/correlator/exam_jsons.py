"""Exam JSONs as they are stored: read, compared with what came, and kept parsed."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from operator import itemgetter

from router.catalogue.exams.documents import Proof, named
from router.catalogue.exams.exams import Exams, ExamSnapshot
from router.clock import Clock
from router.errors import Damaged, InvalidData
from router.exam.key import ExamKey
from router.intake.exam_reader import ExamReader
from router.intake.intake import intact
from router.matching.exam.versions import JsonVersion, given_up, successive
from router.remembered import Recent
from router.storage.reports import Reports

_KEPT, _BYTES_KEPT = 32, 2**21  # documents that are kept parsed: one of 1 MiB may take 20
_NOT_AS_IT_CAME = "the stored exam JSON is not what came"


class ExamJsons:
    """Reads each stored JSON once, and again after `forget`."""

    def __init__(self, references: ExamReader, exams: Exams, reports: Reports, clock: Clock) -> None:
        self._references = references
        self._exams = exams
        self._reports = reports
        self._clock = clock
        self._parsed = Recent(self._parse, itemgetter(3), _KEPT, _BYTES_KEPT)
        self._named = Recent(
            lambda place, hospital, names: references.of(hospital).said(reports.read(place), names),
            lambda texts: sum(map(len, chain.from_iterable(texts.values()))), _KEPT, _BYTES_KEPT,
        )  # fmt: skip

    def texts(self, case: ExamSnapshot, document: int, names: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
        """The texts that a JSON of the exam has under these names."""
        return self._named(case.places[document], case.hospital, names) if names else {}

    def forget(self) -> None:
        """Read the JSONs again: the files that they are read by may have changed."""
        self._parsed.clear()
        self._named.clear()

    def load(self, case: ExamSnapshot, version: JsonVersion) -> tuple[dict[str, object], ExamKey]:
        """The document of a version, as the RIS gave it, and its key. Damaged: it no longer tells whose exam it is."""
        place, proof = case.places[version.document], case.proofs.get(version.document, Proof())
        document, key, sound, _ = self._parsed(
            place, case.hospital, case.branch, replace(proof, damaged=""), version.document
        )
        if not sound and not proof.damaged:
            why = f"{_NOT_AS_IT_CAME} (json, document {version.document})"
            # The exam is evaluated again, which holds the report.
            self._exams.documents.damage(version.document, place, why, self._clock.now())
        return document, key

    def counting(self, case: ExamSnapshot) -> tuple[dict[str, object], ExamKey]:
        """The document and key of the version that counts."""
        return self.load(case, successive(case.jsons)[-1])

    def is_given_up(self, exam: int) -> bool:
        """Whether the version that counts says that the exam is cancelled or withdrawn."""
        case = self._exams.case(exam)
        try:
            return bool(case.jsons) and given_up(self.counting(case)[1].status)
        except Damaged:
            return False

    def _parse(
        self, place: str, hospital: str, branch: str, proof: Proof, document: int
    ) -> tuple[dict[str, object], ExamKey, bool, int]:  # fmt: skip
        """The JSON, its key, whether it is what came, and its length in bytes.

        A changed JSON still tells whose exam it is while all that it is joined by reads as it did; else Damaged.
        """
        try:
            data = self._reports.read(place)
        except FileNotFoundError as error:
            raise Damaged("the stored exam JSON is gone", document=document, place=place) from error
        sound = intact(data, proof)
        try:
            references = self._references.of(hospital)
            given = references.read(data)
            key = references.key(given, hospital, branch)
        except InvalidData as error:
            if sound:
                raise
            raise Damaged(_NOT_AS_IT_CAME, document=document, place=place) from error
        if not sound and named(key) != proof.named:
            raise Damaged(_NOT_AS_IT_CAME, document=document, place=place)
        return given, key, sound, len(data)
