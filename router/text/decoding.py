"""Decoding of text from outside, by its bytes; text that cannot be read for certain agrees with nothing.

Single-byte character sets decode anything, and many bytes are text in two ways: 郑伟 in GBK is `֣ΰ` in UTF-8. So every
reading that the bytes allow is judged by its letters: their script, their case, and how common they are. Where two
readings are equally good, the text is unreadable.
"""

import codecs
import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from router.remembered import remembered
from router.text.scripts import is_chinese_name, is_like_chinese_name, likeness

_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""Stands in a text for bytes that have no certain reading."""

_ASCII, _UTF_8, _CHINESE, _KANA = "ascii", "utf-8", "gb18030", "shift_jis"
_SAME = {"gbk": _CHINESE, "gb2312": _CHINESE, "utf-8-sig": _UTF_8}
_LATIN_SETS = frozenset({"cp1252", *(f"iso8859-{part}" for part in (1, 2, 3, 4, 9, 10, 13, 14, 15, 16))})
_CHARACTERS = 2**13  # more than GB 2312 has
_RUN = re.compile(rb"[\x80-\xff]+")
# A delimiter after an odd number of high bytes may be half of a character.
_LOST = re.compile(rb"[\x80-\xff](?:[\x80-\xff]{2})*[\\^|]|[\x80-\xff]+")
# Letters with their marks; not the signs and small numbers that Python takes for letters.
_WORD = re.compile(
    r"[^\W\d_\u00a0-\u00bf\u2070-\u218f]+(?:[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0e31-\u0e4e]+[^\W\d_\u00a0-\u00bf]*)*"
)
_GREEK = re.compile("[\u0370-\u03ff]{2}")
_MEASURE = re.compile("(?<=[0-9 ])[°²µ](?![\x80-\U0010ffff])|±(?=[0-9])")  # 45°, 5µm
_SURNAMES = frozenset("濮宓妫姒琚璩")  # rare ones, whose GB18030 bytes may also be UTF-8
_DOCUMENT = 256  # characters
_LONG_WORD = 5  # letters; fewer may be chance
_COMMON = 3  # level of Han
_CERTAIN = 2  # likeness beyond chance

_CJK = "CJK"
_CJK_NAMES = frozenset({"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "HALFWIDTH"})
# Signs that Unicode calls letters: µ, ª, º, Ω and the like; wide forms are ASCII.
_SIGNS = frozenset({"MICRO", "FEMININE", "MASCULINE", "OHM", "KELVIN", "ANGSTROM", "FULLWIDTH", "COMBINING"})
_FIRST_LEVEL, _LAST_LEVEL = 0xB0, 0xD7  # rows of GB 2312 whose characters are the common ones


def is_readable(text: str) -> bool:
    """Whether every character of the text is certain."""
    return UNREADABLE not in text


def shown(text: str, *, lines: bool = False) -> str:
    """The text with every character written out (`\\x1b`) that a terminal or a browser would obey instead of show.

    These are control characters, and those that change the direction of writing or end a line. With `lines`, line
    feeds and tabs stay.
    """

    def written_out(found: re.Match[str]) -> str:
        code = ord(found[0])
        if lines and found[0] in "\n\t":
            return found[0]
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

    return _OBEYED.sub(written_out, text)


def decode(data: bytes, declared: str = "") -> str:
    """The text of `data`, with UNREADABLE for bytes without a certain reading. Arguments as for `reading`."""
    text = reading(data, declared)
    return _LOST.sub(UNREADABLE.encode(), data).decode(_UTF_8) if text is None else text


def reading(data: bytes, declared: str = "") -> str | None:
    """The text of `data`; None where it has no certain reading.

    `declared` is the Python codec that is declared, "" for none. It decides where its text looks right, or where it
    could have failed; else UTF-8 and GB18030 are tried. `data` is a whole value: half of a GB18030 character may be a
    backslash or `^`.
    """
    if data.isascii():
        return data.decode("ascii")
    return _reading(data, declared)


@remembered(2**12, 2**8)  # texts; bytes
def _reading(data: bytes, declared: str) -> str | None:
    codec = _ASCII
    with suppress(LookupError):
        codec = codecs.lookup(declared or _ASCII).name
    codec = _SAME.get(codec, codec)
    own, utf_8, chinese = (_decoded(data, name) for name in (codec, _UTF_8, _CHINESE))
    if codec in {_ASCII, _UTF_8, _CHINESE}:
        return utf_8 if chinese is None else _of_two(_look_at(utf_8), _look(chinese), codec)
    looks = _look_at(own), _look_at(utf_8), _look_at(chinese)
    return _beside_latin(data, *looks) if codec in _LATIN_SETS else _beside_own(*looks, codec)


# -- one reading


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A reading of the bytes, and how it looks.

    `scripts` are the scripts of its letters beyond ASCII; CJK is one of them. `level` is 3 where all Han are of GB
    2312's first level, 2 where all are of GB 2312 (or the text is kana or Hangul), 1 where some are not, 0 without Han.
    `rare` is the percentage of Han in neither GB 2312 nor Big5. `broken`: it has characters that belong in no text.
    `inside`, `touching`: a letter of another script stands between Latin letters, or beside a lower-case one.
    """

    text: str
    scripts: frozenset[str]
    level: int
    rare: int
    broken: bool
    inside: bool
    touching: bool

    @property
    def is_cjk(self) -> bool:
        """Whether it can be Chinese, Japanese or Korean text: T1WI及T2WI, but not M黮ler."""
        return not self.broken and self.scripts == {_CJK} and not (self.inside and (self.level < 3 or self.touching))

    @property
    def is_cased(self) -> bool:
        """Whether it can be words of one other script, in their usual upper and lower case."""
        if self.broken or len(self.scripts) > 1 or _CJK in self.scripts or (self.inside and self.level):
            return False
        return all(_is_cased(word) for word in _words(self.text))

    @property
    def is_long(self) -> bool:
        """Whether it has so many letters beyond ASCII in a row that they are no chance."""
        return any(sum(not c.isascii() for c in word) >= _LONG_WORD for word in _words(self.text))


def _decoded(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeError:
        return None


def _look_at(text: str | None) -> _Look | None:
    return None if text is None else _look(text)


def _look(text: str) -> _Look:
    beyond = {c for c in text if not c.isascii()}
    scripts = {c: _script(c) for c in beyond}
    han = [c for c in text if scripts.get(c) == _CJK]
    rare = 100 * sum(map(_is_rare, han)) // max(len(han), 1)
    foreign = {c for c in beyond if scripts[c] not in {"", "LATIN"}}
    found = frozenset(scripts.values()) - {""}
    if _CJK in found:  # within CJK text α, β, γ are signs, and Latin words may have accents
        found -= {"GREEK"} if not _GREEK.search(text) else set()
        found -= {"LATIN"} if _is_spelt(text) else set()
    inside, touching = _beside_letters(text, foreign) if foreign else (False, False)
    return _Look(
        text=text, scripts=found, level=min(map(_level, han), default=0), rare=rare,
        broken=any(map(_is_broken, beyond)), inside=inside, touching=touching,
    )  # fmt: skip


def _beside_letters(text: str, foreign: set[str]) -> tuple[bool, bool]:
    """Whether letters of these stand between Latin letters, and whether beside a lower-case one."""
    inside = touching = False
    for match in re.finditer(r"[^\x00-\x7f]+", text):
        run = match[0]
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        left, right = before.isalpha() and run[0] in foreign, after.isalpha() and run[-1] in foreign
        inside |= left and right
        touching |= (left and before.islower()) or (right and after.islower())
    return inside, touching


@functools.lru_cache(_CHARACTERS)
def _script(character: str) -> str:
    """The script of a letter, "" of any other character. The user-defined area of GB18030 counts as Han."""
    category = unicodedata.category(character)
    if category == "Co" or 0x20000 <= ord(character) <= 0x3FFFF:
        return _CJK
    if category[0] not in "LM":
        return ""
    first = re.split("[ -]", unicodedata.name(character, "?"), maxsplit=1)[0]
    if first == "CJK" or first in _CJK_NAMES:
        return _CJK
    return "" if first in _SIGNS and category != "Mn" else first


@functools.lru_cache(_CHARACTERS)
def _level(character: str) -> int:
    if not unicodedata.name(character, "").startswith("CJK"):
        return 1 if unicodedata.category(character) == "Co" or ord(character) > 0xFFFF else 2
    try:
        row = character.encode("gb2312")[0]
    except UnicodeEncodeError:
        return 1
    return 3 if _FIRST_LEVEL <= row <= _LAST_LEVEL else 2


@functools.lru_cache(_CHARACTERS)
def _is_rare(character: str) -> bool:
    return _level(character) == 1 and not character.encode("big5", "ignore")


@functools.lru_cache(_CHARACTERS)
def _is_broken(character: str) -> bool:
    category = unicodedata.category(character)
    return category == "Cc" or (category == "Cn" and not 0x20000 <= ord(character) <= 0x3FFFF)


def _words(text: str) -> Iterator[str]:
    """The words with letters beyond ASCII."""
    return (word for word in _WORD.findall(text) if not word.isascii())


def _is_spelt(text: str) -> bool:
    """Whether each Latin letter beyond ASCII stands in a word with ASCII letters."""
    words = (word for word in _words(text) if any(_script(c) == "LATIN" for c in word))
    return all(any(c.isascii() for c in word) for word in words)


def _is_cased(word: str) -> bool:
    """Title, upper or lower case; a capital after another letter only where the capital is ASCII (McKée)."""
    rest = [c for c in word[1:] if not c.isascii() and c.isalpha()]
    if not any(c.isupper() or c.islower() for c in rest):
        return True
    if all(c.islower() for c in rest):
        return not (len(word) > 2 and word[:2].isupper() and word[1].isascii())
    return all(not c.islower() for c in word)


# -- between readings


def _of_two(utf_8: _Look | None, chinese: _Look | None, codec: str) -> str | None:
    """The text by UTF-8 or by GB18030; None where both are as likely."""
    if utf_8 is None:
        return _alone(chinese, strict=codec == _CHINESE)
    if chinese is None:
        return utf_8.text
    if utf_8.is_cjk or _mostly_cjk(utf_8):
        return _han_beside_han(utf_8, chinese, codec)
    return _han_beside_others(utf_8, chinese, codec) if chinese.is_cjk else utf_8.text


def _alone(chinese: _Look | None, *, strict: bool) -> str | None:
    if chinese is None:
        return None
    plausible = chinese.is_cased or (chinese.is_cjk and not (chinese.level == 1 and chinese.touching))
    if strict or plausible or _mostly_cjk(chinese):
        return chinese.text
    # Longer than a value, with Chinese characters of GB 2312: a document.
    known = (_script(c) == _CJK and _level(c) > 1 for c in chinese.text if not c.isascii())
    return chinese.text if len(chinese.text) > _DOCUMENT and any(known) else None


def _mostly_cjk(look: _Look) -> bool:
    """Whether most letters of a longer text are CJK: it may quote words of any script, and have a stray character."""
    letters = [script for c in look.text if not c.isascii() and (script := _script(c))]
    return len(letters) > 2 * _LONG_WORD and letters.count(_CJK) > 0.8 * len(letters)


def _han_beside_han(utf_8: _Look, chinese: _Look, codec: str) -> str | None:
    """The better of two Han readings. UTF-8 read as GB18030 begins with an uncommon character; most have rare ones."""
    if not chinese.is_cjk:
        return utf_8.text
    if chinese.level > 1:
        named = is_chinese_name(utf_8.text)
        certain = (utf_8.level == 3 or (named and codec != _CHINESE)) and not _SURNAMES & set(chinese.text)
        fits = (utf_8 if utf_8.level > 1 else None) if codec == _UTF_8 else None
        fits = chinese if codec == _CHINESE and utf_8.level == 1 and not named else fits
        return utf_8.text if certain else fits.text if fits else None
    rarer = codec == _CHINESE and utf_8.level == 1 and utf_8.rare >= chinese.rare
    return None if rarer else utf_8.text


def _han_beside_others(utf_8: _Look, chinese: _Look, codec: str) -> str | None:
    """Han, unless the UTF-8 reading has words of Greek, Cyrillic, Hebrew or Arabic that are no chance."""
    if utf_8.scripts <= {"LATIN"}:
        return _latin_or_han(utf_8, chinese, declared=codec == _UTF_8)
    if not utf_8.is_cased:
        other = utf_8.text if codec == _UTF_8 else None
        return chinese.text if chinese.level > 1 or codec == _CHINESE else other
    if chinese.level == 1 or utf_8.is_long or chinese.touching:
        return utf_8.text if codec != _CHINESE or (chinese.level == 1 and utf_8.is_long) else None
    if codec == _UTF_8 and not utf_8.text[:1].islower():
        first = next(c for c in chinese.text if not c.isascii())
        return None if _level(first) == 3 else utf_8.text
    return chinese.text


def _latin_or_han(latin: _Look, han: _Look, *, declared: bool) -> str | None:
    """José or Jos茅, CTÄÔ or CT脑: true Latin letters beyond ASCII stand among ASCII letters, and keep their case."""
    if not latin.scripts and (han.touching or _MEASURE.sub("", latin.text).isascii()):
        return latin.text
    if not latin.scripts or not latin.is_cased or not _is_spelt(latin.text):
        return han.text if han.level > 1 or not latin.scripts else None
    # At least half of each word's letters are ASCII, as in Latin words.
    ascii_words = all(2 * sum(map(str.isascii, word)) >= len(word) for word in _words(latin.text))
    if is_like_chinese_name(han.text) and not declared and not ascii_words:
        return han.text if is_chinese_name(han.text) else None
    if han.level <= 1 or han.touching or han.inside:
        return latin.text
    name = all(sum(map(str.isascii, word)) >= _LONG_WORD - 1 for word in _words(latin.text))
    if declared or han.level < 3:
        return latin.text if (name and declared) or not latin.text.isupper() else None
    return None if name else han.text


def _beside_latin(data: bytes, own: _Look | None, utf_8: _Look | None, chinese: _Look | None) -> str | None:
    """The text where a Latin set is declared, which decodes any bytes."""
    other = _of_two(utf_8, chinese, _ASCII)
    if own is None or own.broken or not own.is_cased:
        return other
    if other is None:
        return own.text if _is_latin(data, own, any) else None
    if not _is_latin(data, own, all):
        return other
    if chinese is None or other != chinese.text:
        return other
    return _latin_or_han(own, chinese, declared=False) if own.scripts else own.text


def _is_latin(data: bytes, own: _Look, enough: Callable[[Iterable[bool]], bool]) -> bool:
    """Whether high bytes stand alone, or are letters of words of which all, or any (`enough`), have ASCII letters."""
    runs = [run for run in _RUN.findall(data) if len(run) > 1]
    words = [word for word in _words(own.text) if sum(not c.isascii() for c in word) > 1]
    return not runs or (len(words) >= len(runs) and enough(any(c.isascii() for c in word) for word in words))


def _beside_own(own: _Look | None, utf_8: _Look | None, chinese: _Look | None, codec: str) -> str | None:
    """The text where another set is declared: Cyrillic, Greek, Thai, kana, Korean."""
    other = _of_two(utf_8, chinese, codec)
    if own is None:
        return other
    if utf_8 is not None and other == utf_8.text and (utf_8.is_cjk or not _fits(own, codec)):
        return other
    if chinese is not None and chinese.is_cjk and other in {None, chinese.text} and _fits(own, codec):
        return _own_or_han(own, chinese, likeness(own.text))
    if _fits(own, codec) or other is None:
        return own.text if len(own.scripts) == 1 and not own.broken else other
    return other


def _own_or_han(own: _Look, han: _Look, likeness: int) -> str | None:
    """A Chinese name wins over a chance reading of its bytes; words that are no chance win over other Han."""
    if is_chinese_name(han.text):
        return None if likeness == _CERTAIN else han.text
    if likeness == _CERTAIN:
        return own.text
    if likeness:
        several = "^" not in han.text and sum(not c.isascii() for c in han.text) > 1
        stands = han.level >= _COMMON and (several or is_like_chinese_name(han.text))
        return None if stands else own.text
    return han.text if han.level == _COMMON else None


def _fits(own: _Look, codec: str) -> bool:
    if codec == _KANA or own.scripts == {_CJK}:
        return not own.broken and own.scripts == {_CJK} and not _LOOSE_KANA.search(own.text)
    return not own.broken and len(own.scripts) == 1 and own.is_cased and not _LOOSE_MARK.search(own.text)


# Marks of half-width kana after kana that take none, small kana and long marks at a beginning, punctuation.
_LOOSE_KANA = re.compile(
    "(?:^|[^\uff73\uff76-\uff84\uff8a-\uff8e])[\uff9e\uff9f]|(?:^|[^\uff66-\uff9f])[\uff67-\uff70]|[\uff61-\uff65]"
)
# A vowel sign of Thai without its consonant; signs and numbers between letters.
_LOOSE_MARK = re.compile(
    "(?:^|[^\u0e01-\u0e4e])[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]|[^\\W\\d_][\u00a0-\u00bf\u2010-\u20ff]+[^\\W\\d_]"
)
