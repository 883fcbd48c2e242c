"""The audit: a subscriber of the journal that writes audit messages to the trail.

Messages wait in memory for a moment and are made durable together; a node that is killed loses that moment at most.
What a person does is durable here before it is done (`seal`).
"""

import logging
import queue
import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from router.admin.messages import Entry, entry_of, message, transferred
from router.clock import Clock
from router.errors import TransientError
from router.events import Event
from router.storage.trail import Trail

if TYPE_CHECKING:  # every command that audits would load pydicom and numpy, a quarter of a second
    from router.dicom.store import Received

_MOMENT = 0.5  # seconds
_ROUND = 60.0  # seconds over which received instances are counted together
_log = logging.getLogger("router")


class Audit:
    """Of one process, in the node's name. Without `start` nothing is written before `stop`."""

    def __init__(self, trail: Trail, node: str, clock: Clock, keep: timedelta) -> None:
        self._trail = trail
        self._node = node
        self._clock = clock
        self._keep = keep
        self._waiting: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        self._received: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self._flushed = clock.monotonic()
        self._stopping = threading.Event()
        self._unwritten: list[str] = []
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def take(self, event: Event) -> None:
        """The subscriber."""
        entry = entry_of(event, self._node)
        if entry is not None:
            self._waiting.put(entry)

    def count(self, received: "Received") -> None:
        """An instance was received; those of a study from a sender make one message a minute."""
        with self._lock:
            self._received[received.calling_ae, received.address, received.uids.study] += 1

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.write(flush=True)

    def write(self, *, flush: bool = False) -> None:
        """Write what waits; `flush` also what is still being counted."""
        with self._writing:
            self._write(flush=flush)

    def _write(self, *, flush: bool) -> None:
        now = self._clock.now()
        entries = self._drained() + self._counted(now, flush=flush)
        self._unwritten += [message(entry, self._node) for entry in entries]
        if not self._unwritten:
            return
        try:
            self._trail.append(self._unwritten, now)
            self._unwritten.clear()
            self._trail.purge((now - self._keep).date())
        except (OSError, ValueError) as error:
            _log.error("the audit trail cannot be written, it is tried again: %s", error)

    def seal(self) -> None:
        """Write what waits, before the act that it tells of is committed; TransientError when that cannot be."""
        self.write()
        with self._writing:
            if self._unwritten:
                raise TransientError("nothing is done that cannot be audited", hint="see data/audit: room and rights")

    def _run(self) -> None:
        while not self._stopping.wait(_MOMENT):
            self.write()

    def _drained(self) -> list[Entry]:
        found = []
        while not self._waiting.empty():
            found.append(self._waiting.get_nowait())
        return found

    def _counted(self, now: datetime, *, flush: bool) -> list[Entry]:
        if not flush and self._clock.monotonic() - self._flushed < _ROUND:
            return []
        self._flushed = self._clock.monotonic()
        with self._lock:
            received, self._received = self._received, Counter()
        return transferred(received, self._node, now)
