"""Progress of the demo's deliveries: what has not gone, the reason, and whether it still moves. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.model import Channel
from router.policy.states import State
from router.review.deliveries import Line
from router.text.language import N_
from router.trial.demo.scenes import LEAVES, Order, Scene

_MOVES = frozenset({State.READY, State.SENDING, State.DEFERRED})
_LONGEST_STILL = 60.0  # seconds without any change between two tries at a destination
_LONGEST_TO_COME = 30.0  # seconds until a report is paired or a study is stable, on a busy machine
_SETTLED = 3.0
_NO_EXAM = N_("the node has no exam of it; see rejected/ in the drop folder")


@dataclass(frozen=True, slots=True)
class Remainder:
    """An exam that did not go: its name in commands (e17), or the UID of a study without an exam."""

    name: str
    channel: str
    why: str


def delivered(lines: Iterable[Line]) -> int:
    """The number of deliveries that the platform has confirmed."""
    return sum(line.delivery.state == State.DELIVERED for line in lines)


def expected(scenes: Iterable[Scene]) -> int:
    """The number of deliveries that must be confirmed in the end."""
    return len(Channel) * sum(scene.order in LEAVES for scene in scenes)


def remainder(lines: Sequence[Line], scenes: Iterable[Scene]) -> list[Remainder]:
    """Everything that should leave and is not confirmed."""
    found = []
    for scene in scenes:
        mine = [line for line in lines if line.exam_id == scene.exam_id]
        if scene.order in LEAVES and not mine:
            found.append(Remainder(scene.study.uid, Channel.REPORT, _NO_EXAM))
        if scene.order in LEAVES:
            found += [_left(line) for line in mine if line.delivery.state != State.DELIVERED]
    return found


def _left(line: Line) -> Remainder:
    delivery = line.delivery
    why = delivery.error or ", ".join(delivery.waiting_for)
    return Remainder(f"e{delivery.exam}", delivery.channel, f"{delivery.state}: {why}" if why else str(delivery.state))


def held(lines: Iterable[Line], scenes: Iterable[Scene]) -> list[Line]:
    """The held deliveries of the exams with another patient's id."""
    wrong = {scene.exam_id for scene in scenes if scene.order == Order.OTHER_PATIENT}
    return [line for line in lines if line.exam_id in wrong and line.delivery.state == State.HELD]


def patience(lines: Sequence[Line], scenes: Sequence[Scene]) -> float:
    """Seconds without any change after which nothing more will move by itself."""
    leaving = {scene.exam_id for scene in scenes if scene.order in LEAVES}
    states = {line.delivery.state for line in lines if line.exam_id in leaving} - {State.DELIVERED}
    if states & _MOVES:
        return _LONGEST_STILL
    missing = leaving - {line.exam_id for line in lines}
    return _LONGEST_TO_COME if missing or State.WAITING in states else _SETTLED
