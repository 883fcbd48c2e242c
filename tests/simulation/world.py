"""The world of a run: a clock, two nodes, two destinations, and persons with commands."""

import functools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from router.catalogue import open_catalogue
from router.config.file import parse
from router.config.sections import Config
from router.delivery import ledger_writer, senders
from router.errors import RouterError
from router.events import EventBus
from router.policy.states import HeldBy, State
from router.review.deliveries import Review
from router.series.classify import Rulebook
from simulation.facts import HOUR, KEPT, MINUTE, SECOND
from simulation.far_ends import FarEnd, Weather
from simulation.hospital import Hospital
from simulation.node import LEASE, Crash, SimClock, SimNode, hook
from simulation.steps import NODES, SENDING, Step
from simulation.watch import Breach, Watch

ROOM, SHORT = 2**40, 2**30
BATCH = 2  # results in a ledger write, so that few images make several
_BEAT = int(LEASE.total_seconds() * SECOND) // 4
_ROUNDS = 60
CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
language = "en"
data = "data"
[reports]
folder = "in"
[receive]
min_free = "1 GiB"
[retention]
delivered = "2 d"
unmatched = "8 d"
[[destination]]
name = "cloud"
bandwidth = [{ from = "13:00", to = "15:00", limit = "64 KiB" }]
[destination.dicom]
port = 1
[destination.http]
api_key_file = "k"
signing_key_file = "k"
platform_signing_key_file = "k"
platform_encryption_key_file = "k"
[[destination]]
name = "region"
[destination.dicom]
port = 2
"""


@functools.lru_cache(maxsize=4)
def _config(folder: Path) -> Config:
    return parse(CONFIG, base=folder)


@contextmanager
def small_batches() -> Iterator[None]:
    """A study of five images is several batches."""
    with hook(ledger_writer, "LEDGER_BATCH", BATCH), hook(senders, "_READ_AT_ONCE", 3):
        yield


@dataclass
class Frame:
    """A call under way, at so many `points` by now. `disturbed`: something has happened within it.

    `taken` and `answered` by far ends, in it.
    """

    node: SimNode
    kind: str
    meanwhile: Sequence[tuple[int, Step]]
    began: int
    points: int = 0
    claimed: int = -1  # the point before it claimed a delivery
    lose: bool = False
    excused: bool = False  # its node was frozen, or had no database, while time went by; or it had only just claimed
    disturbed: bool = False
    taken: list[tuple[FarEnd, str]] = field(default_factory=list)
    answered: list[tuple[FarEnd, str]] = field(default_factory=list)


class World:
    """On a folder whose database is new. `url` is "" for SQLite in the folder."""

    def __init__(self, folder: Path, seed: int, url: str = "") -> None:
        random.seed(seed)  # jitter
        self.url, self.config, self.clock = url, _config(folder), SimClock()
        self.data = self.config.node.data
        self.config.reports.folder.mkdir(exist_ok=True)
        self.data.mkdir(exist_ok=True)
        self.free, self.count = ROOM, 0
        self.book: Rulebook | None = None
        self.stack: list[Frame] = []
        self.trace: list[str] = []
        self.ends = {
            "reports": FarEnd("cloud"), "images": FarEnd("cloud"), "region": FarEnd("region", choosy=True),
        }  # fmt: skip
        bus = EventBus()
        self.desk = open_catalogue(url, self.data, bus)  # of commands and of those who watch
        self.watch = Watch(self)
        bus.subscribe(partial(self.watch.sending.heard, None))
        self.review = Review(self.desk, self.clock)
        self.hospital = Hospital(self)
        self.nodes = [SimNode(self, f"n{number + 1}") for number in range(NODES)]
        for node in self.nodes:
            self._call(node, "start", node.start, ())

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        self.desk.engine.close_thread()

    # -- steps

    def run(self, steps: Sequence[Step]) -> Breach | None:
        """Take the steps, then have everything well and see that all is delivered; what did not hold, if anything."""
        for step in steps:
            if self.watch.found is None:
                self.take(step)
                self._check()
        if self.watch.found is None:
            self._end_well()
        return self.watch.found

    def take(self, step: Step) -> None:
        """One step, at the top or within a call."""
        self.count += 1
        if not self.stack and step.kind in SENDING and step.pick % 4 and step.kind not in self.watch.facts.work():
            step = self._instead(step)
        if step.kind in self._around:
            self._around[step.kind](step)
            return
        node = self.nodes[step.node]
        width = 2 if step.kind in ("images", "region") else 1
        if node.well and node.busy.get(step.kind, 0) < width:
            self._call(node, step.kind, node.calls[step.kind], step.meanwhile)

    def _instead(self, step: Step) -> Step:
        """In place of a call that would find nothing to send: what brings forth something to be sent."""
        brings = ("correlate",) if "correlate" in self.watch.facts.work() else ("drop", "receive", "clock")
        return replace(step, kind=brings[step.pick // 4 % len(brings)], meanwhile=(), pick=step.pick // 12)

    def _check(self) -> None:
        self.watch.standing.check()
        self.watch.sending.check()

    @functools.cached_property
    def _around(self) -> Mapping[str, Callable[[Step], None]]:
        """What happens around the nodes, by its kind."""
        return {
            "drop": lambda one: self.hospital.drop(one.pick),
            "receive": lambda one: self.hospital.receive(one.pick),
            "clock": self._clock,
            "lapse": self._lapse,
            "pause": self._pause,
            "resume": self._resume,
            "person": self._person,
            "weather": self._weather,
            "disk": self._disk,
            "crash": self._crash,
            "start": self._start,
        }

    def _call(
        self, node: SimNode, kind: str, work: Callable[[], object], meanwhile: Sequence[tuple[int, Step]]
    ) -> None:  # fmt: skip
        """A call of a node's part, on a loop that goes on after any trouble."""
        frame, had = Frame(node, kind, meanwhile, self.clock.stamp), node.no_writes
        self.stack.append(frame)
        node.busy[kind] = node.busy.get(kind, 0) + 1
        crashed = False
        try:
            work()
        except Crash:
            crashed = True
        except RouterError as error:
            self.trace.append(f"{kind} of {node.name}: {error}")
        finally:
            self.stack.pop()
            node.busy[kind] -= 1
            node.no_writes = had
        self.watch.sending.ended(frame, crashed=crashed)
        if node.dead and not any(node.busy.values()):
            node.close()

    def quietly(self, node: SimNode, work: Callable[[], object]) -> None:
        """A call within which nothing happens, of another thread of the node."""
        self._call(node, "other", work, ())

    # -- what happens within a call

    def reach(self, node: SimNode, where: str) -> set[str]:
        """A call of the node has come to a point where something may happen."""
        frame = self.stack[-1]
        if frame.node is not node:
            return set()
        frame.points += 1
        for at, step in frame.meanwhile:
            together = step.kind == frame.kind and self.nodes[step.node] is not node and self._counts(where)
            if (at == frame.points or together) and not node.dead:
                frame.disturbed = True
                self._within(frame, step)
        if where not in ("asked", "took") or not frame.lose:
            return set()
        frame.lose = False
        return {"lose"}

    def _counts(self, where: str) -> bool:
        """Whether it matters there that two nodes do the same: they ask a destination, or have just found it again."""
        half = "SELECT since FROM breaker WHERE position <> 'open'"
        return where == "probe" or (where == "asked" and bool(self.watch.facts.rows(half)))

    def _within(self, frame: Frame, step: Step) -> None:
        self.trace.append(f"within {frame.kind} of {frame.node.name}, at {frame.points}: {step}")
        if step.kind == "lose":
            frame.lose = True
        elif step.kind == "no database":
            frame.node.no_writes = True
        elif step.kind == "crash":
            frame.node.end()
        elif step.kind == "freeze":
            frame.node.frozen = True
            for _, inner in step.meanwhile:
                self.take(inner)
            frame.node.frozen = False
        elif step.kind == "news":
            for _, inner in step.meanwhile:
                self.take(inner)
        else:
            self.take(step)

    # -- time

    def advance(self, micros: int) -> None:
        """Time goes by, and with it what every node does by the clock: in one hop while nothing is under way."""
        end = self.clock.micros + micros
        self._hop(min(micros, SECOND))
        while self.clock.micros < end:
            left = end - self.clock.micros
            self._hop(min(left, _BEAT) if any(frame.kind in self.ends for frame in self.stack) else left)

    def _hop(self, micros: int) -> None:
        before = self.clock.micros
        self.clock.micros += micros
        for node in self.nodes:
            node.set_clock()
        self.desk.engine.now = str(self.clock.stamp)
        beats = before // _BEAT != self.clock.micros // _BEAT
        for frame in self.stack:
            frame.excused |= frame.points == frame.claimed + 1  # its node does not know yet what it has
        for node in self.nodes:
            if node.well:
                self.quietly(node, partial(node.tick, beats=beats))
                continue
            for frame in self.stack:
                frame.excused |= frame.node is node
        self.watch.standing.ticked()

    def _clock(self, step: Step) -> None:
        within, pick = bool(self.stack), step.pick
        most = 150 * SECOND if within else 12 * HOUR
        instants = [at for at in self.watch.facts.instants() if 0 < at - self.clock.stamp <= most]
        if pick % 10 < 5 and instants:
            self.advance(sorted(instants)[pick // 10 % len(instants)] - self.clock.stamp)
        elif pick % 10 < 8:
            self.advance(pick % 97 * SECOND + pick % 1000)
        else:
            longer = (5 * MINUTE, HOUR, 7 * HOUR, 26 * HOUR, 50 * HOUR)[pick // 10 % 5]
            self.advance(most if within else longer)

    def _lapse(self, step: Step) -> None:
        self.advance(int(LEASE.total_seconds() + 1 + step.pick % 90) * SECOND)

    # -- persons and misfortunes

    def _pause(self, step: Step) -> None:
        place = ("cloud", "region", "cloud", "")[step.pick % 4]
        self.advance(1)  # no two at one instant
        self.desk.pauses.begin(place, "wang", "works on the line", self.clock.now())

    def _resume(self, _: Step) -> None:
        for one in self.desk.pauses.standing():
            self.desk.pauses.end(one.destination, "wang", "done", self.clock.now())

    def _person(self, step: Step) -> None:
        rows = self.desk.queue.in_state(list(State))
        if not rows:
            return
        one = rows[step.pick // 8 % len(rows)]
        act = (self.review.retry, self.review.retry, self.review.release, self.review.hold, self.review.cancel,
               self.review.retry, self.review.release, self.review.release)[step.pick % 8]  # fmt: skip
        ends = act in (self.review.hold, self.review.cancel)
        if ends and one.state not in (State.WAITING, State.READY, State.DEFERRED, State.SENDING, State.FAILED):
            return
        act(one, "asked the ward", "wang")

    def _weather(self, step: Step) -> None:
        end = list(self.ends.values())[step.pick % 3]
        kinds = [Weather.FAIR, Weather.FAIR, Weather.DOWN, Weather.BUSY, Weather.REFUSING]
        kinds += [Weather.DOUBTFUL] if end is self.ends["reports"] else []
        end.weather = kinds[step.pick // 3 % len(kinds)]

    def _disk(self, step: Step) -> None:
        self.free = SHORT if step.pick % 2 else ROOM

    def _crash(self, step: Step) -> None:
        node = self.nodes[step.node]
        if not any(node.busy.values()):
            node.close()

    def _start(self, step: Step) -> None:
        if self.nodes[step.node].dead and not any(self.nodes[step.node].busy.values()):
            self.nodes[step.node] = node = SimNode(self, f"n{step.node + 1}")
            self._call(node, "start", node.start, ())

    # -- the end

    def _end_well(self) -> None:
        for number in range(NODES):
            self._start(Step("start", number))
        self.free = ROOM
        self._resume(Step("resume"))
        self.hospital.complete()
        self._leave_alone()
        self.hospital.send_again()
        for weather in (Weather.DOWN, Weather.FAIR):
            for end in self.ends.values():
                end.weather = weather
            self._put_right()
            self._settle()
        for _ in range(_ROUNDS):
            self._put_right()
            self._settle()
            if self.watch.found is not None or self.watch.all_delivered():
                break
            instants = [at - self.clock.stamp for at in self.watch.facts.instants() if at > self.clock.stamp]
            self.advance(min([*instants, 10 * MINUTE]))
        self.watch.at_end()
        self.advance(2 * HOUR)
        self._retain()

    def _leave_alone(self) -> None:
        """Destinations refuse, and nobody puts it right until what is done with may go."""
        for end in self.ends.values():
            end.weather = Weather.REFUSING
        self._settle()
        self.advance(KEPT + HOUR)
        self._retain()

    def _retain(self) -> None:
        """Remove what may go, of what is evaluated; the last look was an hour ago at least."""
        self._settle()
        for number in range(NODES):
            self.take(Step("retention", number))

    def _put_right(self) -> None:
        """Persons work off what waits for them."""
        for one in self.desk.queue.in_state([State.HELD, State.FAILED, State.CANCELLED, State.DEFERRED]):
            if one.held_by == HeldBy.PDF:  # its copy was removed meanwhile
                self.hospital.drop_again(one.exam)
                continue
            act = self.review.release if one.state == State.HELD else self.review.retry
            act(one, "put right", "wang")

    def _settle(self) -> None:
        """Evaluate and send until nothing more happens at this instant; each node in its turn, both where it counts."""
        for turn in range(200):
            kinds = self.watch.facts.work()
            if self.watch.found or not kinds:
                break
            before = self.watch.standing.seen, len(self.trace)
            for number in (turn % NODES, (turn + 1) % NODES):
                for kind in kinds:
                    self.take(Step(kind, number, meanwhile=((0, Step(kind, (number + 1) % NODES)),)))
            self._check()
            if (self.watch.standing.seen, len(self.trace)) == before:
                break
        for number in range(NODES):
            self.take(Step("lookout", number))
