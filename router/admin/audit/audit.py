"""The audit: a subscriber of the event bus that writes audit messages to the trail.

Messages wait in memory for a moment and are made durable together; a node that is killed loses that moment at most.
A person's action is durable here before it is done (`seal`), and is refused while the trail is in doubt.
"""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from router.admin.audit.messages import Entry, entry_of, message, of_head, transferred
from router.admin.audit.seals import Seals
from router.alarms import Alarm
from router.catalogue.node.audit_heads import AuditHeads
from router.clock import Clock
from router.cluster.absence import audit_of
from router.errors import RouterError, TransientError
from router.events import Event, EventBus, Kind
from router.model import Head
from router.storage.trail import Record, Trail

if TYPE_CHECKING:  # every command that audits would load pydicom and numpy, a quarter of a second
    from router.dicom.scp.store import Received

_MOMENT = 0.5  # seconds
_ROUND = 60.0  # seconds over which received instances are counted together
_NOT_LOOKED: tuple[Head | None, Record | None, float] = (None, None, float("-inf"))
_log = logging.getLogger("router")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Guard of the trail: the node's keys and the heads that it has signed. `close` ends a thread's use."""

    seals: Seals
    heads: AuditHeads
    bus: EventBus
    close: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A trail at a glance: its last record and whether that is `sealed`, the number that it begins with, the
    number up to which it was sent on; the newest head that was signed, and the record of that number."""

    last: Record | None
    sealed: bool
    begins: int
    sent: int
    head: Head | None
    signed: Record | None


def doubts(state: State, seals: Seals) -> Iterator[str]:
    """Reasons to doubt the trail; empty if there are none."""
    last, sent, head, signed = state.last, state.sent, state.head, state.signed
    end = last.n if last else 0
    if sent > end:
        yield f"the trail ends with record {end}, and record {sent} was sent on"
    if last is not None and last.key not in ("", seals.key.id):
        yield f"record {end} is sealed under key {last.key}, which is not here"
    elif not state.sealed:
        yield f"record {end} was changed"
    if head is None:
        return
    if head.key != seals.id:
        yield f"the last head was signed by key {head.key}, which is not here"
    if end < head.n:
        yield f"the trail ends with record {end}, and record {head.n} was signed"
    elif head.n >= state.begins and (signed is None or signed.seal != head.seal):
        yield f"record {head.n} is not the one that was signed"
    elif last is not None and head.chain and not last.key:
        yield f"record {end} is sealed under no key"


class Audit:
    """The audit of one process, in the node's name. Without `start` nothing is written before `stop`.

    Under `guard` heads are signed while it runs, and a trail that is not what it was is an alarm.
    """

    def __init__(self, trail: Trail, node: str, clock: Clock, keep: timedelta) -> None:
        self._trail = trail
        self._node = node
        self._clock = clock
        self._keep = keep
        self._guard: Guard | None = None
        self._highest, self._cut = 0, ""
        self._accepted: Head | None = None
        self._known = _NOT_LOOKED
        self._looked = float("-inf")
        self._signed: date | None = None
        self._waiting: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        self._received: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self._flushed = clock.monotonic()
        self._stopping = threading.Event()
        self._unwritten: list[str] = []
        self._failed = self._doubted = ""
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    @property
    def folder(self) -> Path:
        """The trail's folder."""
        return self._trail.folder

    @property
    def trouble(self) -> str:
        """Why nothing can be audited, as far as is known; "" while it can. Never blocks."""
        return self._failed or self._doubted

    def guard(self, guard: Guard) -> None:
        """Guard the trail from now on."""
        head = guard.heads.newest(self._node)
        self._accepted = head if head is not None and head.accepted else None
        self._guard = guard

    def take(self, event: Event) -> None:
        """The subscriber."""
        entry = entry_of(event, self._node)
        if entry is not None:
            self._waiting.put(entry)

    def count(self, received: "Received") -> None:
        """Count a received instance; a study's instances from one sender make one message a minute."""
        with self._lock:
            self._received[received.calling_ae, received.address, received.uids.study] += 1

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, sign the last head if the trail was guarded, and end."""
        self._stopping.set()
        ran = self._thread.ident is not None
        if ran:
            self._thread.join()
        self.write(flush=True)
        if ran and self._guard is not None:
            self._look(self._guard, sign=True)

    def write(self, *, flush: bool = False) -> None:
        """Write what waits; `flush` also what is still being counted."""
        with self._writing:
            now = self._clock.now()
            while not self._waiting.empty():
                self._unwritten.append(message(self._waiting.get_nowait(), self._node))
            self._unwritten += [message(entry, self._node) for entry in self._counted(now, flush=flush)]
            if not self._unwritten:
                return
            try:
                records = self._trail.append(self._unwritten, now)
                self._unwritten.clear()
                self._failed = ""
                if records[0].n <= self._highest:
                    self._cut = f"record {self._highest} was written, and the trail was shorter after that"
                self._highest = max(records[-1].n, self._highest)
                self._trail.purge((now - self._keep).date())
            except (OSError, ValueError) as error:
                self._failed = "the trail cannot be written"
                _log.error("the audit trail cannot be written, it is tried again: %s", error)

    def seal(self) -> None:
        """Write what waits, before the action is committed; TransientError if it cannot, or the trail is in doubt."""
        self.write()
        with self._writing:
            if self._unwritten:
                raise TransientError("nothing is done that cannot be audited", hint="see data/audit: room and rights")
        if self._guard is not None and (fault := self.fault(self._guard)):
            hint = "see `audit verify`; put the trail back, or run `audit accept`"
            raise TransientError(f"nothing is done while the audit trail is in doubt: {fault}", hint=hint)

    def fault(self, guard: Guard) -> str:
        """Why the trail cannot be trusted; "" if it can."""
        with self._writing:  # what is just being written is no fault
            if self._unwritten:
                return "the trail cannot be written"
        try:
            # What may only lie behind the end is read before it: others write meanwhile.
            head, sent = guard.heads.newest(self._node), self._trail.sent()
            last = self._trail.last()
            state = State(
                last=last, sealed=last is None or self._trail.is_sealed(last), begins=self._trail.begins(), sent=sent,
                head=head, signed=self._record_of(head),
            )  # fmt: skip
        except OSError as error:
            return f"the trail cannot be read: {error.strerror}"
        except ValueError:
            return "the trail cannot be read: a line is no record"
        if head is not None and head.accepted and head != self._accepted:
            self._accepted, self._cut, self._highest = head, "", head.n
        found = next(doubts(state, guard.seals), self._cut)
        self._cut = self._cut if state.sealed else found  # our own records will follow the forged one
        return found

    def _record_of(self, head: Head | None) -> Record | None:
        """The signed record; looked up at most once a minute for the same head, since actions may follow fast."""
        now = self._clock.monotonic()
        known, record, at = self._known
        if head is None or head != known or now - at >= _ROUND:
            record = self._trail.at(head.n) if head is not None else None
            self._known = head, record, now
        return record

    def sign(self, guard: Guard, accepted: str = "") -> None:
        """Sign the trail's end, keep that head, and add it to the trail, which is also sent to syslog."""
        last, now = self._trail.last(), self._clock.now()
        if last is None:
            return
        head = guard.seals.sign(self._node, last, now.isoformat(), accepted)
        guard.heads.add(head)
        guard.heads.prune(self._node, (now - self._keep).isoformat())
        self._waiting.put(of_head(head, now))
        self._signed = now.date()
        self.write()

    def accept(self, guard: Guard, who: str, why: str) -> None:
        """Take the trail as it is from now on: a person's decision, which itself is in the trail and in the head."""
        self.write()
        last = self._trail.last()
        self._trail.note_sent(min(self._trail.sent(), last.n if last else 0))
        self.sign(guard, f"{who}: {why}")

    def _run(self) -> None:
        while True:
            if self._guard is not None and self._clock.monotonic() - self._looked >= _ROUND:
                self._looked = self._clock.monotonic()
                self._look(self._guard, sign=self._signed != self._clock.now().date())
            if self._stopping.wait(_MOMENT):
                break
            self.write()
        if self._guard is not None:
            self._guard.close()

    def _look(self, guard: Guard, *, sign: bool) -> None:
        """Check the trail. Sign its head only if it is sound: the last head is the evidence against it."""
        try:
            self._known = _NOT_LOOKED
            fault = self._doubted = self.fault(guard)
            kind, text = (Kind.ALARM, fault) if fault else (Kind.CLEARED, "the audit trail is what it was")
            subject = audit_of(self._node)
            guard.bus.record(Event(self._clock.now(), kind, text, alarm=Alarm.AUDIT, subject=subject))
            if sign and not fault:
                self.sign(guard)
        except (RouterError, OSError, ValueError) as error:
            _log.error("the audit trail cannot be looked at, it is tried again: %s", error)

    def _counted(self, now: datetime, *, flush: bool) -> list[Entry]:
        if not flush and self._clock.monotonic() - self._flushed < _ROUND:
            return []
        self._flushed = self._clock.monotonic()
        with self._lock:
            received, self._received = self._received, Counter()
        return transferred(received, self._node, now)
