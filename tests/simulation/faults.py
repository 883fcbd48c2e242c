"""Faults to be planted one at a time: each is a slip that somebody could make in the product."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partialmethod
from typing import Any

from peewee import JOIN, SQL, fn

from router.alarms import Alarm
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.images import Study
from router.catalogue.db.tables.node import EventRow
from router.catalogue.db.tables.queue import Delivery as Row
from router.catalogue.images import purge
from router.catalogue.images.returns import Returns
from router.catalogue.queue import queue as queues
from router.catalogue.queue.queue import STOPPED, Delivery, Queue
from router.correlator import assess, correlator
from router.delivery import deadline_monitor, dispatcher, ledger_writer
from router.delivery.breaker_gate import BreakerGate
from router.delivery.dispatcher import Dispatcher
from router.delivery.pausing import Pausing
from router.delivery.senders import ImagesSender, ReportSender, SendResult
from router.delivery.unwritten import Unwritten
from router.dicom.ul.status import Verdict
from router.events import Event, Kind
from router.model import Channel
from router.policy import breaker, deadlines, retry
from router.policy.bandwidth import Window
from router.policy.breaker import Position
from router.policy.states import CLOSED, State, require_move
from simulation.node import hook


@dataclass(frozen=True, slots=True)
class Fault:
    """A slip, and a seed whose run finds it soon; 0 where none does."""

    name: str
    plant: Callable[[], AbstractContextManager[object]]
    seed: int = 0


def _nothing(*_: object, **__: object) -> None:
    """Forgotten."""


def _none(*_: object) -> frozenset[int]:
    """Not one of them."""
    return frozenset()


def _replaced(*changes: tuple[object, str, object]) -> Callable[[], AbstractContextManager[object]]:
    @contextmanager
    def plant() -> Iterator[None]:
        with ExitStack() as stack:
            for thing, name, replacement in changes:
                stack.enter_context(hook(thing, name, replacement))
            yield

    return plant


# -- the queue


def _move(
    self: Any, delivery: Delivery, to: State, now: datetime, why: str, *, who: str = "node",
    changes: Mapping[str, object] | None = None, fenced: bool = True, told: bool = True, evaluated: bool = True,
) -> bool:  # fmt: skip
    """As Queue.move; not `fenced`, it does not ask for the claim's number; not `told`, its event comes too late."""
    require_move(delivery.state, to)
    where = (Row.id == delivery.id) & (Row.state == delivery.state)
    where &= (Row.lease == delivery.lease) if fenced else SQL("1 = 1")
    columns = {"state": to, "changed": now} | ({"delivered_at": now} if to == State.DELIVERED else {})
    place = {"destination": delivery.destination, "channel": delivery.channel, "to": to}
    event = Event(
        now, Kind.MOVED, f"{delivery.state} -> {to}: {why}", who=who, exam=delivery.exam, delivery=delivery.id,
        fields=place,
    )  # fmt: skip
    with self._engine.write():
        if not self._engine.run(Row.update({**columns, **(changes or {})}).where(where)):
            return False
        if told:
            self._bus.record(event)
        if evaluated and delivery.state == State.SENDING:
            self._engine.run(Exam.update(touched=Exam.touched + 1, check_at=now).where(Exam.id == delivery.exam))
    if not told:
        self._bus.record(event)
    return True


def _moving(**slip: Any) -> Callable[[], AbstractContextManager[object]]:
    return _replaced((Queue, "move", partialmethod(_move, **slip)))


def _promote(self: Any, now: datetime) -> int:
    due = self._select((Row.state == State.DEFERRED) & (Row.next_try < now))
    return int(self._make_ready(due, now, "time of the next try", {"next_try": None}))


def _lost(self: Any, owner: str | None) -> list[Delivery]:
    stale = Row.lease_until < self._in(timedelta(seconds=50))
    found = (Row.state == State.SENDING) & (stale if owner is None else stale | (Row.lease_owner == owner))
    return list(self._select(found))


def _take_back(self: Any, owner: str | None, now: datetime) -> int:
    """Only at start: a lease that has run out stays with the node that is dead."""
    lost = [one for one in self._lost(owner) if owner is not None]
    given_back = {"lease": SQL("lease + 1"), "lease_owner": "", "lease_until": None}
    return int(self._make_ready(lost, now, STOPPED, given_back))


def _kept_number(self: Any, owner: str | None, now: datetime) -> int:
    lost = self._lost(owner)
    return int(self._make_ready(lost, now, STOPPED, {"lease_owner": "", "lease_until": None}))


def _paused_unless_taken_over(destination: str, channel: Channel, hospital: str) -> Any:
    mine = queues._ready(destination, channel) & (Row.hospital == hospital)
    return mine & ((Row.lease > 0) | _CLAIMABLE(destination, channel, hospital))


_CLAIMABLE = queues._claimable


# -- the dispatcher


_TROUBLED = Dispatcher._troubled


def _never_again(self: Any, delivery: Delivery, route: Any, error: Exception) -> SendResult:
    found = _TROUBLED(self, delivery, route, error)
    return replace(found, changes={name: value for name, value in found.changes.items() if name != "next_try"})


_uncapped = retry.backoff


def _backoff(attempt: int, slack: timedelta, jitter: float) -> timedelta:
    return retry.FIRST * (1 << min(attempt + 6, 16)) if slack <= timedelta(0) else _uncapped(attempt, slack, jitter)


_send_images = ImagesSender.send


def _whole_though_stopped(self: Any, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
    found = _send_images(self, delivery, stop)
    if found.to == State.READY:
        return SendResult(State.DELIVERED, "sent", {"delivered": "instances=?"})
    return found


def _frozen_once(self: Any, delivery: Delivery, own: Any) -> Any:
    for upload in self.catalogue.uploads.of(delivery.id)[-1:]:
        return upload
    self._freeze(delivery, 1, own)
    return self.catalogue.uploads.of(delivery.id)[-1]


def _width(found: Any, full: int) -> int:
    return 0 if found.position == Position.OPEN else full


def _always(self: Any, route: Any) -> bool:
    return True


_add = ledger_writer.ResultBatches.add


_stop_of = Dispatcher._stop_of


def _looks_later(self: Any, delivery: Delivery, route: Any, began: float) -> Callable[[], bool]:
    return _stop_of(self, delivery, route, self._clock.monotonic())


_interrupted = Queue.interrupted


def _given_back_only(self: Any, delivery: Delivery) -> datetime | None:
    taken = (EventRow.delivery == delivery.id) & EventRow.text.startswith("sending -> ready: ")
    return _interrupted(self, delivery) if self._engine.has(EventRow.select(EventRow.id).where(taken)) else None


def _add_as_sent(self: Any, result: Any) -> None:
    _add(self, replace(result, verdict=Verdict.STORED))


# -- due times, limits, retention


def _stage(due: datetime, budget: timedelta, expected: datetime | None, now: datetime) -> Alarm | None:
    if now > due:
        return Alarm.MISSED
    found = deadlines.stage(due, budget, expected, now - timedelta(microseconds=1))
    return Alarm.AT_RISK if now == due else found


def _from_arrival(version: Any, reports: Any, now: datetime) -> datetime | None:
    arrived: datetime = version.arrived
    return arrived if version.approved else None


def _holds(self: Window, at: time) -> bool:
    return self.start <= at


def _done_by_creation(before: datetime, now: datetime) -> Any:
    """As purge._done, by another column."""
    busy = Row.id.is_null() | Row.state.not_in(sorted(CLOSED)) | (Row.created >= before)
    undone = (
        ExamStudy.select(ExamStudy.exam)
        .join(Exam)
        .join(Row, JOIN.LEFT_OUTER, on=Row.exam == ExamStudy.exam)
        .where((ExamStudy.study_uid == Study.uid) & (busy | (Exam.check_at <= now)))
    )
    return fn.EXISTS(purge._links()) & ~fn.EXISTS(undone)


FAULTS = (
    Fault("a lease is not renewed", _replaced((Queue, "renew", _nothing)), 1),
    Fault("the event of a move is written after its commit", _moving(told=False), 41),
    Fault("a move does not ask whose claim it is", _moving(fenced=False), 1),
    Fault("`<` for `<=` at the time of the next try", _replaced((Queue, "promote", _promote)), 4),
    Fault("leases are taken back before they end", _replaced((Queue, "_lost", _lost)), 5),
    Fault("a lease that has run out is not taken back", _replaced((Queue, "take_back", _take_back)), 1),
    Fault("a claim takes the first number, not what is due first",
          _replaced((queues, "_URGENCY", (Row.id,))), 1),
    Fault("a pause is forgotten on takeover",
          _replaced((queues, "_claimable", _paused_unless_taken_over), (Pausing, "of", _nothing)), 1),
    Fault("after a crash nobody asks what went", _replaced((Queue, "interrupted", _nothing)), 4),
    Fault("a retry is lost: no next time", _replaced((Dispatcher, "_troubled", _never_again)), 2),
    Fault("pauses between tries have no limit", _replaced((retry, "backoff", _backoff)), 2),
    Fault("what was given back counts as delivered", _replaced((ImagesSender, "send", _whole_though_stopped)), 9),
    Fault("a revision goes with the documents of the former one",
          _replaced((ReportSender, "_frozen", _frozen_once)), 1),
    Fault("what came since the evaluation is not judged", _replaced((correlator, "objection", lambda *_: "")), 2),
    Fault("a refusal counts as sent", _replaced((ledger_writer.ResultBatches, "add", _add_as_sent)), 1),
    Fault("answers are lost while the database takes nothing", _replaced((Unwritten, "keep", _nothing)), 1),
    Fault("answers are not written down before the next try", _replaced((Unwritten, "write_down", _nothing)), 5),
    Fault("a breaker never becomes half-open", _replaced((breaker, "answered", lambda found: found)), 1),
    Fault("a half-open breaker lets everything through", _replaced((dispatcher, "width", _width)), 2),
    Fault("every node asks a destination that is down", _replaced((BreakerGate, "_may_probe", _always)), 1),
    Fault("a limit is never released", _replaced((Window, "holds", _holds)), 1),
    Fault("`<` for `<=` at the due time", _replaced((deadline_monitor, "stage", _stage)), 3),
    Fault("due times count from the arrival", _replaced((assess, "approval_of", _from_arrival)), 1),
    Fault("a node that was frozen after its claim sends without a look",
          _replaced((Dispatcher, "_stop_of", _looks_later)), 7),
    Fault("what a person took from its sender was not sent", _replaced((Queue, "interrupted", _given_back_only)), 9),
    Fault("retention counts from when a delivery was made", _replaced((purge, "_done", _done_by_creation)), 1),
    Fault("retention takes what has failed", _replaced((purge, "CLOSED", CLOSED | {State.FAILED})), 1),
    Fault("what was removed before it went is a duplicate", _replaced((Returns, "awaited", _none))),
    Fault("an ended delivery is not evaluated", _moving(evaluated=False), 1),
)  # fmt: skip
