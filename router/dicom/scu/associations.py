"""The associations of one session, kept open from one use to the next, within the destination's limit."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from router.dicom.scu.association_limit import AssociationLimit
from router.dicom.scu.requestor import Requestor
from router.dicom.ul.contexts import Context
from router.errors import DestinationDown, Outage, TransientError

_NO_CHANCE = 2  # associations that end after the same number of instances
_MOST_LOSSES = 3  # instances that may cost their association before the session is given up

Associate = Callable[[Sequence[Context]], Requestor]


class SessionAssociations:
    """Associations to borrow and to give back. An open association holds a slot of `limit`.

    A destination that ends associations after the same number of instances again gets fewer than that over each.
    """

    def __init__(self, associate: Associate, limit: AssociationLimit) -> None:
        self.limit = limit
        self._associate = associate
        self._lock = threading.Lock()
        self._kept: list[Requestor] = []
        self._closed = False
        self.losses = 0  # instances that cost their association
        self._ended_at: Counter[int] = Counter()
        self._most: int | None = None  # instances over one association

    def close(self) -> None:
        """Release the open associations, all at once: each takes a round trip."""
        with self._lock:
            self._closed, kept, self._kept = True, self._kept, []
        others = [threading.Thread(target=self._end, args=(one,), name="dicom-release") for one in kept[1:]]
        for other in others:
            other.start()
        for association in kept[:1]:
            self._end(association)
        for other in others:
            other.join()

    def borrow(self, contexts: Sequence[Context], slot: Callable[[], bool], *, fresh: bool = False) -> Requestor | None:
        """An association with these contexts: a kept one unless `fresh`, or a new one; None when `slot` gives none.

        Raises TransientError when too many associations were lost.
        """
        if self.losses >= _MOST_LOSSES:
            raise TransientError(f"the association was lost with {self.losses} instances one after the other")
        with self._lock:
            kept = self._kept.pop() if self._kept else None
        if kept is not None:
            if not fresh and kept.is_quiet and kept.proposed.issuperset(contexts) and not self.is_full(kept):
                return kept
            kept.release()
        elif not slot():
            return None
        try:
            association = self._associate(contexts)
        except BaseException as error:
            self.limit.give()
            if _is_refusal(error):
                self.limit.refused()
            raise
        self.limit.opened()
        return association

    def is_full(self, association: Requestor) -> bool:
        """Whether the destination would end the association at the next instance, as it did with others."""
        return self._most is not None and association.last_message >= self._most

    def ended_at(self, number: int) -> None:
        """Note that an association ended at its n-th instance, which the destination took over another one."""
        self._ended_at[number] += 1
        if number > 1 and self._ended_at[number] >= _NO_CHANCE:
            self._most = min(number - 1, self._most or number)

    def give_back(self, association: Requestor, *, keep: bool = True) -> None:
        """Keep the association for the next use, unless it is lost, the session is over, or another sender waits."""
        with self._lock:
            spare = keep and association.is_quiet and not self.is_full(association)
            if spare and not self._closed and not self.limit.wanted:
                self._kept.append(association)
                return
        self._end(association)

    def _end(self, association: Requestor) -> None:
        association.release()
        self.limit.give()


def _is_refusal(error: BaseException) -> bool:
    """Whether the destination is there and takes no association now: it rejects it, or leaves it unanswered."""
    if isinstance(error, DestinationDown):
        return error.outage in (Outage.ASSOCIATION, Outage.PROTOCOL)
    return isinstance(error, TransientError)
