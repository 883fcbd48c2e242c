"""What a hospital sends in a round, again and again until it is taken, and what was acknowledged of it."""

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from router.errors import TransientError
from router.trial.demo.studies import DemoFile
from support.harness import Exam, Site, make_exam, send

_PATIENCE = 30.0  # seconds until a sender gives up: the node is to be back long before


class Load:
    """The senders of one round: two associations of a PACS, and the RIS. Each tries again what was not taken, for so
    many seconds (`patience`)."""

    def __init__(
        self, site: Site, port: int, exams: Sequence[Exam], dice: random.Random, patience: float = _PATIENCE
    ) -> None:
        self.exams = exams
        self.acknowledged: set[str] = set()
        self.dropped: list[str] = []
        self.files = {file.sop_instance: file for exam in exams for file in exam.study.files}
        self._site = site
        self._port = port
        self._patience = patience
        self._pace = dice.choice((0.0, 0.003, 0.01))
        self._papers = [(name, data) for exam in exams for name, data in _papers(site, exam)]
        dice.shuffle(self._papers)
        self._pauses = [dice.uniform(0.0, 0.15) for _ in self._papers]
        mixed = list(self.files.values())
        dice.shuffle(mixed)
        self._shares = mixed[::2], mixed[1::2]
        self._pool = ThreadPoolExecutor(3)
        self._jobs = [self._pool.submit(self._send, share) for share in self._shares] + [self._pool.submit(self._drop)]
        self._lock = threading.Lock()

    def join(self) -> None:
        """Until everything is taken; fails when that takes too long."""
        for job in self._jobs:
            job.result()
        self._pool.shutdown()

    def _send(self, files: Sequence[DemoFile]) -> None:
        until = time.monotonic() + self._patience
        while files:
            assert time.monotonic() < until, f"{len(files)} instance(s) were not taken within {self._patience:.0f} s"
            done = self._send_some(files)
            files = [file for file in files if file.sop_instance not in done]

    def _send_some(self, files: Sequence[DemoFile]) -> set[str]:
        done: set[str] = set()
        try:
            for result in send(self._port, files):
                if result.status == 0:
                    done.add(files[result.key].sop_instance)
                    self.acknowledged.add(files[result.key].sop_instance)
                time.sleep(self._pace)
        except (TransientError, OSError):
            pass
        if len(done) < len(files):
            time.sleep(0.1)
        return done

    def _drop(self) -> None:
        for (name, data), pause in zip(self._papers, self._pauses, strict=True):
            time.sleep(pause)
            self._site.drop(name, data)
            self.dropped.append(name)


def _papers(site: Site, exam: Exam) -> list[tuple[str, bytes]]:
    return [(f"{exam.id}.json", exam.json()), (f"{exam.id}.pdf", exam.pdf(site.folder))]


def make_exams(site: Site, first: int, dice: random.Random, sizes: tuple[int, int] = (8, 60)) -> list[Exam]:
    """Two or three exams, numbered from `first`, of 8 to 60 small slices, or as `sizes` says."""
    return [make_exam(site, first + n, instances=dice.randint(*sizes), side=10) for n in range(dice.randint(2, 3))]


def offset_file(site: Site) -> Path:
    """Where the node's clock is told how wrong it goes, in seconds."""
    return site.folder / "clock-offset"
