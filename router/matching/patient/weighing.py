"""Doubts from the comparison of an exam with a study, and remarks on mere oddities.

Each rule weighs two dangers: sending another patient's data, and holding so much that people release without looking.
An unknown spelling alone does not mean another patient: dialects, minorities and foreigners have their own spellings.
"""

from collections.abc import Iterator
from dataclasses import replace

from router.matching.patient.doubt import Doubt
from router.matching.patient.identity import NUMBERS, Comparison, IdentityPolicy
from router.matching.patient.pinyin import Spelling

_SECOND = 2  # the set of checks with which pinyin and evidence began
_UNSPELT = "no reading of the name's characters gives the Latin name"


def doubts_of(
    study_uid: str, found: Comparison, policy: IdentityPolicy, *, vouched: bool = False, shared: bool = False
) -> Iterator[Doubt]:
    """Doubts about a study by one of its identities; `vouched`: a person joined it, which settles no contradiction.

    `shared`: its numbers may be those of another of several hospitals, which has the same ones for other patients.
    """
    if shared:
        found = replace(found, agree=found.agree - NUMBERS)
    why = _unlike(found)
    if found.differ:
        text = f"study {study_uid} differs from the exam in {', '.join(found.differ)}"
        yield Doubt(rule="differs", text=text, study_uid=study_uid)
    if why:
        text = f"study {study_uid}: {_UNSPELT}, and {why}"
        yield Doubt(rule="spelling", text=text, since=_SECOND if found.readable else 1, study_uid=study_uid)
    if shared and not (found.evidence or found.differ or why or vouched):
        text = (
            f"study {study_uid} is of no certain hospital, and its patient's name does not agree with sex or birth date"
        )
        yield Doubt(rule="shared", text=text, study_uid=study_uid)
        return
    # A person who settles one of these has looked at everything.
    if found.evidence < policy.evidence and not (found.differ or why or vouched):
        kinds = "patient id, accession number, and name with sex or birth date"
        agree = f"{found.evidence} of {kinds} agree" if found.evidence else f"none of {kinds} agrees"
        asked = f"; [identity] evidence asks for {policy.evidence}" if policy.evidence > 1 else ""
        text = f"study {study_uid}: besides its UID {agree}{asked}"
        if found.readable:
            yield Doubt(rule="evidence", text=text, since=_SECOND, study_uid=study_uid)
        else:
            yield Doubt(rule="unreadable", text=f"{text}; the name has no certain reading", study_uid=study_uid)


def remarks(found: Comparison) -> tuple[str, ...]:
    """Remarks on oddities of a comparison that hold nothing, in words without values."""
    texts = {
        Spelling.CUT: "the Latin name is the beginning of the other's pinyin, and may be another person's whole name",
        Spelling.NEAR: f"{_UNSPELT}; one or two letters differ",
        Spelling.FAR: f"{_UNSPELT}: a dialect's, a minority's or a foreign spelling, or another name",
        Spelling.UNKNOWN: "the name has characters without a known reading: its Latin name is not compared",
    }
    unread = () if found.readable else ("a name has no certain reading: it agrees with nothing",)
    return (*unread, *(text for spelling, text in texts.items() if spelling == found.spelling))


def _unlike(found: Comparison) -> str:
    if found.unlike and not found.agree & NUMBERS:
        return "neither patient id nor accession number agrees"
    others = [field for field in ("sex", "birth date") if field in found.differ]
    return f"{' and '.join(others)} differ, too" if found.unlike and found.spelling == Spelling.FAR and others else ""
