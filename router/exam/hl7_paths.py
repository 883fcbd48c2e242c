"""Paths into an HL7 v2 message, used by a mapping file instead of JSON paths. Pure.

PID-3.1                the first component of the field's first repetition
OBR-13                 the whole field where it is text; the first component of any other
PID-3[NI|NNCHN].1      of the repetition one of whose other components is NI or NNCHN
PID-5.1-2              components 1 to 2 as one text, with blanks between them if it is Latin
OBR-32.1.2             a subcomponent
OBX[59776-5|影像所见]-5  of each OBX whose OBX-3 holds one of these as code or text, one line for each
OBR[]-4.1              of every OBR, for a field that takes many
"""

import functools
import re
from dataclasses import dataclass

_FORM = re.compile(
    r"([A-Z][A-Z0-9]{2})(?:\[([^\[\]]*)\])?-([1-9]\d{0,2})(?:\[([^\[\]]+)\])?"
    r"(?:\.([1-9]\d?)(?:-([1-9]\d?))?(?:\.([1-9]\d?))?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A parsed path. `every`: it reads all such segments; `codes` are of OBX-3, `types` of the repetition.

    `sub` 0 means no subcomponent; `whole`: it names no component.
    """

    written: str
    segment: str
    every: bool
    codes: frozenset[str]
    field: int
    types: frozenset[str]
    first: int
    last: int
    sub: int
    whole: bool


@functools.cache
def parse(written: str) -> Path:
    """Parse a path; ValueError when it is none, or chooses segments other than OBX by code."""
    match = _FORM.fullmatch(written)
    if match is None or (match[2] and match[1] != "OBX"):
        raise ValueError(written)
    segment, codes, field, types, first, last, sub = match.groups()
    return Path(
        written=written, segment=segment, every=codes == "", codes=_choice(codes), field=int(field),
        types=_choice(types), first=int(first or 1), last=int(last or first or 1), sub=int(sub or 0),
        whole=first is None and types is None,
    )  # fmt: skip


def _choice(written: str | None) -> frozenset[str]:
    return frozenset(written.split("|")) if written else frozenset()
