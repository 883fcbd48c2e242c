"""The meaning of a peer's answers for the sender.

C-STORE status (PS3.4 B.2.3, PS3.7 C), A-ASSOCIATE-RJ (PS3.8 9.3.4), C-FIND and C-MOVE status (PS3.4 C.4), and the
failure reason of a storage commitment (PS3.3 C.14.1.1).
"""

from dataclasses import dataclass
from enum import StrEnum

from router.text.language import N_

PENDING = frozenset({0xFF00, 0xFF01})  # PS3.4 C.4.1.1.4
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_INSTANCE = 0x0112
DUPLICATE = 0x0111
_CLASS_CONFLICT = 0x0119
_FAILURE_REASONS = N_({
    0x0110: "processing failure",
    NO_SUCH_INSTANCE: "no such object instance",
    0x0213: "resource limitation",
    SOP_CLASS_NOT_SUPPORTED: "referenced SOP class not supported",
    _CLASS_CONFLICT: "class/instance conflict",
    0x0131: "duplicate transaction UID",
})  # fmt: skip

_QUERY_WORDS = N_({
    0x0000: "success",
    SOP_CLASS_NOT_SUPPORTED: "SOP class not supported",
    0x0124: "not authorised",
    0xA701: "refused: out of resources, it cannot count the matches",
    0xA702: "refused: out of resources, it cannot send",
    0xA801: "refused: it does not know the move destination",
    0xB000: "some of the images could not be sent",
    0xFE00: "cancelled",
})  # fmt: skip
_QUERY_RANGES = (
    (0xA700, 0xA7FF, "refused: out of resources"),
    (0xA900, 0xA9FF, "the identifier does not match the SOP class"),
    (0xC000, 0xCFFF, "unable to process"),
)
_STORED = frozenset({0x0000, 0x0001, 0x0107, 0x0116})  # success, and the general warnings of PS3.7 C.4
_REFUSED = frozenset(
    {0x0105, 0x0106, DUPLICATE, 0x0112, 0x0115, 0x0117, 0x0118, 0x0119, 0x0120, 0x0121, 0x0122, 0x0124, 0x0211, 0x0212}
)


@dataclass(frozen=True, slots=True)
class Peer:
    """An acceptor as people call it, and the section of the configuration with its address."""

    name: str
    section: str


DESTINATION = Peer("the destination", "[destination.dicom]")
PACS = Peer("the PACS", "[query]")


class Verdict(StrEnum):
    """The fate of one instance after one response; LOST when the association ended instead."""

    STORED = "stored"
    LATER = "later"
    REFUSED = "refused"
    LOST = "lost"


def classify(status: int, *, again: bool = False) -> Verdict:
    """The verdict on one instance; `again`: the same bytes, and no others under their UID, were sent before.

    A duplicate SOP instance (0111) is stored when the peer can only mean these bytes. Otherwise it is refused: the
    peer keeps what it had, which may be an older version. A code in no table is LATER: a retry costs little and the due
    time makes it visible, while a refusal by a misread code would keep an image from the cloud.
    """
    if status in _STORED or 0xB000 <= status <= 0xBFFF or (again and status == DUPLICATE):
        return Verdict.STORED
    if status in _REFUSED or 0xA900 <= status <= 0xA9FF or 0xC000 <= status <= 0xCFFF:
        return Verdict.REFUSED
    return Verdict.LATER


def uncommitted(reason: int) -> Verdict:
    """The verdict on an instance without commitment: unless its SOP class is why, the next request may succeed."""
    return Verdict.REFUSED if reason in {SOP_CLASS_NOT_SUPPORTED, _CLASS_CONFLICT} else Verdict.LATER


def failure_reason(reason: int) -> str:
    """A failure reason in the standard's words."""
    return f"{reason:04X} {_FAILURE_REASONS.get(reason, 'a reason that the standard does not know')}"


def refuses_query(status: int) -> bool:
    """Whether the final status of a C-FIND says that it is not served at all, whenever it is asked."""
    return status in {SOP_CLASS_NOT_SUPPORTED, 0x0124} or 0xA900 <= status <= 0xA9FF or 0xC000 <= status <= 0xCFFF


def queried(status: int) -> str:
    """The final status of a C-FIND or C-MOVE in words (PS3.4 C.4.1.1.4, C.4.2.1.5, PS3.7 C)."""
    ranges = (words for first, last, words in _QUERY_RANGES if first <= status <= last)
    words = _QUERY_WORDS.get(status) or next(ranges, "a status that the standard does not know")
    return f"{status:04X} {words}"


def is_for_good(result: int, source: int, reason: int) -> bool:
    """Whether an association is rejected because of the configuration, and not of load, so that later it may succeed.

    Source 3 is load (PS3.8 Table 9-21: temporary congestion, local limit). An AE title, application context or
    protocol version that is not recognised is the configuration; without a reason the result decides.
    """
    return source != 3 and (reason != 1 or result == 1)


def hint(source: int, reason: int, peer: Peer = DESTINATION, calling: str = "") -> str:
    """The operator's remedy for a rejection by configuration; `calling` is our AE title."""
    if (source, reason) == (1, 3) and peer == PACS:
        return f"does the PACS know our AE title {calling}, our address and port? Ask its administrator"
    if (source, reason) == (1, 3):
        return "the destination does not know our calling_ae_title: ask it to add the title, or correct ours"
    if (source, reason) == (1, 7):
        return f"{peer.name} does not answer to this ae_title: correct it in {peer.section}"
    return f"{peer.name} rejects associations for good (source {source}, reason {reason}): ask its operator"
