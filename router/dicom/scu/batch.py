"""A batch: the instances of one proposal, sent over one association or several side by side."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from queue import Queue

from router.dicom.scu.associations import SessionAssociations
from router.dicom.scu.requestor import Requestor
from router.dicom.scu.store import Outgoing, Result, deliver
from router.dicom.ul.contexts import Context, Offers, Proposal
from router.dicom.ul.status import Verdict
from router.errors import RouterError, TransientError

_WORTH_ANOTHER = 8  # instances that pay for one more association
_BEHIND = 16  # results that wait for the caller before the other associations do; one for each of them fits

Stop = Callable[[], bool]

_log = logging.getLogger(__name__)


class Batch:
    """Sends instances over an association of the caller's thread, and over others beside it.

    Nothing is lost when another association cannot be had or ends: perhaps the destination wants no more of them. Its
    instance is tried once more, last, over the caller's association. An instance is LOST only when it was the first of
    an association: when a later one ends the association, that may be due to the number of instances before it.

    `accepted` holds the contexts of the caller's last association, `uncovered` the instances without a context in it.
    """

    def __init__(
        self, associations: SessionAssociations, offers: Offers, proposal: Proposal[Outgoing], *, narrowed: bool
    ) -> None:
        """`narrowed`: an association with more contexts than these will not do."""
        self._associations = associations
        self._limit = associations.limit
        self._offers = offers
        self._contexts = proposal.contexts
        self._narrowed = narrowed
        self._items = deque(proposal.items)
        self._once_more: deque[_Ended] = deque()
        self.accepted: frozenset[Context] = frozenset()
        self.uncovered: deque[Outgoing] = deque()
        self._own: Requestor | None = None
        self._results: Queue[Result | Exception | None] = Queue(_BEHIND)
        self._lock = threading.Lock()
        self._working = self._others = 0
        self._ending = False
        self._trouble: Exception | None = None

    def run(self, stop: Stop) -> Iterator[Result]:
        """Yield the results; raises as `Session.send` does."""
        if self._association(stop) is None:
            return
        try:
            try:
                yield from self._alongside(stop)
            except RouterError as error:
                self._trouble = error
            self._ending = True
            yield from self._rest()
            yield from map(self._lost, self._once_more)  # they may be there: their next try is a second one
            if self._trouble is not None:
                raise self._trouble
        finally:
            self._ending = True
            for _ in self._rest():
                pass  # the caller has gone: what others still send counts as not sent
            self._give_back()

    def _association(self, stop: Stop, *, fresh: bool = False) -> Requestor | None:
        """The caller's association, renewed where it has ended; None when stopped before there was one."""
        if fresh or self._own is None or not self._own.is_quiet or self._associations.is_full(self._own):
            self._give_back()
            slot, new = (lambda: self._limit.take(stop)), fresh or self._narrowed
            self._own = self._associations.borrow(self._contexts, slot, fresh=new)
            self.accepted = frozenset(self._own.accepted if self._own else ())
        return self._own

    def _give_back(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            self._associations.give_back(own)

    def _widen(self) -> None:
        """Begin to send beside the caller, over as many associations as are worth having by what went so far."""
        with self._lock:
            known, wanted = self._others, min(self._limit.breadth - 1, len(self._items) // _WORTH_ANOTHER)
            if self._ending or wanted <= known:
                return
            self._others = wanted
        for number in range(known + 2, wanted + 2):
            threading.Thread(target=self._join_in, args=(number,), name=f"dicom-send-{number}", daemon=True).start()

    def _alongside(self, stop: Stop) -> Iterator[Result]:
        while self._items or self._once_more:
            self._widen()
            if self._ending or stop() or (own := self._association(stop)) is None:
                return
            if (item := self._next(self._items)) is not None:
                result = self._tried(own, item)
                if isinstance(result, Result):
                    yield result
                elif result is not None and result.number > 1:
                    yield from self._tried_first(result, stop)
                elif result is not None:
                    yield self._lost(result)
            elif self._once_more:
                yield from self._tried_first(self._once_more.popleft(), stop)
            yield from self._arrived(wait=False)
            if not self._items:
                yield from self._rest()  # an instance of theirs may have to be tried once more

    def _tried(self, own: Requestor, item: Outgoing) -> "Result | _Ended | None":
        try:
            return self._delivered(own, item)
        except TransientError as error:
            if own.is_open:
                raise
            return _Ended(item, own.last_message, own.name, error.message)

    def _tried_first(self, ended: "_Ended", stop: Stop) -> Iterator[Result]:
        """Try an instance again, as the first of an association."""
        try:
            own = self._association(stop, fresh=True)
        except TransientError:
            yield self._lost(ended)
            raise
        result = ended if own is None else self._tried(own, replace(ended.item, tried=True))
        if isinstance(result, _Ended):
            yield self._lost(result)
            return
        if result is not None:
            self._associations.ended_at(ended.number)
            yield result

    def _delivered(self, association: Requestor, item: Outgoing) -> Result | None:
        """The result; None, and the instance is kept in `uncovered`, when the association has no context for it."""
        result = deliver(association, item, self._offers)
        if result is None:
            self.uncovered.append(item)
        else:
            self._limit.note(association.exchange)
        return result

    def _lost(self, ended: "_Ended") -> Result:
        self._associations.losses += 1
        _log.info("an association is lost with instance %s: %s", ended.item.sop_instance, ended.why)
        return Result(
            key=ended.item.key, status=None, verdict=Verdict.LOST, association=ended.association, trouble=ended.why
        )

    def _rest(self) -> Iterator[Result]:
        """The results of instances that other associations still send."""
        while self._working or not self._results.empty():
            yield from self._arrived(wait=True)

    def _arrived(self, *, wait: bool) -> Iterator[Result]:
        while wait or not self._results.empty():
            wait = False
            arrived = self._results.get()
            if isinstance(arrived, Exception):
                self._trouble = self._trouble or arrived
                self._ending = True
            elif arrived is not None:
                yield arrived

    @staticmethod
    def _next(items: deque[Outgoing]) -> Outgoing | None:
        try:
            return items.popleft()
        except IndexError:
            return None

    def _join_in(self, number: int) -> None:
        try:
            association = self._associations.borrow(self._contexts, self._limit.take_spare, fresh=self._narrowed)
        except TransientError as error:
            _log.info("no further association: %s", error)
            return
        if association is None:
            return
        with self._lock:
            late = self._ending
            self._working += not late
        if late:
            self._associations.give_back(association)
        else:
            self._beside(association, number)

    def _beside(self, association: Requestor, number: int) -> None:
        """Send over the `number`-th association, as long as so many are worth having."""
        try:
            while not self._ending and not self._limit.wanted and number <= self._limit.breadth:
                if not association.is_quiet or self._associations.is_full(association):
                    break
                if (item := self._next(self._items)) is None:
                    break
                try:
                    if (result := self._delivered(association, item)) is not None:
                        self._results.put(result)
                        self._widen()
                except TransientError as error:
                    _log.info("an association is given up: %s", error)
                    ended = _Ended(item, association.last_message, association.name, error.message)
                    self._once_more.append(ended)
                    break
        except Exception as error:  # noqa: BLE001  # the top of a thread: the caller raises it
            self._results.put(error)
        finally:
            self._associations.give_back(association, keep=number <= self._limit.breadth)
            with self._lock:
                self._working -= 1
            self._results.put(None)  # wakes the caller


@dataclass(frozen=True, slots=True)
class _Ended:
    """An instance that was the `number`-th of its association when that ended; `why` it did."""

    item: Outgoing
    number: int
    association: str
    why: str
