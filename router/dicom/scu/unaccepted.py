"""Presentation contexts that a destination does not accept, and the reason its other answers tell. Pure."""

from collections.abc import Collection, Iterable, Sequence

from pydicom.uid import UID

from router.dicom.dataset.elements import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from router.dicom.ul.contexts import Context
from router.errors import DestinationDown, Outage

_UNCOMPRESSED = (IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN)
# JPEG, JPEG Lossless, JPEG-LS Lossless and JPEG 2000 Lossless, for the few destinations that accept nothing else.
_COMPRESSED = tuple(f"1.2.840.10008.1.2.4.{number}" for number in ("50", "70", "80", "90"))
_FEW_CLASSES, _MOST_CLASSES = 19, 58  # in six or in two syntaxes; with _COMMON they fit into one association
_DECOMPRESS = (
    "; decompress = true in its [destination.dicom] sends it uncompressed, with the extra of that name:"
    " pip install 'imaging-cloud-router[decompress]'"
)
# CR, CT, DX, MR, ultrasound and secondary capture: a destination for images accepts one of these.
_COMMON = tuple(f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("1", "2", "1.1", "4", "6.1", "7"))


def others(sop_classes: Iterable[str]) -> tuple[Context, ...]:
    """Contexts that show whether a destination accepts these SOP classes in any syntax, or any image at all."""
    asked = sorted(sop_classes)[:_MOST_CLASSES]
    syntaxes = _UNCOMPRESSED + (_COMPRESSED if len(asked) <= _FEW_CLASSES else ())
    wanted = dict.fromkeys((sop_class, syntax) for sop_class in asked for syntax in syntaxes)
    return tuple(wanted | dict.fromkeys((sop_class, syntax) for sop_class in _COMMON for syntax in _UNCOMPRESSED))


def nothing(*, association: str) -> DestinationDown:
    """The error for a destination that accepts the association, but no image of any kind."""
    return DestinationDown(
        "the destination takes the association and accepts no image in it",
        outage=Outage.SERVICE,
        hint="ask its operator whether it stores images of our calling_ae_title",
        association=association,
    )


def classes(contexts: Iterable[Context]) -> set[str]:
    """The SOP classes of these contexts."""
    return {sop_class for sop_class, _ in contexts}


def reason(sop_class: str, offered: Sequence[str], accepted: Collection[str]) -> str:
    """Why an instance is not accepted: its SOP class is not among the `accepted`, or no syntax `offered` is."""
    if sop_class not in accepted:
        return f"the destination does not accept {_named(sop_class)} in any transfer syntax"
    refused = f"the destination does not accept transfer syntax {' or '.join(map(_named, offered))}"
    if len(offered) > 1 or offered[0] in _UNCOMPRESSED:
        return refused
    return f"{refused}{_DECOMPRESS}"


def _named(uid: str) -> str:
    name = UID(uid).name
    return uid if name == uid else f"{name} ({uid})"
