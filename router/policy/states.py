"""The states of a delivery and the one table of moves between them.

A delivery is one exam to one destination by one channel. It begins as `waiting` when the exam is first
known, and is never removed; every move is an event.
"""

from enum import StrEnum

from router.errors import RouterError


class State(StrEnum):
    """State of a delivery."""

    WAITING = "waiting"
    READY = "ready"
    SENDING = "sending"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    FAILED = "failed"
    HELD = "held"
    CANCELLED = "cancelled"
    OUT_OF_SCOPE = "out_of_scope"
    EXCLUDED = "excluded"
    NOT_SHARED = "not_shared"
    WITHDRAWN = "withdrawn"


class Needs(StrEnum):
    """Needs of a waiting delivery."""

    APPROVAL = "approval"
    JSON = "json"
    PDF = "pdf"
    IMAGES = "images"
    STABLE = "stable"
    COMMITMENT = "commitment"
    OTHERS = "others"


class HeldBy(StrEnum):
    """Cause of a hold: the first word or words of its reason, up to the colon."""

    PERSON = "person"
    IDENTITY = "identity"
    HOSPITAL = "hospital"
    APPROVAL = "approval"
    PDF = "pdf"
    VERSIONS = "versions"
    DAMAGED = "damaged"
    NEWER_VERSION = "newer version"
    LATE = "late images"
    CUT_OFF = "cut-off images"
    OTHERS = "others"


_S = State

# (from, to): the reason.
MOVES: dict[tuple[State, State], str] = {
    (_S.WAITING, _S.READY): "everything it waits for is there",
    (_S.READY, _S.WAITING): "something it needs is gone or was replaced",
    (_S.READY, _S.SENDING): "claimed under a lease",
    (_S.SENDING, _S.DELIVERED): "confirmed by the destination",
    (_S.SENDING, _S.WITHDRAWN): "the destination has confirmed that it is withdrawn",
    (_S.SENDING, _S.DEFERRED): "transient trouble; tried again later",
    (_S.SENDING, _S.READY): "the lease was lost or given back",
    (_S.SENDING, _S.WAITING): "what there was is sent; more, or the storage commitment, is to come",
    (_S.SENDING, _S.FAILED): "refused for good",
    (_S.DEFERRED, _S.READY): "the time of the next try has come, or a person asked for it",
    (_S.DEFERRED, _S.WAITING): "something it needs is gone or was replaced",
    (_S.READY, _S.FAILED): "a person says that an unproved refusal stands",
    (_S.DEFERRED, _S.FAILED): "a person says that an unproved refusal stands",
    (_S.DELIVERED, _S.WAITING): "a new revision or late images",
    (_S.DELIVERED, _S.READY): "the destination has lost it; the same goes again",
    (_S.WITHDRAWN, _S.WAITING): "approved again",
    (_S.FAILED, _S.READY): "a person asked for another try",
    (_S.FAILED, _S.WAITING): "new data came",
    (_S.HELD, _S.WAITING): "released, or its cause is gone; evaluated anew",
    (_S.CANCELLED, _S.WAITING): "a person took the cancellation back",
    (_S.OUT_OF_SCOPE, _S.WAITING): "in scope after all",
    (_S.EXCLUDED, _S.WAITING): "no longer excluded",
    (_S.NOT_SHARED, _S.WAITING): "to be shared after all",
} | {
    (start, _S.HELD): "a person, an identity doubt, a withdrawn approval or a report PDF in question"
    for start in (_S.WAITING, _S.READY, _S.SENDING, _S.DEFERRED, _S.FAILED)
} | {
    (start, _S.CANCELLED): "a person cancelled it"
    for start in (_S.WAITING, _S.READY, _S.SENDING, _S.DEFERRED, _S.FAILED, _S.HELD)
} | {
    (_S.WAITING, _S.OUT_OF_SCOPE): "no modality of [share] modalities",
    (_S.WAITING, _S.EXCLUDED): "a rule of [[share.exclude]]",
    (_S.WAITING, _S.NOT_SHARED): "approved before [share] from",
}  # fmt: skip

# The node may change these by itself when data or time change; the others wait for the sender or a person.
OPEN = frozenset({_S.WAITING, _S.READY, _S.DEFERRED})
# States in which a delivery still has work before it.
PENDING = OPEN | {_S.SENDING, _S.HELD, _S.FAILED}
# States in which nothing remains to be done: data of such deliveries alone may be purged.
CLOSED = frozenset(State) - PENDING


class ForbiddenMove(RouterError):
    """A move that is not in the table: a defect of the node, or a delivery that has moved on meanwhile."""


def require_move(start: State, end: State) -> None:
    """Raise ForbiddenMove unless the table allows start -> end."""
    if (start, end) not in MOVES:
        raise ForbiddenMove(f"a delivery does not go from {start} to {end}")
