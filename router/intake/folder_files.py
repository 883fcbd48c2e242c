"""Files of the drop folder in words for people: their kind, and why each is listed."""

from collections.abc import Callable

from router.catalogue.exams.files import SEVERAL, FileKind, FolderFile
from router.reports.folder.watch import OtherKind
from router.text.language import N_

WHERE = N_(
    {
        FileKind.REJECTED: "rejected",
        FileKind.UNCLAIMED: "PDF without exam JSON",
        FileKind.NEAR: "name that nearly pairs",
        FileKind.OTHER: "other file",
    }
)
"""Kinds in words, each for one file."""
_OTHER = {
    OtherKind.ENDING: "its ending is none of .json, .xml, .pdf, .hl7",
    OtherKind.TEMPORARY: "it was begun and not finished for an hour: a temporary or hidden name",
    OtherKind.LINK: "it is a link, which is never followed",
    OtherKind.SPECIAL: "it is a pipe, a socket or a device",
    OtherKind.UNREADABLE: "it cannot be read: see its rights, and folders that lie too deep",
}


def reason(one: FolderFile, named: Callable[[str], str] = str) -> str:
    """Why a file is listed, in words; names of files as `named` shows them: they may hold patients' names."""
    found = one.found
    if found.kind is FileKind.REJECTED:
        return f"{found.why}: {found.text}"
    if found.kind is FileKind.NEAR:
        return f"nearly {named(found.near)}; the difference: {found.text}"
    if found.kind is FileKind.UNCLAIMED and found.why == SEVERAL:
        return f"its name is a number of several exams ({found.text}), and its text does not tell of which it is"
    if found.kind is FileKind.UNCLAIMED:
        return f"no exam JSON of this name ({named(found.path.removesuffix('.pdf'))}.json) has claimed it"
    return _OTHER[OtherKind(found.why)]
