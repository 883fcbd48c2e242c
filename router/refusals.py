"""Refusals of peers: their causes in words, and their count by peer and minute, lest one floods log and audit."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from router.text.decoding import shown

MINUTE = timedelta(minutes=1)
MOST_PEERS = 128  # further addresses are counted together
_MOST_REASONS = 5
OTHERS = "other addresses"


class Why(StrEnum):
    """Causes for which the node refuses an association, or sets received data aside.

    The cause of a refused instance is the status of its C-STORE response (PS3.4 B.2.3) in hexadecimal: A700.
    """

    SENDER = "not-a-sender"
    CALLED = "called-title"
    CERTIFICATE = "certificate"
    TLS = "tls"
    PROTOCOL = "protocol"
    FULL = "too-many"
    SENDER_FULL = "too-many-of-it"
    SLOW = "too-slow"
    IDLE = "idle"
    STOPPING = "stopping"
    COMMITMENT = "commitment"
    QUARANTINE = "quarantine"


WHYS: frozenset[str] = frozenset(Why)
NO_ROOM = "A700"
_MEANS: Mapping[str, str] = {
    Why.SENDER: "its AE title and address are not in [receive] senders",
    Why.CERTIFICATE: "its TLS certificate is not the one that [receive] senders names",
    Why.FULL: "too many associations are open ([receive] max_associations)",
    Why.SENDER_FULL: "it has too many associations open ([receive] max_associations_per_sender)",
    Why.STOPPING: "the node was stopping",
}
_REMEDIES: Mapping[str, str] = {
    Why.SENDER: "enter it in [receive] senders, then `systemctl reload imaging-cloud-router`; or correct the sender",
    Why.CALLED: "correct the called AE title at the sender, or [receive] ae_title",
    Why.CERTIFICATE: "correct [receive] senders, or the certificate at the sender",
    Why.TLS: "correct TLS at the sender, or [receive] tls",
    Why.PROTOCOL: "find out which device this is, and whether it is to send here",
    Why.FULL: "the sender tries again; if this goes on, see what holds the associations open",
    Why.SENDER_FULL: "the sender tries again; if this goes on, raise the limit, or lower it at the sender",
    Why.SLOW: "look at the network between the sender and this node",
    NO_ROOM: "make room on the data folder's volume, then have the images sent again",
    **dict.fromkeys((Why.IDLE, Why.STOPPING, Why.COMMITMENT, Why.QUARANTINE), ""),
}


def meaning(why: str, reason: str, called: str) -> str:
    """A refusal's cause in words; `reason` is the text of the refusing part, `called` the AE title that was called."""
    if why == Why.CALLED:
        return f"it calls {shown(called)}, which is not [receive] ae_title"
    return _MEANS.get(why) or (shown(reason) if why in WHYS else f"{why}, {shown(reason)}")


def remedy(why: str) -> str:
    """The remedy of a refusal; "" where there is nothing to do."""
    return _REMEDIES.get(why, "have the sender send these images again whole")


def sender(calling: str, address: str) -> str:
    """A sender as people read it: `CT01 (10.1.2.3)`, with control characters written out."""
    if not (calling and address):
        return shown(calling or address)
    return f"{shown(calling)} ({shown(address)})"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a peer: its address, the name that it gave ("" for none), and the cause."""

    address: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Flood:
    """The number of refusals of a peer within a minute after the first; `name` where it was always the same."""

    address: str
    name: str
    count: int
    reasons: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        reasons = "; ".join(f"{count} x {why}" for why, count in self.reasons)
        rest = self.count - sum(count for _, count in self.reasons)
        return f"{self.count} more within a minute from {self.address}: {reasons}{f'; {rest} others' if rest else ''}"


@dataclass(slots=True)
class _Minute:
    began: datetime
    count: int = 0
    names: set[str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, refusal: Refusal) -> None:
        """Count a refusal; names and reasons only as far as a Flood shows them."""
        self.count += 1
        if len(self.names) < 2:
            self.names.add(refusal.name)
        if refusal.why in self.reasons or len(self.reasons) < _MOST_REASONS:
            self.reasons[refusal.why] += 1


class Refusals:
    """Refusals of all peers. The first of a peer is news; those of the following minute are counted, and so on."""

    def __init__(self) -> None:
        self._minutes: dict[str, _Minute] = {}
        self._lock = threading.Lock()

    def is_news(self, refusal: Refusal, now: datetime) -> bool:
        """Whether this one is reported by itself; if not, it is counted."""
        with self._lock:
            known = refusal.address in self._minutes or len(self._minutes) < MOST_PEERS
            key = refusal.address if known else OTHERS
            if key not in self._minutes:
                self._minutes[key] = _Minute(now)
                return True
            self._minutes[key].add(refusal)
            return False

    def over(self, now: datetime, *, all_of_them: bool = False) -> Sequence[Flood]:
        """The counts of the minutes that are over (of all, with `all_of_them`); a peer without any is forgotten."""
        with self._lock:
            floods, minutes = [], dict(self._minutes)
            for key, one in minutes.items():
                if not all_of_them and now - MINUTE < one.began <= now:
                    continue
                del self._minutes[key]
                if one.count:
                    name = next(iter(one.names)) if len(one.names) == 1 else ""
                    floods.append(Flood(key, name, one.count, tuple(one.reasons.most_common())))
                    self._minutes[key] = _Minute(now)
            return floods
