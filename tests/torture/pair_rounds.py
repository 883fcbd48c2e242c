"""A round with two nodes: a load, a misfortune in a phase that is known, and what must hold afterwards."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gates import PHASES
from hospital_load import Load, make_exams
from pair import Node, Pair
from rounds import AT_ONCE, IN_FLIGHT, Breach, Count, check_kept, check_platform, drain, remains
from watch import Watch

from support.harness import wait_for

_PATIENCE = 120.0  # seconds for a load to be taken and delivered: a standstill is found long before
_GRACE = 20.0  # seconds of a standstill beyond the lease
_CATCH = 120.0  # seconds until some node is in a phase
_ABOUT, _LOOK = 0.005, 0.2
_AHEAD = (-172_800, -7200, -1200, -30, 30, 1200, 7200, 172_800)
_OUTAGES = (0.2, 2, 2, 8, 8, 45)  # seconds; the longest is more than a session waits for an answer
_LARGE = (150, 250)  # images, so that sending takes a while


@dataclass(kw_only=True)
class Tally:
    """What all rounds of a kind came to; the standstill in seconds."""

    rounds: int = 0
    acknowledged: int = 0
    resent: int = 0
    standstill: float = 0.0


@dataclass(kw_only=True)
class PairScene:
    """A round under way. `resent` is how much may be sent again, `woken` how much of it after it was confirmed: what a
    node that wakes confirms while another one sends it. A node that `rests` is started when all is delivered without
    it."""

    pair: Pair
    load: Load
    watch: Watch
    dice: random.Random
    lease: int
    resent: int = 0
    woken: int = 0
    rests: bool = False
    ahead: list[Node] = field(default_factory=list)

    def pause(self, longest: float) -> None:
        time.sleep(self.dice.uniform(0.02, longest))

    def kill(self, node: Node) -> None:
        """The main process alone or with its workers; started again soon, or when the other has delivered all."""
        node.kill(workers=self.dice.random() < 0.5)
        self.resent += AT_ONCE
        self.rests = self.dice.random() < 0.5

    def freeze(self, node: Node) -> None:
        """Its main process alone, or everything of it."""
        node.freeze(workers=self.dice.random() < 0.5)
        self.resent += AT_ONCE
        self.woken += AT_ONCE

    def wake(self, node: Node) -> None:
        """Before the others take it for silent or after; or it never wakes."""
        if self.dice.random() < 0.3:
            self.pause(self.lease / 2)
        else:
            time.sleep(self.lease + self.dice.uniform(1, 6))
        if self.dice.random() < 0.3:
            self.kill(node)
        node.thaw()

    def revive(self) -> None:
        """Both nodes up."""
        for node in self.pair.nodes:
            node.thaw()
            node.start()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """While the server is not well."""
        self.watch.server_is_well = False
        yield
        self.watch.server_is_well = True


Act = Callable[[Node], None]


# -- a node in a phase


def caught(scene: PairScene, phase: str, act: Act) -> Node:
    """Do it to a node that is in this phase: received, sending, or one of the gates'."""
    if phase in PHASES:
        return _at_gate(scene, phase, act)
    until = time.monotonic() + _CATCH
    is_in = {"received": _has_received, "sending": _is_sending}[phase]
    while time.monotonic() < until:
        for node in scene.dice.sample(scene.pair.nodes, 2):
            if not is_in(scene, node):
                continue
            node.freeze(workers=False)
            if is_in(scene, node):  # and cannot leave it
                act(node)
                return node
            node.thaw()
        time.sleep(_ABOUT)
    raise Breach(f"no node was ever caught while {phase}")


def _has_received(scene: PairScene, node: Node) -> bool:
    return node.waiting > 0 and not scene.pair.gates.is_cataloguing(node.name)


def _is_sending(scene: PairScene, node: Node) -> bool:
    return node.name in scene.pair.gates.sending() and scene.watch.requests.total() > 0


def _at_gate(scene: PairScene, phase: str, act: Act) -> Node:
    gates = scene.pair.gates
    gates.shut(phase)
    try:
        wait_for(lambda: bool(gates.waiting(phase)), _CATCH)
        if scene.dice.random() < 0.5:  # the first one goes through
            gates.open(phase)
            gates.shut(phase)
            wait_for(lambda: bool(gates.waiting(phase)), _CATCH)
        node = scene.pair.node(scene.dice.choice(sorted(gates.waiting(phase).values())))
        act(node)
    finally:
        gates.open(phase)
    return node


# -- misfortunes


def killed(scene: PairScene, phase: str) -> None:
    """kill -9 of a node: at any time, or in the phase."""
    if phase:
        caught(scene, phase, scene.kill)
    else:
        scene.pause(1.5)
        scene.kill(scene.dice.choice(scene.pair.nodes))
    scene.pause(1.0)


def frozen(scene: PairScene, phase: str) -> None:
    """SIGSTOP of a node in the phase, SIGCONT or kill -9 later."""
    scene.wake(caught(scene, phase, scene.freeze))


def server_stops(scene: PairScene, how: str) -> None:
    """The server is stopped (fast, immediate, killed) or frozen at any time or with a node in a phase, then goes on."""
    server = scene.pair.server
    ways = {"fast": server.stop_in_order, "immediate": server.stop, "killed": server.kill, "frozen": server.freeze}
    phase = scene.dice.choice(("", *PHASES))
    if phase:
        scene.pair.gates.shut(phase)
        wait_for(lambda: bool(scene.pair.gates.waiting(phase)), _CATCH)
    else:
        scene.pause(1.5)
    scene.resent += AT_ONCE if how == "frozen" else IN_FLIGHT
    with scene.outage():
        ways[how]()
        if how != "frozen":
            scene.pair.gates.close()
        time.sleep(scene.dice.choice(_OUTAGES))
        if how == "frozen":
            server.thaw()
        else:
            server.start()
    if phase and how == "frozen":
        scene.pair.gates.open(phase)


def both_stop(scene: PairScene, how: str) -> None:
    """The server is stopped, and a node is killed before it is back."""
    scene.pause(1.5)
    scene.resent += IN_FLIGHT
    with scene.outage():
        scene.pair.server.stop()
        scene.pair.gates.close()
        scene.pause(4.0)
        scene.kill(scene.dice.choice(scene.pair.nodes))
        scene.pause(4.0)
        scene.pair.server.start()


def wrong_clock(scene: PairScene, how: str) -> None:
    """A node's clock is wrong for the round, up to two days; the other may be killed or frozen meanwhile."""
    wrong, right = scene.dice.sample(scene.pair.nodes, 2)
    wrong.stop()
    wrong.start(scene.dice.choice(_AHEAD))
    scene.ahead.append(wrong)
    match scene.dice.randrange(3):
        case 0:
            scene.kill(right)
        case 1:
            scene.freeze(right)
            scene.wake(right)


_MISFORTUNES: dict[str, Callable[[PairScene, str], None]] = {
    "killed": killed, "frozen": frozen, "server": server_stops, "clock": wrong_clock, "outage": both_stop,
}  # fmt: skip
# In this order they take turns.
KINDS = (
    "killed", "frozen received", "server immediate", "killed cataloguing", "frozen claiming", "server frozen",
    "killed sending", "frozen recording", "clock", "killed settling", "frozen cataloguing", "server fast",
    "killed received", "frozen sending", "server killed", "killed claiming", "frozen settling", "outage and kill",
    "killed recording",
)  # fmt: skip


# -- the round


def run_pair_round(
    pair: Pair, count: Count, tally: Tally, dice: random.Random, first: int, kind: str, lease: int
) -> None:
    """One round; Breach when something does not hold."""
    what, _, how = kind.partition(" ")
    exams = make_exams(pair.site, first, dice, *([_LARGE] if how == "sending" else []))
    load_ = Load(pair.site, pair.port, exams, dice, _PATIENCE)
    scene = PairScene(pair=pair, load=load_, watch=Watch(pair, load_), dice=dice, lease=lease)
    _MISFORTUNES[what](scene, how)
    if not scene.rests:
        scene.revive()
    load_.join()
    _drain(pair, load_)
    scene.revive()
    pair.site.wait_until(lambda: remains(pair.site) == ([], []), "nothing is left in incoming/, no lease sticks", 60)
    scene.watch.stop()
    for node in scene.ahead:
        node.stop()
        node.start()
    _await_no_alarm(pair)
    tally.rounds += 1
    count.acknowledged += len(load_.acknowledged)
    check_kept(pair.site, count, load_)
    check_platform(pair.site, count, load_)
    _check(scene, tally)


def _await_no_alarm(pair: Pair) -> None:
    """Each alarm ends with its cause."""
    until = time.monotonic() + _CATCH
    while alarms := pair.gates.alarms():
        if time.monotonic() > until:
            raise Breach(f"alarms stand, though all is well: {alarms}")
        time.sleep(_LOOK)


def _drain(pair: Pair, load_: Load) -> None:
    """As `drain`, which costs much at each look, once everything seems to be delivered."""
    until = time.monotonic() + _PATIENCE
    while pair.gates.delivered([exam.id for exam in load_.exams]) < 2 * len(load_.exams) and time.monotonic() < until:
        time.sleep(_LOOK)
    drain(pair.site, load_)


def _check(scene: PairScene, tally: Tally) -> None:
    watch, files = scene.watch, scene.load.files
    resent = sum(watch.requests[uid] - 1 for uid in files)
    tally.acknowledged += len(scene.load.acknowledged)
    tally.resent += resent
    tally.standstill = max(tally.standstill, watch.longest)
    again = sum(n for n in watch.again.values())
    if again > scene.woken:
        raise Breach(f"{again} instance(s) were sent again although the ledger had them as sent")
    if resent > scene.resent:
        raise Breach(f"{resent} instances were sent again, where {scene.resent} may be")
    if watch.longest > scene.lease + _GRACE:
        raise Breach(f"nothing was confirmed for {watch.longest:.0f} s, though something was due")
