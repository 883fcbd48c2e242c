"""Attention that only a person can give: its causes, and the judgement of a delivery by them (design: promise 5).

Every state in which something can stay is judged here: either it waits for a person, or the node goes on by itself.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from router.alarms import Alarm
from router.model import Channel
from router.policy.states import CLOSED, HeldBy, Needs, State

LEDGER_LOST = "ledger lost"  # the reason begins so where the node itself holds it for a person
_NAMES = 3
_EVALUATED = timedelta(minutes=1)  # an exam that was moved is evaluated within this time
_LIST = "scripts/queue list --attention"
_PART = re.compile(r"\d+ of \d+ (damaged|refused)")


class Cause(StrEnum):
    """Causes for which something waits for a person. The value is its name in JSON and in metrics."""

    IDENTITY = "identity"
    HOSPITAL = "hospital"
    PDF = "pdf"
    VERSIONS = "versions"
    WITHDRAWN = "withdrawn"
    DAMAGED = "damaged"
    NEWER_VERSION = "newer-version"
    LATE = "late-images"
    CUT_OFF = "cut-off"
    OTHERS = "others"
    PERSON = "person"
    LEDGER = "ledger"
    HELD = "held"
    FAILED = "failed"
    REFUSED = "refused"
    APPROVAL = "approval"
    EXAM_JSON = "exam-json"
    PDF_MISSING = "pdf-missing"
    IMAGES_MISSING = "images-missing"
    NOT_CONFIGURED = "not-configured"
    STUCK = "stuck"
    ACCOUNT = "account"
    QUARANTINE = "quarantine"


SAYS: Mapping[Cause, str] = {
    Cause.IDENTITY: "held: report and images may be of different patients",
    Cause.HOSPITAL: "held: the exam JSON names another hospital",
    Cause.PDF: "held: the report PDF is in question, or a new one is overdue",
    Cause.VERSIONS: "held: the times of its versions contradict each other",
    Cause.WITHDRAWN: "held: the approval was withdrawn, cannot be read or lies in the future",
    Cause.DAMAGED: "stored files are not what came",
    Cause.NEWER_VERSION: "held: an image came again and names another patient or order",
    Cause.LATE: "held: images came long after the delivery",
    Cause.CUT_OFF: "held: images are cut off",
    Cause.OTHERS: "images wait for the approval of another exam of the same study",
    Cause.PERSON: "held by a person",
    Cause.LEDGER: "held: what was sent of it is not known any more",
    Cause.HELD: "held",
    Cause.FAILED: "failed: refused for good",
    Cause.REFUSED: "failed: the destination refuses some of the images",
    Cause.APPROVAL: "the approval cannot be read",
    Cause.EXAM_JSON: "approved, and the exam JSON has faults",
    Cause.PDF_MISSING: "approved, half of the time is over, and no report PDF has come",
    Cause.IMAGES_MISSING: "approved, and images are missing",
    Cause.NOT_CONFIGURED: "approved, and the destination is not configured any more",
    Cause.STUCK: "stands still, and nothing will look at it again: a defect of the node",
    Cause.ACCOUNT: "the destination takes nothing until its key, certificate or address is corrected",
    Cause.QUARANTINE: "received files are in quarantine",
}

# The alarm of each cause; None where another one reports it, or where a person did it.
ALARM_OF: Mapping[Cause, Alarm | None] = {
    **dict.fromkeys(
        (Cause.IDENTITY, Cause.HOSPITAL, Cause.PDF, Cause.VERSIONS, Cause.NEWER_VERSION), Alarm.DOUBT
    ),
    Cause.WITHDRAWN: None,  # in order while nothing was delivered: then it is delivered-in-doubt
    Cause.DAMAGED: Alarm.DAMAGED,
    Cause.LATE: Alarm.HELD,
    Cause.CUT_OFF: Alarm.CUT_OFF,
    Cause.OTHERS: Alarm.SHARED_STUDY,
    Cause.PERSON: None,
    Cause.LEDGER: Alarm.LEDGER,
    Cause.HELD: Alarm.HELD,
    Cause.FAILED: Alarm.FAILED,
    Cause.REFUSED: Alarm.FAILED,
    Cause.APPROVAL: Alarm.APPROVAL,
    Cause.EXAM_JSON: Alarm.EXAM_JSON,
    Cause.PDF_MISSING: None,  # half-time
    Cause.IMAGES_MISSING: Alarm.IMAGES_MISSING,
    Cause.NOT_CONFIGURED: Alarm.NOT_CONFIGURED,
    Cause.STUCK: Alarm.HELD,
    Cause.ACCOUNT: None,  # breaker
    Cause.QUARANTINE: Alarm.QUARANTINE,
}  # fmt: skip


class Onward(StrEnum):
    """Ways in which the node goes on by itself; all but the last three at a time that it has noted."""

    NEXT_TRY = "its next try"
    LEASE = "the end of its lease"
    HALF = "half of its time"
    EVALUATION = "the next evaluation of its exam"
    QUEUE = "its place in the queue"
    APPROVAL = "the approval of the exam"
    CLOSED = "nothing more to do"


_HELD: Mapping[str, Cause] = {by.value: Cause[by.name] for by in HeldBy} | {HeldBy.APPROVAL.value: Cause.WITHDRAWN}
_OVERDUE: Mapping[Needs, Cause] = {
    Needs.PDF: Cause.PDF_MISSING,
    Needs.IMAGES: Cause.IMAGES_MISSING,
    Needs.OTHERS: Cause.OTHERS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A delivery to be judged. `error` is the beginning of its reason; its exam is evaluated at `check_at`."""

    id: int
    exam: int
    destination: str
    channel: Channel
    state: State
    changed: datetime
    needs: tuple[Needs, ...] = ()
    held_by: str = ""
    error: str = ""
    due: datetime | None = None
    next_try: datetime | None = None
    lease_until: datetime | None = None
    approved_at: datetime | None = None
    check_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Exams or other things that wait for a person for one cause, and for one destination where it concerns one.

    `what` is a Cause or an Alarm; `exams` and `deliveries` are the numbers of those concerned. `about` adds to `says`,
    "" where that says all. `command` is ready to copy.
    """

    what: str
    says: str
    count: int
    command: str
    destination: str = ""
    since: datetime | None = None
    exams: tuple[int, ...] = ()
    deliveries: tuple[int, ...] = ()
    about: str = ""

    def where(self, say: Callable[[str], str] = str) -> str:
        """The destination and `about`, in words; "" where there is neither."""
        if not (self.about and self.destination):
            return self.about or self.destination
        return f"{self.destination}: {say(self.about)}"


def judge(one: Stuck, within: timedelta | None, now: datetime) -> Cause | Onward:
    """The cause for which a delivery waits for a person, or how it goes on; `within`: its budget, if configured."""
    if one.state in CLOSED:
        return Onward.CLOSED
    if one.state == State.HELD:
        ledger = one.held_by == HeldBy.PERSON and one.error.startswith(LEDGER_LOST)
        return Cause.LEDGER if ledger else _HELD.get(one.held_by, Cause.HELD)
    if one.state == State.FAILED:
        return _of_failure(one)
    if within is None and one.approved_at is not None:
        return Cause.NOT_CONFIGURED
    return _of_wait(one, within or timedelta(0), now) if one.state == State.WAITING else _of_way(one)


def names(exams: Iterable[int]) -> str:
    """Exams in people's words: `e17, e18 and 30 more`; "" for none."""
    numbers = list(exams)
    shown = ", ".join(f"e{number}" for number in numbers[:_NAMES])
    return shown if len(numbers) <= _NAMES else f"{shown} and {len(numbers) - _NAMES} more"


def command_of(cause: Cause, destination: str, exams: tuple[int, ...]) -> str:
    """The command that shows the details and what to do."""
    match cause:
        case Cause.APPROVAL:
            return "scripts/codes unknown"
        case Cause.QUARANTINE:
            return "scripts/quarantine list"
        case Cause.ACCOUNT:
            return "scripts/doctor"
        case Cause.NOT_CONFIGURED:
            return f"scripts/queue list --destination {shlex.quote(destination)}"
    return f"scripts/queue explain e{exams[0]}" if len(exams) == 1 else _LIST


def _of_failure(one: Stuck) -> Cause:
    part = _PART.match(one.error) if one.channel == Channel.IMAGES else None
    if part is None:
        return Cause.FAILED
    return Cause.DAMAGED if part[1] == "damaged" else Cause.REFUSED


def _of_way(one: Stuck) -> Cause | Onward:
    """Judgement of a delivery that is ready, being sent or deferred."""
    if one.state == State.READY:
        return Onward.QUEUE
    sending = one.state == State.SENDING
    if (one.lease_until if sending else one.next_try) is None:
        return Cause.STUCK
    return Onward.LEASE if sending else Onward.NEXT_TRY


def _of_wait(one: Stuck, within: timedelta, now: datetime) -> Cause | Onward:
    if one.approved_at is None:
        return Onward.APPROVAL
    if Needs.JSON in one.needs:
        return Cause.EXAM_JSON
    overdue = next((cause for need, cause in _OVERDUE.items() if need in one.needs), None)
    if overdue is not None and one.due is not None:
        return overdue if now >= one.due - within / 2 else Onward.HALF
    evaluated = one.check_at is not None or now < one.changed + _EVALUATED
    return Onward.EVALUATION if evaluated else Cause.STUCK
