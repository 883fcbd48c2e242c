"""What a day's purge costs those who receive and claim meanwhile."""

import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import material
import rivals
import senders
from material import SMALL_BYTES
from measure import Run, say
from processes import fresh
from queue_rows import arrivals, fill
from receive import CORES

from router.catalogue import Catalogue, open_catalogue
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.images import Facts, Instance, Study
from router.catalogue.images.ledger import Fate, Outcome
from router.clock import SystemClock
from router.config.file import parse
from router.events import EventBus
from router.images.cataloguer import Cataloguer
from router.images.rulebook import rulebook
from router.loop import Loop
from router.model import Channel
from router.policy.states import State
from router.storage import Storage, open_storage
from router.upkeep.retention import Retention

_DAY, _PER_STUDY, _PORTION, _PORTIONS = 10_000, 250, 200, 100
_ASSOCIATIONS = 2
_READY_ROWS = 20_000
_CLAIM_EVERY = 0.02
_LEASE = timedelta(minutes=2)
_SHARE = 1 / 4  # of its time, as the node lets it work
_FILE_BYTES = 8192
_CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
[reports]
folder = "drop"
"""


@dataclass(slots=True)
class _Seen:
    """Seconds of each claim; instances acknowledged, and in what time."""

    claims: list[float] = field(default_factory=list)
    received: int = 0
    seconds: float = 0.0

    def row(self, name: str, before: "_Seen | None") -> list[str]:
        ordered, rate = sorted(self.claims), self.received / self.seconds
        p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
        marks = [f"{1000 * one:.1f}" for one in (statistics.median(ordered), p99, ordered[-1])]
        against = "" if before is None else f"{100 * rate / (before.received / before.seconds):.0f} %"
        return [name, str(len(ordered)), *marks, f"{rate:.0f}", against]


HEADS = ["", "claims", "median ms", "p99 ms", "longest ms", "received/s", "of that without"]


def measured(name: str, url: str, run: Run) -> list[list[str]]:
    """The rows of one engine: the same load without a purge, then with one."""
    with fresh(run.folder) as folder, ExitStack() as stack:
        there = _House(folder, url, run.count(_DAY, 500), run.count(_PORTIONS, 8))
        stack.callback(there.close)
        say(f"  {name}: filled")
        peer = stack.enter_context(rivals.ours(CORES)(folder / "data" / "incoming" / "bench"))
        stack.enter_context(there.cataloguing())
        seconds = run.duration() / 4
        began = time.monotonic()
        without = there.loaded(peer.port, lambda: time.monotonic() - began < seconds)
        with there.purging():
            meanwhile = there.loaded(peer.port, lambda: not there.purged())
        say(f"  {name}: purged in {meanwhile.seconds:.1f} s")
    return [without.row(f"{name}: without", None), meanwhile.row(f"{name}: while a day is purged", without)]


class _House:
    """A node's cataloguer, retention and claims in this process; receiving is in processes of its own."""

    def __init__(self, folder: Path, url: str, day: int, portions: int) -> None:
        (folder / "drop").mkdir()
        self._folder = folder
        self._config = parse(_CONFIG, base=folder)
        self._bus, self._clock, self._filing = EventBus(), SystemClock(), threading.Lock()
        self._storage: Storage = open_storage(folder / "data", "bench")
        self._catalogue: Catalogue = open_catalogue(url, folder / "data", self._bus)
        fill(self._catalogue, _READY_ROWS)
        for table in (Study, Facts, Exam, Instance):
            self._catalogue.engine.numbered(table)
        for number in range(max(day // _PER_STUDY, 1)):
            self._delivered(f"1.3.{number}", datetime.now(UTC) - timedelta(days=31))
        self._catalogue.engine.execute("UPDATE exam SET check_at = NULL", ())
        folders = (folder / f"s{number}" for number in range(1, portions + 1))
        made = [material.instances(one, _PORTION, SMALL_BYTES, n) for n, one in enumerate(folders, 1)]
        self._portions = iter(made)

    def close(self) -> None:
        self._catalogue.engine.close_thread()

    def purged(self) -> bool:
        """Whether nothing of the day is left."""
        return not any((self._folder / "data" / "studies").glob("1.3.*"))

    @contextmanager
    def cataloguing(self) -> Iterator[None]:
        book = rulebook(self._config.series)
        cataloguer = Cataloguer(
            self._storage, self._catalogue.instances, lambda _: book, lambda _: None, self._bus, self._clock
        )

        def step() -> float:
            with self._filing:
                return 0.0 if cataloguer.run_batch() else 0.2

        with self._loop("cataloguer", step):
            yield

    @contextmanager
    def purging(self) -> Iterator[None]:
        retention = Retention(
            config=self._config, purge=self._catalogue.purge, expiry=self._catalogue.expiry, storage=self._storage,
            bus=self._bus, clock=self._clock, free=lambda: 2**60, filing=self._filing,
        )  # fmt: skip
        with self._loop("retention", retention.step, _SHARE):
            yield

    def loaded(self, port: int, going: Callable[[], bool]) -> _Seen:
        """Send and claim while `going`."""
        seen, ended = _Seen(), threading.Event()
        claiming = threading.Thread(target=self._claim, args=(seen, ended))
        claiming.start()
        try:
            while going():
                seen.seconds += senders.ours(port, next(self._portions), _ASSOCIATIONS)["seconds"]
                seen.received += _PORTION
        finally:
            ended.set()
            claiming.join()
        return seen

    def _claim(self, seen: _Seen, ended: threading.Event) -> None:
        while not ended.wait(_CLAIM_EVERY):
            began = time.perf_counter()
            claimed = self._catalogue.queue.claim("cloud", Channel.IMAGES, "bench", self._clock.now(), _LEASE)
            if claimed is not None:
                seen.claims.append(time.perf_counter() - began)
        self._catalogue.engine.close_thread()

    @contextmanager
    def _loop(self, name: str, step: Callable[[], float], share: float = 1.0) -> Iterator[None]:
        loop = Loop(
            name, step, self._bus, self._clock, close=self._catalogue.engine.close_thread, share=share
        )  # fmt: skip
        loop.start()
        try:
            yield
        finally:
            loop.stop()
            loop.join(30)

    def _delivered(self, study: str, at: datetime) -> None:
        news = arrivals(study, _PER_STUDY, _FILE_BYTES, at)
        for new in news:
            path = self._storage.studies.path(new.header.uids, 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(_FILE_BYTES))
        self._catalogue.instances.add(news)
        queue, accounts = self._catalogue.queue, self._catalogue.ledger
        exam = self._catalogue.exams.number_of("", "01", study, at)
        self._catalogue.exams.links.link(exam, [study], "listed", at)
        queue.make(exam, [("cloud", Channel.IMAGES)], at)
        for to in (State.READY, State.SENDING, State.DELIVERED):
            queue.move(queue.of_exam(exam)[0], to, at, "bench")
        accounts.decide("cloud", [(one.key, True, "thin") for one in accounts.undecided(exam, "cloud")], at)
        sent = [
            Outcome(key=one.key, fate=Fate.SENT, status=0, association="a")
            for one in accounts.to_send(exam, "cloud", _PER_STUDY)
        ]
        accounts.record(sent, at)
