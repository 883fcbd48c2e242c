"""An instance that comes again with another data set, beside its former version (design: Versions of an instance)."""

from dataclasses import dataclass, replace
from pathlib import Path

from router.dicom.dataset.header import pixels_as
from router.dicom.dataset.sameness import Likeness, likeness
from router.model import Digests, Header, InstanceUids


@dataclass(frozen=True, slots=True)
class Former:
    """The latest version before: where its file lies, its UIDs, the digest of its pixels."""

    path: Path
    uids: InstanceUids
    pixels: str


@dataclass(frozen=True, slots=True)
class Versioned:
    """The newer version compared; `doubt` is "" or why a person is asked. Equal pixels have equal `digests`."""

    alike: Likeness
    doubt: str
    digests: Digests


def versioned(former: Former, path: Path, header: Header, digests: Digests) -> Versioned:
    """Compare the file at `path` with the former version. Both are kept, whatever they are."""
    uids = header.uids
    if former.uids.series != uids.series:
        text = f"instance {uids.sop} came in two series, {former.uids.series} and {uids.series}"
        return Versioned(Likeness.OTHER, text, digests)
    if pixels_as(former.pixels, path, digests.pixels) == former.pixels:
        return Versioned(Likeness.OTHER, "", replace(digests, pixels=former.pixels))
    alike = likeness(former.path, path)
    if alike in (Likeness.SAME, Likeness.ASSUMED):
        digests = replace(digests, pixels=former.pixels)
    doubt = f"instance {uids.sop} came again with {alike}" if alike is Likeness.UNEXPLAINED else ""
    return Versioned(alike, doubt, digests)
