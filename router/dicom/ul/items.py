"""Items and sub-items of association PDUs (PS3.8 9.3.2, 9.3.3, D.1; PS3.7 D.3.3), as bytes. Pure.

Whatever a receiver need not understand is skipped (PS3.8 9.3.1).
"""

import re
import struct
from collections.abc import Iterator

from router.errors import InvalidData
from router.text.decoding import decode, shown

APPLICATION, PROPOSED, ANSWERED, USER = 0x10, 0x20, 0x21, 0x50
ABSTRACT, TRANSFER = 0x30, 0x40
MAXIMUM_LENGTH, CLASS_UID, WINDOW, ROLE, VERSION_NAME = 0x51, 0x52, 0x53, 0x54, 0x55
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
CAUTIOUS_LENGTH = 16384  # bytes of a PDU to a peer whose maximum length cannot be read
ITEMS_AT = 74  # in A-ASSOCIATE-RQ and A-ASSOCIATE-AC, which have the same fixed fields

_ITEM = struct.Struct(">BxH")
_UID = re.compile(rb"[0-9.]{1,64}")
_PADDING = b"\0 "


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item; InvalidData when one does not fit, after those before it."""
    at = 0
    while at < len(data):
        if at + _ITEM.size > len(data):
            if data[at:].strip(b"\0"):
                raise InvalidData("an item ends inside its head")
            return  # padding
        kind, size = _ITEM.unpack_from(data, at)
        at += _ITEM.size
        if at + size > len(data):
            raise InvalidData("an item ends after what holds it")
        yield kind, data[at : at + size]
        at += size


def readable(data: bytes) -> tuple[tuple[tuple[int, bytes], ...], bool]:
    """The items up to the first that does not fit, and whether that was all of them."""
    found: list[tuple[int, bytes]] = []
    try:
        found.extend(items(data))
    except InvalidData:
        return tuple(found), False
    return tuple(found), True


def item(kind: int, value: bytes) -> bytes:
    """An item or sub-item."""
    return _ITEM.pack(kind, len(value)) + value


def uid(value: bytes) -> str:
    """A UID without its padding; "" for what is none."""
    stripped = value.strip(_PADDING)
    return stripped.decode("ascii") if _UID.fullmatch(stripped) else ""


def title(value: bytes) -> str:
    """An AE title (PS3.5 6.2), also one that is not as it should be, safe to show; "" for a blank one.

    It ends at a NUL, behind which some devices leave what their buffer held.
    """
    return shown(decode(value.lstrip(_PADDING).partition(b"\0")[0].rstrip(_PADDING)))


def maximum_length(user_information: bytes) -> int | None:
    """The longest P-DATA-TF that the peer takes (0: any length); None where user information cannot be read so far."""
    found, whole = readable(user_information)
    for kind, value in found:
        if kind == MAXIMUM_LENGTH and len(value) == 4:
            return int.from_bytes(value, "big")
    return 0 if whole else None
