"""Moves of deliveries: the state that follows from a plan, and the columns of the row."""

from collections.abc import Mapping
from dataclasses import dataclass

from router.catalogue.queue.queue import Delivery
from router.correlator.assess import Assessment, without
from router.correlator.plan import Plan
from router.matching.exam.readiness import PERSON, target
from router.policy.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A delivery's next state, why in words, and the columns that change with it."""

    to: State
    why: str
    columns: Mapping[str, object]


def move_of(found: Assessment, delivery: Delivery, made: Plan) -> Move | None:
    """The one move that a delivery is to make now; None where it stays in its state."""
    away = found.aside.state if found.aside else None
    to = target(
        delivery.state, held_by=delivery.held_by, hold=made.hold, aside=away, ready=made.readiness.ready,
        news=made.news,
    )  # fmt: skip
    if to == delivery.state:
        return None
    again = {"attempts": 0} if delivery.state in (State.DELIVERED, State.FAILED) else {}
    return Move(to=to, why=_reason(found, to, made), columns=_columns(to, made) | again)


def outdated(delivery: Delivery, made: Plan) -> dict[str, object]:
    """The columns of a delivery that stays in its state and shows something else than its plan."""
    if delivery.state in (State.SENDING, State.CANCELLED) or delivery.held_by == PERSON:
        return {}
    columns = _columns(delivery.state, made)
    if delivery.state in (State.DELIVERED, State.FAILED):
        columns = {"legal_due": columns["legal_due"]}
    if delivery.state == State.DEFERRED:
        columns.pop("error")
    shows = {"waiting_for": " ".join(delivery.waiting_for)}
    differ = any((shows[key] if key in shows else getattr(delivery, key)) != value for key, value in columns.items())
    return columns if differ else {}


def _columns(to: State, made: Plan) -> dict[str, object]:
    held = to == State.HELD
    return {
        "waiting_for": " ".join(made.readiness.needs) if to == State.WAITING else "",
        "legal_due": made.deadline.legal if made.deadline else None,
        "due": made.deadline.working if made.deadline else None,
        "held_by": made.hold.split(":")[0] if held else "",
        "error": made.hold if held else made.error if to == State.WAITING else "",
        "wanted": made.wanted,
        "critical": int(made.critical),
    }


def _reason(found: Assessment, to: State, made: Plan) -> str:
    """Why a delivery moves there, in words."""
    if to == State.HELD:
        return made.hold
    if found.aside is not None and to == found.aside.state:
        return found.aside.why
    if to == State.READY:
        return "everything is there" + ("; the studies in doubt are not named" if without(made.wanted) else "")
    if made.news:
        return "there is something new to deliver"
    return "waits for " + (", ".join(made.readiness.needs) or "evaluation")
