"""The acceptor's side of an association's negotiation (PS3.8 7.1 and 9.3.2, PS3.7 D.3).

Any storage SOP class, also private ones, in the first transfer syntax that the peer names; Verification; Storage
Commitment, where it is asked for, with the peer as SCP.
"""

import itertools
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts, build_context, sop_class
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from router.dicom import commitment
from router.dicom.admission import Rejection
from router.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from router.dicom.pdu import AbortReason, PduType, Violation
from router.errors import InvalidData

LONGEST_REQUEST = 2**18  # bytes; 128 contexts of thirty syntaxes each are half of it

VERIFICATION = "1.2.840.10008.1.1"
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_STORAGE = frozenset(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
_ITEM = struct.Struct(">BxH")
_FIXED = slice(6, 74)  # before the items
_SAME = slice(10, 74)  # AE titles and a reserved field, answered as they came (PS3.8 Table 9-17)
_APPLICATION, _PRESENTATION_CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_SYNTAXES = {0x30, 0x40}
_MOST_ITEMS = 256  # there can be 128 contexts
_MOST_SYNTAXES = 16  # of a context: the first is taken
_SUB_ITEMS = {0x51, 0x53, 0x54}  # maximum length, asynchronous window, roles: what the answer depends on
NO_APPLICATION_CONTEXT = Rejection(1, 1, 2, "application context name not supported")
NO_PROTOCOL_VERSION = Rejection(1, 2, 2, "protocol version not supported")

_Roles = dict[UID, tuple[bool | None, bool | None]]


@dataclass(frozen=True, slots=True)
class Request:
    """An A-ASSOCIATE-RQ as far as it decides who may enter; the rest for `accept`: `same` is what it repeats."""

    called: str
    calling: str
    peer_max_pdu: int
    rejection: Rejection | None
    primitive: A_ASSOCIATE
    same: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The A-ASSOCIATE-AC, and SOP class and transfer syntax of each accepted context by its id."""

    pdu: bytes
    contexts: dict[int, tuple[str, str]]


def read_request(pdu: bytes) -> Request:
    """Decode a whole A-ASSOCIATE-RQ PDU; Violation when it is none."""
    request = A_ASSOCIATE_RQ()
    try:
        request.decode(_understood(pdu))
        primitive = request.to_primitive()
        called, calling = str(primitive.called_ae_title).strip(), str(primitive.calling_ae_title).strip()
        longest = _item(primitive, MaximumLengthNotification)
        peer_max_pdu = int(longest.maximum_length_received or 0) if longest else 0
    except Exception as error:  # the decoder raises whatever it stumbles over
        raise Violation(AbortReason.INVALID_PARAMETER, "the association request cannot be read") from error
    return Request(called, calling, peer_max_pdu, _rejection(request), primitive, pdu[_SAME])


def _understood(pdu: bytes) -> bytes:
    """The request without the items that the node does not know or does not act on.

    They are to be skipped (PS3.8 9.3.1 and D.2), and pynetdicom refuses the whole request for one of them. Nor is
    there more left than any real one has: a tenth of a millisecond an item would add up to seconds.
    """
    kept = [pdu[_FIXED]]
    for kind, value in itertools.islice(_items(pdu[_FIXED.stop :]), _MOST_ITEMS):
        if kind == _USER_INFORMATION:
            kept.append(_item_of(kind, _sub_items(value, _SUB_ITEMS, _MOST_ITEMS)))
        elif kind == _PRESENTATION_CONTEXT:
            kept.append(_item_of(kind, value[:4] + _sub_items(value[4:], _SYNTAXES, 1 + _MOST_SYNTAXES)))
        elif kind == _APPLICATION:
            kept.append(_item_of(kind, value))
    body = b"".join(kept)
    return struct.pack(">BxL", PduType.ASSOCIATE_RQ, len(body)) + body


def _sub_items(data: bytes, kinds: Container[int], most: int) -> bytes:
    found = (_item_of(kind, value) for kind, value in _items(data) if kind in kinds)
    return b"".join(itertools.islice(found, most))


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item; InvalidData when one does not fit."""
    at = 0
    while at < len(data):
        kind, size = _ITEM.unpack_from(data, at)
        at += _ITEM.size
        if at + size > len(data):
            raise InvalidData("an item ends after its PDU")
        yield kind, data[at : at + size]
        at += size


def _item_of(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def accept(request: Request, max_pdu: int, *, reports: bool) -> Accepted:
    """The answer to an admitted request. `max_pdu` is the longest P-DATA variable field that the node asks for.

    `reports`: whether the peer may report on storage commitment.
    """
    try:
        roles = _roles(request.primitive)
        proposals = request.primitive.presentation_context_definition_list
        results = [_judge(proposed, roles, reports=reports) for proposed in proposals]
        pdu = _encode(request, [context for context, _ in results], _replies(request, results, max_pdu))
        contexts = {
            context.context_id or 0: (str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context, _ in results
            if context.result == 0
        }
    except Exception as error:  # as above: values that decode may still not be allowed
        raise Violation(AbortReason.INVALID_PARAMETER, "the association request cannot be answered") from error
    return Accepted(pdu, contexts)


def _rejection(request: A_ASSOCIATE_RQ) -> Rejection | None:
    if not request.protocol_version & 1:
        return NO_PROTOCOL_VERSION
    return None if request.application_context_name == _APPLICATION_CONTEXT else NO_APPLICATION_CONTEXT


def is_storage(abstract_syntax: str) -> bool:
    """Whether the SOP class is taken as one of storage: the standard's, or one that it does not know."""
    uid = UID(abstract_syntax)
    return uid in _STORAGE or uid.is_private or not hasattr(sop_class, uid.keyword)


def _judge(proposed: PresentationContext, roles: _Roles, *, reports: bool) -> tuple[PresentationContext, list[Any]]:
    """One context's result. We are SCP only: a peer that wants that role too is told no (PS3.7 D.3.3.4).

    But for storage commitment, where the peer is the SCP: it need not say so, since peers exist that do not.
    """
    own: list[PresentationContext] = []
    name = str(proposed.abstract_syntax)
    if name == VERIFICATION or is_storage(name):
        own = [build_context(name, [*proposed.transfer_syntax])]
        own[0].scu_role, own[0].scp_role = True, False
    elif name == commitment.SOP_CLASS and reports:
        own = [build_context(name, [*commitment.TRANSFER_SYNTAXES])]
        own[0].scu_role, own[0].scp_role = False, True
    (result,), replies = negotiate_as_acceptor([proposed], own, roles)
    return result, replies


def _roles(primitive: A_ASSOCIATE) -> _Roles:
    items = [item for item in primitive.user_information if isinstance(item, SCP_SCU_RoleSelectionNegotiation)]
    return {UID(item.sop_class_uid or ""): (item.scu_role, item.scp_role) for item in items}


def _replies(request: Request, results: list[tuple[PresentationContext, list[Any]]], max_pdu: int) -> list[Any]:
    """User information: lengths and names; one role each; a window of one. User identity needs no answer (D.3.3.7)."""
    longest, name, version = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    longest.maximum_length_received = max_pdu
    name.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version.implementation_version_name = IMPLEMENTATION_VERSION
    replies = [longest, name, version]
    replies += {item.sop_class_uid: item for _, items in results for item in items}.values()
    if _item(request.primitive, AsynchronousOperationsWindowNegotiation):
        window = AsynchronousOperationsWindowNegotiation()
        window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 1
        replies.append(window)
    return replies


def _encode(request: Request, contexts: list[PresentationContext], user_information: list[Any]) -> bytes:
    answer = A_ASSOCIATE()
    answer.application_context_name = _APPLICATION_CONTEXT
    answer.calling_ae_title, answer.called_ae_title = request.calling, request.called
    answer.result = 0
    answer.presentation_context_definition_results_list = contexts
    answer.user_information = user_information
    pdu = bytes(A_ASSOCIATE_AC(answer).encode())
    return pdu[: _SAME.start] + request.same + pdu[_SAME.stop :]


def _item(primitive: A_ASSOCIATE, kind: type[Any]) -> Any:
    return next((item for item in primitive.user_information if isinstance(item, kind)), None)
