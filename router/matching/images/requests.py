"""Orders in RequestAttributesSequence (0040,0275): the exam of a series where they differ from the study's own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.policy.deadlines import Deadline
from router.policy.states import HeldBy

_PATIENCE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Order:
    """An exam of the study: its accession number, and whether its report is approved."""

    accession_number: str
    approved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """Another exam of a study, and whether its approval can still come.

    `closed`: it is cancelled, excluded or out of scope at every destination. Its last file came at `changed`.
    """

    exam: int
    deliveries: tuple[int, ...]
    approved: bool
    closed: bool
    changed: datetime

    @property
    def until(self) -> datetime:
        """The end of waiting for its approval if nothing more comes of it."""
        return self.changed + _PATIENCE


def awaited(companions: Iterable[Companion], now: datetime) -> list[Companion]:
    """The companions whose approval may still come."""
    return [one for one in companions if not one.approved and not one.closed and now < one.until]


def goes_without(then: str, due: Deadline | None, now: datetime) -> bool:
    """Whether images go without the approval of another exam: by [share] shared_study_then, once time runs out."""
    return then == "send" and due is not None and now >= due.four_fifths


def held_for(others: Sequence[Companion], due: Deadline | None, now: datetime) -> str:
    """The reason for holding images when time runs out; "" when they are not held."""
    return f"{HeldBy.OTHERS}: {told_of(others)}" if others and due is not None and now >= due.four_fifths else ""


def told_of(others: Sequence[Companion]) -> str:
    """The sentence that images wait for these exams, with the command for those that will never be approved."""
    exams = ", ".join(f"exam e{one.exam}" for one in others)
    deliveries = " ".join(f"d{number}" for one in others for number in one.deliveries)
    return (
        f"the images wait for the approval of {exams} of the same study; they go when it is approved,"
        f" or after `queue cancel {deliveries} --why ...` where it will not be"
    )


def looks_for(others: Iterable[Companion], due: Deadline | None) -> list[datetime]:
    """The times at which waiting for these exams, or its alarm, changes by itself."""
    mine = [one.until for one in others]
    return [*mine, *([due.half, due.four_fifths] if due else [])] if mine else []


def withheld(named: frozenset[str], orders: Iterable[Order]) -> bool:
    """Whether an instance goes with no exam yet: it names only exams of its study that are not approved.

    While no exam is approved nothing of the study goes anyway. `named` are the accession numbers of its
    RequestAttributesSequence; without any that is known here, the instance belongs to all exams of the study.
    """
    orders = list(orders)
    known = [order for order in orders if order.accession_number in named]
    return any(order.approved for order in orders) and bool(known) and not any(order.approved for order in known)
