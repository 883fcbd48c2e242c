"""A node of the run: the product's own parts, with clock, clients and the moments between two writes in our hands."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from router.catalogue import Catalogue, open_catalogue
from router.catalogue.db.engine import PostgresEngine, SqliteEngine
from router.catalogue.queue.queue import Delivery
from router.cluster.membership import CORRELATOR, LOOKOUT, RETENTION, Membership
from router.config.sections import Config
from router.correlator.checks import resolved
from router.correlator.correlator import Correlator
from router.delivery.breaker_gate import Route
from router.delivery.deadline_monitor import DeadlineMonitor
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import ImagesSender, ReportSender, Sender, SendResult
from router.delivery.sharing import Sharing
from router.delivery.throttle import Throttle
from router.delivery.unwritten import Unwritten
from router.dicom.scu.client import StorageClient
from router.errors import RouterError, TransientError
from router.events import EventBus
from router.forward.credentials import Credentials
from router.forward.profiles import Profile
from router.forward.report import ReportAgent
from router.images.rulebook import rulebook
from router.images.selection import Selection
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.model import Channel
from router.policy.bandwidth import Window
from router.review.decisions import Decisions
from router.review.deliveries import Review
from router.storage import open_storage
from router.storage.lock import lock
from router.storage.takeover import Takeover
from router.upkeep.retention import Retention
from simulation.far_ends import FarEnd, Line, ReportLine, StorageLine
from support.catalogue_rows import driver
from support.node_without_sockets import START, PlainReaders

if TYPE_CHECKING:
    from simulation.world import World

LEASE = timedelta(seconds=60)


class Crash(BaseException):
    """The node's process has ended: nothing of it runs any more, neither `except Exception` nor a `finally` writes."""


class SimClock:
    """The clock of everybody, the database's too; it counts microseconds, so that every instant can be met exactly."""

    def __init__(self) -> None:
        self.micros = 0

    def now(self) -> datetime:
        return START + timedelta(microseconds=self.micros)

    def monotonic(self) -> float:
        return self.micros / 1e6

    @property
    def stamp(self) -> int:
        """The instant as the database keeps it."""
        return int(START.timestamp()) * 1_000_000 + self.micros


@dataclass(frozen=True)
class Watched:
    """A sender of the node, whose delivery is known to those who watch."""

    sender: Sender
    node: "SimNode"

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        self.node.judged.pop(delivery.id, None)
        self.node.sending.append(delivery)
        try:
            return self.sender.send(delivery, stop)
        finally:
            self.node.sending.pop()


class Taken:
    """The lock on writing results down: a thread that would wait for another one tries again with its next call."""

    def __init__(self) -> None:
        self._by_another = False

    def __enter__(self) -> None:
        if self._by_another:
            raise TransientError("another thread is writing down what was sent")
        self._by_another = True

    def __exit__(self, *_: object) -> None:
        self._by_another = False


class SimNode:
    """One life of a node. `sending` are the deliveries under way, the innermost last.

    `judged` are the deliveries against which nothing spoke when it was asked last, and that have not begun since;
    `counted` has the version that counted then.
    """

    def __init__(self, world: "World", name: str) -> None:
        self.name, self.world, self.watch = name, world, world.watch
        self.dead = self.frozen = self.no_writes = False
        self.sending: list[Delivery] = []
        self.judged: dict[int, int] = {}
        self.counted: dict[int, int] = {}
        self.busy: dict[str, int] = {}
        self._locked = lock(_made(world.data / "incoming" / name), name)
        bus, config = EventBus(), world.config
        self.catalogue = open_catalogue(world.url, world.data, bus)
        bus.subscribe(partial(self.watch.sending.heard, self))
        self._take_engine(self.catalogue)
        self._build(bus, resolved(config, self.catalogue.settings))

    def _build(self, bus: EventBus, config: Config) -> None:
        """As node/build.py does it."""
        catalogue, clock, name = self.catalogue, self.world.clock, self.name
        self.config, self.bus = config, bus
        self.storage = storage = open_storage(config.node.data, name)
        write = storage.reports.write

        def written(place: str, data: bytes, claim: int = 0) -> str:
            self.point("before a file")
            return write(place, data, claim)

        setattr(storage.reports, "write", written)  # noqa: B010  # mypy lets no method be assigned
        self.unwritten = Unwritten(storage.unwritten)
        self.unwritten._writing = Taken()  # type: ignore[assignment]
        references = ExamReader(config)
        takeover = Takeover(config.node.data / "incoming", name)
        self.membership = Membership(
            catalogue, takeover, name, lease=LEASE, bus=bus, clock=clock, unwritten=self.unwritten
        )  # fmt: skip
        book = self.world.book or rulebook(config.series)
        self.world.book = book
        selection = Selection(config, catalogue, lambda _: book, bus)
        self.intake = Intake(config, references, catalogue.exams, storage, bus, clock, PlainReaders(1))
        self.correlator = Correlator(config, references, catalogue, storage, selection, bus, clock)
        self.sharing = Sharing(catalogue, name, LEASE, alone=False)
        self.dispatcher = Dispatcher(
            catalogue, name, bus, clock, lease=LEASE, unwritten=self.unwritten, sharing=self.sharing
        )  # fmt: skip
        self.monitor = DeadlineMonitor(config, catalogue, bus, clock)
        self.retention = Retention(
            config=config, purge=catalogue.purge, expiry=catalogue.expiry, storage=storage, bus=bus, clock=clock,
            free=lambda: self.world.free, filing=nullcontext(),
        )  # fmt: skip
        self.review, self.decisions = Review(catalogue, clock), Decisions(config.identity, catalogue, bus, clock)
        self.routes = {kind: self._route(kind, end, references) for kind, end in self.world.ends.items()}

    def _route(self, kind: str, end: FarEnd, references: ExamReader) -> Route:
        """As delivery/routes.py does it, with models in place of the clients."""
        destination = self.config.destination_named(end.name)
        assert destination is not None
        windows = [Window(one.from_, one.to, one.limit) for one in destination.bandwidth]
        paced = Throttle(
            windows, self.config.node.timezone, self.world.clock, sleep=partial(self.watch.sending.sleeps, self),
            senders=partial(self.sharing.senders, end.name),
        )  # fmt: skip
        known = Credentials(b"k", cast(Profile, None))
        common: dict[str, Any] = {
            "config": self.config, "catalogue": self.catalogue, "storage": self.storage, "clock": self.world.clock,
            "objection": self._objection, "bus": self.bus, "unwritten": self.unwritten,
        }  # fmt: skip
        line: Line
        sender: Sender
        if kind == "reports":
            line, width, channel = ReportLine(self, end, paced), 1, Channel.REPORT
            sender = ReportSender(
                references=references, agent=cast(ReportAgent, line), credentials=lambda: known, **common
            )  # fmt: skip
        else:
            line, width, channel = StorageLine(self, end, paced), 2, Channel.IMAGES
            sender = ImagesSender(client=cast(StorageClient, line), asker=None, **common)
        return Route(
            destination=end.name, channel=channel, width=width, sender=Watched(sender, self), probe=line.probe
        )  # fmt: skip

    def _objection(self, delivery: Delivery) -> str:
        why = self.correlator.objection(delivery)
        if not why:
            self.watch.sending.judges(self, delivery)
        return why

    # -- its engine: each transaction is a point where others may come between, or where it ends

    def _take_engine(self, catalogue: Catalogue) -> None:
        engine: Any = catalogue.engine
        if isinstance(engine, SqliteEngine):
            driver(catalogue).execute_sql("PRAGMA synchronous=OFF")  # memory is lost here, power is not
        self._locks = 0
        transaction, execute, connected, names = (
            engine._transaction, engine.execute, engine.connected, engine.lock_names
        )  # fmt: skip
        clocks = (SqliteEngine.now, PostgresEngine.now)

        @contextmanager
        def transacted() -> Iterator[None]:
            if engine.database.transaction_depth():
                with transaction():
                    yield
                return
            self.point("before a write")
            if self.no_writes:
                raise TransientError("the database takes nothing")
            with transaction():
                yield
            self.point("after a write")

        @contextmanager
        def alive() -> Iterator[None]:
            if self.dead:
                raise Crash
            with connected():
                yield

        @contextmanager
        def alone(wanted: Any) -> Iterator[None]:
            self._locks += 1
            try:
                with names(wanted):
                    yield
            finally:
                self._locks -= 1

        def executed(sql: str, values: Any) -> Any:
            for each in clocks:
                sql = sql.replace(each, str(self.world.clock.stamp))
            return execute(sql, values)

        engine._transaction, engine.execute, engine.connected, engine.lock_names = transacted, executed, alive, alone
        self.set_clock()

    def set_clock(self) -> None:
        """The database's clock is everybody's."""
        self.catalogue.engine.now = str(self.world.clock.stamp)

    def point(self, where: str) -> set[str]:
        """Something may happen here; what the far end is to do about it."""
        if self.dead:
            raise Crash
        if self._locks or self.catalogue.engine.database.transaction_depth():
            return set()
        said = self.world.reach(self, where)
        if self.dead:
            raise Crash
        return said

    # -- its life

    def start(self) -> None:
        """As node/node.py recovers."""
        self.unwritten.take_up()
        self.unwritten.write_down(self.catalogue.late, self.bus, self.world.clock)
        self.catalogue.queue.take_back(self.name, self.world.clock.now())
        self.sharing.start()
        self.membership.beat()
        self.correlator.reconsider()

    def end(self) -> None:
        """The process is gone, and its locks with it."""
        if not self.dead:
            self.dead = True
            os.close(self._locked)

    def close(self) -> None:
        """Close what a dead process cannot keep open."""
        self.end()
        self.catalogue.engine.close_thread()

    @property
    def well(self) -> bool:
        """Whether its threads run and its database answers."""
        return not (self.dead or self.frozen or self.no_writes)

    def tick(self, *, beats: bool) -> None:
        """What its threads do by the clock: leases each second, a sign of life each quarter of a lease."""
        try:
            self.dispatcher.keep_leases()
            if beats:
                self.membership.beat()
        except RouterError:
            pass  # Loop tries again

    # -- its duties, each a call

    @property
    def calls(self) -> Mapping[str, Callable[[], object]]:
        """Every call by its kind."""
        return {
            **{kind: partial(self.run_route, kind) for kind in self.routes},
            "correlate": partial(self._held, CORRELATOR, self.correlator.run_due),
            "lookout": partial(self._held, LOOKOUT, self._look_out),
            "retention": partial(self._held, RETENTION, self._retain),
        }

    def run_route(self, kind: str) -> bool:
        """One delivery, as a route's loop does it."""
        route = self.routes[kind]
        before = self.world.ends[kind].answered
        went = self.dispatcher.run_one(route)
        self.watch.sending.ran(self, self.world.ends[kind], route, before)
        return went

    def _held(self, duty: str, step: Callable[[], object]) -> None:
        if self.membership.has(duty):
            step()

    def _look_out(self) -> None:
        self.monitor.step()
        self.watch.standing.looked_out(self)

    def _retain(self) -> None:
        for _ in range(20):
            if self.retention.step():
                break
        self.watch.removal.retained()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def hook(thing: object, name: str, replacement: object) -> AbstractContextManager[None]:
    """Replace an attribute for a while."""
    return _hooked(thing, name, replacement)


@contextmanager
def _hooked(thing: object, name: str, replacement: object) -> Iterator[None]:
    was = getattr(thing, name)
    setattr(thing, name, replacement)
    try:
        yield
    finally:
        setattr(thing, name, was)
