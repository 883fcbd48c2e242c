"""Turns of hospitals that send by the same way: due time first, and a guaranteed share for each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

TURN_EVERY = 4
"""One of so many claims is a turn; the others go by due time."""


@dataclass(frozen=True, slots=True)
class Turns:
    """How many claims were made on a way, and the number of the last one of each hospital, from 1.

    Three of four claims go to what is due first, whoever's it is; the fourth to the hospital that has had none for the
    longest time. So of `n` hospitals that have something ready each is claimed from at least once in
    `TURN_EVERY * n` claims, whatever the others have, and three quarters of the claims keep to due times alone.
    """

    claims: int = 0
    last: Mapping[str, int] = field(default_factory=dict)

    def order(self, due: Mapping[str, datetime]) -> list[str]:
        """The hospitals that have something ready, whose next claim is whose; `due` is their earliest due time each."""
        if self.claims % TURN_EVERY == TURN_EVERY - 1:
            return sorted(due, key=lambda one: (self.last.get(one, 0), due[one], one))
        return sorted(due, key=lambda one: (due[one], self.last.get(one, 0), one))

    def after(self, hospital: str) -> "Turns":
        """The turns after a claim of that hospital's."""
        return Turns(self.claims + 1, {**self.last, hospital: self.claims + 1})
