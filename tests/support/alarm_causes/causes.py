"""Troubles of a node: causes of alarms, with the real parts that raise and end them; the clock is a test's.

Each is registered under its alarm, in the other modules of this package. `restart` throws away all that is in memory,
as the end of a process does.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from router.alarms import Alarm
from router.clock import FakeClock
from router.config.file import parse
from router.delivery.deadline_monitor import DeadlineMonitor
from router.model import Channel
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.review.deliveries import Review
from support.catalogue_rows import driver
from support.exam_workflow import CLOUD, ExamWorkflow
from support.intake_folder import CONFIG, E1, START

STUDY = "1.2.3"
LISTS: dict[str, object] = {"Study__StudyInstanceUIDs": [STUDY]}
NOW_APPROVED: dict[str, object] = LISTS | {
    "Report__SubmitTime": "2026-03-02 17:30:00", "Report__ApproveTime": "2026-03-02 18:00:00",
}  # fmt: skip
CORRECTED: dict[str, object] = NOW_APPROVED | {"Report__SubmitTime": "2026-03-02 17:59:00"}
ELSEWHERE = (CONFIG + CLOUD).replace('name = "cloud"', 'name = "other"')


class Jumping(FakeClock):
    """Can be set wrong; the monotonic one goes on."""

    wrong = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.wrong


class House(ExamWorkflow):
    """A clinic whose clock may jump; `works` are the loops that its node runs."""

    start = START
    works: Sequence[str] | None = None

    def _open(self) -> None:
        if not isinstance(self.clock, Jumping):
            self.clock = Jumping(self.start)
        super()._open()
        driver(self.catalogue).execute_sql("PRAGMA synchronous=OFF")  # memory is lost here, power is not
        self.lookout = DeadlineMonitor(self.config, self.catalogue, self.bus, self.clock, lambda: self.works)

    def close(self) -> None:
        self.catalogue.engine.close_thread()


class Trouble:
    """A cause of an alarm on a clinic. `ends_with_process`: a restart is its end."""

    settings: ClassVar[str] = ""
    ends_with_process: ClassVar[bool] = False
    house: Any

    def __init__(self, folder: Path, readers: Readers, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = patch
        self.house = self.made(folder, readers)
        self.open()

    def made(self, folder: Path, readers: Readers) -> Any:
        return House(folder, readers, self.settings)

    def open(self) -> None:
        """Parts of its own, after a start."""

    def restart(self) -> None:
        self.house.restart()
        self.open()

    def cause(self) -> None:
        """It arises."""

    def look(self) -> None:
        """The parts that raise and end it do what they do from time to time."""
        self.house.settle()
        self.house.lookout.step()

    def mend(self) -> None:
        """It ends: nothing but a person, a peer or the disk does anything."""

    # -- what several need

    @property
    def review(self) -> Review:
        return Review(self.house.catalogue, self.house.clock)

    @property
    def now(self) -> datetime:
        found: datetime = self.house.clock.now()
        return found

    def cancel(self, *channels: Channel) -> None:
        for channel in channels:
            assert self.review.cancel(self.house.delivery(channel=channel), "not needed", "wang")

    def moved(self, *way: State, **changes: object) -> None:
        for to in way:
            delivery = self.house.delivery()
            assert self.house.catalogue.queue.move(delivery, to, self.now, "on the way", changes=changes)

    def go(self, text: str) -> None:
        """Another configuration, for the next start."""
        self.house.config = parse(text, base=self.folder)

    def ready_images(self) -> None:
        self.house.pacs(STUDY)
        self.house.ris(E1, **NOW_APPROVED)
        self.house.later(minutes=2)


TROUBLES: dict[Alarm, list[type[Trouble]]] = defaultdict(list)


def of(alarm: Alarm) -> Callable[[type[Trouble]], type[Trouble]]:
    """Register a trouble under its alarm."""

    def register(one: type[Trouble]) -> type[Trouble]:
        TROUBLES[alarm].append(one)
        return one

    return register
