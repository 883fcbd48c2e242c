"""Nearly equal file names, which people take for one: JSON and PDF pair by equal paths only.

Nothing pairs by nearness. The two Unicode forms of one name (NFC, NFD) are two paths as well: a file system keeps both
side by side, and the node must not guess which of two files a RIS means.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from enum import StrEnum

_NAMES = r"副本|复件|拷贝|copy|快捷方式|shortcut"
_NUMBER = r"(?:[ _]*[(\[]\d{1,3}[)\]]|[ _]?\d{1,2})"
# Additions of Windows, macOS, Linux and browsers to the name of a copy, and of the node itself below done/.
_COPIES = (
    re.compile(rf"[ _]*[-\u2013\u2014_ ][ _]*(?:{_NAMES}){_NUMBER}?$"),
    re.compile(rf"(?<=.)(?:的副本|副本|复件){_NUMBER}?$"),
    re.compile(rf"^(?:copy{_NUMBER}? of |复件{_NUMBER}? )"),
    re.compile(r"(?<=.)[ _]*[(\[](?:\d{1,3}|副本|copy)[)\]]$"),
    re.compile(r"(?<=.)~\d{1,3}$"),
)
_ENDINGS = re.compile(
    r"(?<=.)\.(?:json|pdf|hl7|xml|txt|te?mp|part|partial|filepart|crdownload|bak|old|lnk|docx?|wps|ofd|rtf|xps|html?"
    r"|jpe?g|png|tiff?|zip|rar|7z|gz)$"
)
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_UNSEEN = re.compile(f"[\x00-\x1f\x7f-\x9f{_INVISIBLE}]")
_BLANKS = re.compile(r"\s+")
_MOST_ROUNDS = 8


class Difference(StrEnum):
    """Differences between nearly equal names, in words."""

    FORM = "the same characters in another Unicode form (NFC, NFD)"
    WIDTH = "full-width characters"
    CASE = "upper and lower case"
    BLANK = "a blank, a dot or an invisible character"
    COPY = "the mark of a copy"
    ENDING = "a second or another ending"


def near_key(path: str) -> str:
    """The form in which nearly equal paths below the drop folder are equal; with or without ending."""
    return _reduced(path, tuple(Difference))


def differences(one: str, other: str) -> Sequence[Difference]:
    """The differences between two nearly equal paths; none where they are equal, or not nearly so."""
    if one == other or near_key(one) != near_key(other):
        return ()
    others = {one: tuple(each for each in Difference if each != one) for one in Difference}
    needed = [each for each in Difference if _reduced(one, others[each]) != _reduced(other, others[each])]
    return needed or [each for each in Difference if _reduced(one, (each,)) != one or _reduced(other, (each,)) != other]


def _reduced(path: str, by: Sequence[Difference]) -> str:
    *folders, last = path.split("/")
    return "/".join([*(_part(folder, by, last=False) for folder in folders), _part(last, by, last=True)])


def _part(part: str, by: Sequence[Difference], *, last: bool) -> str:
    """The form of one part. A folder's name keeps its endings and marks: they tell one folder from another."""
    for each, change in _SPELLING.items():
        part = change(part) if each in by else part
    for _ in range(_MOST_ROUNDS if last else 1):
        former = part
        for each, change in _REST.items():
            if each in by and (last or each is Difference.BLANK):
                part = change(part) or part
        if part == former:
            break
    return part


def _narrow(text: str) -> str:
    """Full-width and half-width characters as the ordinary ones."""
    return "".join(
        unicodedata.normalize("NFKC", sign) if unicodedata.east_asian_width(sign) in "FH" else sign for sign in text
    )


def _no_copy(text: str) -> str:
    for mark in _COPIES:
        text = mark.sub("", text) or text
    return text


_SPELLING: dict[Difference, Callable[[str], str]] = {
    Difference.FORM: lambda text: unicodedata.normalize("NFC", text),
    Difference.WIDTH: _narrow,
    Difference.CASE: str.casefold,
}
_REST: dict[Difference, Callable[[str], str]] = {
    Difference.BLANK: lambda text: _BLANKS.sub(" ", _UNSEEN.sub("", text)).strip(" ."),
    Difference.COPY: _no_copy,
    Difference.ENDING: lambda text: _ENDINGS.sub("", text),
}
