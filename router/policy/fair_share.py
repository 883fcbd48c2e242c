"""The fair share of deliveries that are late already, beside those that can still be in time. Pure."""

from dataclasses import dataclass

from router.policy.forecast import LATE_SHARE

_SAVED = 10.0  # seconds of share that late deliveries can save up
QUANTUM = 60.0  # seconds of sending after which others of the same urgency have their turn


@dataclass(frozen=True, slots=True)
class FairShare:
    """The balance of late deliveries: seconds of sending that they may take; negative after more than their share."""

    seconds: float = 0.0

    @property
    def missed_first(self) -> bool:
        """Whether it is the turn of a late delivery."""
        return self.seconds > 0

    def after_timely(self, seconds: float) -> "FairShare":
        """The balance after a delivery that can be in time was sent for so many seconds."""
        return FairShare(min(self.seconds + seconds * LATE_SHARE / (1 - LATE_SHARE), max(_SAVED, self.seconds)))

    def after_missed(self, seconds: float) -> "FairShare":
        """The balance after a late delivery was sent for so many seconds in its turn."""
        return FairShare(self.seconds - seconds)
