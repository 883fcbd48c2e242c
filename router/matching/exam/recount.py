"""Recounts: whether a delivered report goes again because only its ImageCount (影像数量) has changed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from router.policy.states import CLOSED, State

_COUNT = re.compile(r"\bimages=\S+")
_ENDED = CLOSED | {State.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The images' own delivery: its state, whether something of it is still to be sent, when it is due.

    `cause` is when the last image came or the delivery was complete, whichever is later; None before either.
    """

    state: State
    open: bool
    due: datetime | None
    cause: datetime | None

    def over(self, now: datetime, *, quiet: bool) -> bool:
        """Whether the count is final: the delivery has ended and nothing more comes, or its time is over."""
        return (quiet and self.state in _ENDED and not self.open) or (self.due is not None and self.due <= now)


def count_alone(wanted: str, before: str) -> bool:
    """Whether two descriptions of a report, from a delivery or upload, differ in the count only."""
    return wanted != before and _COUNT.sub("", wanted) == _COUNT.sub("", before)


def corrected(uploads: Iterable[tuple[str, datetime]], cause: datetime | None) -> bool:
    """Whether the count was sent again since its last cause: once is enough. `uploads` in the order they were made."""
    made = [at for (before, _), (wanted, at) in pairwise(uploads) if count_alone(wanted, before)]
    return bool(made) and (cause is None or made[-1] >= cause)
