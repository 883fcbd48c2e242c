"""Sending what belongs together to one destination, over one association or several side by side."""

import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue
from typing import BinaryIO

from pydicom.uid import UID

from router.dicom.dataset import checksum
from router.dicom.dataset.part10 import dataset_offset
from router.dicom.dataset.uid import undotted
from router.dicom.scu import unaccepted
from router.dicom.scu.association_limit import AssociationLimit
from router.dicom.scu.requestor import Requestor
from router.dicom.scu.transcode import transcoded
from router.dicom.ul.contexts import Context, Offers, Proposal, propose
from router.dicom.ul.pdata import FileSlice
from router.dicom.ul.status import Verdict, classify
from router.errors import IntegrityError, InvalidData, RouterError, TransientError

_WORTH_ANOTHER = 8  # instances that pay for one more association
_BEHIND = 16  # results that wait for the caller before the other associations do; one for each of them fits
_SAME_PLACE = 2  # associations that end at the same place, so that it is no chance
_MOST_LOSSES = 3  # instances with which a session loses its association before it is given up

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One stored instance to send; `key` is the ledger's, `checksum` (or SHA-256) what its data set must have.

    `tried`: these bytes may have reached the destination before; `sole`: no other version of the instance can have.
    """

    key: int
    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    checksum: str = ""
    tried: bool = False
    sole: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """What the destination answered for one instance, over which association.

    `status` is None where the destination said nothing: the association was lost with it under way, no context was
    accepted for it, or it cannot be written as the destination wants it. `trouble` says how.
    """

    key: int
    status: int | None
    verdict: Verdict
    association: str
    trouble: str = ""

    @property
    def why(self) -> str:
        """The answer in words."""
        return self.trouble if self.status is None else f"status {self.status:04X}"


Associate = Callable[[Sequence[Context]], Requestor]
Stop = Callable[[], bool]


class Session:
    """One sender's associations, kept open from one `send` to the next. An open association holds a slot.

    A destination that ends associations at the same place again gets only so many instances over each.
    """

    def __init__(self, associate: Associate, slots: AssociationLimit, offers: Offers) -> None:
        self._associate = associate
        self._slots = slots
        self._offers = offers
        self._lock = threading.Lock()
        self._kept: list[Requestor] = []
        self._closed = False
        self._losses = 0
        self._ended_at: Counter[int] = Counter()
        self._most: int | None = None  # instances over one association
        self._unaccepted: set[Context] = set()  # however they are proposed
        self._classes: set[str] = set()  # accepted in one syntax at least, as far as was asked

    def send(self, items: Sequence[Outgoing], stop: Stop) -> Iterator[Result]:
        """Yields each instance's result as soon as it is known; ends early, between instances, when `stop()` is true.

        Of more than a few instances several are under way at a time, over as many associations. What the contexts of
        one association do not cover is proposed again without the rest. An instance whose contexts are not accepted
        then is refused with the reason and does not stop the others; nor does one with which the association is
        aborted, breaks or times out: it is tried once more as the first of a new association, and LOST when that ends
        too. Answers of 0111 to a second try of the same bytes mean that the first one was stored.
        Raises DestinationDown (no association can be had, it is rejected for configuration, or nothing is accepted that
        could store any image), TransientError (congestion, or too many instances of this session were LOST),
        IntegrityError (a stored file is missing or is not what the ledger says; its `key` is in the fields); what the
        other associations had under way is yielded before.
        """
        for proposal in propose(items, self._offers):
            if stop():
                return
            yield from self._sent(proposal, stop)

    def _sent(
        self, proposal: Proposal[Outgoing], stop: Stop, accepted: frozenset[Context] = frozenset()
    ) -> Iterator[Result]:
        """`accepted` were those of a proposal that this one is the rest of."""
        turn = _Round(self, self._slots, self._offers, proposal, narrowed=bool(accepted))
        yield from turn.run(stop)
        accepted |= turn.accepted
        for rest in propose(list(turn.uncovered), self._offers):
            if stop():
                return
            known = self._unaccepted.issuperset(rest.contexts)
            if not known and len(rest.contexts) < len(proposal.contexts):
                yield from self._sent(rest, stop, accepted)
            else:
                yield from self._refused(rest, stop, accepted)

    def _refused(self, proposal: Proposal[Outgoing], stop: Stop, accepted: frozenset[Context]) -> Iterator[Result]:
        """What is not accepted however it is proposed; what else is accepted says why."""
        classes, name = {item.sop_class for item in proposal.items}, ""
        if not self._unaccepted.issuperset(proposal.contexts) and not classes <= unaccepted.classes(accepted):
            association = self.borrow(unaccepted.others(classes), lambda: self._slots.take(stop), fresh=True)
            if association is None:
                return
            name, accepted = association.name, accepted | association.accepted.keys()
            self.give_back(association)
            if not accepted:
                raise unaccepted.nothing(association=name)
        self._unaccepted.update(proposal.contexts)
        self._classes |= unaccepted.classes(accepted)
        for item in proposal.items:
            why = unaccepted.reason(item.sop_class, self._offers(item.transfer_syntax), self._classes)
            yield Result(item.key, None, Verdict.REFUSED, name, why)

    def close(self) -> None:
        """Release what is open."""
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
            self._slots.give()
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
            if spare and not self._closed and not self._slots.wanted:
                self._kept.append(association)
                return
        self._end(association)

    def _end(self, association: Requestor) -> None:
        association.release()
        self._slots.give()

    def _one_kept(self) -> Requestor | None:
        with self._lock:
            return self._kept.pop() if self._kept else None


class _Round:
    """The instances of one proposal. The caller's thread sends over one association, others join in beside it.

    An association beside the caller's that cannot be had or is lost costs nothing: perhaps the destination wants no
    more of them. Its instance is tried once more, last, over the caller's. An instance is LOST only when it was the
    first of its association: a place in one is not its fault.

    `accepted` are the contexts of the caller's last association, `uncovered` the instances without one.
    """

    def __init__(
        self, session: Session, slots: AssociationLimit, offers: Offers, proposal: Proposal[Outgoing], *, narrowed: bool
    ) -> None:
        """`narrowed`: an association that was proposed more is of no use."""
        self._session = session
        self._slots = slots
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
        self._working = 0
        self._ending = False
        self._trouble: Exception | None = None

    def run(self, stop: Stop) -> Iterator[Result]:
        if self._association(stop) is None:
            return
        try:
            self._call_others()
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
                pass  # the caller has gone: what others still finish is sent again some day
            self._give_back()

    def _association(self, stop: Stop, *, fresh: bool = False) -> Requestor | None:
        """The caller's: the one it had, or a new one where that has ended; None when stopped before there was one."""
        if fresh or self._own is None or not self._own.is_quiet or self._session.is_full(self._own):
            self._give_back()
            slot, new = (lambda: self._slots.take(stop)), fresh or self._narrowed
            self._own = self._session.borrow(self._contexts, slot, fresh=new)
            self.accepted = frozenset(self._own.accepted if self._own else ())
        return self._own

    def _give_back(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            self._session.give_back(own)

    def _alongside(self, stop: Stop) -> Iterator[Result]:
        while self._items or self._once_more:
            if self._ending or stop() or (own := self._association(stop)) is None:
                return
            if (item := self._next(self._items)) is not None:
                result = self._tried(own, item)
                if isinstance(result, Result):
                    yield result
                elif result is not None:
                    yield from self._again(result, stop)
            elif self._once_more:
                yield from self._tried_first(self._once_more.popleft(), stop)
            yield from self._arrived(wait=False)
            if not self._items:
                yield from self._rest()  # it may leave something to be tried once more

    def _tried(self, own: Requestor, item: Outgoing) -> "Result | _Ended | None":
        try:
            return self._delivered(own, item)
        except TransientError as error:
            if own.is_open:
                raise
            return _Ended(item, own.last_message, own.name, error.message)

    def _again(self, ended: "_Ended", stop: Stop) -> Iterator[Result]:
        if ended.place > 1:
            yield from self._tried_first(ended, stop)
        else:
            yield self._lost(ended)

    def _tried_first(self, ended: "_Ended", stop: Stop) -> Iterator[Result]:
        """Once more, as the first instance of an association."""
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
            self._session.ended_at(ended.place)
            yield result

    def _delivered(self, association: Requestor, item: Outgoing) -> Result | None:
        """The result; None, and the instance is noted, where the association has no context for it."""
        result = _deliver(association, item, self._offers)
        if result is None:
            self.uncovered.append(item)
        return result

    def _lost(self, ended: "_Ended") -> Result:
        self._session.lose()
        _log.info("an association is lost with instance %s: %s", ended.item.sop_instance, ended.why)
        return Result(ended.item.key, None, Verdict.LOST, ended.association, ended.why)

    def _rest(self) -> Iterator[Result]:
        """What the others still have under way."""
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

    def _call_others(self) -> None:
        for number in range(min(len(self._items) // _WORTH_ANOTHER, self._slots.number - 1)):
            threading.Thread(target=self._join_in, name=f"dicom-send-{number + 2}", daemon=True).start()

    def _join_in(self) -> None:
        try:
            association = self._session.borrow(self._contexts, self._slots.take_spare, fresh=self._narrowed)
        except TransientError as error:
            _log.info("no further association: %s", error)
            return
        if association is None:
            return
        with self._lock:
            late = self._ending
            self._working += not late
        if late:
            self._session.give_back(association)
        else:
            self._beside(association)

    def _beside(self, association: Requestor) -> None:
        try:
            while not self._ending and not self._slots.wanted and association.is_quiet:
                if self._session.is_full(association) or (item := self._next(self._items)) is None:
                    break
                try:
                    if (result := self._delivered(association, item)) is not None:
                        self._results.put(result)
                except TransientError as error:
                    _log.info("an association is given up: %s", error)
                    ended = _Ended(item, association.last_message, association.name, error.message)
                    self._once_more.append(ended)
                    break
        except Exception as error:  # noqa: BLE001  # the top of a thread: the caller raises it
            self._results.put(error)
        finally:
            self._session.give_back(association)
            with self._lock:
                self._working -= 1
            self._results.put(None)  # wakes the caller


@dataclass(frozen=True, slots=True)
class _Ended:
    """An instance with which, as the `place`-th of its association, that was lost, and how."""

    item: Outgoing
    place: int
    association: str
    why: str


def _deliver(association: Requestor, item: Outgoing, offers: Offers) -> Result | None:
    """None where no context is accepted."""
    for syntax in offers(item.transfer_syntax):
        if (item.sop_class, syntax) in association.accepted:
            try:
                status = _store(association, item, syntax)
            except _NotConverted as error:
                return Result(item.key, None, Verdict.REFUSED, association.name, str(error))
            verdict = classify(status, again=item.tried and item.sole)
            return Result(item.key, status, verdict, association.name)
    return None


def _store(association: Requestor, item: Outgoing, syntax: str) -> int:
    context = (item.sop_class, syntax)
    try:
        with item.path.open("rb") as file:
            data_set, written = _data_set(item, file)
            if syntax == written:
                return association.store(context, item.sop_instance, data_set)
            checksum.compare(file, data_set.offset, data_set.size, item.checksum)
            return _store_transcoded(association, item, data_set, written, context)
    except OSError as error:
        raise _keyed(checksum.unreadable(error), item) from error
    except InvalidData as error:
        raise _keyed(IntegrityError(checksum.NOT_AS_IT_CAME), item) from error
    except IntegrityError as error:
        raise _keyed(error, item) from error


def _keyed(error: IntegrityError | TransientError, item: Outgoing) -> RouterError:
    """Of what is wrong with a file its instance is told."""
    return type(error)(error.message, key=item.key)


def _store_transcoded(association: Requestor, item: Outgoing, source: FileSlice, written: str, context: Context) -> int:
    try:
        with transcoded(item.path, source, written, context[1]) as data_set:
            return association.store(context, item.sop_instance, data_set)
    except OSError as error:
        raise TransientError(f"no other transfer syntax can be written: {error.strerror}") from error
    except InvalidData as error:
        _log.warning("instance %s has no other transfer syntax: %s", item.sop_instance, error)
        raise _NotConverted(_converted(written, context[1], error.message)) from error


class _NotConverted(Exception):
    """The instance cannot be written in the transfer syntax that the destination takes; the message says why."""


def _converted(written: str, wanted: str, why: str) -> str:
    return f"not sent: it cannot be converted from {UID(written).name} to {UID(wanted).name}: {why}"


def _data_set(item: Outgoing, file: BinaryIO) -> tuple[FileSlice, str]:
    """The data set, and the transfer syntax that it is written in."""
    meta = dataset_offset(file)
    size = os.fstat(file.fileno()).st_size - meta.offset
    same = (undotted(meta.sop_class or item.sop_class), undotted(meta.sop_instance or item.sop_instance)) == (
        undotted(item.sop_class), undotted(item.sop_instance),
    )  # fmt: skip
    if not same or item.transfer_syntax not in (meta.transfer_syntax, meta.announced) or size <= 0:
        raise InvalidData("the file is another one or has no data set")
    return FileSlice(file, meta.offset, size, item.checksum), meta.transfer_syntax
