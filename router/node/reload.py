"""Reload: applying a changed configuration while the node runs."""

import logging
from collections.abc import Sequence
from pathlib import Path

from router.config.changes import Changes, compare, renewed, stamps
from router.config.file import ConfigFile, load
from router.config.sections import Config
from router.correlator.checks import resolved
from router.correlator.correlator import delivery_places
from router.dicom.dataset import decoders
from router.errors import ConfigurationError, RouterError
from router.events import Event, Kind
from router.intake.exam_reader import ExamReader
from router.node.build import CODE_TABLES, CONFIGURATION, Parts, require_private_keys
from router.node.duties import Duties
from router.node.listeners import Listeners
from router.policy.states import PENDING, State

_log = logging.getLogger("router")


class Reload:
    """Applies the configuration file to the parts of a running node; not for two threads at once."""

    def __init__(self, parts: Parts, duties: Duties, listeners: Listeners) -> None:
        self._parts = parts
        self._duties = duties
        self._listeners = listeners

    def run(self, file: Path) -> None:
        """Apply everything of the file that a running node can apply, and say which keys need a restart.

        A file with faults changes nothing and raises an alarm. The rule files are read again in any case.
        """
        parts = self._parts
        try:
            done = self._read(file)
            parts.rules.reload(parts.config)
            text = f"configuration read again; {done}"
            parts.bus.record(Event(parts.clock.now(), Kind.RELOADED, text, subject=parts.owner))
        except RouterError as error:  # the database: the node goes on, as it does in everything else
            _log.error("the configuration was not read again to the end, ask for it once more: %s", error)

    def end_alarms(self) -> None:
        """End the alarms about files that were faulty in a former life: no node starts with one that is."""
        self._parts.record_settings(Kind.CLEARED, CONFIGURATION, "the configuration can be read")
        self._parts.record_settings(Kind.CLEARED, CODE_TABLES, "code tables and mapping file can be read")
        self._parts.rules.end_alarm()

    def _read(self, file: Path) -> str:
        """Read and apply the file; the text of it."""
        parts = self._parts
        try:
            read = ConfigFile.of(file)
            decoders.look_again()
            done = self._apply(resolved(load(file), parts.catalogue.settings))
        except ConfigurationError as error:
            text = f"the configuration has faults, the former stays in use: {error}"
            parts.record_settings(Kind.ALARM, CONFIGURATION, text)
            return f"it has faults and changes nothing: {' '.join(str(error).split())}"
        parts.record_settings(Kind.CLEARED, CONFIGURATION, "the configuration can be read")
        parts.life.read(read)
        return done

    def _apply(self, wanted: Config) -> str:
        """Make everything ready, then use it, so that a fault changes nothing; the text of what was done."""
        parts, duties = self._parts, self._duties
        changes = compare(parts.config, wanted)
        config, files = changes.config, stamps(changes.config)
        certificates = renewed(parts.files, files)
        require_private_keys(config)
        reader = ExamReader(config)
        routes, notifying = duties.fit(config, files), parts.notifier.fit(config)
        listen = self._listeners.fit(config)
        listen()
        parts.life.listens(self._listeners.found())
        with duties.evaluating:
            parts.config, parts.files = config, files
            parts.exam_reader.adopt(reader)
            duties.reconfigure(config)
        self._listeners.console.reconfigure(config, parts.places())
        duties.routes.use(routes)
        parts.notifier.use(notifying)
        self._evaluate(changes)
        return self._text(changes, certificates)

    def _evaluate(self, changes: Changes) -> None:
        """Evaluate what waits: it may go now, or be due then; a destination that was down may be elsewhere."""
        parts, duties = self._parts, self._duties
        queue, now = parts.catalogue.queue, parts.clock.now()
        parts.catalogue.breakers.probe_now(now)
        concerned = [one for name in changes.added for one in queue.in_state(PENDING - {State.SENDING}, name)]
        if any(key.endswith("_within") for key in changes.taken):
            concerned += queue.with_due()
        if any(key.startswith("hospital ") for key in changes.taken):  # nothing goes of one that is gone
            concerned += queue.in_state(PENDING - {State.SENDING})
        parts.catalogue.exams.request_evaluation({one.exam for one in concerned}, now)
        parts.intake.refile()
        parts.correlator.reconsider()
        duties.look_into_folders()
        duties.evaluate()

    def _text(self, changes: Changes, certificates: Sequence[str]) -> str:
        configured = set(delivery_places(self._parts.config))
        places = self._parts.catalogue.survey.places(self._parts.clock.now())
        gone = [place for place in places if (place.destination, place.channel) not in configured]
        stranded = sum(place.states.get(state, 0) for place in gone for state in PENDING)
        text = f"taken up: {', '.join(changes.taken) or 'no change'}"
        text += f"; renewed certificates: {', '.join(certificates)}" if certificates else ""
        text += f"; wants a restart: {', '.join(changes.waiting) or 'nothing'}"
        if stranded:
            text += f"; {stranded} open deliveries to destinations that are gone are kept and not sent: `queue list`"
        return text
