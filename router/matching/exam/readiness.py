"""Readiness of a delivery: its needs, and the state that it should be in. The correlator applies it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from router.policy.states import HeldBy, Needs, State

PERSON = HeldBy.PERSON
PDF = HeldBy.PDF
DAMAGED = HeldBy.DAMAGED
VERSIONS = HeldBy.VERSIONS
_CATCHING_UP = timedelta(seconds=0.5)
_ASIDE = frozenset({State.OUT_OF_SCOPE, State.EXCLUDED, State.NOT_SHARED})


@dataclass(frozen=True, slots=True)
class Images:
    """The images of an exam: its joined studies, missing and here, and when the last instance came.

    `behind` is the arrival of the oldest instance, of any study, that was received and is not catalogued yet.
    """

    missing: int
    present: int
    last_received: datetime | None
    behind: datetime | None = None

    def stable_at(self, stable_after: timedelta) -> datetime | None:
        """The time at which the studies here will have been quiet for long enough; None when none is here."""
        return None if self.last_received is None else self.last_received + stable_after

    def needs(self, stable_after: timedelta, now: datetime) -> tuple[Needs, ...]:
        """The needs to meet before the images are complete."""
        if self.missing or not self.present:
            return (Needs.IMAGES,)
        stable_at = self.stable_at(stable_after)
        return (Needs.STABLE,) if stable_at is None or min(now, self.behind or now) < stable_at else ()


@dataclass(frozen=True, slots=True)
class Readiness:
    """Readiness of a delivery: its needs, and whether it may go now; time alone changes it at `look_again`."""

    needs: tuple[Needs, ...]
    ready: bool
    look_again: datetime | None = None


def looking_again(readiness: Readiness, at: datetime | None, now: datetime) -> Readiness:
    """The same, looked at again also at the instant `at` where that is to come."""
    coming = at if at is not None and at > now else None
    return replace(readiness, look_again=_earliest(readiness.look_again, coming))


def report_readiness(
    *, approved: bool, json_ok: bool, pdf: bool, images: Images, stable_after: timedelta, half: datetime | None,
    now: datetime,
) -> Readiness:  # fmt: skip
    """Readiness of a report: it waits for its parts, and for images until half of its budget is used up."""
    parts = [(approved, Needs.APPROVAL), (json_ok, Needs.JSON), (pdf, Needs.PDF)]
    needs = [need for there, need in parts if not there]
    waits = images.needs(stable_after, now) if half is None or now < half else ()
    look_again = _earliest(half if waits else None, _next_quiet(images, stable_after, now))
    return Readiness((*needs, *waits), not needs and not waits, look_again)


def images_readiness(
    *, approved: bool, others: bool, unsent: int, ask_at: datetime | None, images: Images, stable_after: timedelta,
    now: datetime,
) -> Readiness:  # fmt: skip
    """Readiness of images: they go once some are selected; the delivery ends when all studies are here and quiet.

    `others`: they need not wait for another exam's approval. The storage commitment of stored instances is asked for
    at `ask_at`, None when none is to be asked for.
    """
    commitment = () if ask_at is None else (Needs.COMMITMENT,)
    waits = (*images.needs(stable_after, now), *commitment)
    needs = (*(() if approved else (Needs.APPROVAL,)), *(() if others else (Needs.OTHERS,)), *waits)
    ask = ask_at is not None and ask_at <= now
    look_again = _earliest(_next_quiet(images, stable_after, now), None if ask else ask_at)
    return Readiness(needs, approved and others and (unsent > 0 or ask or not waits), look_again)


def target(state: State, *, held_by: str, hold: str, aside: State | None, ready: bool, news: bool) -> State:
    """The state that a delivery should be in, one move from here.

    `hold` is a cause to hold it, `aside` the state of an exam that is not shared; `news`: there is something that the
    destination does not have.
    """
    if state == State.HELD:
        return state if held_by == PERSON or hold else State.WAITING
    if state in _ASIDE:
        return state if state == aside else State.WAITING
    if state in (State.DELIVERED, State.WITHDRAWN):
        return State.WAITING if news else state
    if state == State.CANCELLED:
        return state
    return State.HELD if hold else _unheld(state, aside, ready, news)


def _unheld(state: State, aside: State | None, ready: bool, news: bool) -> State:
    if state == State.SENDING:
        return state
    if state == State.FAILED:
        return State.WAITING if news else state
    if state == State.WAITING:
        return aside or (State.READY if ready else state)
    return state if ready and aside is None else State.WAITING


def _next_quiet(images: Images, stable_after: timedelta, now: datetime) -> datetime | None:
    stable_at = images.stable_at(stable_after)
    if stable_at is None or stable_at > now:
        return stable_at
    return now + _CATCHING_UP if images.behind is not None and images.behind < stable_at else None


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((i for i in instants if i is not None), default=None)
