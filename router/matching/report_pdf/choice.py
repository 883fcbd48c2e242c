"""The choice of the report PDF for the version of an exam that counts (design: Reports).

The strongest evidence decides: a person, the PDF's text, the time when it was made, the order of arrival.
Weaker evidence only decides between the versions that the stronger one leaves open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from router.matching.exam.versions import JsonVersion, PdfVersion, Unread, reports_otherwise, successive
from router.matching.report_pdf.times import is_older

_AT_ONCE = timedelta(minutes=1)


class Kind(StrEnum):
    """Kind of evidence that chose a PDF, the strongest first."""

    PERSON = "a person"
    CONTENT = "content"
    TIMES = "times"
    ORDER = "order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Evidence about one PDF beside its arrival.

    `contents` are the digests of the findings that its text may be of; `times` the approved versions (their documents)
    that it may be made for; None where there is no evidence. `lacks` are the digests of findings of which its text has
    next to nothing. `made` is by its source's own clock; `why` explains the evidence.
    """

    contents: frozenset[str] | None = None
    lacks: frozenset[str] = frozenset()
    times: frozenset[int] | None = None
    made: datetime | None = None
    origin: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The PDF of the version that counts, and the evidence.

    `pdf` is None while none may go. A person may confirm the one `in_question`; `doubt` is the reason why it does not
    go by itself ("" where it is merely an earlier version's). `look_again` is when time alone changes the answer.
    """

    pdf: PdfVersion | None = None
    kind: Kind | None = None
    why: str = ""
    in_question: PdfVersion | None = None
    doubt: str = ""
    look_again: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """Everything that came for an exam: its JSONs in order of arrival, its PDFs, and the evidence about these.

    `window` is the longest time between JSON and PDF of one report, in any order. `strict`: a person decides where
    nothing shows the version of a PDF, or whether a PDF that came alone may replace another.
    """

    taken: Sequence[JsonVersion]
    pdfs: Sequence[PdfVersion]
    evidence: Mapping[int, Evidence] = field(default_factory=dict)
    window: timedelta = timedelta(minutes=10)
    strict: bool = True

    def of(self, pdf: PdfVersion) -> Evidence:
        """The evidence about a PDF."""
        return self.evidence.get(pdf.document, Evidence())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """A PDF, its version, and the evidence.

    A `pair` came with its version; another PDF came alone for a version that has its own. It is `sure` unless a draft
    came so shortly before it that it may be the draft's. `open`: it may also be of another approved version, which has
    no PDF and reports something else.
    """

    pdf: PdfVersion
    version: JsonVersion
    kind: Kind
    pair: bool
    sure: bool = True
    open: bool = False


def choose(papers: Papers, now: datetime) -> Choice:
    """The PDF that goes with the version that counts."""
    counting = successive(papers.taken)
    if not counting:
        return Choice()
    claims = _claims(papers)
    counted, content = {version.document for version in counting}, counting[-1].content
    # One that came too late to count and reports the same may have come again with corrected times.
    stale = [one.document for one in papers.taken if one.document not in counted and one.content == content]
    group = [*stale, *(version.document for version in _unchanged(counting))]  # one PDF serves these
    mine = [claim for claim in claims if claim.version.document in group and claim.pdf.unread != Unread.ONCE]
    sound = [claim for claim in mine if not claim.pdf.doubt]
    pairs = [claim for claim in sound if claim.pair and not claim.open]
    if not pairs:
        return _none(papers, mine)
    rank = {document: at for at, document in enumerate(group)}
    base = max(pairs, key=lambda one: (one.kind == Kind.PERSON, rank[one.version.document], _came(one.pdf)))
    return _replaced(papers, base, sound, now)


def _unchanged(counting: Sequence[JsonVersion]) -> list[JsonVersion]:
    """The last versions that report the same, oldest first: one PDF serves all."""
    found = [counting[-1]]
    for before in reversed(counting[:-1]):
        if reports_otherwise(before, found[0]):
            break
        found.insert(0, before)
    return found


def _none(papers: Papers, mine: Sequence[_Claim]) -> Choice:
    """The choice where no PDF may go: a person may confirm the last in doubt, else the last of an earlier version."""
    own = [claim.pdf for claim in mine if claim.pdf.doubt]
    read = [pdf for pdf in papers.pdfs if pdf.unread != Unread.ONCE]
    last = max(own or [pdf for pdf in read if not pdf.doubt] or read, key=_came, default=None)
    if last is None:
        return Choice()
    either = any(claim.open and claim.pdf == last for claim in mine)
    return Choice(in_question=last, doubt=last.doubt or (_OPEN if either else ""), why=papers.of(last).why)


def _replaced(papers: Papers, base: _Claim, sound: Sequence[_Claim], now: datetime) -> Choice:
    """The PDF that came with its version, unless a later one that came alone replaces it.

    That one replaces it once no JSON came for it within the window, if its text names the exam and (where it can be
    read) has some of the version's findings, and no other version lacks a PDF.
    """
    later = [one for one in sound if _came(one.pdf) > _came(base.pdf) and not _is_older(papers, one.pdf, base.pdf)]
    ripe = [claim for claim in later if claim.pair or claim.pdf.arrived + papers.window <= now]
    waits = min((claim.pdf.arrived + papers.window for claim in later if claim not in ripe), default=None)
    last = max(ripe, key=lambda claim: _came(claim.pdf), default=base)
    if doubt := _doubt(papers, last):
        return Choice(in_question=last.pdf, doubt=doubt, why=papers.of(last.pdf).why, look_again=waits)
    return Choice(pdf=last.pdf, kind=last.kind, why=papers.of(last.pdf).why, look_again=waits)


def _is_older(papers: Papers, pdf: PdfVersion, base: PdfVersion) -> bool:
    one, other = papers.of(pdf), papers.of(base)
    return one.origin == other.origin and is_older(one.made, other.made)


def _doubt(papers: Papers, claim: _Claim) -> str:
    """The reason why a PDF that came alone, or may be another version's, does not go by itself; "" where it does."""
    if not papers.strict or (claim.pair and not claim.open):
        return ""
    if claim.open:
        return _OPEN
    if claim.version.content in papers.of(claim.pdf).lacks:
        return _STRANGE
    return "" if claim.pdf.vouched else _ALONE


_ALONE = "another report PDF came without a JSON, and its text does not name the exam"
_STRANGE = "another report PDF came without a JSON, and its text has nothing of the findings and impression"
_OPEN = "two approved versions report differently and lack a PDF, and nothing tells of which of them the report PDF is"


# -- the version of each PDF


def _claims(papers: Papers) -> list[_Claim]:
    counted = {version.document for version in successive(papers.taken)}
    # Approved ones that came too late to count may claim a PDF, too.
    versions = [version for version in papers.taken if version.document in counted or version.approved]
    found: list[_Claim] = []
    for pdf in sorted(papers.pdfs, key=_came):
        claim = _claim(papers, versions, pdf, found)
        found += [claim] if claim else []
    return found


def _claim(
    papers: Papers, versions: Sequence[JsonVersion], pdf: PdfVersion, before: Sequence[_Claim]
) -> _Claim | None:  # fmt: skip
    said = next((version for version in papers.taken if version.document == pdf.confirmed), None)
    if said is not None:
        return _Claim(pdf=pdf, version=said, kind=Kind.PERSON, pair=True)
    open_, kind = _left_open(versions, papers.of(pdf))
    with_it = [version for version in open_ if version.document == pdf.message]
    if with_it:
        return _Claim(pdf=pdf, version=with_it[0], kind=kind, pair=True)
    taken = [one for one in before if not one.pdf.doubt and one.pdf.unread is None and not one.open]
    has = frozenset(one.version.document for one in taken)
    named = _of_name(open_, pdf, papers.window)
    version = _by_order(named, pdf, has, papers.window)
    if version is None:
        return None
    near = _near(version, pdf, papers.window)
    first = not _is_served(version, versions, has) or (near and version.document not in has)
    replaces = all(not one.sure for one in taken if one.version == version) and _near(version, pdf, _AT_ONCE)
    pair = kind == Kind.CONTENT or pdf.arrived <= version.arrived or first or replaces
    drafts = (one for one in open_ if not one.approved and one.arrived < version.arrived)
    sure = kind != Kind.ORDER or not any(_near(draft, pdf, papers.window) for draft in drafts)
    lacking = [one for one in named if not _is_served(one, versions, has)]
    as_well = papers.strict and _may_be_of_another(version, lacking, pdf, papers.window)
    return _Claim(pdf=pdf, version=version, kind=kind, pair=pair, sure=sure, open=as_well)


def _may_be_of_another(
    version: JsonVersion, lacking: Sequence[JsonVersion], pdf: PdfVersion, window: timedelta
) -> bool:
    """Whether the PDF may also be of another approved version, of those `lacking` a PDF.

    A version that came within the window takes precedence over those that came long ago.
    """
    own = version in lacking and abs(pdf.arrived - version.arrived) <= window
    others = (one for one in lacking if one.approved and one.content != version.content and one.arrived <= pdf.arrived)
    return any(not own or _near(one, pdf, window) for one in others)


def _left_open(versions: Sequence[JsonVersion], said: Evidence) -> tuple[list[JsonVersion], Kind]:
    """The versions that content and times leave open, and the kind of evidence that decided."""
    found, kind = list(versions), Kind.ORDER
    if said.contents is not None:
        found, kind = [version for version in found if version.content in said.contents], Kind.CONTENT
    if said.times is not None:
        made = [version for version in found if version.document in said.times or not version.approved]
        if made and len(made) < len(found):
            found, kind = made, Kind.CONTENT if kind == Kind.CONTENT else Kind.TIMES
    return found, kind


def _of_name(versions: Sequence[JsonVersion], pdf: PdfVersion, window: timedelta) -> list[JsonVersion]:
    """The versions under the PDF's name, if each has its own; a draft's binds no PDF that came long after it."""
    named = [version for version in versions if version.stem == pdf.stem]
    bound = any(version.approved or _near(version, pdf, window) for version in named)
    return named if bound and len(named) < len(versions) else list(versions)


def _by_order(
    versions: Sequence[JsonVersion], pdf: PdfVersion, has: frozenset[int], window: timedelta
) -> JsonVersion | None:
    """The version of a PDF by its arrival; `has` are the versions with a PDF.

    It goes with the approved version without a PDF that came within the window before it; else with the approval that
    comes within the window after it, even after a draft or a version with its own PDF; else with the version before it,
    but with a draft only within the window. A PDF that came before everything goes with the first version.
    """
    before = [version for version in versions if version.arrived <= pdf.arrived]
    after = [version for version in versions if version.arrived > pdf.arrived]
    if not before:
        return after[0] if after else None
    last, approval = before[-1], next((version for version in after if version.approved), None)
    near = _near(last, pdf, window)
    if approval is None or (last.approved and near and not _is_served(last, versions, has)):
        return last
    wait = approval.arrived - pdf.arrived
    if wait <= window:
        # Between a draft and an approval, near to both, it came with the one that is nearer.
        of_draft = near and not last.approved and wait > _AT_ONCE and pdf.arrived - last.arrived < wait
        return last if of_draft else approval
    return last if last.approved or near else approval


def _is_served(version: JsonVersion, versions: Sequence[JsonVersion], has: frozenset[int]) -> bool:
    """Whether the version, or one before it that reports the same, has a PDF."""
    until = [other for other in versions if other.arrived <= version.arrived]
    return any(other.document in has for other in _unchanged(until[: until.index(version) + 1]))


def _near(version: JsonVersion, pdf: PdfVersion, window: timedelta) -> bool:
    return timedelta(0) <= pdf.arrived - version.arrived <= window


def _came(pdf: PdfVersion) -> tuple[datetime, int]:
    return pdf.arrived, pdf.document
