"""Counts what is refused by peer and minute, so that nobody fills the log and the audit by knocking."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
MOST_PEERS = 128  # further addresses are counted together
_MOST_REASONS = 5
OTHERS = "other addresses"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A peer was refused: its address, the name that it gave ("" for none), and why."""

    address: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Flood:
    """Refusals of a peer within a minute after the first; `name` where it was always the same."""

    address: str
    name: str
    count: int
    reasons: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        told = "; ".join(f"{count} x {why}" for why, count in self.reasons)
        rest = self.count - sum(count for _, count in self.reasons)
        return f"{self.count} more within a minute from {self.address}: {told}{f'; {rest} others' if rest else ''}"


@dataclass(slots=True)
class _Minute:
    began: datetime
    count: int = 0
    names: set[str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, refusal: Refusal) -> None:
        """Count it; names and reasons as far as they are told."""
        self.count += 1
        if len(self.names) < 2:
            self.names.add(refusal.name)
        if refusal.why in self.reasons or len(self.reasons) < _MOST_REASONS:
            self.reasons[refusal.why] += 1

    def told(self, address: str) -> Flood:
        """What was counted."""
        name = next(iter(self.names)) if len(self.names) == 1 else ""
        return Flood(address, name, self.count, tuple(self.reasons.most_common()))


class Refusals:
    """Of all peers. The first refusal of a peer is news; those of the following minute are counted, and so on."""

    def __init__(self) -> None:
        self._minutes: dict[str, _Minute] = {}
        self._lock = threading.Lock()

    def is_news(self, refusal: Refusal, now: datetime) -> bool:
        """Whether to tell this one by itself; if not, it is counted."""
        with self._lock:
            known = refusal.address in self._minutes or len(self._minutes) < MOST_PEERS
            key = refusal.address if known else OTHERS
            if key not in self._minutes:
                self._minutes[key] = _Minute(now)
                return True
            self._minutes[key].add(refusal)
            return False

    def over(self, now: datetime, *, all_of_them: bool = False) -> Sequence[Flood]:
        """The minutes that are over (all, where nothing follows); a peer that was quiet in its minute is forgotten."""
        with self._lock:
            minutes = self._minutes
            ended = [key for key, one in minutes.items() if all_of_them or not now - MINUTE < one.began <= now]
            floods = [minutes[key].told(key) for key in ended if minutes[key].count]
            for key in ended:
                if minutes[key].count:
                    minutes[key] = _Minute(now)
                else:
                    del minutes[key]
            return floods
