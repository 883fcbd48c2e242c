"""Scrub: a slow reading of stored images that no destination has confirmed yet.

A disk that loses bits in silence is noticed while the PACS still has the images, and not in the hour of sending. An
image that came within the interval was read within it, when it was catalogued.
"""

import os
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.images.damages import Stored
from router.clock import Clock
from router.dicom.dataset.checksum import compare, unreadable
from router.dicom.dataset.part10 import dataset_offset
from router.errors import IntegrityError, InvalidData, TransientError
from router.events import EventBus
from router.images.damage import Damage
from router.storage import Storage
from router.storage.scrubbed import Round

LOOK_SECONDS = 60.0
_RATE = 20_000_000  # bytes a second
_BUSY_SECONDS = 1.0


class _Stopped(Exception):
    """The node stops in the middle of a file."""


class Scrub:
    """The duty to scrub. `every` is the interval, zero: never.

    It gives way while `busy`: something is being sent. `wait` rests so many seconds; it returns whether the node stops.
    """

    def __init__(
        self, *, every: timedelta, catalogue: Catalogue, storage: Storage, bus: EventBus, clock: Clock,
        busy: Callable[[], bool], wait: Callable[[float], bool],
    ) -> None:  # fmt: skip
        self._every = every
        self._catalogue = catalogue
        self._studies = storage.studies
        self._scrubbed = storage.scrubbed
        self._damage = Damage(damages=catalogue.damages, bus=bus, clock=clock)
        self._clock = clock
        self._busy = busy
        self._wait = wait
        self._round: Round | None = None
        self._kept = True
        self._waiting: deque[Stored] = deque()
        self._looked = float("-inf")

    def step(self) -> float:
        """Read one file, or see what is next; the seconds to rest, 0 when there may be more to do."""
        # End the alarms about instances that were sent again, replaced or purged.
        if self._clock.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock.monotonic()
            self._damage.clear([one.subject for one in self._catalogue.alarms.of([Alarm.DAMAGED])])
        if self._busy():
            return _BUSY_SECONDS
        if self._waiting:
            return self._read(self._waiting.popleft())
        return self._go_on() if self._every else LOOK_SECONDS

    def _go_on(self) -> float:
        """Look at the next range of instances; a round that is over rests until the interval is."""
        now = self._clock.now()
        at = self._round or self._scrubbed.last()
        if self._round is not None and not self._kept:  # all before it is read by now
            self._scrubbed.write(self._round)
            self._kept = True
        # By a clock that was put back a round may lie in the future.
        if at is None or (at.reached is None and not timedelta(0) <= now - at.began < self._every):
            at = Round(now)
        if at.reached is None:
            return LOOK_SECONDS
        found, until = self._catalogue.damages.unconfirmed(at.reached, now - self._every)
        self._waiting.extend(found)
        over = until >= self._catalogue.damages.last()
        self._round, self._kept = Round(at.began, None if over else until), not (found or over)
        return 0.0

    def _read(self, one: Stored) -> float:
        try:
            self._compare(one)
        except IntegrityError as error:
            # A study that was purged meanwhile has lost its rows before its files.
            if not one.damaged and self._catalogue.damages.is_here(one.key):
                self._damage.found(one.key, one.uids, error.message)
        except TransientError:
            self._waiting.appendleft(one)
            return LOOK_SECONDS
        except _Stopped:
            self._waiting.appendleft(one)
        else:
            if one.damaged:
                self._damage.sound(one.uids, one.version)
        return 0.0

    def _compare(self, one: Stored) -> None:
        try:
            with self._studies.path(one.uids, one.version).open("rb") as file:
                # A page in memory says nothing about the disk, and pages read here must not drive others out.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                offset = dataset_offset(file).offset
                size = os.fstat(file.fileno()).st_size - offset
                compare(file, offset, size, one.checksum, self._pace)
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise unreadable(error) from error
        except InvalidData as error:
            raise IntegrityError("its file is no DICOM") from error

    def _pace(self, size: int) -> None:
        stops = self._wait(size / _RATE)
        while self._busy() and not stops:
            stops = self._wait(_BUSY_SECONDS)
        if stops:
            raise _Stopped
