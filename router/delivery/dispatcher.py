"""The dispatcher: claims what is ready by due time, has it sent, and writes down how it ended.

Each destination has a route for reports and routes for images, so that no CT delays a report.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.queue.queue import UNWRITTEN, Delivery
from router.clock import Clock
from router.correlator.backfilling import Backfilling
from router.correlator.document import platform_faults
from router.delivery.breaker_gate import BreakerGate, Route
from router.delivery.pausing import Pausing
from router.delivery.senders import SendResult
from router.delivery.sharing import Sharing
from router.delivery.throughput import Start, ThroughputMeter
from router.delivery.unwritten import Unwritten
from router.errors import (
    Crowded,
    DestinationDown,
    IntegrityError,
    Outage,
    PermanentError,
    RouterError,
    TransientError,
    UnprovedRefusal,
    Unproven,
    traceback_of,
)
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.account import answers_of, fields_of, place_of
from router.policy.breaker import CLOSED, width
from router.policy.deadlines import slack
from router.policy.fair_share import QUANTUM
from router.policy.retry import UNPROVED, next_pause
from router.policy.states import State
from router.policy.turns import Turns

LEASE = timedelta(seconds=60)


class Dispatcher:
    """Claims and sends. One instance serves every route; each route's thread calls `run_one`. `zone`: the hospital's.

    A claim lasts for a `lease`, and longer as long as `keep_leases` is called, a few times in each. `unwritten` holds
    the results of those who send, and is written down before anything is claimed, ended or taken back.
    """

    def __init__(
        self, catalogue: Catalogue, owner: str, bus: EventBus, clock: Clock, zone: tzinfo = UTC, *,
        lease: timedelta = LEASE, unwritten: Unwritten | None = None, sharing: Sharing | None = None,
    ) -> None:  # fmt: skip
        self._catalogue = catalogue
        self._sharing = sharing or Sharing(catalogue, owner, lease, alone=True)
        self._lease = lease
        self._unwritten = unwritten or Unwritten()
        self._owner = owner
        self._bus = bus
        self._clock = clock
        self._gate = BreakerGate(catalogue, clock)
        self._pausing = Pausing(catalogue, clock)
        self._backfilling = Backfilling(catalogue, clock, zone)
        self._stopping = threading.Event()
        self._in_flight: set[int] = set()
        self._unsettled: list[Delivery] = []
        self._meter = ThroughputMeter(catalogue, clock)
        self._turns: dict[tuple[str, Channel, str], Turns] = {}
        self._turning = threading.Lock()

    def stop(self) -> None:
        """Finish what is in flight, claim nothing more."""
        self._stopping.set()

    @property
    def busy(self) -> bool:
        """Whether something is being sent."""
        return bool(self._in_flight)

    def run_one(self, route: Route) -> bool:
        """Claim and send one delivery; False when there was none, or sending there is paused: nothing is asked then."""
        hospitals = self._unpaused(route)
        if self._stopping.is_set() or not hospitals:
            return False
        self._write_down()
        start, began = self._meter.start(route), self._clock.monotonic()
        delivery = self._claim(route, start, hospitals)
        if delivery is None:
            return False
        self._in_flight.add(delivery.id)
        try:
            ending = self._carry_out(delivery, route, began)
            self._write_down()
            with self._catalogue.queue.transaction():  # one wait for the disk
                self._settle(delivery, ending, route)
                self._meter.stop(route, delivery, start, ending.units)
        except RouterError:
            self._unsettled.append(delivery)
            raise
        finally:
            self._in_flight.discard(delivery.id)
        return True

    def _unpaused(self, route: Route) -> tuple[str, ...]:
        """The hospitals of the route whose sending is not paused."""
        return tuple(one for one in route.hospitals if self._pausing.of(route.destination, one) is None)

    def _write_down(self) -> None:
        self._unwritten.write_down(self._catalogue.late, self._bus, self._clock)

    def _settle(self, delivery: Delivery, ending: SendResult, route: Route) -> None:
        queue, now = self._catalogue.queue, self._clock.now()
        moved = queue.move(delivery, ending.to, now, ending.why, changes={**_GIVEN_BACK, **ending.changes})
        if moved and ending.to == State.DELIVERED:
            place: dict[str, object] = {"destination": delivery.destination, "channel": delivery.channel}
            place |= {**ending.by, **({"hospital": delivery.hospital} if delivery.hospital else {})}
            left = {"slack_seconds": round(slack(delivery.due, now).total_seconds(), 1)} if delivery.due else {}
            self._bus.record(Event(
                now, Kind.CONFIRMED, ending.why, exam=delivery.exam, delivery=delivery.id, fields=place | left
            ))  # fmt: skip
            self._clear_alarms(delivery, route, now)

    def _clear_alarms(self, delivery: Delivery, route: Route, now: datetime) -> None:
        if delivery.channel == Channel.REPORT:
            self._record_proof(Kind.CLEARED, route, "an answer is proved to be the platform's")
            self._record_profile(Kind.CLEARED, route, "the profile has delivered")
        for one in self._catalogue.alarms.standing(delivery.exam):
            if one.delivery == delivery.id:
                text = "it is delivered now"
                event = Event(now, Kind.CLEARED, text, exam=one.exam, alarm=one.alarm, subject=one.subject)
                self._bus.record(event)

    def keep_leases(self) -> None:
        """Extend the leases of what is in flight here, take back what ran out, wake what was deferred until now."""
        now, queue = self._clock.now(), self._catalogue.queue
        queue.renew(self._owner, list(self._in_flight), self._lease)
        self._sharing.keep()
        self._write_down()
        # Give back deliveries that ended while the database took nothing: they need not wait for their lease.
        while self._unsettled:
            self._catalogue.queue.move(self._unsettled[-1], State.READY, now, UNWRITTEN, changes=_GIVEN_BACK)
            self._unsettled.pop()
        if queue.run_out():
            self._unwritten.adopt(self._catalogue.late)
            queue.take_back(None, now)
        queue.promote(now)

    def _claim(self, route: Route, start: Start, hospitals: tuple[str, ...]) -> Delivery | None:
        """Claim the delivery due first, as far as the breaker allows; close the breaker where none waits."""
        gate = self._gate
        found = gate.look(route)
        at_most = width(found, route.width)
        if not at_most:
            return None
        route.narrow(at_most)
        if not route.room():
            return None
        queue, place = self._catalogue.queue, (route.destination, route.channel)
        limit = None if found == CLOSED else at_most
        now, first = self._clock.now(), start.missed_first
        gap, turns = self._backfilling.gap(), self._turns.get(route.place, Turns())
        delivery = queue.claim(
            *place, self._owner, now, self._lease, limit, missed_first=first, undated=gap, hospitals=hospitals,
            turns=turns,
        )  # fmt: skip
        if delivery is not None:
            with self._turning:
                self._turns[route.place] = self._turns.get(route.place, turns).after(delivery.hospital)
        elif found != CLOSED and not queue.under_way(*place, route.hospitals):
            gate.went(route)
        return delivery

    def _carry_out(self, delivery: Delivery, route: Route, began: float) -> SendResult:
        try:
            ending = route.sender.send(delivery, self._stop_of(delivery, route, began))
        except Crowded:
            why = "other nodes have every association that the destination takes"
            return SendResult(State.READY, why, {"attempts": delivery.attempts - 1})
        except DestinationDown as error:
            self._gate.down(route, error)
            if error.outage == Outage.PROFILE:
                self._record_profile(Kind.ALARM, route, str(error))
            return SendResult(State.READY, error.message, {"attempts": delivery.attempts - 1, "error": str(error)})
        except Exception as error:  # noqa: BLE001  # a claim must end in a state, whatever happened to it
            ending = self._troubled(delivery, route, error)
        if ending.to == State.READY:
            return replace(ending, changes={"attempts": delivery.attempts - 1})
        if ending.units or ending.to == State.FAILED:  # others ended without a word of the destination
            self._gate.went(route)
        return ending

    def _troubled(self, delivery: Delivery, route: Route, error: Exception) -> SendResult:
        if isinstance(error, PermanentError):
            return SendResult(State.FAILED, error.message, {"error": _in_full(error)})
        if isinstance(error, UnprovedRefusal):
            return self._unproved(delivery, error)
        if isinstance(error, IntegrityError):
            if isinstance(error, Unproven):
                self._record_proof(Kind.ALARM, route, str(error))
            else:
                self._raise(Alarm.INTEGRITY, delivery, error.message)
            error = TransientError(str(error))
        elif isinstance(error, OSError):
            error = TransientError(f"cannot read what is to be sent: {error.strerror}")
        elif not isinstance(error, TransientError):
            error = TransientError(f"a defect: {type(error).__name__} at {traceback_of(error)}")
            self._raise(Alarm.DEFECT, delivery, error.message)
        now = self._clock.now()
        left = slack(delivery.due, now) if delivery.due else timedelta(0)
        pause = next_pause(delivery.attempts, left, random.random(), error.retry_after)  # noqa: S311  # only spreads
        return SendResult(State.DEFERRED, error.message, {"next_try": now + pause, "error": str(error)})

    def _unproved(self, delivery: Delivery, error: UnprovedRefusal) -> SendResult:
        """Anybody on the line could have written it: a person is told at once, and it is rarely tried again."""
        said = f"{error.message}; the answer is not proved to be the platform's"
        self._raise(Alarm.UNPROVED, delivery, said)
        changes = {"next_try": self._clock.now() + UNPROVED, "error": _in_full(error)}
        return SendResult(State.DEFERRED, error.message, changes)

    def _stop_of(self, delivery: Delivery, route: Route, began: float) -> Callable[[], bool]:
        """Whether to stop: the node is stopping, sending there is paused, the delivery was taken from us, or others are
        as urgent, or of other hospitals, and it has had its time. Asked often, so it looks rarely.

        It `began` before it was claimed: a node that was frozen after its claim looks before it sends anything.
        """
        state = {"looked": began, "stop": False}

        def stop() -> bool:
            now = self._clock.monotonic()
            if not state["stop"] and now - state["looked"] >= 1:
                state["looked"] = now
                queue, over = self._catalogue.queue, now - began >= QUANTUM
                paused = self._pausing.of(delivery.destination, delivery.hospital) is not None
                taken = paused or not queue.holds(delivery)
                others = over and queue.as_urgent(delivery, self._clock.now(), self._unpaused(route))
                state["stop"] = taken or others
            return bool(state["stop"]) or self._stopping.is_set()

        return stop

    def _raise(self, alarm: Alarm, delivery: Delivery, text: str) -> None:
        now, place = self._clock.now(), {"destination": delivery.destination, "channel": delivery.channel}
        self._bus.record(Event(
            now, Kind.ALARM, text, exam=delivery.exam, delivery=delivery.id, fields=place, alarm=alarm,
            subject=f"d{delivery.id}",
        ))  # fmt: skip

    def _record_proof(self, kind: Kind, route: Route, text: str) -> None:
        """Whether a platform's answers are its own concerns the account, not one exam."""
        fields, subject = fields_of(route.destination, route.account), answers_of(route.destination, route.account)
        event = Event(self._clock.now(), kind, text, fields=fields, alarm=Alarm.CRYPTO, subject=subject)
        self._bus.record(event)

    def _record_profile(self, kind: Kind, route: Route, text: str) -> None:
        """Whether a profile of a file does its work concerns the account likewise."""
        fields, subject = fields_of(route.destination, route.account), place_of(*route.place)
        event = Event(self._clock.now(), kind, text, fields=fields, alarm=Alarm.PROFILE, subject=subject)
        self._bus.record(event)


def _in_full(error: PermanentError | UnprovedRefusal) -> str:
    """The error with the platform's words, field by field."""
    words = platform_faults(error.faults)
    return f"{error}: {words}" if words else str(error)


_GIVEN_BACK = {"lease_owner": "", "lease_until": None, "error": ""}
