"""Pinyin: how a Latin name relates to a Han name, syllable by syllable, by every reading of each character.

The readings are those of pypinyin's table (pinyin-data). A name is joined before it is compared, so separators, tones
and apostrophes do not matter; the surname may stand first or last.
"""

import functools
import itertools
import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from importlib.metadata import distribution

from router.remembered import remembered

_TONES = dict.fromkeys(map(ord, "\u0300\u0301\u0304\u030c"))
_VOWEL = re.compile("[AEIOUV]")
_SHORTEST_CUT = 8
_NEAR = 2
_KEPT, _LONGEST = 20_000, 256  # comparisons; characters

# Readings that pypinyin's table lacks: those of surnames, and those that Taiwan and older dictionaries give.
_MORE = {
    "谌": "SHEN", "黑": "HE", "费": "BI", "难": "NING", "厘": "XI",
    "粳": "GENG", "艘": "SAO", "烃": "JING", "蜕": "SHUI", "蜗": "GUA", "淆": "YAO", "携": "XI", "癣": "XIAN",
    "腋": "YI", "锗": "DUO", "诌": "ZOU", "骤": "ZOU",
}  # fmt: skip
_COMPOUND = frozenset(
    re.findall(
        "..",
        "欧阳司马上官诸葛夏侯东方尉迟皇甫公孙慕容令狐司徒司空宇文长孙端木申屠独孤南宫百里东郭呼延轩辕澹台公冶"
        "宗政濮阳淳于单于太叔仲孙钟离鲜于闾丘拓跋万俟闻人赫连西门第五公羊梁丘左丘东门南门谷梁夹谷完颜纳兰叶赫"
        "爱新那拉富察哥舒羊舌微生乐正漆雕壤驷公良拓拔巫马公西颛孙亓官司寇子车歐陽司馬諸葛東方尉遲長孫獨孤南宮"
        "軒轅万俟",
    )
)


class Spelling(StrEnum):
    """How a Latin name relates to the readings of a Han name.

    `CUT`: it begins a reading and ends with a whole syllable, so that it may be somebody else's whole name.
    `NEAR`: at most two letters differ from a reading. `UNKNOWN`: a character has no known reading.
    """

    AGREES = "agrees"
    CUT = "cut"
    NEAR = "near"
    FAR = "far"
    UNKNOWN = "unknown"


@remembered(_KEPT, _LONGEST)
def spelling(han: str, latin: str) -> Spelling:
    """The relation of the letters A to Z of `latin` to the name `han`, in which · may stand between the parts."""
    orders = [[readings(char) for char in order] for order in _orders(han)]
    if not all(found for order in orders for found in order):
        return Spelling.UNKNOWN
    reached = {_reached(order, latin) for order in orders}
    if Spelling.AGREES in reached:
        return Spelling.AGREES
    if Spelling.CUT in reached:
        return Spelling.CUT if _whole_syllables(latin) else Spelling.AGREES
    return Spelling.NEAR if min(_distance(order, latin) for order in orders) <= _NEAR else Spelling.FAR


@functools.lru_cache(_KEPT)
def readings(char: str) -> tuple[str, ...]:
    """The readings of a character in capitals without tones, ü as V, U and YU; () where none is known."""
    raw = _table().get(ord(char), "")
    found = dict.fromkeys(form for reading in raw.split(",") if raw for form in _forms(reading))
    return tuple(dict.fromkeys((*found, *_MORE.get(char, "").split())))


@functools.cache
def _table() -> Mapping[int, str]:
    """Readings by code point, with tones. Importing pypinyin would load its phrases, too (50 MB, never used)."""
    path = distribution("pypinyin").locate_file("pypinyin/pinyin_dict.json")
    with open(str(path), encoding="utf-8") as file:  # noqa: PTH123  # the core knows no pathlib
        return {int(point): sys.intern(found) for point, found in json.load(file).items()}


@functools.cache
def _syllables() -> frozenset[str]:
    """All syllables that occur, as they are compared."""
    each = {reading for found in set(_table().values()) for reading in found.split(",")}
    return frozenset(form for reading in each for form in _forms(reading) if _VOWEL.search(form))


def _forms(reading: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFD", reading).translate(_TONES)).upper()
    if "Ü" in plain:
        yield from (plain.replace("Ü", letters) for letters in ("V", "U", "YU"))
        return
    plain = plain.replace("Ê", "E")
    yield plain
    if plain[:1] in "JQXY" and plain[1:2] == "U":  # typed as on a keyboard: XV for 徐
        yield f"{plain[0]}V{plain[2:]}"


def _orders(han: str) -> list[str]:
    """The name as written and with the surname last; a name in parts in both orders."""
    parts = [part for part in han.split("·") if part]
    name = "".join(parts)
    found = [name, "".join(reversed(parts)), name[1:] + name[:1]]
    if len(name) > 3 or name[:2] in _COMPOUND:
        found.append(name[2:] + name[:2])
    return list(dict.fromkeys(found))


def _reached(order: Iterable[tuple[str, ...]], latin: str) -> Spelling | None:
    """AGREES where readings spell the whole text, CUT where they go on after it; else None."""
    ends, cut = {0}, False
    for found in order:
        cut |= len(latin) in ends or any(r.startswith(latin[end:]) for r in found for end in ends)
        ends = {end + len(r) for end in ends for r in found if latin.startswith(r, end)}
    if len(latin) in ends:
        return Spelling.AGREES
    return Spelling.CUT if cut and len(latin) >= _SHORTEST_CUT else None


def _whole_syllables(latin: str) -> bool:
    syllables = _syllables()
    longest = max(map(len, syllables))
    ends = {0}
    for end in range(len(latin)):
        if end in ends:
            ends |= {end + n for n in range(1, longest + 1) if latin[end : end + n] in syllables}
    return len(latin) in ends


def _distance(order: Iterable[tuple[str, ...]], latin: str) -> int:
    """The smallest number of letters to add, drop or change (Levenshtein) between the text and any reading."""
    row = list(range(len(latin) + 1))
    for found in order:
        row = [min(column) for column in zip(*(_advanced(row, r, latin) for r in found), strict=True)]
    return row[-1]


def _advanced(row: list[int], reading: str, latin: str) -> list[int]:
    for letter in reading:
        after = [row[0] + 1]
        for (left, above), theirs in zip(itertools.pairwise(row), latin, strict=True):
            after.append(min(left + (letter != theirs), above + 1, after[-1] + 1))
        row = after
    return row
