"""Rules of passwords: complexity and regular change, as level 3 of GB/T 22239-2019 asks for (8.1.4.1 a). Pure."""

import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta

from router.text.language import N_

SHORTEST, LONGEST = 10, 128  # characters
KINDS = 3  # of four
DISTINCT = 5  # characters
LASTS = timedelta(days=90)
FORMER = 5  # passwords that are not taken again, the present one among them
RULES = N_((
    "A password has 10 to 128 characters.",
    "It has three of these: small letters, capital letters, digits, other characters.",
    "It has at least five different characters.",
    "It does not contain the name of its user, nor a word that everybody tries first.",
    "It is none of the last five.",
    "It is good for 90 days.",
))  # fmt: skip
LENGTH, COMPLEX, VARIED, PLAIN, OTHER, _ = RULES
_TRIED_FIRST = ("passw", "p@ssw", "admin", "qwert", "12345", "abcde", "letmein", "welcome")


def normal(password: str) -> str:
    """A password, or a name, as it is compared: a Chinese input method types `Ａ` where a keyboard types `A`."""
    return unicodedata.normalize("NFKC", password)


def faults(password: str, name: str) -> Iterator[str]:
    """The rules that a new password of this user breaks, but for OTHER, which needs the former ones."""
    text = normal(password)
    if not SHORTEST <= len(text) <= LONGEST or not text.isprintable():
        yield LENGTH
    if len(set(map(_kind, text))) < KINDS:
        yield COMPLEX
    if len(set(text)) < DISTINCT:
        yield VARIED
    words, folded = (normal(name).casefold(), *_TRIED_FIRST), text.casefold()
    if any(word in folded or word[::-1] in folded for word in words):
        yield PLAIN


def _kind(character: str) -> str:
    if character.islower():
        return "small"
    if character.isupper():
        return "capital"
    return "digit" if character.isdecimal() else "other"


def is_expired(changed: datetime, now: datetime) -> bool:
    """Whether a password that was set then is too old."""
    return now - changed >= LASTS
