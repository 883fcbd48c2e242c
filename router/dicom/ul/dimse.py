"""Command sets (PS3.7 6.3 and 9.3): implicit VR little endian, group 0000. Pure.

Read and written here rather than as pydicom data sets: that costs more than the whole of a small instance.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from router.dicom.dataset.elements import Encoding, top_level
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
CANNOT_UNDERSTAND = 0xC000  # PS3.4 Table B.2-1
NOT_THIS_INSTANCE = 0xA900  # PS3.4 Table B.2-1: data set does not match SOP class

_IMPLICIT_LITTLE = Encoding(explicit=False, order="<")
_NO_DATA_SET = 0x0101
_RESPONSE = 0x8000


class Operation(IntEnum):
    """Command Field (0000,0100) of what the node answers to."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    C_CANCEL = 0x0FFF


@dataclass(frozen=True, slots=True)
class Request:
    """A DIMSE request. `sop_class` and `sop_instance` are the bytes of the wire, with their padding."""

    operation: int
    message_id: int
    has_data_set: bool
    sop_class: bytes = b""
    sop_instance: bytes = b""
    event_type: int = 0


def is_response(command: bytes) -> bool:
    """Whether a command set answers a request; InvalidData when it cannot be told."""
    return bool(_us(_values(command), 0x00000100) & _RESPONSE)


def has_data_set(command: bytes) -> bool:
    """Whether a data set follows the command set (0000,0800); InvalidData when it cannot be told."""
    return _us(_values(command), 0x00000800) != _NO_DATA_SET


def read(command: bytes | bytearray) -> Request:
    """The request in a command set; InvalidData when it is none."""
    values = _values(command)
    operation = _us(values, 0x00000100)
    if operation & _RESPONSE:
        raise InvalidData("a response where a request is due")
    return Request(
        operation,
        0 if operation == Operation.C_CANCEL else _us(values, 0x00000110),
        _us(values, 0x00000800) != _NO_DATA_SET,
        values.get(0x00000002) or values.get(0x00000003, b""),
        values.get(0x00001000) or values.get(0x00001001, b""),
        _us(values, 0x00001002) if operation == Operation.N_EVENT_REPORT else 0,
    )


def response(request: Request, status: int) -> bytes:
    """The command set that answers: the request's own SOP class and instance, no data set."""
    elements = b"".join(
        (
            _element(0x0002, request.sop_class) if request.sop_class else b"",
            _element(0x0100, struct.pack("<H", request.operation | _RESPONSE)),
            _element(0x0120, struct.pack("<H", request.message_id)),
            _element(0x0800, struct.pack("<H", _NO_DATA_SET)),
            _element(0x0900, struct.pack("<H", status)),
            _element(0x1000, request.sop_instance) if request.sop_instance else b"",
        )
    )
    return _element(0x0000, struct.pack("<L", len(elements))) + elements


def _values(command: bytes | bytearray) -> dict[int, bytes]:
    return dict(top_level(bytes(command), _IMPLICIT_LITTLE))


def _us(values: dict[int, bytes], tag: int) -> int:
    value = values.get(tag, b"")
    if len(value) < 2:
        raise InvalidData("the command set lacks an element", tag=f"{tag:08X}")
    return int.from_bytes(value[:2], "little")


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value
