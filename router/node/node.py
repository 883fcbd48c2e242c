"""The node: built, started, reloaded and stopped."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from router.clock import Clock
from router.config.file import ConfigFile
from router.config.sections import Config
from router.errors import RouterError
from router.events import Event, Kind
from router.node.build import Parts
from router.node.duties import Duties
from router.node.listeners import Listeners, Ports
from router.node.reload import Reload

_GRACE_SECONDS = 25.0
_ANSWER_SECONDS = 6.0  # that a stopping node waits for the database's answer
_LAST_SECONDS = 2.0
_log = logging.getLogger("router")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A part of the node that runs from its `start` to its `stop`.

    `unfinished` waits after `stop`, until that time of time.monotonic(); the number of pieces of work not finished.
    """

    start: Callable[[], object] = lambda: None
    stop: Callable[[], object] = lambda: None
    unfinished: Callable[[float], int] = lambda _: 0


class Node:
    """One node. ConfigurationError where keys, rules or folders have faults. `file`: the configuration's source."""

    def __init__(self, config: Config, clock: Clock, file: ConfigFile | None = None) -> None:
        self.parts = parts = Parts(config, clock, file)
        parts.bus.subscribe(parts.metrics.on_event)
        parts.bus.subscribe(parts.notifier.on_event)
        self.duties = Duties(parts)
        self._listeners = Listeners(parts, self.duties)
        self._reload = Reload(parts, self.duties, self._listeners)
        self._started: list[Service] = []

    def start(self) -> Ports:
        """Take back what a former life left, then listen. Returns when every listener is up."""
        self.recover()
        try:
            for service in self._services():
                service.start()
                self._started.append(service)
        except RouterError:
            self.stop()
            raise
        parts = self.parts
        parts.life.listens(self._listeners.found())
        text = f"node {parts.owner} listens"
        parts.bus.record(Event(parts.clock.now(), Kind.STARTED, text, subject=parts.owner))
        self._reload.end_alarms()
        return self.ports()

    def ports(self) -> Ports:
        """Where it listens now."""
        return self._listeners.ports()

    def reload(self, file: Path) -> None:
        """Apply the configuration file as Reload does. Not to be called by two threads at once."""
        self._reload.run(file)

    def stop(self) -> None:
        """Stop accepting, finish what is in flight, give leases back; within 30 s."""
        until = time.monotonic() + _GRACE_SECONDS
        parts = self.parts
        parts.stopping.set()
        parts.catalogue.engine.hurry(_ANSWER_SECONDS)
        parts.dispatcher.stop()
        for pickup in self.duties.pickups():
            pickup.stop()
        unfinished = 0
        for service in reversed(self._started):
            service.stop()
            unfinished += service.unfinished(until)
        if unfinished:
            _log.warning("%d unfinished piece(s) of work are taken up at the next start", unfinished)
        parts.catalogue.engine.close_thread()

    def _services(self) -> list[Service]:
        """Every service in the order of its start; they stop in reverse order.

        Listeners for images and messages start last and stop first. The administrator's answers as long as there is
        work. Alarms and the audit trail end last: they take what the end of the others tells.
        """
        parts, listeners = self.parts, self._listeners
        dicom, admin = listeners.dicom, listeners.admin
        syslog = [] if parts.syslog is None else [Service(start=parts.syslog.start, stop=parts.syslog.stop)]
        return [
            *syslog,
            Service(start=parts.audit.start, stop=parts.audit.stop),
            Service(start=parts.notifier.start, stop=parts.notifier.stop,
                    unfinished=lambda _: parts.notifier.unfinished(_LAST_SECONDS)),
            Service(stop=self._leave),
            Service(stop=parts.pictures.close),
            Service(start=listeners.start_admin, stop=admin.stop),
            Service(stop=parts.life.end),
            Service(stop=parts.backup.close),
            Service(stop=parts.intake.close),
            Service(start=self.duties.start, stop=self.duties.stop, unfinished=self.duties.unfinished),
            Service(start=listeners.start_hl7, stop=lambda: listeners.stop_hl7(_GRACE_SECONDS / 4)),
            Service(start=listeners.start_dicom, stop=lambda: dicom.stop(_GRACE_SECONDS / 2)),
        ]  # fmt: skip

    def recover(self) -> None:
        """Take back what a former life left, as `start` does before it listens."""
        parts = self.parts
        parts.storage.incoming.sweep(parts.workers)
        parts.unwritten.take_up()
        parts.unwritten.write_down(parts.catalogue.late, parts.bus, parts.clock)
        parts.catalogue.queue.take_back(parts.owner, parts.clock.now())
        parts.sharing.start()
        parts.membership.beat()
        self.duties.reread()
        self.duties.jumps.try_again()
        parts.correlator.reconsider()
        self.duties.drain_incoming()
        parts.bus.subscribe(self.duties.on_event)

    def _leave(self) -> None:
        """Leave the other nodes, with the last seconds of refusals.

        Without the database they see that this node is silent; what it could not write stays in its file until the
        next start.
        """
        parts = self.parts
        parts.catalogue.engine.hurry(_LAST_SECONDS)
        try:
            parts.membership.leave()
            parts.bus.tell_counted(parts.clock.now(), all_of_them=True)
            parts.recorder.write()
            parts.unwritten.write_down(parts.catalogue.late, parts.bus, parts.clock)
            parts.bus.record(Event(parts.clock.now(), Kind.STOPPED, f"node {parts.owner} stops"))
        except RouterError as error:
            _log.warning("the node stops, and its database does not hear of it: %s", error)
