"""Renewal: whether a newer version of an instance goes to a destination that has an older one."""

from dataclasses import dataclass

from router.matching.patient.identity import IdentityPolicy, StudyIdentity, contradictions
from router.policy.states import HeldBy

AS_SENT = "as sent: differs in nothing that matters"
NEWER_VERSION = HeldBy.NEWER_VERSION
LATE = HeldBy.LATE
CUT_OFF = HeldBy.CUT_OFF
CONTRADICTION = (
    f"{NEWER_VERSION}: an image names another patient or order than its version that was sent; "
    "it goes when a person releases it"
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The parts of a version that matter to a destination with an older one.

    `orientation` is a digest of laterality, orientation and position, `pixels` one of the pixel data; of an object
    without pixel data every difference is one of `pixels`.
    """

    identity: StudyIdentity
    orientation: str
    pixels: str


@dataclass(frozen=True, slots=True)
class Renewal:
    """Whether the newer version goes, whether a person must release it first, and why."""

    goes: bool
    doubt: bool
    why: str


def renewal(sent: Fingerprint, newer: Fingerprint, policy: IdentityPolicy) -> Renewal:
    """Compare a newer version with the one that the destination has.

    A patient or order that contradicts the sent one is a doubt, by the rules that compare exam and study. Additions
    and other spellings are no doubt, and go.
    """
    if doubts := contradictions(sent.identity, newer.identity, policy):
        return Renewal(True, True, f"contradicts what was sent in {', '.join(doubts)}")
    compared = {
        "patient": sent.identity.patient == newer.identity.patient,
        "accession number": _accessions(sent.identity) == _accessions(newer.identity),
        "laterality, orientation or position": sent.orientation == newer.orientation,
        "pixel data": sent.pixels == newer.pixels,
    }
    differs = [name for name, same in compared.items() if not same]
    if not differs:
        return Renewal(False, False, AS_SENT)
    return Renewal(True, False, f"sent before, differs in {', '.join(differs)}")


def _accessions(identity: StudyIdentity) -> tuple[str, frozenset[str]]:
    own = identity.accession_number
    return own, frozenset(identity.other_accession_numbers) - {own}


def cut_off(instances: int, of: int, refused: int) -> str:
    """The reason for holding `instances` cut-off ones `of` so many selected; "" when there are none."""
    if not instances:
        return ""
    others = f", {refused} refused" if refused else ""
    remedy = "`queue release` sends as it is what is cut off; a whole version takes its place"
    return f"{CUT_OFF}: {set_aside(instances, of)}{others}; {remedy}"


def set_aside(instances: int, of: int) -> str:
    """The same in short."""
    return f"{instances} of {of} set aside: cut off"


def late(instances: int) -> str:
    """The reason for holding images that came long after the delivery; "" when there are none."""
    if not instances:
        return ""
    text = "new image(s) came more than [share] late_window after the delivery"
    return f"{LATE}: {instances} {text}; `queue release` sends them"
