"""Names of patients as they are compared: script by script, Han with pinyin, and whether a name says anything.

Rare characters (extensions of Han, compatibility forms, private use) are compared as they are.
"""

import functools
import itertools
import re
import unicodedata
from dataclasses import dataclass

from router.correlate.pinyin import Spelling, spelling
from router.text import is_readable

_HAN = re.compile(
    "[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u31c0-\u31ef\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\ue000-\uf8ff"
    "\U00020000-\U0003fffd\U000f0000-\U0010fffd]"
)
_DOTS = re.compile("[\u00b7\u2022\u2027\u2219\u22c5\u30fb\uff65]")
_TONE_DIGITS = re.compile(r"(?:[A-Z']+[1-5][\s^,]*){2,}")
_AGE = re.compile(r"\b\d+\s*[YMD]\b")
# Words beside a name: sex, forms of address. A, E and O are syllables, too.
_BESIDE = frozenset({"F", "M", "FEMALE", "MALE", "MR", "MRS", "MS", "MISS", "DR"})
_SYLLABLES = frozenset("AEO")
_FEW = 4
_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Likeness:
    """Whether two names agree (True), contradict each other (False) or neither (None).

    `spelling` is how the Latin name of one side relates to the Han name of the other, None where there are no such
    two; `readable` is False where one of the names has no certain reading.
    """

    same: bool | None
    spelling: Spelling | None = None
    readable: bool = True


@dataclass(frozen=True, slots=True)
class _Name:
    """A name's parts. `marks` are letters after a Han name, by which twins are told apart; numbers do so, too."""

    han: str
    words: tuple[str, ...]
    other: str
    marks: frozenset[str]
    numbers: frozenset[str]


@functools.lru_cache(_KEPT)
def likeness(one: str, other: str, blank: tuple[str, ...] = ()) -> Likeness:
    """Compare two names; `blank` are regular expressions of names that say nothing."""
    if not (is_readable(one) and is_readable(other)):
        one, other = (_certain(name) for name in (one, other))
        return Likeness(None, _like(_read(one), _read(other)).spelling, readable=False)
    return _like(_read(telling(one, blank)), _read(telling(other, blank)))


def telling(name: str, blank: tuple[str, ...]) -> str:
    """A name without the groups that stand for no name; "" where its Han characters do. Numbers do not count."""
    patterns = _compiled(blank)
    groups = unicodedata.normalize("NFKC", name).split("=")
    kept = [group for group in groups if not _stands_for_none(group, patterns)]
    return "" if any(_HAN.search(group) for group in groups if group not in kept) else "=".join(kept)


@functools.cache
def _compiled(blank: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in blank)


def _stands_for_none(group: str, patterns: tuple[re.Pattern[str], ...]) -> bool:
    words = re.findall(r"\w+", group)
    letters = [word.strip("0123456789") for word in words]
    forms = [[w] for w in ("".join(words), "".join(letters))] + [[word for word in letters if word]]
    return any(form and all(any(p.fullmatch(word) for p in patterns) for word in form) for form in forms)


def _certain(name: str) -> str:
    """The groups of a person name that have a certain reading."""
    return "=".join(group for group in name.split("=") if is_readable(group))


def _like(one: _Name, other: _Name) -> Likeness:
    """Script by script, where both have it: one contradiction is enough."""
    found = _spelt(one, other)
    han = _plain(one.han) == _plain(other.han) if one.han and other.han else None
    scripts = {han, _overlap(_rows(one.words), _rows(other.words))}
    apart = _overlap(one.numbers, other.numbers) is False or _overlap(one.marks, other.marks) is False
    if False in scripts or apart or _twins(one, other):
        return Likeness(False, found)
    foreign = one.other == other.other if one.other and other.other else None
    if True in scripts or foreign or found == Spelling.AGREES:
        return Likeness(True, found)
    # Letters of another script that differ are as uncertain as a spelling that differs.
    return Likeness(None, found if found or foreign is None else Spelling.FAR)


def _spelt(one: _Name, other: _Name) -> Spelling | None:
    """How the words of one name spell the Han of the other: the best of the ways to take them."""
    ways = ((named, words) for named, words in ((one, other.words), (other, one.words)) if named.han and words)
    found = {spelling(n.han, "".join(form)) for n, words in ways for form in (*_forms(words), *_marked(n, words))}
    return min(found, key=list(Spelling).index, default=None)


def _marked(named: _Name, words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words without the letter by which a twin's Han name is marked, too."""
    return [words[:-1]] if len(words) > 1 and words[-1] in named.marks else []


def _twins(one: _Name, other: _Name) -> bool:
    """Whether a Han name with a letter meets its own spelling with another letter."""
    for named, spelt in ((one, other), (other, one)):
        *words, last = spelt.words or ("",)
        if named.marks and words and len(last) == 1 and last not in named.marks | _BESIDE:
            return spelling(named.han, "".join(words)) == Spelling.AGREES
    return False


def _forms(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words of a name, and without those beside it or a single letter at its end."""
    kept = tuple(word for word in words if word not in _BESIDE)
    initial = len(kept) > 2 and len(kept[-1]) == 1 and kept[-1] not in _SYLLABLES
    cut = kept[:-1] if initial else kept
    return list(dict.fromkeys(form for form in (words, kept, cut) if form))


def _overlap(one: frozenset[str], other: frozenset[str]) -> bool | None:
    return bool(one & other) if one and other else None


@functools.lru_cache(_KEPT)
def _read(name: str) -> _Name:
    name = _DOTS.sub("·", unicodedata.normalize("NFKC", name))
    groups = name.split("=")
    han_group = next((group for group in groups if _HAN.search(group)), "")
    latin_group = next((group for group in groups if re.search("[A-Za-z]", _ascii(group))), "")
    words = _words(latin_group)
    marks = frozenset(words) if han_group == latin_group and all(len(word) == 1 for word in words) else frozenset()
    numbers = frozenset() if _toned(latin_group) else frozenset(re.findall(r"\d+", name))
    han = "".join(c for c in han_group if c == "·" or _HAN.match(c)).strip("·")
    return _Name(han, () if marks else words, _other_letters(name), marks, numbers)


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _toned(group: str) -> bool:
    return bool(_TONE_DIGITS.fullmatch(_ascii(group).upper().strip(" ^")))


def _words(group: str) -> tuple[str, ...]:
    plain = _ascii(group).upper()
    if _toned(group):
        plain = re.sub(r"(?<=[A-Z'])[1-5]", " ", plain)
    return tuple(re.findall("[A-Z]+", _AGE.sub(" ", plain)))


def _other_letters(name: str) -> str:
    """The letters of scripts other than Han and Latin, in a row."""
    kept = (c for c in name if unicodedata.category(c).startswith("L") and not _HAN.match(c))
    return "".join(c for c in kept if not unicodedata.name(c, "").startswith(("LATIN", "FULLWIDTH"))).casefold()


def _plain(han: str) -> str:
    return han.replace("·", "")


def _rows(words: tuple[str, ...]) -> frozenset[str]:
    """The ways to write a name's words in a row: ZHANG^SAN, San Zhang and ZhangSan meet."""
    rows: set[str] = set()
    for form in _forms(words):
        orders = itertools.permutations(form) if len(form) <= _FEW else [form, tuple(sorted(form))]
        rows |= {"".join(order) for order in orders}
    return frozenset(rows)
