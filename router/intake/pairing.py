"""Pairing of JSONs and PDFs: the exam of an arriving document, and the waiting PDFs that this exam gets.

Pure: a snapshot of the rows that the document concerns comes in, the rows to write go out.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.catalogue.exams.documents import UnreadPdf, json_version
from router.catalogue.exams.exam_rows import Description, description
from router.catalogue.exams.filing import Binding, Filing
from router.catalogue.exams.snapshots import Candidate, JsonSnapshot, PdfSnapshot, WaitingPdf
from router.config.folders import drop_folders
from router.config.sections import Config
from router.exam.key import ExamKey
from router.intake.document import ReadDocument, study_named
from router.intake.numbered import Registry, number_word, of_folder, of_one_hospital
from router.intake.origin import may_be_of, origin_of
from router.matching.exam.versions import successive
from router.matching.report_pdf.naming import Bearer, bearer, identifiers, number_of

BY_NAME = "the PDF that waited, paired by its name"
BY_PATTERN = "the PDF that waited, joined by the pattern on its name"
BY_NUMBER = "the PDF that waited, joined by the number that is its name"
BY_STUDY = "the PDF that its study brought"
TAKEN_OVER = "the PDF that came before under this name and names this exam"
_GROUPS = frozenset({"exam_id", "accession", "study_uid"})
_THIS = 0  # stands for the exam at hand, which may have no number yet


class Names:
    """Names of files, read by the pattern of [reports] name_pattern ("": none), `own` by hospitals' own patterns."""

    def __init__(self, pattern: str, own: Mapping[str, str] | None = None) -> None:
        patterns = [(None, pattern), *(own or {}).items()]
        self._patterns = {hospital: re.compile(written) for hospital, written in patterns if written}

    @classmethod
    def by(cls, config: Config) -> "Names":
        """The patterns of a configuration."""
        common, *own = drop_folders(config)
        return cls(common.pattern, {one.hospital: one.pattern for one in own if one.hospital})

    @property
    def patterned(self) -> bool:
        """Whether a pattern is configured."""
        return bool(self._patterns)

    @property
    def study(self) -> bool:
        """Whether a pattern finds a study's UID."""
        return any("study_uid" in pattern.groupindex for pattern in self._patterns.values())

    def of(self, stem: str) -> dict[str, str]:
        """The names of an exam or a study that a file name holds, by kind."""
        if study := study_named(stem):
            return study
        pattern = self._patterns.get(origin_of(stem)[0])
        found = pattern.search(stem.rpartition("/")[2]) if pattern else None
        return {group: text for group, text in found.groupdict().items() if text and group in _GROUPS} if found else {}


@dataclass(frozen=True, slots=True)
class Rules:
    """Names are read by `names`; a branch of a registered hospital may have a folder of its own."""

    registry: Registry
    names: Names


def numbers_of(key: ExamKey) -> list[str]:
    """The numbers of an exam that may be the whole name of a PDF."""
    return sorted({number_of(key.exam_id), number_of(key.accession_number)} - {""})


def the_one(found: Mapping[str, Sequence[int]]) -> int | None:
    """The one exam of a name, by the first kind of name that one exam alone has; None where there is none."""
    return next((exams[0] for exams in found.values() if len(exams) == 1), None)


# -- an exam JSON


def json_filing(
    found: JsonSnapshot, document: ReadDocument, key: ExamKey, rules: Rules, now: datetime
) -> Filing:  # fmt: skip
    """The rows of an exam JSON or HL7 message, and the PDFs that its exam gets by it."""
    restores = found.damaged if found.damaged is not None and found.damaged.exam == found.exam else None
    known = found.exam is not None and (found.seen or restores is not None or document.digest in _current(found))
    taken = None if known else document.taken(now)
    # An older version must not vouch for a PDF: the exam may have been another patient's then.
    described = description(key)
    renewed = taken is not None and found.exam is not None and described != found.described
    if renewed and taken is not None:
        version = json_version(_THIS, taken, key)
        renewed = successive([*(one for one, _ in found.jsons), version])[-1] is version
    exam = _Exam(
        key=key, described=described if renewed or found.exam is None else found.described,
        lacks=found.lacks or taken is not None, linked=found.linked | set(key.study_uids if rules.names.study else ()),
    )  # fmt: skip
    claims = _Claims(found, exam, rules)
    return Filing(
        exam=key if found.exam is None else found.exam, form=document.form, enters=taken, restores=restores,
        checksum=document.checksum, describes=key if renewed else None,
        names=exam.own if renewed or found.exam is None else frozenset(),
        links=key.study_uids if rules.names.study else (), binds=claims.binds, evaluates=frozenset(claims.evaluates),
    )  # fmt: skip


def message_of(found: JsonSnapshot, digest: str) -> int | None:
    """The exam's last JSON of this digest: the message that came again."""
    return max((version.document for version, own in found.jsons if own == digest), default=None)


def _current(found: JsonSnapshot) -> set[str]:
    """The digests of the exam's last JSON and of the one that counts, which may be an earlier one."""
    counting = successive([version for version, _ in found.jsons])[-1:]
    last = [digest for _, digest in found.jsons[-1:]]
    return {*last, *(digest for version, digest in found.jsons if version in counting)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exam:
    """The exam of a JSON as it is once the JSON's rows are written."""

    key: ExamKey
    described: Description
    lacks: bool
    linked: frozenset[str]

    @property
    def own(self) -> frozenset[str]:
        return identifiers(self.key.exam_id, self.described.accession_number, self.described.patient_name)

    def has(self, kind: str, name: str) -> bool:
        """Whether it has this name."""
        if kind == "study_uid":
            return name in self.linked
        return name == (self.key.exam_id if kind == "exam_id" else self.described.accession_number)

    def as_bearer(self, number: str) -> list[Bearer]:
        """The exam as one that has this number, if it has."""
        if number not in (self.key.exam_id, self.described.accession_number):
            return []
        return [Bearer(
            exam=_THIS, hospital=self.key.hospital, branch=self.key.branch, exam_id=self.key.exam_id,
            own=self.own, lacks=self.lacks,
        )]  # fmt: skip


class _Claims:
    """The PDFs that an exam gets by its JSON, and the exams to evaluate that may lose theirs."""

    def __init__(self, found: JsonSnapshot, exam: _Exam, rules: Rules) -> None:
        self._exam = exam
        self.binds: list[Binding] = []
        self.evaluates: set[int] = set()
        of_another = found.hospitals - {exam.key.hospital}
        for pdf in found.of_name:
            if pdf.owner is None:
                if not of_another:  # else a person says whose it is
                    self._bind(pdf, BY_NAME)
            elif pdf.owner_hospital != exam.key.hospital or not self._exam.own & pdf.said:
                self.evaluates.add(pdf.owner)  # its file name has served another exam by now
            elif not pdf.said & pdf.owner_words:
                self._bind(pdf, TAKEN_OVER)
        for pdf, names, others in found.of_pattern:
            mine = {kind: [_THIS] if exam.has(kind, name) else [] for kind, name in names.items()}
            having = {kind: [*exams, *mine[kind]] for kind, exams in others.items()}
            if self._may_have(pdf) and the_one(having) == _THIS:
                self._bind(pdf, BY_PATTERN)
        for pdf in found.of_number:
            if self._may_have(pdf) and not pdf.owner_by_name:
                self._claim_number(pdf, found, rules)

    def _claim_number(self, pdf: WaitingPdf, found: JsonSnapshot, rules: Rules) -> None:
        chosen, number = None, number_of(pdf.stem)
        if not rules.names.of(pdf.stem):  # else a configured pattern reads the name
            having = [*found.bearers.get(number, ()), *self._exam.as_bearer(number)]
            chosen = bearer(number, pdf.said, of_one_hospital(of_folder(rules.registry, pdf.stem, having)))
        if chosen == _THIS and (pdf.owner is None or pdf.owner_hospital == self._exam.key.hospital):
            self._bind(pdf, BY_NUMBER if pdf.owner is None else TAKEN_OVER)
        elif pdf.owner is not None:
            self.evaluates.add(pdf.owner)  # another exam has the number by which it has come there

    def _may_have(self, pdf: WaitingPdf) -> bool:
        """Whether it came by a way of the exam's hospital, and is not the exam's already."""
        is_free = pdf.document not in {binding.pdf.document for binding in self.binds}
        return is_free and may_be_of(pdf.stem, self._exam.key.hospital)

    def _bind(self, pdf: WaitingPdf, how: str) -> None:
        self.binds.append(Binding(pdf=pdf, how=how, named=pdf.said & self._exam.own))


# -- a report PDF


def pdf_filing(
    found: PdfSnapshot, document: ReadDocument, rules: Rules, now: datetime, message: int | None = None
) -> Filing:  # fmt: skip
    """The rows of a PDF; `message` is the JSON (a document's id) that came in one message with it."""
    if found.lost is not None and origin_of(found.lost.stem)[0] == origin_of(document.stem)[0]:
        return Filing(restores=found.lost, checksum=document.checksum)
    exam = _exam_of(found, document, rules)
    if found.seen or (found.waits if exam is None else exam.latest == document.digest):
        return Filing()
    named = exam.own & (document.words or frozenset()) if exam else frozenset()
    names = rules.names.of(document.stem) | number_word(document.stem)
    taken = document.taken(now, named=named, names=names, message=message)
    return Filing(exam=exam.exam if exam else None, enters=taken)


def _exam_of(found: PdfSnapshot, document: ReadDocument, rules: Rules) -> Candidate | None:
    """The exam of a PDF: of the JSON under its name, else the one that its name names, or whose number it is.

    Where its name brought JSONs of several exams, the one that its text names, else the last one. The PDF of an HL7
    message is of the message's exam; that of a study waits for the study's. None where exams of several hospitals are
    found: a person says whose it is.
    """
    if document.of_study or document.owner is not None:
        return found.owner
    if len({one.hospital for one in found.of_name}) > 1:
        return None
    if len(found.of_name) > 1 and document.words:
        said = document.words
        return next((one for one in found.of_name if said & one.own), found.of_name[0])
    if found.of_name:
        return found.of_name[0]
    if rules.names.of(document.stem):
        return next((exams[0] for exams in found.named.values() if len(exams) == 1), None)
    having = of_folder(rules.registry, document.stem, [one for one, _ in found.bearers])
    chosen = bearer(number_of(document.stem), document.words or frozenset(), of_one_hospital(having))
    return next(
        (Candidate(exam=one.exam, own=one.own, latest=latest) for one, latest in found.bearers if one.exam == chosen),
        None,
    )


def study_filings(
    waiting: Iterable[tuple[WaitingPdf, Sequence[Candidate]]], takes: Callable[[str], bool] = lambda _: True
) -> list[Filing]:  # fmt: skip
    """The PDFs that wait by their study and whose exam is known: of several exams, the one that the text names.

    `takes`: whether a hospital's reports come so ([reports] encapsulated_pdf).
    """
    filings = []
    for pdf, found in waiting:
        exams = [one for one in found if takes(one.hospital)]
        of_one = len({one.hospital for one in exams}) == 1  # else a person says whose it is
        chosen = [one for one in exams if of_one and (len(exams) == 1 or pdf.said & one.own)]
        if len(chosen) == 1:
            binding = Binding(pdf=pdf, how=BY_STUDY, named=pdf.said & chosen[0].own)
            filings.append(Filing(exam=chosen[0].exam, binds=[binding]))
    return filings


def second_reading(pdf: UnreadPdf, words: frozenset[str], own: frozenset[str]) -> UnreadPdf:
    """The PDF by the words of its text, read at the second try; `own` are the words that name its exam."""
    named = words & own
    return UnreadPdf(
        document=pdf.document, place=pdf.place, exam=pdf.exam, named=named or pdf.named,
        vouched=pdf.vouched or bool(named),
    )  # fmt: skip
