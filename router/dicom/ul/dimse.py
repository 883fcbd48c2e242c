"""DIMSE command sets (PS3.7 6.3, 9.3, 10.3, E.1): group 0000 in implicit VR little endian. Pure.

They are read and written here, not as pydicom data sets, which would cost more than the whole of a small instance.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from router.errors import InvalidData

LARGEST = 2**16  # bytes; a C-STORE request has some two hundred

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_EVENT_TYPE = 0x0113
INVALID_ARGUMENT_VALUE = 0x0115
NO_SUCH_SOP_CLASS = 0x0122
UNRECOGNIZED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700  # PS3.4 Table B.2-1: the sender tries again
NOT_THIS_INSTANCE = 0xA900  # PS3.4 Table B.2-1: the data set does not match the SOP class
CANNOT_UNDERSTAND = 0xC000  # PS3.4 Table B.2-1

VERIFICATION = "1.2.840.10008.1.1"

_RESPONSE = 0x8000  # in the Command Field
_MEDIUM = 0x0000  # Priority
_DATA_SET, _NO_DATA_SET = 0x0000, 0x0101

# Elements of group 0000 (PS3.7 E.1).
_AFFECTED_CLASS, _REQUESTED_CLASS, _FIELD = 0x0002, 0x0003, 0x0100
_MESSAGE_ID, _RESPONDED_TO = 0x0110, 0x0120
_DESTINATION, _PRIORITY, _DATA_SET_TYPE, _STATUS = 0x0600, 0x0700, 0x0800, 0x0900
_AFFECTED_INSTANCE, _REQUESTED_INSTANCE = 0x1000, 0x1001
_EVENT_TYPE, _ACTION_TYPE = 0x1002, 0x1008
_COMPLETED, _FAILED, _WARNING = 0x1021, 0x1022, 0x1023
_OF_A_RESPONSE = frozenset({_FIELD, _RESPONDED_TO, _STATUS})

_HEAD = struct.Struct("<HHL")
_SHORT = struct.Struct("<HHLH")


class Operation(IntEnum):
    """Command Field (0000,0100) of a request."""

    C_STORE = 0x0001
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    C_CANCEL = 0x0FFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request of the peer. `sop_class` and `sop_instance` are bytes as they came, with their padding."""

    operation: int
    message_id: int
    has_data_set: bool
    sop_class: bytes = b""
    sop_instance: bytes = b""
    event_type: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response of the peer: the operation and the message that it answers, and the status.

    Of a C-MOVE also how many sub-operations are completed, have failed, or ended with a warning (PS3.7 9.3.4.2).
    """

    operation: int
    message_id: int
    status: int
    completed: int = 0
    failed: int = 0
    warning: int = 0


# -- reading


def is_response(command: bytes) -> bool:
    """Whether a command set answers a request; InvalidData when that is not known."""
    return bool(_us(_elements(command), _FIELD) & _RESPONSE)


def has_data_set(command: bytes) -> bool:
    """Whether a data set follows the command set (0000,0800); InvalidData when that is not known."""
    return _us(_elements(command), _DATA_SET_TYPE) != _NO_DATA_SET


def read_request(command: bytes | bytearray) -> Request:
    """The request in a command set; InvalidData when it is none."""
    found = _elements(command)
    operation = _us(found, _FIELD)
    if operation & _RESPONSE:
        raise InvalidData("a response where a request is due")
    return Request(
        operation=operation,
        message_id=0 if operation == Operation.C_CANCEL else _us(found, _MESSAGE_ID),
        has_data_set=_us(found, _DATA_SET_TYPE) != _NO_DATA_SET,
        sop_class=found.get(_AFFECTED_CLASS) or found.get(_REQUESTED_CLASS, b""),
        sop_instance=found.get(_AFFECTED_INSTANCE) or found.get(_REQUESTED_INSTANCE, b""),
        event_type=_us(found, _EVENT_TYPE) if operation == Operation.N_EVENT_REPORT else 0,
    )


def read_response(command: bytes) -> Response:
    """The response in a command set; InvalidData when it is none."""
    found = _elements(command)
    if not found.keys() >= _OF_A_RESPONSE or not (field := _us(found, _FIELD)) & _RESPONSE:
        raise InvalidData("the command set is no response")
    operation, counts = field & ~_RESPONSE, (0, 0, 0)
    if operation == Operation.C_MOVE:
        counts = _count(found, _COMPLETED), _count(found, _FAILED), _count(found, _WARNING)
    completed, failed, warning = counts
    return Response(
        operation=operation,
        message_id=_us(found, _RESPONDED_TO),
        status=_us(found, _STATUS),
        completed=completed,
        failed=failed,
        warning=warning,
    )


def _elements(command: bytes | bytearray) -> dict[int, bytes]:
    """The values of group 0000 by element number; of other groups, which do not belong here, none."""
    found: dict[int, bytes] = {}
    command = bytes(command)
    at, end = 0, len(command)
    while at < end:
        if end - at < _HEAD.size:
            raise InvalidData("the command set ends inside an element")
        group, element, length = _HEAD.unpack_from(command, at)
        start = at + _HEAD.size
        at = start + length
        if at > end:
            raise InvalidData("the command set ends inside an element", tag=f"{group:04X}{element:04X}")
        if not group:
            found[element] = command[start:at]
    return found


def _us(found: dict[int, bytes], element: int) -> int:
    value = found.get(element, b"")
    if len(value) < 2:
        raise InvalidData("the command set lacks an element", tag=f"{element:08X}")
    return int.from_bytes(value[:2], "little")


def _count(found: dict[int, bytes], element: int) -> int:
    return int.from_bytes(found.get(element, b"")[:2], "little")


# -- writing


def response(request: Request, status: int) -> bytes:
    """The command set that answers a request: the request's own SOP class and instance, no data set."""
    return _command_set(
        _element(_AFFECTED_CLASS, request.sop_class) if request.sop_class else b"",
        _short(_FIELD, request.operation | _RESPONSE),
        _short(_RESPONDED_TO, request.message_id),
        _short(_DATA_SET_TYPE, _NO_DATA_SET),
        _short(_STATUS, status),
        _element(_AFFECTED_INSTANCE, request.sop_instance) if request.sop_instance else b"",
    )


def composite_rq(
    operation: Operation, message_id: int, sop_class: str, *, destination: str = "", instance: str = ""
) -> bytes:
    """The command set of a C-STORE-RQ, C-FIND-RQ or C-MOVE-RQ (PS3.7 9.3.1.1, 9.3.2.1, 9.3.4.1).

    `destination` is the AE title of a C-MOVE, `instance` the SOP Instance UID of a C-STORE.
    """
    return _command_set(
        _text(_AFFECTED_CLASS, sop_class),
        _short(_FIELD, operation),
        _short(_MESSAGE_ID, message_id),
        _text(_DESTINATION, destination, padding=b" ") if destination else b"",
        _short(_PRIORITY, _MEDIUM),
        _short(_DATA_SET_TYPE, _DATA_SET),
        _text(_AFFECTED_INSTANCE, instance) if instance else b"",
    )


def c_echo_rq(message_id: int) -> bytes:
    """A C-ECHO-RQ command set (PS3.7 9.3.5.1)."""
    return _command_set(
        _text(_AFFECTED_CLASS, VERIFICATION),
        _short(_FIELD, Operation.C_ECHO),
        _short(_MESSAGE_ID, message_id),
        _short(_DATA_SET_TYPE, _NO_DATA_SET),
    )


def c_cancel_rq(message_id: int) -> bytes:
    """A C-CANCEL-RQ command set (PS3.7 9.3.2.3) for the request of that id."""
    return _command_set(
        _short(_FIELD, Operation.C_CANCEL), _short(_RESPONDED_TO, message_id), _short(_DATA_SET_TYPE, _NO_DATA_SET)
    )


def n_action_rq(message_id: int, sop_class: str, sop_instance: str, action_type: int) -> bytes:
    """An N-ACTION-RQ command set with Action Information (PS3.7 10.3.4.1)."""
    return _command_set(
        _text(_REQUESTED_CLASS, sop_class),
        _short(_FIELD, Operation.N_ACTION),
        _short(_MESSAGE_ID, message_id),
        _short(_DATA_SET_TYPE, _DATA_SET),
        _text(_REQUESTED_INSTANCE, sop_instance),
        _short(_ACTION_TYPE, action_type),
    )


def _command_set(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _element(number: int, value: bytes) -> bytes:
    return _HEAD.pack(0, number, len(value)) + value


def _short(number: int, value: int) -> bytes:
    return _SHORT.pack(0, number, 2, value)


def _text(number: int, value: str, padding: bytes = b"\0") -> bytes:
    encoded = value.encode("ascii")
    return _element(number, encoded + padding * (len(encoded) % 2))
