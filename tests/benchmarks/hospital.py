"""The whole node with everything on, between a PACS and a RIS that send to it and DCMTK's storescp as the cloud."""

import json
import os
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import material
import rivals
from measure import busy_seconds, markdown
from processes import Peer, busy, family, fresh

from router.catalogue import open_catalogue
from router.clock import SystemClock
from router.config.file import load
from router.events import EventBus
from router.model import Channel
from router.policy.pause import EVERY
from router.policy.states import State
from router.review.deliveries import Line
from router.trial.demo.studies import DemoStudy
from support.harness import Exam, Site

_LOOK_SECONDS = 0.01
_EXAMS_SECONDS = 120.0
_ARRIVAL_SECONDS = 120.0
_MOST_PLACES = 25
_JOURNAL = "512 MiB"  # the default; a short one is for tests
_PROFILE = "profile.json"


@dataclass(frozen=True, slots=True)
class Hospital:
    """A node that is up, its receiver, and the folder into which that writes."""

    site: Site
    receiver: Peer
    cloud: Path

    def approve(self, studies: Sequence[DemoStudy]) -> None:
        """The RIS drops an approved report for each study; returns when the node has taken them all."""
        config, now = load(self.site.config_file), SystemClock().now()
        for number, study in enumerate(studies):
            self.site.report(Exam(f"EXAM{number}", study, config, now))
        self.site.wait_until(lambda: self._knows(len(studies)), "the exams are known", _EXAMS_SECONDS)

    def images(self) -> list[Line]:
        """The deliveries of images."""
        return [line for line in self.site.lines() if line.delivery.channel == Channel.IMAGES]

    def ready(self, count: int) -> bool:
        """Whether so many images are selected, and every exam's could go."""
        lines = self.images()
        return sum(one.selected for one in lines) == count and all(one.delivery.state == State.READY for one in lines)

    def pause(self, *, begin: bool) -> None:
        """Begin or end a pause of all sending, by the database, as a person's command does."""
        config, now = load(self.site.config_file), SystemClock().now()
        catalogue = open_catalogue(config.database.url, config.node.data, EventBus())
        try:
            if begin:
                catalogue.pauses.begin(EVERY, "bench", "to be measured", now)
            else:
                catalogue.pauses.end(EVERY, "bench", "", now)
        finally:
            catalogue.engine.close_thread()

    def spending(self) -> dict[str, float]:
        """Seconds of processor time so far, by who spent it; of `PACS` what it spent in all that has ended."""
        main, *workers = family(self.site.node.number)
        pacs = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "the node's main process": busy(main), "its workers": sum(map(busy, workers)),
            "storescp": busy(self.receiver.process), "the PACS": pacs.ru_utime + pacs.ru_stime,
            "the machine in all": busy_seconds(),
        }  # fmt: skip

    def profile(self) -> str:
        """Stop the node, which was started to be profiled; where its main process was, the costliest first."""
        self.site.node.stop()
        return _profile_table(json.loads((self.site.folder / _PROFILE).read_text(encoding="utf-8")))

    def _knows(self, exams: int) -> bool:
        if any(path.is_file() for path in self.site.drop_folder.iterdir()):
            return False
        return sum(1 for line in self.images() if line.delivery.state == State.WAITING) == exams


@contextmanager
def hospital(folder: Path, *, associations: int = 2, profiled: bool = False) -> Iterator[Hospital]:
    """A node with as many receive workers as there are cores, whose studies are stable after a second."""
    with fresh(folder) as own, fresh(folder) as cloud, rivals.storescp("--fork", best=True)(cloud) as receiver:
        profiler = [str(Path(__file__).with_name("profiled.py")), str(own / _PROFILE)]
        site = Site(
            own, dicom_port=receiver.port, workers=0, journal=_JOURNAL, dicom_settings=f"associations = {associations}",
            program=profiler if profiled else ["-m", "router.cli"],
        )  # fmt: skip
        try:
            yield Hospital(site.start(), receiver, cloud)
        finally:
            site.stop()


def cores(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> str:
    """Processors in use between two `Hospital.spending`, so many seconds apart."""
    return ", ".join(f"{name} {(after[name] - before[name]) / seconds:.2f}" for name in before)


def await_arrival(cloud: Path, count: int, size: int) -> None:
    """Return when so many files are there, each with `size` bytes. RuntimeError after long."""
    began = looked = time.monotonic()
    while not (material.count(cloud) >= count and all(file.stat().st_size >= size for file in os.scandir(cloud))):
        if looked - began > _ARRIVAL_SECONDS:
            raise RuntimeError(f"{material.count(cloud)} of {count} instances arrived")
        time.sleep(max(_LOOK_SECONDS, 20 * (time.monotonic() - looked)))  # looking must not slow down what is awaited
        looked = time.monotonic()


def _profile_table(spent: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    found = [(thread, place, seconds) for thread, places in spent.items() for place, seconds in places.items()]
    threads = [
        (thread, "all of it", list(map(sum, zip(*places.values(), strict=True)))) for thread, places in spent.items()
    ]
    heads = ["thread", "function", "s on a processor", "s waiting for one", "s waiting for the disk"]
    rows = []
    for some in (threads, found):
        some.sort(key=lambda row: -sum(row[2]))
        rows += [[thread, place, *(f"{one:.2f}" for one in seconds)] for thread, place, seconds in some[:_MOST_PLACES]]
    return markdown("The node's main process", heads, rows)
