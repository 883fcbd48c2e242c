"""Watching the drop folder: scan, let files settle, take them, and say so when the share is gone."""

from pathlib import Path

from router.clock import Clock
from router.config import Reports as ReportsConfig
from router.events import Event, Journal, Kind
from router.flow.intake import Intake
from router.reports.settle import Seen, Settling
from router.reports.watch import Watch, scan


class Pickup:
    """The loop step of the drop folder."""

    def __init__(self, config: ReportsConfig, intake: Intake, journal: Journal, clock: Clock) -> None:
        self._folder: Path = config.folder
        self._settle = config.settle.total_seconds()
        self._rescan = config.rescan.total_seconds()
        self._intake = intake
        self._journal = journal
        self._clock = clock
        self._settling = Settling(self._settle)
        self._unreadable: set[Seen] = set()
        self._gone = False
        self._stopping = False
        self.watch = Watch(config.folder)

    def stop(self) -> None:
        """End after the file at hand."""
        self._stopping = True
        self.watch.stop()

    def step(self) -> float:
        """Scan once and take what has settled; seconds until the next scan."""
        try:
            found = scan(self._folder)
        except OSError as error:
            self._say_gone(f"the drop folder does not answer: {error.strerror}")
            return self._rescan
        if self._gone:
            self._gone = False
            self._journal.record(Event(self._clock.now(), Kind.DOCUMENT, "the drop folder answers again"))
        for seen in self._settling.settled(found, self._clock.monotonic()):
            if self._stopping:
                break
            self._take(seen)
        return min(self._settle, self._rescan) if self._settling.pending else self._rescan

    def _take(self, seen: Seen) -> None:
        try:
            self._intake.take(seen)
        except OSError as error:
            # Tried again at every scan, told once; a file name may hold a patient's name, so it is not told.
            if seen not in self._unreadable:
                self._unreadable.add(seen)
                text = f"a file of the drop folder cannot be taken: {error.strerror}"
                self._journal.record(Event(self._clock.now(), Kind.ALARM, text))
            return
        self._unreadable.discard(seen)
        self._settling.done(seen)

    def _say_gone(self, text: str) -> None:
        if not self._gone:
            self._gone = True
            self._journal.record(Event(self._clock.now(), Kind.ALARM, text))
