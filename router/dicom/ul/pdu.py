"""Protocol data units of the upper layer (PS3.8 9.3): types, headers, and those without items. Pure."""

import struct
from enum import IntEnum

from router.errors import InvalidData

HEADER = struct.Struct(">BxL")  # type, length of the variable field
HEADER_BYTES = HEADER.size
PDV_HEADER_BYTES = 6
COMMAND, LAST = 0x01, 0x02  # message control header, PS3.8 E.2

_PDV_HEADER = struct.Struct(">LBB")
_FIXED_BODY = 4  # of A-RELEASE-RQ, A-RELEASE-RP and A-ABORT


class PduType(IntEnum):
    """The first byte of a PDU."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortSource(IntEnum):
    """The side that aborts (PS3.8 9.3.8)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """The reason of an abort by the service provider (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class Violation(InvalidData):
    """The peer broke the protocol: the association is aborted with `reason`."""

    def __init__(self, reason: AbortReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def read_header(data: bytes | bytearray | memoryview) -> tuple[PduType, int]:
    """Type of the PDU that begins here, and the length of its variable field; Violation when there is no such type."""
    number, length = HEADER.unpack_from(data)
    try:
        return PduType(number), length
    except ValueError:
        raise Violation(AbortReason.UNRECOGNIZED_PDU, f"PDU of unknown type {number:02X}") from None


def check_length(kind: PduType, length: int, longest: int) -> None:
    """Violation when the PDU is longer than `longest`, or its type has another length; before any of it is read."""
    fixed = kind in {PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT}
    if length > longest or (fixed and length != _FIXED_BODY):
        raise Violation(AbortReason.INVALID_PARAMETER, f"PDU of type {kind:02X} with an impossible length")


def read_pdv_header(data: bytes | bytearray | memoryview, offset: int, left: int) -> tuple[int, int, int]:
    """Size, context id and control header of the PDV at `offset`; Violation when it does not fit the `left` bytes."""
    size, context, control = _PDV_HEADER.unpack_from(data, offset) if left >= PDV_HEADER_BYTES else (0, 0, 0)
    if size < 2 or size + 4 > left:
        raise Violation(AbortReason.INVALID_PARAMETER, "PDV whose length does not fit its PDU")
    return size - 2, context, control


def pdu(kind: PduType, body: bytes) -> bytes:
    """A PDU of that type; `body` is its variable field."""
    return HEADER.pack(kind, len(body)) + body


def abort(source: AbortSource, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> bytes:
    """An A-ABORT (PS3.8 9.3.8)."""
    return pdu(PduType.ABORT, bytes((0, 0, source, reason)))


def reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return pdu(PduType.ASSOCIATE_RJ, bytes((0, result, source, reason)))


def release_request() -> bytes:
    """An A-RELEASE-RQ (PS3.8 9.3.6)."""
    return pdu(PduType.RELEASE_RQ, bytes(_FIXED_BODY))


def release_response() -> bytes:
    """An A-RELEASE-RP (PS3.8 9.3.7)."""
    return pdu(PduType.RELEASE_RP, bytes(_FIXED_BODY))
