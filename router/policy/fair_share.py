"""Whose turn it is where what is missed already and what can still make its time both wait: a pure balance."""

from dataclasses import dataclass

from router.policy.forecast import LATE_SHARE

_SAVED = 10.0  # seconds: what is missed cannot save up its share for long
QUANTUM = 60.0  # seconds that a delivery is sent before others of the same urgency have their turn


@dataclass(frozen=True, slots=True)
class FairShare:
    """Seconds of sending that what is missed may take; negative once it has had more than its share."""

    seconds: float = 0.0

    @property
    def missed_first(self) -> bool:
        """Whether it is the turn of what is missed."""
        return self.seconds > 0

    def after_timely(self, seconds: float) -> "FairShare":
        """Something that can still make it was sent for so long."""
        return FairShare(min(self.seconds + seconds * LATE_SHARE / (1 - LATE_SHARE), max(_SAVED, self.seconds)))

    def after_missed(self, seconds: float) -> "FairShare":
        """Something that is missed was sent for so long, in its turn."""
        return FairShare(self.seconds - seconds)
