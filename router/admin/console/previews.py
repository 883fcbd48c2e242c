"""A small picture of each series, and the text of the report's PDF, beside patient data whose viewing was recorded.

A picture has an address of its own, with a mark that only the session has which was shown its page.
"""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from urllib.parse import urlencode

from router.admin.console.context import Act, ConsoleContext
from router.admin.console.view import View
from router.admin.http.server import Answer, Request
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.series_members import MiddleInstance
from router.dicom.preview.syntaxes import is_installed, lack_of
from router.errors import InvalidData
from router.model import NO_DEVICE
from router.storage.reports import Reports, text_of
from router.storage.studies import Studies
from router.text.language import N_

_MOST_SERIES, _MOST_PAPERS = 24, 3
_LONGEST_TEXT = 4000  # characters of a PDF
_KEPT = {"Cache-Control": "private, max-age=300", "Vary": "Cookie"}
_NO_EXTRA = N_("no preview: install the extra `preview`")
_GONE = N_("its images are not here any more")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPreview:
    """A series: its picture's address, or what is lacking for one."""

    study_uid: str
    series_uid: str
    modality: str
    description: str
    count: int
    address: str
    lack: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportText:
    """The first characters of a report PDF's text; None where none was read. `chosen`: it goes with the report."""

    document: int
    chosen: bool
    text: str | None
    more: bool


class Previews:
    """Pictures and text of an exam's files, for its page."""

    def __init__(self, context: ConsoleContext) -> None:
        self._secret = secrets.token_bytes(32)
        self.use(context)

    def use(self, context: ConsoleContext) -> None:
        """Show what this configuration says from now on."""
        self._context = context
        self._reports = Reports(context.config.node.data)
        self._studies = Studies(context.config.node.data / "studies")

    @property
    def looks(self) -> Mapping[str, Act]:
        """Pages to look at, by path."""
        return {"/preview": self._picture}

    def series(self, view: View, case: ExamSnapshot) -> tuple[Sequence[SeriesPreview], int]:
        """The first series of the exam's studies that have images, and how many follow."""
        members = self._context.catalogue.series_members
        found = [one for uid in case.studies for one in members.middles(uid) if one.modality not in NO_DEVICE]
        facts = members.facts(one.facts for one in found[:_MOST_SERIES])
        lack = "" if is_installed() else _NO_EXTRA
        return [
            SeriesPreview(
                study_uid=one.uids.study, series_uid=one.uids.series, modality=one.modality,
                description=facts[one.facts].series_description, count=one.count,
                address=self._address(view, case.exam, one), lack=lack or lack_of(one.transfer_syntax),
            ) for one in found[:_MOST_SERIES]
        ], max(len(found) - _MOST_SERIES, 0)  # fmt: skip

    def papers(self, case: ExamSnapshot) -> Sequence[ReportText]:
        """The report PDF that goes, and the one to be confirmed; where there is neither, the last ones that came."""
        chosen, here = case.chosen, [one.document for one in case.pdfs if one.here]
        first = [number for number in (chosen.pdf, chosen.candidate) if number in here]
        return [self._paper(case, number) for number in dict.fromkeys(first or here[: -_MOST_PAPERS - 1 : -1])]

    def _paper(self, case: ExamSnapshot, document: int) -> ReportText:
        text = text_of(self._reports.source(case.places[document]))
        said = None if text is None else text[:_LONGEST_TEXT].replace("\f", "\n\n").strip()
        more = text is not None and len(text) > _LONGEST_TEXT
        return ReportText(document=document, chosen=document == case.chosen.pdf, text=said, more=more)

    def _address(self, view: View, exam: int, one: MiddleInstance) -> str:
        asked = {"id": exam, "study": one.uids.study, "series": one.uids.series}
        return "/preview?" + urlencode({**asked, "seen": self._mark(view, *map(str, asked.values()))})

    def _mark(self, view: View, exam: str, study: str, series: str) -> str:
        """Mark of what was shown to this session."""
        said = "\0".join((view.session.key if view.session else "", exam, study, series))
        return hmac.new(self._secret, said.encode(), "sha256").hexdigest()[:32]

    def _picture(self, view: View, request: Request) -> Answer:
        exam, study, series, seen = (request.query.get(name, "") for name in ("id", "study", "series", "seen"))
        if not hmac.compare_digest(self._mark(view, exam, study, series).encode(), seen.encode()):
            raise InvalidData("this picture is not on a page of your session")
        try:
            return Answer(200, self._made(study, series), "image/jpeg", _KEPT)
        except InvalidData as error:
            return Answer(200, _in_words(view.say(error.message)), "image/svg+xml", _KEPT)

    def _made(self, study: str, series: str) -> bytes:
        if not is_installed():
            raise InvalidData(_NO_EXTRA)
        found = self._context.catalogue.series_members.middles(study, series)
        if not found:
            raise InvalidData(_GONE)
        return self._context.pictures.of(self._studies.path(found[0].uids, found[0].version))


def _in_words(text: str) -> bytes:
    """A picture that says why there is none."""
    lines = wrap(text, 13 if not text.isascii() else 26)
    said = "".join(
        f'<text x="128" y="{134 + 22 * (n - (len(lines) - 1) / 2):.0f}">{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    style = 'font-family="sans-serif" font-size="17" text-anchor="middle" fill="#8a949e"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256" {style}>{said}</svg>'.encode()
