"""Retention: finished data is removed when its time is over, and sooner, oldest first, when the disk runs short.

Nothing is removed that is waiting, held, deferred, failed or being sent; quarantine waits for a person.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from router.alarms import Alarm
from router.catalogue.exams.expiry import Expiry
from router.catalogue.images.purge import Files, Old, Purge
from router.clock import Clock
from router.config.folders import SOLE, DropFolder, drop_folders
from router.config.sections import Config
from router.config.sections import Retention as Times
from router.events import Event, EventBus, Kind
from router.intake.origin import located, noted
from router.reports.folder import originals
from router.reports.folder.directory import opened
from router.storage import Storage
from router.upkeep.clock_watch import beginning

LOOK_SECONDS = 60.0
_SWEEP_EVERY = timedelta(hours=1)
_STEADY_SECONDS = 3600.0  # after a jump of the clock: time to set it right
_JUMP = timedelta(minutes=1)
_NEAR = 1.5
_AT_ONCE = 20
_SHORTEST_DELIVERED = timedelta(hours=1)
_SHARE_UNMATCHED = 4
_DATA = "data folder"
_ORIGINALS = 500


class Room(Enum):
    """The free space measured by `[receive] min_free`."""

    ENOUGH = "enough"
    SHORT = "short"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Ages:
    """The latest times of delivery, and of arrival for studies that no exam names, of data to be removed now."""

    delivered: datetime
    unmatched: datetime


def room(free: int, floor: int) -> Room:
    """The room that `free` bytes are, with a `floor` in bytes."""
    if free <= floor:
        return Room.NONE
    return Room.SHORT if free < _NEAR * floor else Room.ENOUGH


def due(times: Times, now: datetime) -> Ages:
    """The ages as configured."""
    return Ages(now - times.delivered, now - times.unmatched)


def early(times: Times, now: datetime) -> Ages:
    """The ages when the disk is short: delivered data at once, unnamed after a quarter of its time, as reports lag."""
    return Ages(now - min(times.delivered, _SHORTEST_DELIVERED), now - times.unmatched / _SHARE_UNMATCHED)


class Retention:
    """The duty to purge. `free` gives the bytes left on the data folder's volume; under `filing` nothing is filed."""

    def __init__(
        self, *, config: Config, purge: Purge, expiry: Expiry, storage: Storage, bus: EventBus, clock: Clock,
        free: Callable[[], int], filing: AbstractContextManager[object],
        folders: Callable[[], Sequence[DropFolder]] | None = None,
    ) -> None:  # fmt: skip
        """`folders` gives the drop folders that answer, those of `config` without it."""
        self._times = config.retention
        self._floor = config.receive.min_free
        self._folders = folders or (lambda: drop_folders(config))
        self._purge = purge
        self._expiry = expiry
        self._studies = storage.studies
        self._reports = storage.reports
        self._bus = bus
        self._clock = clock
        self._free = free
        self._filing = filing
        self._next_sweep: datetime | None = None
        self._began, self._steady_from = beginning(clock), float("-inf")

    def step(self) -> float:
        """Purge a little; the seconds to rest, 0 when there may be more to do."""
        now = self._clock.now()
        if not self._is_steady():
            self._record_room(now)
            return LOOK_SECONDS
        if self._next_sweep is None:
            self.recover()
            self._next_sweep = now
        if now >= self._next_sweep:
            found = self._sweep(due(self._times, now), now) or self._sweep_reports(now)
            if found or self._purge.expire(now - self._times.audit):
                return 0.0
            self._tidy(now)
            self._next_sweep = now + _SWEEP_EVERY
        found = self._make_room(now)
        self._record_room(now)
        return 0.0 if found else LOOK_SECONDS

    def _is_steady(self) -> bool:
        """Whether the clock has not jumped lately: by a wrong clock new data is old, and is removed for good."""
        began = beginning(self._clock)
        if abs(began - self._began) >= _JUMP:
            self._began, self._steady_from = began, self._clock.monotonic() + _STEADY_SECONDS
            self._next_sweep = None
        return self._clock.monotonic() >= self._steady_from

    def recover(self) -> None:
        """Remove the files whose rows a former life removed without them."""
        for files in self._purge.removals():
            with self._filing:
                self._remove(files)

    def _sweep(self, ages: Ages, now: datetime) -> int:
        """Remove everything of these ages, a page at a time; how many studies were removed."""
        delivered = self._purge.delivered(ages.delivered, now, _AT_ONCE)
        return self._remove_studies(delivered, ages.delivered) or self._remove_studies(
            self._purge.unmatched(ages.unmatched, _AT_ONCE), ages.unmatched
        )

    def _sweep_reports(self, now: datetime) -> int:
        """Remove copies of PDFs, then exams whose records are over, a page at a time; of how many exams."""
        before, over = now - self._times.delivered, now - self._times.records
        copies = self._expiry.with_copies(before, now, _AT_ONCE)
        old = [] if copies else self._expiry.old(over, now, _AT_ONCE)
        taken = [self._expiry.take_copies(exam, before, now) for exam in copies]
        taken += [self._expiry.drop(exam, over, now) for exam in old]
        found = [files for files in taken if files is not None]
        for files in found:
            self._remove(files)
        return len(found)

    def _make_room(self, now: datetime) -> int:
        """Remove early when the disk is short: delivered data first, then unnamed, until there is room."""
        if self._room() is Room.ENOUGH:
            return 0
        found = self._sweep(due(self._times, now), now)
        if found:
            return found
        ages = early(self._times, now)
        found = self._remove_studies(self._purge.delivered(ages.delivered, now, _AT_ONCE), ages.delivered, sparing=True)
        found += self._remove_studies(self._purge.unmatched(ages.unmatched, _AT_ONCE), ages.unmatched, sparing=True)
        text = f"the disk is short: {found} studies removed before their time" if found else "nothing may be removed"
        self._record(Kind.ALARM, Alarm.RETENTION, f"less than {_NEAR} x min_free is left: {text}", now)
        return found

    def _remove_studies(self, studies: Iterable[Old], before: datetime, *, sparing: bool = False) -> int:
        """Remove studies, with `sparing` only while the disk is short; how many were removed."""
        gone = 0
        for old in studies:
            if sparing and self._room() is Room.ENOUGH:
                break
            removed = False
            while self._remove_batch(old, before):
                removed = True
            gone += removed
        return gone

    def _remove_batch(self, old: Old, before: datetime) -> bool:
        """Remove under `filing`: an instance that comes again is filed before, and stays, or after, as a new one."""
        with self._filing:
            files = self._purge.take(old, before, self._clock.now())
            if files is not None:
                self._remove(files)
        return files is not None

    def _remove(self, files: Files) -> None:
        with self._purge.removing(files) as left:
            self._studies.remove(self._studies.path(uids, version) for uids, version in left.instances)
            self._reports.remove(left.places)

    def _tidy(self, now: datetime) -> None:
        """Remove originals of the drop folders that the node itself put below done/ and rejected/, and no others."""
        with ExitStack() as stack:
            tops: dict[str | None, int] = {}
            for at in self._folders():
                with suppress(OSError):  # a share that is gone has the drop folder's own alarm
                    tops[at.hospital] = stack.enter_context(opened(at.path))
            self._begin(tops, now)
            found, troubles = self._remove_originals(tops, now - self._times.done)
        if found[True] or found[False]:
            text = f"{found[True]} original(s) removed from done/ and rejected/"
            text += f"; {found[False]} are other files by now and stay" if found[False] else ""
            self._bus.record(Event(now, Kind.PURGED, text))
        for at in self._folders():
            if at.hospital in tops:
                trouble = troubles.get(at.hospital, "")
                text = trouble or "what was set aside there can be removed"
                self._record(Kind.ALARM if trouble else Kind.CLEARED, Alarm.RETENTION, text, now, at.name)

    def _begin(self, tops: Mapping[str | None, int], now: datetime) -> None:
        for hospital, top in tops.items():
            if not self._purge.originals.begun(hospital or ""):
                lying = ((noted(hospital, one), since) for one, since in originals.lying(top))
                self._purge.originals.begin(lying, now, hospital or "")

    def _remove_originals(
        self, tops: Mapping[str | None, int], before: datetime
    ) -> tuple[Counter[bool | None], dict[str | None, str]]:
        """How many are removed (True), are other files by now (False), or gone (None); and why some cannot be reached.

        The next sweep tries those again. A done/ or rejected/ that is missing may be on a share that is away.
        """
        found: Counter[bool | None] = Counter()
        troubles, after = dict[str | None, str](), ""
        while page := self._purge.originals.before(before, after, _ORIGINALS):
            gone = []
            for after, one in page:  # the next page begins after the last key of this one
                hospital, lying = (SOLE, one) if SOLE in tops else located(one)
                try:
                    if hospital in tops:
                        found[originals.remove(tops[hospital], lying)] += 1
                        gone.append(after)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    troubles[hospital] = f"what was set aside there cannot be removed: {error.strerror}"
            self._purge.originals.forget(gone)
        return found, troubles

    def _room(self) -> Room:
        return room(self._free(), self._floor)

    def _record_room(self, now: datetime) -> None:
        found = self._room()
        if found is Room.NONE:
            self._record(Kind.ALARM, Alarm.DISK, "images are refused: less than min_free is left", now)
        else:
            self._record(Kind.CLEARED, Alarm.DISK, "there is room for images", now)
        if found is Room.ENOUGH:
            self._record(Kind.CLEARED, Alarm.RETENTION, "nothing is removed before its time", now)

    def _record(self, kind: Kind, alarm: Alarm, text: str, now: datetime, subject: str = _DATA) -> None:
        self._bus.record(Event(now, kind, text, alarm=alarm, subject=subject))
