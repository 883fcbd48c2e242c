"""Items and sub-items of association PDUs (PS3.8 9.3.2, 9.3.3, D.1; PS3.7 D.3.3), as bytes. Pure.

Items that a receiver need not understand are skipped (PS3.8 9.3.1).
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
    """Type and value of each item, up to one that does not fit, which raises InvalidData."""
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
    """The items before the first one that does not fit, and whether these are all."""
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
    """A UID without its padding; "" when it is no UID."""
    stripped = value.strip(_PADDING)
    return stripped.decode("ascii") if _UID.fullmatch(stripped) else ""


def title(value: bytes) -> str:
    """An AE title (PS3.5 6.2), safe to show even if it is malformed; "" for a blank one.

    It ends at a NUL: some devices leave the former content of their buffer behind it.
    """
    return shown(decode(value.lstrip(_PADDING).partition(b"\0")[0].rstrip(_PADDING)))


def maximum_length(user_information: bytes) -> int | None:
    """The longest P-DATA-TF that the peer takes (0: any length); None when the user information breaks off before."""
    found, whole = readable(user_information)
    for kind, value in found:
        if kind == MAXIMUM_LENGTH and len(value) == 4:
            return int.from_bytes(value, "big")
    return 0 if whole else None
