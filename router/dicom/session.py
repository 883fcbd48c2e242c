"""Sending what belongs together to one destination, over one association or several side by side."""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import BinaryIO

from pydicom.uid import UID

from router.dicom import checksum
from router.dicom.contexts import Context, Offers, Proposal, propose
from router.dicom.part10 import dataset_offset
from router.dicom.pdata import DataSet
from router.dicom.requestor import Requestor
from router.dicom.slots import Slots
from router.dicom.status import SOP_CLASS_NOT_SUPPORTED, Verdict, classify
from router.dicom.transcode import transcoded
from router.dicom.uid import undotted
from router.errors import IntegrityError, InvalidData, RouterError, TransientError

_WORTH_ANOTHER = 8  # instances that pay for one more association
_BEHIND = 16  # results that wait for the caller before the other associations do; one for each of them fits
_MOST_LOSSES = 3  # instances with which a session loses its association before it is given up

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One stored instance to send; `key` is the ledger's, `checksum` (or SHA-256) what its data set must have."""

    key: int
    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What the destination answered for one instance, over which association.

    `status` is None where the destination said nothing: the association was lost with it under way, or it cannot be
    written as the destination wants it. `trouble` says how.
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
    """One sender's associations, kept open from one `send` to the next. An open association holds a slot."""

    def __init__(self, associate: Associate, slots: Slots, offers: Offers) -> None:
        self._associate = associate
        self._slots = slots
        self._offers = offers
        self._lock = threading.Lock()
        self._kept: list[Requestor] = []
        self._closed = False
        self._losses = 0

    def send(self, items: Sequence[Outgoing], stop: Stop) -> Iterator[Result]:
        """Yields each instance's result as soon as it is known; ends early, between instances, when `stop()` is true.

        Of more than a few instances several are under way at a time, over as many associations. An instance whose
        contexts are not accepted is refused (0122) and does not stop the others; nor does one with which the
        association is aborted, breaks or times out: it is LOST, and the rest goes on over a new association.
        Raises DestinationDown (no association can be had, or it is rejected for configuration), TransientError
        (congestion, or too many instances of this session were LOST), IntegrityError (a stored file is missing or is
        not what the ledger says; its `key` is in the fields); what the other associations had under way is yielded
        before.
        """
        for proposal in propose(items, self._offers):
            if stop():
                return
            yield from _Round(self, self._slots, self._offers, proposal).run(stop)

    def close(self) -> None:
        """Release what is open."""
        with self._lock:
            self._closed, kept, self._kept = True, self._kept, []
        for association in kept:
            self._end(association)

    def borrow(self, contexts: Sequence[Context], slot: Callable[[], bool]) -> Requestor | None:
        """An association with these contexts, kept from before or new; None when `slot` gives none for a new one.

        Raises TransientError when the session has lost too many.
        """
        if self._losses >= _MOST_LOSSES:
            raise TransientError(f"the association was lost with {self._losses} instances one after the other")
        kept = self._one_kept()
        if kept is not None and kept.is_quiet and kept.proposed.issuperset(contexts):
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

    def lose(self) -> None:
        """An association was lost with an instance under way."""
        self._losses += 1

    def give_back(self, association: Requestor) -> None:
        """Kept for the next use, unless it is lost, the session is over, or somebody else waits to send."""
        with self._lock:
            if association.is_quiet and not self._closed and not self._slots.wanted:
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
    more of them. Its instance is tried once more, last, over the caller's; only one that loses that is LOST.
    """

    def __init__(self, session: Session, slots: Slots, offers: Offers, proposal: Proposal[Outgoing]) -> None:
        self._session = session
        self._slots = slots
        self._offers = offers
        self._contexts = proposal.contexts
        self._items = deque(proposal.items)
        self._once_more: deque[Outgoing] = deque()
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
            if self._trouble is not None:
                raise self._trouble
        finally:
            self._ending = True
            for _ in self._rest():
                pass  # the caller has gone: what others still finish is sent again some day
            self._give_back()

    def _association(self, stop: Stop) -> Requestor | None:
        """The caller's: the one it had, or a new one where that has ended; None when stopped before there was one."""
        if self._own is None or not self._own.is_quiet:
            self._give_back()
            self._own = self._session.borrow(self._contexts, lambda: self._slots.take(stop))
        return self._own

    def _give_back(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            self._session.give_back(own)

    def _alongside(self, stop: Stop) -> Iterator[Result]:
        while self._items or self._once_more:
            if self._ending or stop() or (own := self._association(stop)) is None:
                return
            if (item := self._next(self._items) or self._next(self._once_more)) is not None:
                yield self._tried(own, item)
            yield from self._arrived(wait=False)
            if not self._items:
                yield from self._rest()  # it may leave something to be tried once more

    def _tried(self, own: Requestor, item: Outgoing) -> Result:
        try:
            return _deliver(own, item, self._offers)
        except TransientError as error:
            if own.is_open:
                raise
            self._session.lose()
            _log.info("an association is lost with instance %s: %s", item.sop_instance, error)
            return Result(item.key, None, Verdict.LOST, own.name, error.message)

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
            association = self._session.borrow(self._contexts, self._slots.take_spare)
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
                if (item := self._next(self._items)) is None:
                    break
                try:
                    self._results.put(_deliver(association, item, self._offers))
                except TransientError as error:
                    _log.info("an association is given up: %s", error)
                    self._once_more.append(item)
                    break
        except Exception as error:  # noqa: BLE001  # the top of a thread: the caller raises it
            self._results.put(error)
        finally:
            self._session.give_back(association)
            with self._lock:
                self._working -= 1
            self._results.put(None)  # wakes the caller


def _deliver(association: Requestor, item: Outgoing, offers: Offers) -> Result:
    for syntax in offers(item.transfer_syntax):
        if (item.sop_class, syntax) in association.accepted:
            try:
                status = _store(association, item, syntax)
            except _NotConverted as error:
                return Result(item.key, None, Verdict.REFUSED, association.name, str(error))
            return Result(item.key, status, classify(status), association.name)
    return Result(item.key, SOP_CLASS_NOT_SUPPORTED, classify(SOP_CLASS_NOT_SUPPORTED), association.name)


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


def _store_transcoded(association: Requestor, item: Outgoing, source: DataSet, written: str, context: Context) -> int:
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


def _data_set(item: Outgoing, file: BinaryIO) -> tuple[DataSet, str]:
    """The data set, and the transfer syntax that it is written in."""
    meta = dataset_offset(file)
    size = os.fstat(file.fileno()).st_size - meta.offset
    same = (undotted(meta.sop_class or item.sop_class), undotted(meta.sop_instance or item.sop_instance)) == (
        undotted(item.sop_class), undotted(item.sop_instance),
    )  # fmt: skip
    if not same or item.transfer_syntax not in (meta.transfer_syntax, meta.announced) or size <= 0:
        raise InvalidData("the file is another one or has no data set")
    return DataSet(file, meta.offset, size, item.checksum), meta.transfer_syntax
