"""The drop folder's loop: scan, let files settle, take them in batches, raise an alarm while the share is gone."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from router.alarms import Alarm
from router.clock import Clock
from router.config.folders import DropFolder
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.intake.intake import Intake
from router.intake.reading import ReadBatch
from router.reports.folder.settle import Seen, Settling
from router.reports.folder.watch import Listing, Watch, scan

_FILES_AT_ONCE, _BYTES_AT_ONCE = 100, 2**25
_MANY = 1000
_PROGRESS_SECONDS = 10.0
# A file that does not read may still be in the making, whatever `settle` says.
_REFUSE_SECONDS = 2.0
_SHORTEST_REST = 0.2
_LONGEST_LOOK = 120.0  # seconds; a share over a slow line lists some ten thousand names in that time


class Pickup:
    """The loop step of the drop folder of an intake. `known` says whether anything was ever taken from it."""

    def __init__(self, intake: Intake, bus: EventBus, clock: Clock, *, known: bool) -> None:
        self.at = at = intake.at
        self._folder, self._keeps = at.path, at.keeps
        self._settle = at.settle.total_seconds()
        self._rescan = at.rescan.total_seconds()
        self._intake = intake
        self._bus = bus
        self._clock = clock
        self._settling = Settling(self._settle)
        self._failing: set[Seen] = set()
        self._unreadable: frozenset[Path] = frozenset()
        self._gone = ""  # why
        self._looking: float | None = None  # since when
        self._raised = {Alarm.DROP_FOLDER, Alarm.DROPPED_FILE}  # perhaps, before a restart
        self._untried: set[Seen] | None = None  # of what lay there at the first look
        self._filled = known or intake.leftovers.any()
        self._stopping = False
        self.idle = False  # all that lies there was dealt with when it was last looked at
        self.watch = Watch(at.path)

    def use(self, at: DropFolder) -> None:
        """Leave out other folders inside it from the next scan on, and look at it at all, as `at` says; it is the same
        folder.
        """
        self.at = at

    @property
    def trouble(self) -> str:
        """Why nothing can be taken from the drop folder; "" while it can."""
        looking = self._looking
        if looking is not None and self._clock.monotonic() - looking >= _LONGEST_LOOK:
            return "the drop folder does not answer"
        return self._gone

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stopping = True
        self.watch.stop()

    def step(self) -> float:
        """Scan once and take what has settled; seconds until the next scan."""
        found = self._look() if self.at.used else None
        if found is None:
            self.idle = not self.at.used
            self._intake.leftovers.look(None)
            return self._rescan
        ripe = self._settling.settled(found.files, self._clock.monotonic())
        self._take([seen for seen in ripe if not self._left_alone(seen)])
        self._intake.leftovers.look(found, self._failing)
        waiting = self._settling.pending - self._failing
        # Clear the alarm, but not before each file of the first scan was tried: one of them may have raised it.
        self._untried = set(found.files if self._untried is None else self._untried) & waiting
        if not (found.unreadable or self._failing or self._untried):
            self._clear(Alarm.DROPPED_FILE, "everything in the drop folder can be read")
        self.idle = not waiting
        return max(min(self._settle, self._rescan), _SHORTEST_REST) if waiting else self._rescan

    # -- the share

    def _look(self) -> Listing | None:
        """The files that lie there; None while the share is gone: the folder is empty, and was not before."""
        self._looking = self._clock.monotonic()
        try:
            found = scan(self._folder, self.at.without)
        except OSError as error:
            self._say_gone(f"the drop folder does not answer: {error.strerror}")
            return None
        finally:
            self._looking = None
        if found.empty and self._filled:
            self._say_gone("the drop folder is empty, and was not before: look whether its share is mounted")
            return None
        self._filled = self._filled or not found.empty
        if self._gone:
            self._gone = ""
            for seen in self._settling.pending:
                self._settling.settle_again(seen)
            self.watch.again()
        self._clear(Alarm.DROP_FOLDER, "the drop folder answers")
        self._say_unreadable(found.unreadable)
        self._failing.intersection_update(found.files)
        return found

    def _say_gone(self, text: str) -> None:
        if not self._gone:
            self._gone = text
            self._alarm(Alarm.DROP_FOLDER, text)

    def _say_unreadable(self, unreadable: frozenset[Path]) -> None:
        # Names of folders may hold patients' names, so they are counted.
        if unreadable - self._unreadable:
            what = f"{len(unreadable)} folder(s) or file(s) below the drop folder"
            text = f"{what} cannot be read: look at their rights, and at folders that lie too deep"
            self._alarm(Alarm.DROPPED_FILE, text)
        self._unreadable = unreadable

    # -- the files

    def _left_alone(self, seen: Seen) -> bool:
        """Whether it was dealt with before the node started, and stays there."""
        dealt_with = self._intake.dealt_with(seen)
        if dealt_with:
            self._settling.done(seen)
        return dealt_with

    def _take(self, files: Sequence[Seen]) -> None:
        """One batch is read while the one before it is filed."""
        progress = _Progress(len(files), self._bus, self._clock)
        batches = _batches(files)
        with ThreadPoolExecutor(1) as ahead:
            reading = self._read(ahead, batches)
            while reading is not None and not self._stopping:
                found = reading.result()
                reading = self._read(ahead, batches)
                self._file(found)
                progress.add(found)

    def _read(self, ahead: ThreadPoolExecutor, batches: Iterator[Sequence[Seen]]) -> Future[ReadBatch] | None:
        batch = next(batches, None)
        return None if batch is None else ahead.submit(self._intake.read, batch)

    def _file(self, found: ReadBatch) -> None:
        now = self._clock.monotonic()
        hasty = {seen for seen in found.invalid if self._settling.still_for(seen, now) < _REFUSE_SECONDS}
        invalid = {seen: error for seen, error in found.invalid.items() if seen not in hasty}
        unrefused, changed = self._refuse(invalid)
        failed = {**found.unreadable, **self._intake.file(found.documents), **unrefused}
        for seen, error in failed.items():
            # Tried again at every rescan, reported once, and without its name, which may hold a patient's.
            if seen not in self._failing:
                self._failing.add(seen)
                self._alarm(Alarm.DROPPED_FILE, f"a file of the drop folder cannot be taken: {error.strerror}")
        for seen in (*found.changed, *changed):
            self._settling.settle_again(seen)
        for seen in {*found.files, *invalid} - {*failed, *changed}:
            self._failing.discard(seen)
            # A file that was moved away is gone: a later one of its name is another file, whatever it looks like.
            (self._settling.done if self._keeps else self._settling.settle_again)(seen)

    def _refuse(self, invalid: Mapping[Seen, InvalidData]) -> tuple[dict[Seen, OSError], list[Seen]]:
        """Files that could not be refused, and files that have changed since they were read."""
        failed, changed = {}, []
        for seen, error in invalid.items():
            try:
                if not self._intake.refuse(seen, error):
                    changed.append(seen)
            except OSError as trouble:
                failed[seen] = trouble
        return failed, changed

    def _alarm(self, alarm: Alarm, text: str) -> None:
        self._raised.add(alarm)
        self._record(Kind.ALARM, alarm, text)

    def _clear(self, alarm: Alarm, text: str) -> None:
        if alarm in self._raised:
            self._raised.discard(alarm)
            self._record(Kind.CLEARED, alarm, text)

    def _record(self, kind: Kind, alarm: Alarm, text: str) -> None:
        fields = {"hospital": self.at.hospital} if self.at.hospital else {}
        self._bus.record(Event(self._clock.now(), kind, text, fields=fields, alarm=alarm, subject=self.at.name))


class _Progress:
    """Reports progress while many files are taken."""

    def __init__(self, total: int, bus: EventBus, clock: Clock) -> None:
        self._total = total
        self._bus = bus
        self._clock = clock
        self._done = 0
        self._reported = clock.monotonic()
        if total >= _MANY:
            self._report()

    def add(self, found: ReadBatch) -> None:
        """Count a batch that was dealt with."""
        self._done += len(found.files) + len(found.invalid) + len(found.unreadable) + len(found.changed)
        late = self._clock.monotonic() - self._reported >= _PROGRESS_SECONDS
        if self._total >= _MANY and (late or self._done == self._total):
            self._report()

    def _report(self) -> None:
        self._reported = self._clock.monotonic()
        text = f"{self._done} of {self._total} files of the drop folder are taken"
        self._bus.record(Event(self._clock.now(), Kind.DOCUMENT, text))


def _batches(files: Sequence[Seen]) -> Iterator[Sequence[Seen]]:
    batch: list[Seen] = []
    size = 0
    for seen in files:
        if batch and (len(batch) == _FILES_AT_ONCE or size + seen.size > _BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(seen)
        size += seen.size
    if batch:
        yield batch
