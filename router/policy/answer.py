"""The one answer to "why is it not going?": what a delivery waits for, since when, who must act, and the command.

A pure function of what is known. Texts are templates with named values, so that each can be said in another language.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from router.errors import PASSING, Outage
from router.model import Channel
from router.policy.breaker import CLOSED, Breaker, Position
from router.policy.pause import Pause
from router.policy.states import CLOSED as ENDED
from router.policy.states import HeldBy, Needs, State

EXAM_JSON = "exam JSON: "
# An outage of the line may last this long before a person must look at it.
_PATIENCE = timedelta(minutes=10)
# Each fault begins with the path of a field, with its Chinese name or without.
_FAULT = re.compile(r"(?:^|; )(?=[A-Z][A-Za-z0-9]*(?:\[\d*\])?(?:\.[A-Za-z0-9]+(?:\[\d*\])?)*(?: \([^)]*\))?: )")

# Separates the reasons of refused images; each begins with a number of instances.
_REASON = re.compile(r"; (?=\d+ instance\(s\): )")


class Actor(StrEnum):
    """The one who must act."""

    NODE = "the node itself"
    RIS = "the RIS"
    PACS = "the PACS"
    PLATFORM = "the platform's operator"
    ADMINISTRATOR = "an administrator"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts about a delivery at `now`; people read times in `zone`.

    `configured`: the destination takes this channel. `running`: some node is alive; the last heartbeat was `seen`.
    `limit` is the bytes a second that a bandwidth window allows until `limit_until`. A report goes without images at
    `half`; the study will be stable at `quiet_at`. The PDF's copy was removed at `purged`; the storage commitment was
    last asked for at `asked`. `place` is its position among the `queued` ones, None where it was not counted.
    `unproved`: a refusal stands against it that nothing proves to be the platform's; `unproven`: so does an answer.
    """

    now: datetime
    zone: tzinfo
    delivery: int
    exam: int
    destination: str
    channel: Channel
    state: State
    changed: datetime
    waiting_for: tuple[Needs, ...] = ()
    held_by: str = ""
    error: str = ""
    due: datetime | None = None
    next_try: datetime | None = None
    sent: int = 0
    selected: int = 0
    configured: bool = True
    running: bool = True
    seen: datetime | None = None
    breaker: Breaker = CLOSED
    pause: Pause | None = None
    limit: int | None = None
    limit_until: datetime | None = None
    half: datetime | None = None
    quiet_at: datetime | None = None
    purged: datetime | None = None
    asked: datetime | None = None
    place: int | None = None
    queued: int = 0
    expected: datetime | None = None
    unproved: bool = False
    unproven: bool = False

    @property
    def stopped(self) -> bool:
        """Whether nothing goes to its destination: until that ends, its arrival cannot be forecast."""
        return self.pause is not None or self.breaker.position == Position.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """A sentence: its `template` is translated for the reader, then filled with the values."""

    template: str
    values: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.template.format(**self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The cause that a delivery waits for, since when, who must act, and the command to copy."""

    what: Saying
    since: datetime | None
    who: Actor
    command: str


def answer(found: Facts) -> Answer:
    """The answer about a delivery: of several reasons the one that must be settled first."""
    return next(say(found) for applies, say in _RULES if applies(found))


def _say(
    found: Facts, template: str, who: Actor, command: str, values: Mapping[str, str] | None = None,
    since: datetime | None = None,
) -> Answer:  # fmt: skip
    names = {"delivery": f"d{found.delivery}", "exam": f"e{found.exam}", "destination": found.destination}
    saying = Saying(template=template, values={**(values or {}), "destination": found.destination})
    return Answer(what=saying, since=since or found.changed, who=who, command=command.format(**names))


_EXPLAIN = "scripts/queue explain {exam}"
_COMPARE = "scripts/queue compare {exam}"
_QUEUE = "scripts/queue list --destination {destination}"
_RELEASE = 'scripts/queue release {delivery} --why "..."'
_RETRY = 'scripts/queue retry {delivery} --why "..."'
_FAIL = 'scripts/queue fail {delivery} --why "..."'
_CANCEL = 'scripts/queue cancel {delivery} --why "..."'
_UNKNOWN = "scripts/codes unknown"
_DOCTOR = "scripts/doctor"
_START = "systemctl start imaging-cloud-router"

_ENDED_AS = {
    State.DELIVERED: ("is delivered", Actor.NOBODY, "scripts/queue show {exam}"),
    State.WITHDRAWN: ("is withdrawn there", Actor.NOBODY, "scripts/queue show {exam}"),
    State.CANCELLED: ("is not sent: a person has cancelled it", Actor.NOBODY, _RETRY),
    State.OUT_OF_SCOPE: ("is not sent: the exam has no modality of [share] modalities", Actor.NOBODY, _EXPLAIN),
    State.EXCLUDED: ("is not sent: a rule of [[share.exclude]] excludes the exam", Actor.NOBODY, _EXPLAIN),
    State.NOT_SHARED: ("is not sent: the exam was approved before [share] from", Actor.NOBODY, _EXPLAIN),
}
_HELD_FOR: Mapping[str, tuple[Actor, str]] = {
    HeldBy.PERSON: (Actor.ADMINISTRATOR, _RELEASE),
    HeldBy.IDENTITY: (Actor.ADMINISTRATOR, _COMPARE),
    HeldBy.NEWER_VERSION: (Actor.ADMINISTRATOR, _COMPARE),
    HeldBy.LATE: (Actor.ADMINISTRATOR, _RELEASE),
    HeldBy.HOSPITAL: (Actor.ADMINISTRATOR, _EXPLAIN),
    HeldBy.CUT_OFF: (Actor.PACS, _RELEASE),
    HeldBy.PDF: (Actor.RIS, _RELEASE),
    HeldBy.DAMAGED: (Actor.RIS, _RELEASE),
    HeldBy.VERSIONS: (Actor.RIS, _RELEASE),
    HeldBy.APPROVAL: (Actor.RIS, _EXPLAIN),
    HeldBy.OTHERS: (Actor.RIS, _EXPLAIN),
}


def _held(found: Facts) -> Answer:
    who, command = _HELD_FOR.get(found.held_by, (Actor.ADMINISTRATOR, _RELEASE))
    values = {"error": found.error or found.held_by or "nobody says why"}
    if found.held_by == HeldBy.PDF and found.purged is not None:
        template = "is held: {error}; the copy of its report PDF was removed {when} ([retention] delivered)"
        return _say(found, template, who, command, values | {"when": _day(found.purged, found)})
    return _say(found, "is held: {error}", who, command, values)


def _failed(found: Facts) -> Answer:
    who = Actor.PLATFORM
    if found.channel == Channel.REPORT and "exam JSON" in found.error:
        who = Actor.RIS
    elif found.channel == Channel.IMAGES and ("damaged" in found.error or "removed" in found.error):
        who = Actor.PACS
    if found.channel == Channel.IMAGES:  # refused images come with their count
        refused, *reasons = _REASON.split(found.error)
        first, count = "; ".join([refused, *reasons[:1]]), len(reasons)
    else:
        first, *others = _FAULT.split(found.error)
        count = 1 + len(others)
    if count > 1:
        template = "has failed for {count} reasons, the first: {error}"
        return _say(found, template, who, _RETRY, {"count": str(count), "error": first})
    return _say(found, "has failed: {error}", who, _RETRY, {"error": first or "nobody says why"})


def _approval(found: Facts) -> Answer:
    if found.error.startswith(f"{HeldBy.APPROVAL}: "):
        error = found.error.removeprefix(f"{HeldBy.APPROVAL}: ")
        return _say(found, "its approval cannot be read: {error}", Actor.ADMINISTRATOR, _UNKNOWN, {"error": error})
    return _say(found, "waits for the approval (审核) of its report", Actor.RIS, _EXPLAIN)


def _json(found: Facts) -> Answer:
    faults = [each for each in _FAULT.split(found.error.removeprefix(EXAM_JSON)) if each]
    if not found.error.startswith(EXAM_JSON) or not faults:
        return _say(found, "waits for a complete exam JSON", Actor.RIS, _EXPLAIN)
    template = "its exam JSON has {count} fault(s), the first: {fault}"
    return _say(found, template, Actor.RIS, _EXPLAIN, {"count": str(len(faults)), "fault": faults[0]})


def _pdf(found: Facts) -> Answer:
    if found.purged is not None:
        template = "waits for its report PDF once more: the copy was removed {when} ([retention] delivered)"
        return _say(found, template, Actor.RIS, _EXPLAIN, {"when": _day(found.purged, found)})
    return _say(found, "waits for the report PDF", Actor.RIS, _EXPLAIN)


def _images(found: Facts) -> Answer:
    if found.channel == Channel.REPORT and found.half is not None:
        template = "waits for images, and goes without them at {half}"
        return _say(found, template, Actor.PACS, _EXPLAIN, {"half": _at(found.half, found)})
    return _say(found, "waits for images of its studies", Actor.PACS, _EXPLAIN)


def _stable(found: Facts) -> Answer:
    half = found.half if found.channel == Channel.REPORT else None
    until = min((at for at in (found.quiet_at, half) if at is not None), default=None)
    if until is None or until <= found.now:
        return _say(found, "waits for its study to be quiet", Actor.NODE, _EXPLAIN)
    template = "waits for its study to be quiet, until {until}"
    return _say(found, template, Actor.NODE, _EXPLAIN, {"until": _at(until, found)})


_NEEDED: Mapping[Needs, Callable[[Facts], Answer]] = {
    Needs.APPROVAL: _approval,
    Needs.JSON: _json,
    Needs.PDF: _pdf,
    Needs.OTHERS: functools.partial(
        _say, template="waits for the approval of other exams of its studies", who=Actor.RIS, command=_EXPLAIN
    ),
    Needs.IMAGES: _images,
    Needs.STABLE: _stable,
}
"""The needs that others must meet, the first one first."""


def _paused(found: Facts) -> Answer:
    one = found.pause
    assert one is not None  # as _RULES ask
    template = "sending to {place} is paused by {who}: {why}"
    values = {"place": one.place, "who": one.who, "why": one.why}
    return _say(found, template, Actor.ADMINISTRATOR, one.ends, values, one.since)


def _down(found: Facts) -> Answer:
    """An outage; only trouble of the line or of the platform may pass by itself."""
    one = found.breaker
    asked = {"why": one.why, "probe": _at(one.probe_at, found)}
    if one.outage in PASSING:
        lasts = one.since is not None and found.now - one.since > _PATIENCE
        lasting = Actor.ADMINISTRATOR if one.outage == Outage.CONNECTION else Actor.PLATFORM
        template = "{destination} does not answer: {why}; asked again {probe}"
        return _say(found, template, lasting if lasts else Actor.NODE, _DOCTOR, asked, one.since)
    template = "{destination} takes nothing until this is corrected: {why}; asked again {probe}"
    return _say(found, template, Actor.ADMINISTRATOR, _DOCTOR, asked, one.since)


def _deferred(found: Facts) -> Answer:
    values = {"error": found.error or "nobody says why", "at": _at(found.next_try, found)}
    if found.unproved:
        template = "was refused, and nothing proves that the platform has said so: {error}; tried again {at}"
        return _say(found, template, Actor.PLATFORM, _FAIL, values)
    if found.unproven:
        template = "the answer is not proved to be the platform's: {error}; tried again {at}"
        return _say(found, template, Actor.ADMINISTRATOR, _DOCTOR, values)
    missed = found.due is not None and found.now >= found.due
    return _say(found, "{error}; tried again {at}", Actor.PLATFORM if missed else Actor.NODE, _RETRY, values)


def _sending(found: Facts) -> Answer:
    values = {"sent": str(found.sent), "selected": str(found.selected)}
    if found.channel == Channel.REPORT:
        return _say(found, "is being sent", Actor.NODE, _EXPLAIN)
    if found.limit is not None:
        template = "is being sent, {sent} of {selected}, at {rate} MiB/s at most until {until}"
        return _say(found, template, Actor.NODE, _EXPLAIN, values | _limits(found))
    return _say(found, "is being sent, {sent} of {selected}", Actor.NODE, _EXPLAIN, values)


def _uncommitted(found: Facts) -> Answer:
    if found.asked is None:
        return _say(found, "its storage commitment is asked for soon", Actor.NODE, _EXPLAIN)
    template = "{destination} has not said that it keeps the images (storage commitment)"
    return _say(found, template, Actor.PLATFORM, _EXPLAIN, since=found.asked)


def _queued(found: Facts) -> Answer:
    if found.place is None and found.due is None:
        template = "belongs to a backfill: goes when nothing of today waits, within its hours and at its rate"
        return _say(found, template, Actor.NODE, "scripts/queue backfill --status")
    if found.place is None:
        return _say(found, "is in the queue", Actor.NODE, _QUEUE)
    values = {"place": str(found.place), "queued": str(found.queued)}
    if found.limit is not None:
        template = "is number {place} of {queued} in the queue, which goes at {rate} MiB/s at most until {until}"
        return _say(found, template, Actor.NODE, _QUEUE, values | _limits(found))
    if found.expected is None:
        return _say(found, "is number {place} of {queued} in the queue", Actor.NODE, _QUEUE, values)
    template = "is number {place} of {queued} in the queue, expected there by {expected}"
    if found.due is not None and found.expected > found.due:
        template = "is number {place} of {queued} in the queue, expected there by {expected}, too late"
    return _say(found, template, Actor.NODE, _QUEUE, values | {"expected": _at(found.expected, found)})


def _limits(found: Facts) -> dict[str, str]:
    return {"rate": f"{(found.limit or 0) / 2**20:.2g}", "until": _at(found.limit_until, found)}


def _day(instant: datetime, found: Facts) -> str:
    return f"{instant.astimezone(found.zone):%Y-%m-%d %H:%M}"


def _at(instant: datetime | None, found: Facts) -> str:
    """A time by the hospital's clock, with the day where it is not today."""
    if instant is None or instant <= found.now:
        return "in a moment"
    local, today = instant.astimezone(found.zone), found.now.astimezone(found.zone)
    return f"{local:%H:%M:%S}" if local.date() == today.date() else f"{local:%m-%d %H:%M}"


_NOT_CONFIGURED = "the configuration has no destination {destination} for it any more"
_STARTING = "{destination} answers again, and takes one after the other at first"
_NO_NODE = "no node runs: nothing is taken, evaluated or sent"
_RULES: tuple[tuple[Callable[[Facts], bool], Callable[[Facts], Answer]], ...] = (
    (lambda one: one.state in ENDED, lambda one: _say(one, *_ENDED_AS[one.state])),
    (lambda one: not one.configured, lambda one: _say(one, _NOT_CONFIGURED, Actor.ADMINISTRATOR, _CANCEL)),
    (lambda one: one.state == State.HELD, _held),
    (lambda one: one.state == State.FAILED, _failed),
    (lambda one: not one.running, lambda one: _say(one, _NO_NODE, Actor.ADMINISTRATOR, _START, since=one.seen)),
    *(
        (lambda one, need=need: one.state == State.WAITING and need in one.waiting_for, say)
        for need, say in _NEEDED.items()
    ),
    (lambda one: one.pause is not None, _paused),
    (lambda one: one.breaker.position == Position.OPEN and one.state != State.SENDING, _down),
    (lambda one: one.state == State.DEFERRED, _deferred),
    (lambda one: one.state == State.SENDING, _sending),
    (lambda one: one.state == State.WAITING and Needs.COMMITMENT in one.waiting_for, _uncommitted),
    (
        lambda one: one.state == State.READY and one.breaker.position == Position.HALF_OPEN,
        lambda one: _say(one, _STARTING, Actor.NODE, _QUEUE, since=one.breaker.since),
    ),
    (lambda one: one.state == State.READY, _queued),
    (lambda _: True, lambda one: _say(one, "is evaluated in a moment", Actor.NODE, _EXPLAIN)),
)
