"""Of which exam a series is, where RequestAttributesSequence (0040,0275) names other orders than the study's own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.policy.deadlines import Deadline
from router.policy.states import HeldBy

OTHERS = HeldBy.OTHERS
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Order:
    """An exam that has the study, by its accession number, and whether its report is approved."""

    accession_number: str
    approved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """Another exam of a study, and whether its approval can still come.

    `closed`: it is cancelled, excluded or out of scope at every destination. `changed` is when a file came of it last.
    """

    exam: int
    deliveries: tuple[int, ...]
    approved: bool
    closed: bool
    changed: datetime

    @property
    def until(self) -> datetime:
        """When its approval is not waited for any more if nothing comes of it."""
        return self.changed + _PATIENCE


def awaited(companions: Iterable[Companion], now: datetime) -> list[Companion]:
    """Those whose approval is still to come."""
    return [one for one in companions if not one.approved and not one.closed and now < one.until]


def goes_without(then: str, due: Deadline | None, now: datetime) -> bool:
    """Whether images go although another exam is not approved: by [share] shared_study_then, when time runs out."""
    return then == "send" and due is not None and now >= due.four_fifths


def held_for(others: Sequence[Companion], due: Deadline | None, now: datetime) -> str:
    """Why images are held when time runs out; "" when they are not."""
    return f"{OTHERS}: {told_of(others)}" if others and due is not None and now >= due.four_fifths else ""


def told_of(others: Sequence[Companion]) -> str:
    """That images wait for these exams, with the command for those that will never be approved."""
    exams = ", ".join(f"exam e{one.exam}" for one in others)
    deliveries = " ".join(f"d{number}" for one in others for number in one.deliveries)
    return (
        f"the images wait for the approval of {exams} of the same study; they go when it is approved,"
        f" or after `queue cancel {deliveries} --why ...` where it will not be"
    )


def looks_for(others: Iterable[Companion], due: Deadline | None) -> list[datetime]:
    """When time alone changes whether these exams are waited for, or what is told of it."""
    mine = [one.until for one in others]
    return [*mine, *([due.half, due.four_fifths] if due else [])] if mine else []


def withheld(named: frozenset[str], orders: Iterable[Order]) -> bool:
    """Whether an instance goes with no exam yet: of those that have its study it names such alone as are not approved.

    While none of them is approved nothing of the study goes anyway. `named` are the accession numbers of its
    RequestAttributesSequence; where it names none, or none that is known here, the study's exams have it in common.
    """
    orders = list(orders)
    known = [order for order in orders if order.accession_number in named]
    return any(order.approved for order in orders) and bool(known) and not any(order.approved for order in known)
