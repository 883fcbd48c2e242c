"""Comparison of patients' names: script by script, Han with pinyin; some names say nothing.

Rare characters (extensions of Han, compatibility forms, private use) are compared as they are.
"""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from router.matching.patient.name_notes import known_removed, others_removed
from router.matching.patient.pinyin import Spelling, spelling
from router.remembered import remembered
from router.text.decoding import is_readable

_HAN = re.compile(
    "[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u31c0-\u31ef\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\ue000-\uf8ff"
    "\U00020000-\U0003fffd\U000f0000-\U0010fffd]"
)
_DOTS = re.compile("[\u00b7\u2022\u2027\u2219\u22c5\u30fb\uff65]")
_TONE_DIGITS = re.compile(r"(?:[A-Z']+[1-5][\s^,]*){2,}")
_AGE = re.compile(r"\b\d+\s*[YMD]\b")
# Words beside a name: sex, forms of address, devices. A, E and O are syllables, too.
_BESIDE = frozenset({"F", "M", "FEMALE", "MALE", "MR", "MRS", "MS", "MISS", "DR", "CT", "MRI"})
# A single letter of any script, or a Roman numeral: they tell twins apart. The first of each row mean the same.
_MARK = re.compile(r"\w|I{2,3}|IV|VI{1,3}|IX")
_ORDINALS = {mark: str(n) for row in ("A B C D", "I II III IV") for n, mark in enumerate(row.split(), 1)}
_GREEK = str.maketrans("ΑΒΓΔαβγδ", "ABCDABCD")
_SYLLABLES = frozenset("AEO")
_FEW = 4
_KEPT, _LONGEST = 10_000, 256  # comparisons; characters


@dataclass(frozen=True, slots=True)
class Likeness:
    """Whether two names agree (True), contradict each other (False) or neither (None).

    `spelling` is how the Latin name of one side relates to the Han name of the other, None where there are no such
    two; `readable` is False where one of the names has no certain reading. `alike`: they agree in a script that both
    have, not only by pinyin, which other names have, too.
    """

    same: bool | None
    spelling: Spelling | None = None
    readable: bool = True
    alike: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Name:
    """A name's parts. `marks` are letters or Roman numerals after a Han name that tell twins apart.

    Numbers tell them apart, too; a mark counts as its number in its row. `notes` are other texts in brackets.
    """

    han: str
    words: tuple[str, ...]
    other: str
    marks: frozenset[str]
    numbers: frozenset[str]
    notes: frozenset[str]


@remembered(_KEPT, _LONGEST)
def likeness(one: str, other: str, blank: tuple[str, ...] = ()) -> Likeness:
    """Compare two names; `blank` are regular expressions of names that say nothing."""
    if not (is_readable(one) and is_readable(other)):
        one, other = ("=".join(filter(is_readable, name.split("="))) for name in (one, other))
        return Likeness(None, _like(_read(one), _read(other)).spelling, readable=False)
    return _like(_read(telling(one, blank)), _read(telling(other, blank)))


def telling(name: str, blank: tuple[str, ...]) -> str:
    """A name without groups that mean "no name"; "" where its Han characters mean that. Numbers do not count."""
    patterns = [re.compile(pattern, re.IGNORECASE) for pattern in blank]
    groups = unicodedata.normalize("NFKC", name).split("=")
    kept = [g for g in groups if not any(_stands_for_none(form, patterns) for form in (g, known_removed(g)[0]))]
    return "" if any(_HAN.search(group) for group in groups if group not in kept) else "=".join(kept)


def _stands_for_none(group: str, patterns: Sequence[re.Pattern[str]]) -> bool:
    words = re.findall(r"\w+", group)
    letters = [word.strip("0123456789") for word in words]
    forms = [[w] for w in ("".join(words), "".join(letters))] + [[word for word in letters if word]]
    return any(form and all(any(p.fullmatch(word) for p in patterns) for word in form) for form in forms)


def _like(one: _Name, other: _Name) -> Likeness:
    """Compare script by script, where both have it: one contradiction is enough."""
    found = _spelt(one, other)
    han = _plain(one.han) == _plain(other.han) if one.han and other.han else None
    scripts = {han, _overlap(_rows(one.words), _rows(other.words))}
    apart = _overlap(one.numbers, other.numbers) is False or _overlap(one.marks, other.marks) is False
    noted = one.notes <= other.notes or other.notes <= one.notes
    if False in scripts or apart or not noted or _twins(one, other):
        return Likeness(False, found)
    foreign = one.other == other.other if one.other and other.other else None
    alike = True in scripts or bool(foreign)
    if alike or found == Spelling.AGREES:
        return Likeness(True, found, alike=alike)
    # Differing letters of another script are as uncertain as a differing spelling.
    return Likeness(None, found if found or foreign is None else Spelling.FAR)


def _spelt(one: _Name, other: _Name) -> Spelling | None:
    """The spelling of one name's Han by the other's words: the best of the possible ways."""
    found: set[Spelling] = set()
    for named, words in ((one, other.words), (other, one.words)):
        if named.han and words:
            forms = _forms(words)
            if len(words) > 1 and words[-1] in named.marks:  # the letter also marks a twin's Han name
                forms.append(words[:-1])
            found.update(spelling(named.han, "".join(form)) for form in forms)
    return min(found, key=list(Spelling).index, default=None)


def _twins(one: _Name, other: _Name) -> bool:
    """Whether the names are of twins: a Han or Latin name with a mark or number meets its spelling with another one."""
    ends = {words[-1] for words in (one.words, other.words) if len(words) > 1}
    if len(ends) > 1 and all(_MARK.fullmatch(end) and end not in _BESIDE for end in ends):
        return sorted("".join(one.words[:-1])) == sorted("".join(other.words[:-1]))
    for named, spelt in ((one, other), (other, one)):
        *words, last = spelt.words or ("",)
        if words and _MARK.fullmatch(last) and last not in _BESIDE and _marked_otherwise(named, last):
            return spelling(named.han, "".join(words)) == Spelling.AGREES
    return False


def _marked_otherwise(named: _Name, mark: str) -> bool:
    if named.marks:
        return mark not in named.marks
    return bool(named.han and named.numbers and mark in _ORDINALS) and _ORDINALS[mark] not in named.numbers


def _forms(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words of a name: all of them, and without words beside it or a mark at its end."""
    kept = tuple(word for word in words if word not in _BESIDE)
    initial = len(kept) > 2 and bool(_MARK.fullmatch(kept[-1])) and kept[-1] not in _SYLLABLES
    cut = kept[:-1] if initial else kept
    return list(dict.fromkeys(form for form in (words, kept, cut) if form))


def _overlap(one: frozenset[str], other: frozenset[str]) -> bool | None:
    return bool(one & other) if one and other else None


@remembered(_KEPT, _LONGEST)
def _read(name: str) -> _Name:
    plain = unicodedata.normalize("NFKC", name)
    # Not all digits in circles have a compatibility form.
    plain = "".join(str(unicodedata.digit(c)) if "\u2776" <= c <= "\u2792" and c.isdigit() else c for c in plain)
    groups, notes = _noted(_DOTS.sub("·", plain).split("="))
    han_group = next((group for group in groups if _HAN.search(group)), "")
    latin_group = next((group for group in groups if re.search("[A-Za-z]", _ascii(group))), "")
    words, marks = _words(latin_group), _marks(han_group)
    numbers = frozenset() if _toned(latin_group) else frozenset(re.findall(r"\d+", "=".join(groups)))
    places = frozenset(_ORDINALS[mark] for mark in marks if mark in _ORDINALS)
    han = "".join(c for c in han_group if c == "·" or _HAN.match(c)).strip("·")
    marked = bool(marks) and han_group == latin_group
    return _Name(
        han=han, words=() if marked else words, other=_other_letters("=".join(groups)), marks=marks,
        numbers=numbers or places, notes=notes,
    )  # fmt: skip


def _noted(groups: list[str]) -> tuple[list[str], frozenset[str]]:
    """The groups without words beside a Han name, and the notes among these that may tell people apart."""
    kept, notes = [], frozenset[str]()
    for group in groups:
        bare, first = known_removed(group)
        bare, second = others_removed(bare)
        kept.append(bare)
        notes |= first | second
    return kept, notes


def _marks(group: str) -> frozenset[str]:
    """The marks behind the Han characters of a group; none where other words stand there."""
    letters = "".join(" " if _HAN.match(c) or not c.isalpha() else c for c in group.upper().translate(_GREEK))
    found = letters.split()
    return frozenset(found) if all(_MARK.fullmatch(word) for word in found) and _HAN.search(group) else frozenset()


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
    """The ways to write a name's words in a row: ZHANG^SAN, San Zhang and ZhangSan share one."""
    rows: set[str] = set()
    for form in _forms(words):
        orders = itertools.permutations(form) if len(form) <= _FEW else [form, tuple(sorted(form))]
        rows |= {"".join(order) for order in orders}
    return frozenset(rows)
