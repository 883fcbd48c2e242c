"""Negotiation of an association as its acceptor (PS3.8 7.1 and 9.3.2, PS3.7 D.3).

Accepted are any storage SOP class, also private ones, in the best of the proposed transfer syntaxes; Verification; and
Storage Commitment with the peer as SCP, when the node requests it. A malformed value costs its context or its sub-item,
never the association.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts, sop_class

from router.dicom.dataset.elements import DEFLATED, EXPLICIT_BIG_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from router.dicom.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from router.dicom.scp.admission import Rejection
from router.dicom.ul import commitment, items
from router.dicom.ul.dimse import VERIFICATION
from router.dicom.ul.pdu import AbortReason, PduType, Violation, pdu

LONGEST_REQUEST = 2**18  # bytes; 128 contexts of thirty syntaxes each are half of it

_STORAGE = frozenset(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
_FIXED = struct.Struct(">6xH2x16s16s32x")
_SAME = slice(10, items.ITEMS_AT)  # AE titles and a reserved field, answered as they came (PS3.8 Table 9-17)
ACCEPTED, _USER_REJECTION, _NO_REASON, _NO_ABSTRACT_SYNTAX, _NO_TRANSFER_SYNTAX = range(5)  # PS3.8 Table 9-18
NO_APPLICATION_CONTEXT = Rejection(result=1, source=1, reason=2, text="application context name not supported")
NO_PROTOCOL_VERSION = Rejection(result=1, source=2, reason=2, text="protocol version not supported")

# Of 1.2.840.10008.1.2.4: JPEG, JPEG-LS, JPEG 2000, MPEG, HEVC, JPEG XL and HTJ2K that may lose something.
_LOSSY_NUMBERS = (*range(50, 57), *range(59, 65), 81, 91, 93, *range(100, 109), 112, 203,
                  *(f"{number}.1" for number in range(100, 107)))  # fmt: skip
_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in _LOSSY_NUMBERS)
_ELSEWHERE = frozenset({"1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.204"})  # JPIP: a reference instead of pixels
_LAST = DEFLATED | _ELSEWHERE | {EXPLICIT_BIG_ENDIAN}

Role = tuple[bool, bool]  # whether the peer is SCU, SCP


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposed presentation context; `fault` is the result of a malformed one, else 0."""

    number: int
    abstract_syntax: str = ""
    transfer_syntaxes: tuple[str, ...] = ()
    fault: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An A-ASSOCIATE-RQ; `same` are the bytes that the answer repeats.

    `rejection` is the reason to reject it whoever sends it. `window`: it proposes an asynchronous operations window.
    """

    called: str
    calling: str
    peer_max_pdu: int
    rejection: Rejection | None
    proposed: tuple[Proposed, ...]
    roles: Mapping[str, Role]
    window: bool
    same: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """The answer to one context; `role` is the one granted, None when the peer proposed none."""

    number: int
    result: int
    abstract_syntax: str
    transfer_syntax: str
    role: Role | None = None


def read_request(request_pdu: bytes) -> Request:
    """Decode an A-ASSOCIATE-RQ PDU; Violation when it is none. Of a broken one the contexts before the break count."""
    found, whole = items.readable(request_pdu[items.ITEMS_AT :])
    names = [items.uid(value) for kind, value in found if kind == items.APPLICATION]
    proposed = _proposed(value for kind, value in found if kind == items.PROPOSED)
    if len(request_pdu) < items.ITEMS_AT or not (whole or (proposed and items.APPLICATION_CONTEXT in names)):
        raise Violation(AbortReason.INVALID_PARAMETER, "the association request cannot be read")
    version, called, calling = _FIXED.unpack_from(request_pdu)
    user = b"".join(value for kind, value in found if kind == items.USER)
    longest = items.maximum_length(user) if whole or user else None
    wishes = items.readable(user)[0]
    return Request(
        called=items.title(called),
        calling=items.title(calling),
        peer_max_pdu=items.CAUTIOUS_LENGTH if longest is None else longest,
        rejection=_rejection(version, names),
        proposed=proposed,
        roles=dict(role for kind, value in wishes if kind == items.ROLE and (role := _role(value)) is not None),
        window=any(kind == items.WINDOW for kind, _ in wishes),
        same=request_pdu[_SAME],
    )


def accept(request: Request, max_pdu: int, *, reports: bool) -> tuple[bytes, dict[int, tuple[str, str]]]:
    """The A-ASSOCIATE-AC, and SOP class and transfer syntax of each accepted context by its id.

    `max_pdu` is the longest P-DATA variable field that the node asks for. `reports`: the peer may report on storage
    commitment.
    """
    results = [_judge(one, request.roles.get(one.abstract_syntax), reports=reports) for one in request.proposed]
    body = b"\0\1\0\0" + request.same + items.item(items.APPLICATION, items.APPLICATION_CONTEXT.encode())
    for one in results:  # PS3.8 9.3.3.2
        syntax = items.item(items.TRANSFER, one.transfer_syntax.encode())
        body += items.item(items.ANSWERED, bytes((one.number, 0, one.result, 0)) + syntax)
    body += items.item(items.USER, _replies(request, results, max_pdu))
    contexts = {one.number: (one.abstract_syntax, one.transfer_syntax) for one in results if one.result == ACCEPTED}
    return pdu(PduType.ASSOCIATE_AC, body), contexts


def is_storage(abstract_syntax: str) -> bool:
    """Whether this counts as a storage SOP class: one of the standard's, a private or an unknown one."""
    uid = UID(abstract_syntax)
    return uid in _STORAGE or uid.is_private or not hasattr(sop_class, uid.keyword)


def pick(transfer_syntaxes: Sequence[str]) -> str:
    """The transfer syntax to accept: the sender's first one, lossy ones only after others, those of _LAST at last."""
    return min(transfer_syntaxes, key=lambda syntax: 2 if syntax in _LAST else int(syntax in _LOSSY))


def _rejection(version: int, application_contexts: Sequence[str]) -> Rejection | None:
    if not version & 1:
        return NO_PROTOCOL_VERSION
    return None if items.APPLICATION_CONTEXT in application_contexts else NO_APPLICATION_CONTEXT


def _proposed(values: Iterable[bytes]) -> tuple[Proposed, ...]:
    """The contexts, also those with even ids; an id of two different contexts means neither."""
    found: dict[int, Proposed] = {}
    for value in values:
        if value:
            one = _context(value)
            same = found.setdefault(one.number, one)
            found[one.number] = one if one == same else Proposed(one.number, fault=_NO_REASON)
    return tuple(found.values())


def _context(value: bytes) -> Proposed:
    """One context, from its id on; names that are no UIDs do not count."""
    number, (parts, whole) = value[0], items.readable(value[4:])
    if not whole or len(value) < 4:
        return Proposed(number, fault=_NO_REASON)
    abstract = {items.uid(name) for kind, name in parts if kind == items.ABSTRACT}
    transfer = (items.uid(name) for kind, name in parts if kind == items.TRANSFER)
    name = abstract.pop() if len(abstract) == 1 else ""
    return Proposed(number, name, tuple(dict.fromkeys(filter(None, transfer))))


def _role(value: bytes) -> tuple[str, Role] | None:
    """An SCP/SCU role selection sub-item (PS3.7 D.3.3.4): SOP class and roles; None when it is none."""
    size = int.from_bytes(value[:2], "big")
    if len(value) != 2 + size + 2:
        return None
    return items.uid(value[2:-2]), (bool(value[-2]), bool(value[-1]))


def _judge(one: Proposed, wish: Role | None, *, reports: bool) -> _Result:
    """One context's result. We are SCP only, and refuse that role to the peer (PS3.7 D.3.3.4).

    For storage commitment the peer is the SCP; it need not propose that role, since some peers do not.
    """
    name, role, syntaxes = one.abstract_syntax, (True, False), one.transfer_syntaxes
    commits = name == commitment.SOP_CLASS and reports
    if commits:
        role, syntaxes = (False, True), tuple(each for each in syntaxes if each in commitment.TRANSFER_SYNTAXES)
    granted = None if wish is None else (wish[0] and role[0], wish[1] and role[1])
    if not name or not (commits or name == VERIFICATION or is_storage(name)):
        result = one.fault or _NO_ABSTRACT_SYNTAX
    elif granted == (False, False):
        result = _USER_REJECTION
    elif not syntaxes:
        result = _NO_TRANSFER_SYNTAX
    else:
        return _Result(
            number=one.number, result=ACCEPTED, abstract_syntax=name, transfer_syntax=pick(syntaxes), role=granted
        )
    placeholder = next(iter(one.transfer_syntaxes), IMPLICIT_LITTLE_ENDIAN)  # PS3.8 Table 9-18
    return _Result(number=one.number, result=result, abstract_syntax=name, transfer_syntax=placeholder)


def _replies(request: Request, results: Iterable[_Result], max_pdu: int) -> bytes:
    """The user information: length and names, the roles, a window of one. User identity needs no answer (D.3.3.7)."""
    replies = items.item(items.MAXIMUM_LENGTH, struct.pack(">L", max_pdu))
    replies += items.item(items.CLASS_UID, IMPLEMENTATION_CLASS_UID.encode())
    if request.window:
        replies += items.item(items.WINDOW, b"\0\1\0\1")
    for name, role in {one.abstract_syntax: one.role for one in results if one.role is not None}.items():
        uid = name.encode()
        replies += items.item(items.ROLE, struct.pack(">H", len(uid)) + uid + bytes(role))
    return replies + items.item(items.VERSION_NAME, IMPLEMENTATION_VERSION.encode())
