"""The way that a document came by, kept in its name: the folder or port of one hospital alone, or one that is shared.

`@NAME/E1` came by a folder or port that hospital NAME has for itself, `E1` by one that hospitals share, or in a node
that serves one hospital alone. No hospital's name holds a slash.
"""

import os
from dataclasses import replace

from router.config.folders import SOLE
from router.model import SetAside

_MARK = "@"


def stem_of(hospital: str | None, name: str) -> str:
    """The name under which a document is kept. `hospital`: whose way it came by; None: a shared one; SOLE: no other.

    A name on a shared way that looks like another hospital's (`@other/E1`, a folder that anybody may make) is kept
    as `@/@other/E1`.
    """
    if hospital is None:
        return f"{_MARK}/{name}" if name.startswith(_MARK) else name
    return f"{_MARK}{hospital}/{name}" if hospital else name


def origin_of(stem: str) -> tuple[str | None, str]:
    """The hospital whose way a document came by, None for a shared one, and its name there."""
    if not stem.startswith(_MARK) or "/" not in stem:
        return None, stem
    hospital, _, name = stem[len(_MARK) :].partition("/")
    return hospital or None, name


def name_of(stem: str, hospital: str) -> str:
    """The name that an exam's document has on its way; with one hospital alone it is the whole."""
    return stem if hospital == SOLE else origin_of(stem)[1]


def may_be_of(stem: str, hospital: str) -> bool:
    """Whether an exam of this hospital may have the document: it came by a shared way, or by this hospital's."""
    return hospital == SOLE or origin_of(stem)[0] in (None, hospital)


def prefix_of(hospital: str) -> str:
    """Beginning of the names of all that came by a hospital's own way."""
    return stem_of(hospital, "")


def noted(hospital: str | None, lying: SetAside) -> SetAside:
    """A file below done/ or rejected/ of a drop folder as it is noted: with the hospital whose folder it is."""
    return replace(lying, home=os.fsencode(stem_of(hospital, os.fsdecode(lying.home))))


def located(lying: SetAside) -> tuple[str | None, SetAside]:
    """The hospital in whose folder a noted file lies, None for the common one, and its place there."""
    hospital, home = origin_of(os.fsdecode(lying.home))
    return hospital, replace(lying, home=os.fsencode(home))
