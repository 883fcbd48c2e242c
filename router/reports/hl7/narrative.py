"""Text as HL7 v2 writes it: escape sequences (2.7) and repetitions, read so that no character of it is lost."""

import functools
import re
from typing import Literal

from router.errors import InvalidData
from router.reports.hl7.segments import Marks

Repeat = Literal["auto", "line", "text"]
"""Meaning of the repetition mark within text: a new line, itself, or itself only between numbers and after a unit."""

_UNIT = (
    r"(?:[mcdkuµμn]?m|[mµμdc]?l|cc|[mkuµμn]?g|HU|[kM]?Hz|m?s|min|h|mSv|m?Gy|kV|mAs?|T|[%％‰℃°度]|mmHg|bpm"
    r"|毫米|厘米|公分|微米|米|毫升|升|毫克|千克|公斤|克|岁|个月|月|周|天|日|年|小时|分钟|分|秒|次|个|枚|处|倍)[²³23]?"
)
_MEASURED = re.compile(rf"[0-9０-９]\s*{_UNIT}(?:/{_UNIT})?\s*\Z", re.IGNORECASE)
_ENDS_IN_NUMBER = re.compile(r"[0-9０-９]\s*\Z")
_BEGINS_WITH_NUMBER = re.compile(r"\s*[约<>＜＞≤≥+±-]?\s*[0-9０-９]")
_ENDS_IN_LEVEL, _BEGINS_WITH_LEVEL = re.compile(r"[A-Za-z]\d+(?:/\d+)?\s*\Z"), re.compile(r"\s*[A-Za-z]\d")
_UID = re.compile(r"\s*[0-2](?:\.\d+){4,}\s*")
_LOOKED_BACK = 200  # characters; a UID has 64, a number and its unit have fewer
_MOST_ESCAPES = 40_000  # marks; a sequence has two
_FORMATS = {"br": "\n", "sp": "\n", "ce": "\n"}


def read(written: str, marks: Marks, repeat: Repeat, encoding: str) -> str:
    """The text of a field that has no components. InvalidData where an escape sequence holds what is no text."""
    if not marks.repetition or marks.repetition not in written:
        return unescaped(written, marks, encoding)
    pieces = written.split(marks.repetition)
    text = pieces[0]
    for piece in pieces[1:]:
        text += (marks.repetition if _is_text(text, piece, repeat) else "\n") + piece
    return unescaped(text, marks, encoding)


def _is_text(before: str, after: str, repeat: Repeat) -> bool:
    """Whether the mark between these two belongs to the text: 3~5mm, 3mm~5mm, C3~C5. Several UIDs are a list."""
    before = before[-_LOOKED_BACK:].rpartition("\n")[2]
    if _UID.fullmatch(before) or _UID.fullmatch(after):
        return False
    if repeat != "auto":
        return repeat == "text"
    if _MEASURED.search(before) or (_ENDS_IN_NUMBER.search(before) and _BEGINS_WITH_NUMBER.match(after)):
        return True
    return bool(_ENDS_IN_LEVEL.search(before) and _BEGINS_WITH_LEVEL.match(after))


def unescaped(text: str, marks: Marks, encoding: str) -> str:
    """Text with its escape sequences read, others kept (C4\\5). InvalidData: there are more than a report has."""
    if not marks.escape or marks.escape not in text:
        return text
    if text.count(marks.escape) > _MOST_ESCAPES:
        raise InvalidData(f"an HL7 text with more than {_MOST_ESCAPES // 2} escape sequences")

    def meaning(match: re.Match[str]) -> str:
        if match["bytes"]:
            return _of_bytes(match["bytes"], marks.escape, encoding)
        if name := match["name"]:
            return {"F": marks.field, "S": marks.component, "T": marks.subcomponent or "&",
                    "R": marks.repetition or "~", "E": marks.escape}.get(name, "")  # fmt: skip
        return " " if match["format"] == "sk" else _FORMATS.get(match["format"], "")

    return _sequences(marks.escape).sub(meaning, text)


@functools.lru_cache(16)
def _sequences(escape: str) -> re.Pattern[str]:
    mark = re.escape(escape)
    return re.compile(
        rf"(?P<bytes>(?:{mark}[Xx](?:[0-9A-Fa-f]{{2}})+{mark})+)"
        rf"|{mark}(?:(?P<name>[FSTREHN])|\.(?P<format>br|sp|ce|in|ti|sk|fi|nf)(?P<number>[+-]?\d*)){mark}"
    )


def _of_bytes(written: str, escape: str, encoding: str) -> str:
    """Sequences that follow each other may hold the bytes of one character between them."""
    data = bytes.fromhex("".join(part[1:] for part in written.split(escape) if part))
    for one in dict.fromkeys((encoding, "utf-8", "gb18030")):
        try:
            return data.decode(one).replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            continue
    raise InvalidData("an HL7 escape sequence of bytes that are no text", hint="send the text itself")
