"""DIMSE command sets (PS3.7 6.3.1, 9.3, 10.3, E.1): group 0000 in implicit VR little endian."""

import struct
from dataclasses import dataclass

from router.errors import InvalidData

C_STORE_RSP = 0x8001
C_FIND_RSP = 0x8020
C_MOVE_RSP = 0x8021
C_ECHO_RSP = 0x8030
N_ACTION_RSP = 0x8130
VERIFICATION = "1.2.840.10008.1.1"

_DATA_SET, _NO_DATA_SET = 0x0000, 0x0101
_MEDIUM = 0x0000


@dataclass(frozen=True, slots=True)
class Response:
    """What a response says: its command field, the message it answers and the status.

    Of a C-MOVE also how many sub-operations are completed, have failed, or ended with a warning (PS3.7 9.3.4.2).
    """

    field: int
    message_id: int
    status: int
    completed: int = 0
    failed: int = 0
    warning: int = 0


def c_store_rq(message_id: int, sop_class: str, sop_instance: str) -> bytes:
    """A C-STORE-RQ command set (PS3.7 9.3.1.1)."""
    return _command_set(
        _uid(0x0002, sop_class),
        _short(0x0100, 0x0001),
        _short(0x0110, message_id),
        _short(0x0700, _MEDIUM),
        _short(0x0800, _DATA_SET),
        _uid(0x1000, sop_instance),
    )


def c_echo_rq(message_id: int) -> bytes:
    """A C-ECHO-RQ command set (PS3.7 9.3.5.1)."""
    return _command_set(
        _uid(0x0002, VERIFICATION), _short(0x0100, 0x0030), _short(0x0110, message_id), _short(0x0800, _NO_DATA_SET)
    )


def c_find_rq(message_id: int, sop_class: str) -> bytes:
    """A C-FIND-RQ command set (PS3.7 9.3.2.1)."""
    return _command_set(
        _uid(0x0002, sop_class), _short(0x0100, 0x0020), _short(0x0110, message_id), _short(0x0700, _MEDIUM),
        _short(0x0800, _DATA_SET),
    )  # fmt: skip


def c_move_rq(message_id: int, sop_class: str, destination: str) -> bytes:
    """A C-MOVE-RQ command set (PS3.7 9.3.4.1); `destination` is an AE title."""
    return _command_set(
        _uid(0x0002, sop_class), _short(0x0100, 0x0021), _short(0x0110, message_id),
        _text(0x0600, destination, b" "), _short(0x0700, _MEDIUM), _short(0x0800, _DATA_SET),
    )  # fmt: skip


def c_cancel_rq(message_id: int) -> bytes:
    """A C-CANCEL-RQ command set (PS3.7 9.3.2.3) for the request of that id."""
    return _command_set(_short(0x0100, 0x0FFF), _short(0x0120, message_id), _short(0x0800, _NO_DATA_SET))


def n_action_rq(message_id: int, sop_class: str, sop_instance: str, action_type: int) -> bytes:
    """An N-ACTION-RQ command set with Action Information (PS3.7 10.3.4.1)."""
    return _command_set(
        _uid(0x0003, sop_class),
        _short(0x0100, 0x0130),
        _short(0x0110, message_id),
        _short(0x0800, _DATA_SET),
        _uid(0x1001, sop_instance),
        _short(0x1008, action_type),
    )


def response(data: bytes) -> Response:
    """Reads a response's command set. Raises InvalidData when it is none."""
    shorts: dict[int, int] = {}
    position = 0
    while position < len(data):
        if len(data) - position < 8:
            raise InvalidData("the command set ends inside an element")
        group, element, length = struct.unpack_from("<HHL", data, position)
        position += 8
        if group != 0 or length > len(data) - position:
            raise InvalidData("the command set has a foreign element or ends inside one")
        if length == 2:
            (shorts[element],) = struct.unpack_from("<H", data, position)
        position += length
    try:
        numbers = (shorts.get(element, 0) for element in (0x1021, 0x1022, 0x1023))
        return Response(shorts[0x0100], shorts[0x0120], shorts[0x0900], *numbers)
    except KeyError as error:
        raise InvalidData("the command set is no response") from error


def _command_set(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _uid(element: int, value: str) -> bytes:
    return _text(element, value, b"\0")


def _text(element: int, value: str, padding: bytes) -> bytes:
    encoded = value.encode("ascii")
    encoded += padding * (len(encoded) % 2)
    return struct.pack("<HHL", 0, element, len(encoded)) + encoded


def _short(element: int, value: int) -> bytes:
    return struct.pack("<HHLH", 0, element, 2, value)
