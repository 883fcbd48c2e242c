"""The associations of one session: kept open from one use to the next, each within the destination's limit."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from router.dicom.scu.association_limit import AssociationLimit
from router.dicom.scu.requestor import Requestor
from router.dicom.ul.contexts import Context
from router.errors import TransientError

_SAME_PLACE = 2  # associations that end at the same place, so that it is no chance
_MOST_LOSSES = 3  # instances with which a session loses its association before it is given up

Associate = Callable[[Sequence[Context]], Requestor]


class SessionAssociations:
    """Associations to borrow and to give back. An open association holds a slot of `limit`.

    A destination that ends associations at the same place again gets only so many instances over each.
    """

    def __init__(self, associate: Associate, limit: AssociationLimit) -> None:
        self.limit = limit
        self._associate = associate
        self._lock = threading.Lock()
        self._kept: list[Requestor] = []
        self._closed = False
        self._losses = 0
        self._ended_at: Counter[int] = Counter()
        self._most: int | None = None  # instances over one association

    def close(self) -> None:
        """Release those that are open."""
        with self._lock:
            self._closed, kept, self._kept = True, self._kept, []
        for association in kept:
            self._end(association)

    def borrow(self, contexts: Sequence[Context], slot: Callable[[], bool], *, fresh: bool = False) -> Requestor | None:
        """An association with these contexts, kept from before unless `fresh`, or new; None when `slot` gives none.

        Raises TransientError when the session has lost too many.
        """
        if self._losses >= _MOST_LOSSES:
            raise TransientError(f"the association was lost with {self._losses} instances one after the other")
        kept = self._one_kept()
        if kept is not None and not fresh and self._serves(kept, contexts):
            return kept
        if kept is not None:
            kept.release()
        elif not slot():
            return None
        try:
            return self._associate(contexts)
        except BaseException:
            self.limit.give()
            raise

    def _serves(self, kept: Requestor, contexts: Sequence[Context]) -> bool:
        return kept.is_quiet and kept.proposed.issuperset(contexts) and not self.is_full(kept)

    def is_full(self, association: Requestor) -> bool:
        """Whether the destination would end the association with the next instance, as it did with others."""
        return self._most is not None and association.last_message >= self._most

    def ended_at(self, place: int) -> None:
        """An association was lost with its n-th instance under way, which was not the instance's fault."""
        self._ended_at[place] += 1
        if place > 1 and self._ended_at[place] >= _SAME_PLACE:
            self._most = min(place - 1, self._most or place)

    def lose(self) -> None:
        """An association was lost with an instance under way."""
        self._losses += 1

    def give_back(self, association: Requestor) -> None:
        """Kept for the next use, unless it is lost, the session is over, or somebody else waits to send."""
        with self._lock:
            spare = association.is_quiet and not self.is_full(association)
            if spare and not self._closed and not self.limit.wanted:
                self._kept.append(association)
                return
        self._end(association)

    def _end(self, association: Requestor) -> None:
        association.release()
        self.limit.give()

    def _one_kept(self) -> Requestor | None:
        with self._lock:
            return self._kept.pop() if self._kept else None
