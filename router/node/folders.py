"""Drop folders that hospitals have for themselves: each with its intake and a loop of its own.

One that does not answer keeps its own thread waiting and nobody else's.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from router.alarms import Alarm
from router.config.folders import DropFolder, drop_folders
from router.config.sections import Config
from router.events import Event, Kind
from router.intake.intake import Intake
from router.intake.pickup import Pickup
from router.loop import Loop
from router.node.build import Parts

_ALARMS = (Alarm.DROP_FOLDER, Alarm.DROPPED_FILE, Alarm.RETENTION)


@dataclass(slots=True, kw_only=True)
class Folder:
    """A drop folder in use; `read_by` is what documents were read by at its last step."""

    at: DropFolder
    intake: Intake
    pickup: Pickup
    read_by: tuple[object, ...] = ()
    begun: bool = False

    def begin(self) -> None:
        """Make the folder and listen to it, once, on the thread that takes from it: a dead share keeps that waiting."""
        if not self.begun:
            with suppress(OSError):  # as of the common folder: an alarm of the scan
                self.at.path.mkdir(parents=True, exist_ok=True)
            self.pickup.watch.start()
            self.begun = True


class OwnFolders:
    """Those of the configuration in use. `run` makes the loop of one."""

    def __init__(self, parts: Parts, run: Callable[[Folder], Loop]) -> None:
        self._parts = parts
        self._run = run
        self._running = False
        self._ended: list[Loop] = []
        self._loops: dict[DropFolder, tuple[Folder, Loop]] = {}
        self.use(parts.config)

    def all(self) -> Sequence[Folder]:
        """The folders in use."""
        return [folder for folder, _ in list(self._loops.values())]

    def loops(self) -> Sequence[Loop]:
        """Their loops."""
        return [loop for _, loop in list(self._loops.values())]

    def use(self, config: Config) -> None:
        """Take from the hospitals' folders of this configuration, and from no others."""
        wanted = {at: None for at in drop_folders(config) if at.hospital}
        still = {at.name for at in wanted}
        for at in [at for at in self._loops if at not in wanted]:
            folder, loop = self._loops.pop(at)
            self._end(folder, loop)
            if at.name not in still:
                self._forget(at)
        for folder, _ in self._loops.values():
            folder.intake.reconfigure(config)
        for at in wanted:
            if at not in self._loops:
                self._begin(at)

    def start(self) -> None:
        """Begin."""
        self._running = True
        for _, loop in self._loops.values():
            loop.start()

    def stop(self) -> None:
        """Ask every loop to end after the batch at hand."""
        for folder, loop in self._loops.values():
            folder.pickup.stop()
            loop.stop()

    def unfinished(self, until: float) -> int:
        """After `stop`: the number of loops still at work at that time of time.monotonic()."""
        loops = [*self.loops(), *self._ended]
        return sum(not loop.join(max(until - time.monotonic(), 0.1)) for loop in loops)

    def _begin(self, at: DropFolder) -> None:
        parts = self._parts
        intake = parts.make_intake(at)
        known = parts.catalogue.exams.files.used(at.hospital or "")
        pickup = Pickup(intake, parts.bus, parts.clock, known=known)
        folder = Folder(at=at, intake=intake, pickup=pickup, read_by=parts.exam_reader.read_by)
        self._loops[at] = folder, self._run(folder)
        if self._running:
            self._loops[at][1].start()

    def _end(self, folder: Folder, loop: Loop) -> None:
        folder.pickup.stop()
        loop.stop()
        self._ended = [one for one in (*self._ended, loop) if self._running and not one.join(0)]

    def _forget(self, at: DropFolder) -> None:
        """End the alarms about a folder that nothing is taken from any more."""
        text = "the hospital has no drop folder of its own any more"
        for alarm in _ALARMS:
            self._parts.bus.record(Event(self._parts.clock.now(), Kind.CLEARED, text, alarm=alarm, subject=at.name))
