"""Admission of associations: which senders may open one, and how many. Pure."""

from dataclasses import dataclass

from router.config.sections import Sender
from router.config.types import is_within
from router.refusals import Why


@dataclass(frozen=True, slots=True)
class Admission:
    """The rules. Without `ae_title` any called AE is admitted, without `senders` any sender.

    A sender is a calling AE title, its address and, if configured, a name in its TLS certificate.
    """

    ae_title: str | None = None
    senders: tuple[Sender, ...] = ()
    max_associations: int = 64
    max_associations_per_sender: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A connection that asks to be an association; `certificate` holds the names in the peer's TLS certificate."""

    number: int
    called: str
    calling: str
    address: str
    certificate: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An A-ASSOCIATE-RJ: result, source and reason as numbered in PS3.8 9.3.4, and a text for the operator."""

    result: int
    source: int
    reason: int
    text: str
    why: Why = Why.PROTOCOL


CALLED_AE = Rejection(result=1, source=1, reason=7, text="called AE title not recognised", why=Why.CALLED)
CALLING_AE = Rejection(
    result=1, source=1, reason=3, text="calling AE title and address are not among the senders", why=Why.SENDER
)
NO_CALLING_AE = Rejection(
    result=1, source=1, reason=3, text="the calling AE title is blank, and senders are named", why=Why.SENDER
)
CERTIFICATE = Rejection(
    result=1, source=1, reason=3, text="the TLS certificate is not the one of the calling AE title", why=Why.CERTIFICATE
)
FULL = Rejection(result=2, source=3, reason=2, text="too many associations", why=Why.FULL)
SENDER_FULL = Rejection(
    result=2, source=3, reason=2, text="too many associations from this sender", why=Why.SENDER_FULL
)


def judge(rules: Admission, ask: Ask, *, in_all: int, from_sender: int) -> Rejection | None:
    """The rejection of a request, or None. The counts are of associations open before this one."""
    known = [
        sender
        for sender in rules.senders
        if sender.ae_title == ask.calling and is_within(ask.address, (sender.address,) if sender.address else ())
    ]
    shown = {"", *(name.casefold() for name in ask.certificate)}
    if rules.senders and not known:
        return CALLING_AE if ask.calling else NO_CALLING_AE
    if known and not any(sender.certificate.casefold() in shown for sender in known):
        return CERTIFICATE
    if rules.ae_title is not None and ask.called != rules.ae_title:
        return CALLED_AE
    if in_all >= rules.max_associations:
        return FULL
    if from_sender >= rules.max_associations_per_sender:
        return SENDER_FULL
    return None
