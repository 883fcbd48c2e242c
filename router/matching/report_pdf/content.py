"""The content of a report PDF as evidence for a version's findings (design: Reports, the first evidence).

Texts are compared by their runs: every eight characters in a row, in one width and without white space. Signs stay:
1.5cm and 15cm have different runs, as have 左 and 右.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

RUN = 8
"""Characters of a run: a difference is known by so many around it."""
AGREES = 0.6
"""The share of a text's runs that a PDF of it has at least."""
_PAGE = "\f"
_LACKS = 0.2
_LONGEST = 100_000
_LEGIBLE = 0.5
_INVISIBLE = re.compile("[\\s\u00ad\u200b-\u200f\u2028-\u202f\u2060\ufeff\0]+")
_COUNTS_PAGES = re.compile(r"(?:第?\d+页?[/,共]*)?\d*页?|page\d+(?:(?:of|/)\d+)?", re.IGNORECASE)

Runs = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Reading of a PDF's text.

    `of` are the keys of the texts that it may be of; None where it proves nothing. `share` is the part of the best
    agreeing text that it has, from 0 to 1; `why` explains the result in words.
    """

    of: frozenset[str] | None
    share: float
    why: str


def is_text(text: str) -> bool:
    """Whether a person could read it: fonts without a mapping to characters yield random signs."""
    seen = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[:_LONGEST]))
    known = sum(_is_legible(character) for character in seen)
    return bool(seen) and known >= len(seen) * _LEGIBLE


def runs_of_pdf(text: str) -> Runs:
    """The runs of a PDF's text, its pages separated by form feeds, without lines printed on several pages.

    Findings continue on the next page, and so do the runs. None where it is no text.
    """
    if not is_text(text):
        return frozenset()
    text = text[:_LONGEST]
    pages = [[_plain(line) for line in page.splitlines()] for page in text.split(_PAGE)]
    if len(pages) > 1:  # heads, patient's data and page numbers stand on several
        on = Counter(line for page in pages for line in set(page))
        lines = (line for page in pages for line in page if on[line] == 1)
        text = "".join(line for line in lines if not _COUNTS_PAGES.fullmatch(line))
    return _runs(_plain(text))


def runs_of_report(parts: Iterable[str]) -> Runs:
    """The runs of findings and of impression, separately: a PDF may print anything between them."""
    return frozenset().union(*(_runs(_plain(part[:_LONGEST])) for part in parts))


def reading(pdf: Runs, texts: Mapping[str, Runs], others: Mapping[str, Runs] = {}) -> Reading:
    """The texts that the PDF may be of, out of `texts`, an exam's versions by key; `others` are of other exams.

    Between several versions the differences decide: it has those of its own, and lacks those of the others.
    """
    shares = {key: _share(runs, pdf) for key, runs in texts.items() if runs}
    best = max(shares.values(), default=0.0)
    if not pdf or not shares:
        return Reading(of=None, share=best, why="the PDF has no text that can be read" if not pdf else _NO_FINDINGS)
    if best < AGREES:
        if any(runs and _share(runs, pdf) >= AGREES for runs in others.values()):
            return Reading(of=frozenset(), share=best, why="the PDF has the findings of another exam")
        return Reading(of=None, share=best, why=f"the PDF has only {best:.0%} of the findings and impression")
    of = frozenset(key for key in shares if shares[key] >= AGREES and _differs(key, texts, pdf))
    if not of or len({texts[key] for key in of}) > 1:
        return Reading(of=None, share=best, why=_CANNOT_TELL)
    share = max(shares[key] for key in of)
    return Reading(of=of, share=share, why=f"the PDF has {share:.0%} of the findings and impression")


def lacking(pdf: Runs, texts: Mapping[str, Runs]) -> frozenset[str]:
    """The keys of the texts of which a readable PDF has next to nothing."""
    return frozenset(key for key, runs in texts.items() if pdf and runs and _share(runs, pdf) <= _LACKS)


_NO_FINDINGS = "findings and impression are too short to be found in a PDF"
_CANNOT_TELL = "the PDF does not tell the versions apart"


def _differs(key: str, texts: Mapping[str, Runs], pdf: Runs) -> bool:
    """Whether, beside each other text, the PDF has the parts that only this text has, and lacks the other's own."""
    mine = texts[key]
    for other, theirs in texts.items():
        if other == key or mine == theirs:
            continue
        has, lacks = mine - theirs, theirs - mine
        if (has and _share(has, pdf) < AGREES) or (lacks and _share(lacks, pdf) > _LACKS) or not (has or lacks):
            return False
    return True


def _share(runs: Runs, pdf: Runs) -> float:
    return len(runs & pdf) / len(runs) if runs else 0.0


def _runs(text: str) -> Runs:
    return frozenset(text[start : start + RUN] for start in range(len(text) - RUN + 1))


def _plain(text: str) -> str:
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def _is_legible(character: str) -> bool:
    if character.isascii():
        return character.isalnum()
    name = unicodedata.name(character, "")
    return name.startswith(("CJK UNIFIED", "LATIN ", "CJK COMPAT"))
