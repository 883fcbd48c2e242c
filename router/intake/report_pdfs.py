"""The report PDFs of an exam: whose they are, and which one goes with the version that counts.

Their texts are read here, `matching.report_pdf.choice` decides by them, and the catalogue keeps the choice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from router.catalogue.exams.exams import Chosen, Exams, ExamSnapshot
from router.config.sections import Config, Hospital
from router.errors import Damaged, InvalidData
from router.exam.key import ExamKey
from router.intake.numbered import bearers
from router.matching.exam.versions import JsonVersion, PdfVersion, Unread, successive
from router.matching.patient.doubt import Doubt, holding
from router.matching.report_pdf.calibration import CARRIED, Calibration
from router.matching.report_pdf.choice import Choice, Evidence, Papers, choose
from router.matching.report_pdf.content import AGREES, Reading, Runs, lacking, reading, runs_of_pdf, runs_of_report
from router.matching.report_pdf.labels import Labelled, han_name, labelled, may_be, normal_number
from router.matching.report_pdf.naming import bearer, number_of, words
from router.matching.report_pdf.times import of as versions_of_time
from router.remembered import Recent
from router.storage.reports import Reports, made_at, text_of
from router.text.decoding import is_readable

_KEPT, _RUNS_KEPT = 32, 2**17  # documents whose words are kept; runs of all of them, each some 150 bytes

SEVERAL = "the name of the report PDF is a number of several exams, and its text does not tell of which it is"
UNREAD = "the text of the report PDF could not be read in its processor time, nor a minute later"
Load = Callable[[ExamSnapshot, JsonVersion], tuple[dict[str, object], ExamKey]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A PDF as it was read; `text` is whether one is kept, be it empty."""

    text: bool
    runs: Runs
    labels: Labelled
    made: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """The choice of an exam's PDF, what is kept of it, its lesson, and the doubts that hold, by the PDF's document."""

    choice: Choice
    kept: Chosen
    lesson: "Lesson | None" = None
    doubts: Mapping[int, Sequence[Doubt]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Lesson about a source from a PDF that was paired with its JSON; see `Calibrations.learn`."""

    document: int
    origin: str
    agreed: bool
    offset: int | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A PDF, what it says of the versions, the doubts about it that hold, and those that are warnings only."""

    pdf: PdfVersion
    evidence: Evidence
    held: Sequence[Doubt]
    warnings: Sequence[Doubt]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matter:
    """An exam and its versions, as every PDF is compared with them."""

    case: ExamSnapshot
    key: ExamKey
    versions: Sequence[JsonVersion]
    numbers: frozenset[str]
    texts: Mapping[str, Runs]


class PaperReader:
    """Reads and weighs; `load` gives the document and the key of a version."""

    def __init__(self, config: Config, exams: Exams, reports: Reports, load: Load) -> None:
        self._config = config
        self._exams = exams
        self._reports = reports
        self._load = load
        self._sheet = Recent(self._read, lambda sheet: len(sheet.runs), _KEPT, _RUNS_KEPT)

    def reconfigure(self, config: Config) -> None:
        """Weigh by this configuration from the next exam on."""
        self._config = config

    @property
    def checks(self) -> int:
        """The set of checks that hold."""
        return self._config.identity.checks or 2

    def weigh(
        self, case: ExamSnapshot, versions: Sequence[JsonVersion], pdfs: Sequence[PdfVersion], now: datetime
    ) -> Weighed:
        """The PDF for the version that counts; `versions` are all JSONs and `pdfs` those that are in no older doubt."""
        if kept := self._kept(case, pdfs):
            return kept
        matter = self._matter(case, versions)
        calibrations = {origin: self._exams.calibrations.of(origin) for origin in {self._origin(pdf) for pdf in pdfs}}
        judged = [self._judge(matter, pdf, calibrations[self._origin(pdf)]) for pdf in pdfs]
        papers = Papers(
            taken=matter.versions, pdfs=[one.pdf for one in judged],
            evidence={one.pdf.document: one.evidence for one in judged},
            window=self._config.reports.pair_within, strict=self.checks > 1,
        )  # fmt: skip
        choice = choose(papers, now)
        warnings = [f"warning ({doubt.rule}): {doubt.text}" for one in judged for doubt in one.warnings]
        lesson = self._lesson(matter, choice, calibrations) if choice.pdf else None
        doubts = {one.pdf.document: one.held for one in judged}
        return Weighed(choice=choice, kept=_to_keep(case, choice, warnings), lesson=lesson, doubts=doubts)

    def learn(self, lesson: Lesson) -> None:
        """Calibrate a source by a pair."""
        self._exams.calibrations.learn(
            lesson.document, lesson.origin, agreed=lesson.agreed, offset=lesson.offset, labels=lesson.labels
        )

    # -- what was read

    def _kept(self, case: ExamSnapshot, pdfs: Sequence[PdfVersion]) -> Weighed | None:
        """The choice of before, where nothing has come since and copies, with what they said, are removed."""
        known = case.chosen
        if all(pdf.here for pdf in pdfs) or known.weighed != max(case.places):
            return None
        pdf = next((pdf for pdf in pdfs if pdf.document == known.pdf), None)
        return Weighed(choice=Choice(pdf=pdf, why=known.evidence), kept=known) if pdf else None

    def _read(self, place: str, unread: Unread | None) -> Sheet:  # one read later is another sheet
        source = self._reports.source(place)
        text = text_of(source)
        return Sheet(
            text=text is not None, runs=runs_of_pdf(text or ""), labels=labelled(text or ""), made=made_at(source)
        )

    def _matter(self, case: ExamSnapshot, versions: Sequence[JsonVersion]) -> _Matter:
        loaded = {version.document: self._load(case, version) for version in versions}
        read = [replace(one, text=loaded[one.document][1].reported) for one in versions]
        counting = successive(read)[-1]
        document, key = loaded[counting.document]
        texts = {one.content: runs_of_report(one.text) for one in read}
        return _Matter(case=case, key=key, versions=read, numbers=frozenset(_numbers(document)), texts=texts)

    def _origin(self, pdf: PdfVersion) -> str:
        return origin_of(self._config.own, pdf.stem)

    # -- what it says

    def _judge(self, matter: _Matter, pdf: PdfVersion, calibration: Calibration) -> _Judged:
        sheet = self._sheet(matter.case.places[pdf.document], pdf.unread)
        said = self._reading(matter, pdf, sheet, calibration)
        doubts = [] if pdf.confirmed is not None else list(self._doubts(matter, pdf, sheet, said, calibration))
        held = holding(doubts, self.checks)
        clock = self._origin(pdf) + ("" if sheet.made else ", by its file time")
        legible = self._config.reports.pdf_text_check and calibration.content_speaks
        evidence = Evidence(
            contents=said.of or None, lacks=lacking(sheet.runs, matter.texts) if legible else frozenset(),
            times=_times(matter, pdf, sheet, calibration), made=sheet.made or pdf.file_time,
            origin=clock, why=said.why,
        )  # fmt: skip
        judged = replace(pdf, doubt="; ".join(dict.fromkeys(doubt.text for doubt in held)))
        warnings = [doubt for doubt in doubts if doubt not in held]
        return _Judged(pdf=judged, evidence=evidence, held=held, warnings=warnings)

    def _reading(self, matter: _Matter, pdf: PdfVersion, sheet: Sheet, calibration: Calibration) -> Reading:
        if not self._config.reports.pdf_text_check:
            return Reading(of=None, share=0.0, why="its text is not asked ([reports] pdf_text_check)")
        if not sheet.text:
            return Reading(of=None, share=0.0, why="no text of it is kept")
        if not calibration.content_speaks:
            return Reading(of=None, share=0.0, why=calibration.told())
        found = reading(sheet.runs, matter.texts)
        if found.of is not None or found.share >= AGREES or not sheet.runs:
            return found
        # Findings of the exams that share the PDF's name, have it as their number, or share a study.
        named = (one.exam for one in bearers(self._exams, self._config.own, pdf.stem))
        siblings = (sibling.exam for sibling in matter.case.siblings)
        others = {*self._exams.documents.exams_of_stem(pdf.stem), *named, *siblings}
        texts = {str(exam): self._text_of(exam) for exam in sorted(others - {matter.case.exam})}
        return reading(sheet.runs, matter.texts, texts)

    def _text_of(self, exam: int) -> Runs:
        case = self._exams.case(exam)
        try:
            return frozenset().union(
                *(runs_of_report(self._load(case, version)[1].reported) for version in successive(case.jsons)[-1:])
            )
        except (InvalidData, Damaged, OSError):
            return frozenset()

    # -- whose it is

    def _doubts(
        self, matter: _Matter, pdf: PdfVersion, sheet: Sheet, said: Reading, calibration: Calibration
    ) -> Iterator[Doubt]:
        if pdf.doubt:
            yield Doubt(rule="pdf-other", text=pdf.doubt)
        elif self._is_of_several(matter, pdf):
            yield Doubt(rule="pdf-several", text=SEVERAL)
        if not self._config.reports.pdf_text_check:
            return
        if _is_somebody_elses(sheet.labels, matter.key):
            text = "the report PDF names another patient (under 姓名)"
            yield Doubt(rule="pdf-name", text=text)
        elif label := self._foreign_label(matter, pdf, sheet, calibration):
            text = f"the report PDF has another number than this exam's (under {label})"
            yield Doubt(rule="pdf-number", text=text, since=2)
        if said.of is not None and not said.of:
            yield Doubt(rule="pdf-content", text="the report PDF has the findings of another exam", since=2)
        if pdf.unread == Unread.FOR_GOOD:
            yield Doubt(rule="pdf-unread", text=UNREAD, since=2)

    def _is_of_several(self, matter: _Matter, pdf: PdfVersion) -> bool:
        """Whether it is the exam's by a number that is its name alone, which another exam has, too."""
        if pdf.message is not None or any(version.stem == pdf.stem for version in matter.versions):
            return False
        found = bearers(self._exams, self._config.own, pdf.stem)
        if len(found) < 2:  # nobody else has the number
            return False
        asked = self._config.reports.pdf_text_check
        text = text_of(self._reports.source(matter.case.places[pdf.document])) if asked else ""
        return bearer(number_of(pdf.stem), words(text or ""), found) != matter.case.exam

    def _foreign_label(self, matter: _Matter, pdf: PdfVersion, sheet: Sheet, calibration: Calibration) -> str:
        """The label under which another exam's or patient's number stands; "" where none does.

        A number that nobody knows says something only where that label usually carries one of the exam's.
        """
        if pdf.vouched and any(sign.isdigit() for word in pdf.named for sign in word):
            return ""
        by_label: dict[str, list[str]] = {}
        for label, number in sheet.labels.numbers:
            by_label.setdefault(label, []).append(normal_number(number))
        for label, numbers in by_label.items():
            if matter.numbers.isdisjoint(numbers) and (
                calibration.labels.get(label, 0) >= CARRIED
                or any(self._is_anothers(matter.case, number) for number in numbers)
            ):
                return label
        return ""

    def _is_anothers(self, case: ExamSnapshot, number: str) -> bool:
        return self._exams.pdf_names.known_number(number, case.exam, case.hospital)

    # -- what it teaches

    def _lesson(self, matter: _Matter, choice: Choice, calibrations: Mapping[str, Calibration]) -> Lesson | None:
        """Lesson from a PDF that goes with an approved version, once."""
        pdf, version = choice.pdf, successive(matter.versions)[-1]
        if pdf is None or pdf.learnt or not version.approved or not self._config.reports.pdf_text_check:
            return None
        sheet = self._sheet(matter.case.places[pdf.document], pdf.unread)
        if not sheet.text:
            return None
        agreed = reading(sheet.runs, {version.content: matter.texts[version.content]}).of is not None
        since = sheet.made - version.approve_time if sheet.made and version.approve_time else None
        labels = {label for label, number in sheet.labels.numbers if normal_number(number) in matter.numbers}
        return Lesson(
            document=pdf.document, origin=self._origin(pdf), agreed=agreed,
            offset=None if since is None else round(since.total_seconds()), labels=tuple(sorted(labels)),
        )  # fmt: skip


def origin_of(hospital: Hospital, stem: str) -> str:
    """The source of a PDF by its name: HL7, DICOM, a branch's folder, or the drop folder."""
    if stem.startswith(("mllp/", "dicom:")):
        return stem[: stem.index("/" if stem.startswith("mllp/") else ":")]
    folders = (branch.folder.strip("/") for branch in hospital.branch if branch.folder)
    return next((f"folder {folder}" for folder in folders if stem.startswith(folder + "/")), "folder")


def _to_keep(case: ExamSnapshot, choice: Choice, warnings: Sequence[str]) -> Chosen:
    candidate = choice.in_question.document if choice.in_question else None
    if choice.pdf is not None:
        said = f"the report PDF (document {choice.pdf.document}) was chosen by {choice.kind}"
    elif candidate is not None:
        said = f"no report PDF goes by itself; the last one in question is document {candidate}"
    else:
        said = ""
    text = "; ".join([*([f"{said} ({choice.why})" if choice.why else said] if said else []), *warnings])
    pdf = choice.pdf.document if choice.pdf else None
    return Chosen(evidence=text, pdf=pdf, candidate=candidate, weighed=max(case.places))


def _is_somebody_elses(labels: Labelled, key: ExamKey) -> bool:
    name = han_name(key.patient.name)
    if not labels.names or not name or not is_readable(key.patient.name):
        return False
    return not any(may_be(printed, name) for printed in labels.names)


def _times(matter: _Matter, pdf: PdfVersion, sheet: Sheet, calibration: Calibration) -> frozenset[int] | None:
    offset = calibration.offset
    if sheet.made is None or offset is None:
        return None
    at = {one.document: one.approve_time for one in matter.versions if one.approved and one.approve_time}
    return versions_of_time(sheet.made - offset, pdf.arrived, at)


def _numbers(value: object) -> Iterator[str]:
    """Every text and number of an exam JSON, as numbers are compared."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        yield normal_number(value)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_LONGEST_NUMBER:
        yield str(value)


_LONGEST_NUMBER = 100
