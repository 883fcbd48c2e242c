"""The head of a DICOM file: preamble, prefix and file meta information (PS3.10 7.1)."""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from router import __version__
from router.dicom.dataset.elements import (
    DEFLATED,
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    encoding_of,
    leading_group_2,
    written_syntax,
)
from router.dicom.dataset.uid import clean
from router.dicom.dataset.vr import LONG_VRS, VRS
from router.errors import InvalidData

IMPLEMENTATION_CLASS_UID = "2.25.251402479836130090831242758628907721395"
IMPLEMENTATION_VERSION = f"IMGCLOUD_{__version__}"[:16]

_PREAMBLE = bytes(128) + b"DICM"
_LARGEST_META = 2**20
_LARGEST_STRAYS = 2**12
_GROUP_2 = (b"\2\0", b"\0\2")  # little and big endian
_GROUP_8, _BIG_GROUP_8 = b"\x08\0", b"\0\x08"
_GROUP_LENGTH, _TRANSFER_SYNTAX, _SENDING_ADDRESS = 0x0000, 0x0010, 0x0027


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMeta:
    """Values of group 0002, "" when absent, and the offset of the data set.

    `transfer_syntax` is the one that the data set is written in, `announced` the one it was sent with: some devices
    announce one uncompressed syntax and write another. `strays` are elements of group 0002 at the beginning of the
    data set itself, where none belongs (PS3.10 7.1); they are ignored, and the data set begins behind them.
    """

    offset: int
    transfer_syntax: str
    sop_class: str = ""
    sop_instance: str = ""
    sending_ae: str = ""
    strays: tuple[int, ...] = ()
    sending_address: str = ""
    announced: str = field(default="", compare=False)


def preamble_and_meta(
    sop_class: str, sop_instance: str, transfer_syntax: str, source_ae: str, receiving_ae: str, address: str = ""
) -> bytes:
    """The bytes before the data set: preamble, DICM and group 0002 in explicit VR little endian.

    `source_ae` is the AE that sent the instance: Source (0002,0016) and Sending AE Title (0002,0017). `address` is its
    IP address, the Sending Presentation Address (0002,0027), which is left out when it is "".
    """
    elements = b"".join(
        (
            struct.pack("<HH2sHL", 2, 0x0001, b"OB", 0, 2) + b"\0\1",
            _element(0x0002, b"UI", sop_class),
            _element(0x0003, b"UI", sop_instance),
            _element(0x0010, b"UI", transfer_syntax),
            _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION),
            _element(0x0016, b"AE", source_ae),
            _element(0x0017, b"AE", source_ae),
            _element(0x0018, b"AE", receiving_ae),
            _element(_SENDING_ADDRESS, b"UR", address) if address else b"",
        )
    )
    return _PREAMBLE + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(elements)) + elements


def dataset_offset(file: BinaryIO) -> FileMeta:
    """The file meta information, also without preamble or group 0002. InvalidData when the file is no DICOM."""
    file.seek(0)
    head = file.read(132)
    start = 132 if head[128:] == b"DICM" else 0
    file.seek(start)
    values, offset = _group_2(file, start)
    syntax = values.get(_TRANSFER_SYNTAX, "")
    file.seek(offset)
    first = file.read(8)
    strays: list[int] = []
    if first[:2] in _GROUP_2 and syntax not in DEFLATED:
        strays, length = leading_group_2(first + file.read(_LARGEST_STRAYS), syntax)
        offset += length
        file.seek(offset)
        first = file.read(8)
    announced = syntax or _guessed_syntax(first, known=bool(start or values))
    return FileMeta(
        offset=offset,
        transfer_syntax=_written_syntax(announced, first, file),
        sop_class=values.get(0x0002, ""),
        sop_instance=values.get(0x0003, ""),
        sending_ae=values.get(0x0017) or values.get(0x0016, ""),
        strays=tuple(strays),
        sending_address=values.get(_SENDING_ADDRESS, ""),
        announced=announced,
    )


def _element(number: int, vr: bytes, value: str) -> bytes:
    encoded = value.encode("ascii", "replace")
    if len(encoded) % 2:
        encoded += b"\0" if vr == b"UI" else b" "
    form = "<HH2s2xL" if vr in LONG_VRS else "<HH2sH"
    return struct.pack(form, 2, number, vr, len(encoded)) + encoded


def _group_2(file: BinaryIO, offset: int) -> tuple[dict[int, str], int]:
    """The values, and the end of the group: by its length if that is right, else where another group begins."""
    values: dict[int, str] = {}
    start, end = offset, -1
    while offset - start < _LARGEST_META:
        if offset == end and _TRANSFER_SYNTAX in values:
            return values, offset
        head = file.read(8)
        if len(head) < 8 or head[:2] != b"\2\0":
            return values, offset
        number, vr, length = struct.unpack("<2xH2sH", head)
        size = 8
        if vr in LONG_VRS:
            (length,), size = struct.unpack("<L", file.read(4).ljust(4, b"\xff")), 12
        value = file.read(min(length, _LARGEST_META))
        if len(value) != length:
            raise InvalidData("the file ends inside group 0002")
        values[number] = clean(value.decode("ascii", "replace"))
        offset += size + length
        if number == _GROUP_LENGTH and length == 4:
            end = offset + int.from_bytes(value, "little")
    raise InvalidData("group 0002 is longer than any real one")


def _written_syntax(announced: str, first: bytes, file: BinaryIO) -> str:
    """The syntax that the first elements are in; `file` is behind the `first` bytes. A compressed one is believed."""
    group = first[:2]
    if announced == EXPLICIT_LITTLE_ENDIAN:
        agrees = first[4:6] in VRS and group != _BIG_GROUP_8
    elif announced == IMPLICIT_LITTLE_ENDIAN:
        agrees = first[4:6] not in VRS and group == _GROUP_8
    elif announced in DEFLATED:
        agrees = group not in (_GROUP_8, _BIG_GROUP_8)
    else:
        agrees = announced != EXPLICIT_BIG_ENDIAN or group == _BIG_GROUP_8
    return announced if agrees else written_syntax(first + file.read(_LARGEST_STRAYS), announced)


def _guessed_syntax(first: bytes, *, known: bool) -> str:
    """Guess from the data set's first element, which is of group 0008 in every instance that the node stores."""
    if first[:2] == b"\0\x08":
        return EXPLICIT_BIG_ENDIAN
    explicit = encoding_of(first, "").explicit
    if first[:2] != b"\x08\0" and not (known and len(first) == 8):
        raise InvalidData("neither a DICOM file nor a DICOM data set")
    return EXPLICIT_LITTLE_ENDIAN if explicit else IMPLICIT_LITTLE_ENDIAN
