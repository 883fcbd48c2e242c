"""What a delivery waits for, and the one move that the correlator may make."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from router.matching.exam.readiness import PERSON, Images, Readiness, images_readiness, report_readiness, target
from router.policy.states import MOVES, Needs, State

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUIET = MINUTE
HALF = NOW + 10 * MINUTE

NONE = Images(1, 0, None)  # listed, nothing here
NOT_LISTED = Images(0, 0, None)
SOME = Images(1, 1, NOW - 2 * MINUTE)
FRESH = Images(0, 1, NOW - MINUTE / 2)
STABLE = Images(0, 2, NOW - MINUTE)


@pytest.mark.parametrize(
    ("images", "needs"),
    [
        (NONE, (Needs.IMAGES,)),
        (NOT_LISTED, (Needs.IMAGES,)),
        (SOME, (Needs.IMAGES,)),
        (Images(1, 1, NOW), (Needs.IMAGES,)),
        (FRESH, (Needs.STABLE,)),
        (STABLE, ()),  # quiet for exactly the time
        (Images(0, 1, NOW + MINUTE), (Needs.STABLE,)),  # a clock that was set back
        (Images(0, 2, NOW - 3 * MINUTE, behind=NOW - 3 * MINUTE), (Needs.STABLE,)),  # perhaps more of it is received
        (Images(0, 2, NOW - 3 * MINUTE, behind=NOW - MINUTE), ()),
    ],
)
def test_images_are_complete_when_every_study_is_here_and_quiet(images: Images, needs: tuple[Needs, ...]) -> None:
    assert images.needs(QUIET, NOW) == needs


def report(
    *, approved: bool = True, json_ok: bool = True, pdf: bool = True, images: Images = STABLE,
    half: datetime | None = HALF,
) -> Readiness:  # fmt: skip
    return report_readiness(
        approved=approved, json_ok=json_ok, pdf=pdf, images=images, stable_after=QUIET, half=half, now=NOW
    )


_BOTH = (False, True)
_IMAGES = [NONE, NOT_LISTED, SOME, FRESH, STABLE]


@pytest.mark.parametrize(("approved", "json_ok", "pdf"), list(product(_BOTH, _BOTH, _BOTH)))
def test_a_report_goes_only_with_approval_json_and_pdf(approved: bool, json_ok: bool, pdf: bool) -> None:
    missing = {Needs.APPROVAL: approved, Needs.JSON: json_ok, Needs.PDF: pdf}
    for half in (HALF, NOW, NOW - MINUTE):  # however late it is
        found = report(approved=approved, json_ok=json_ok, pdf=pdf, half=half)
        assert found.needs == tuple(need for need, there in missing.items() if not there)
        assert found.ready == (approved and json_ok and pdf)


@pytest.mark.parametrize("images", _IMAGES)
def test_a_report_waits_for_images_up_to_half_of_its_budget(images: Images) -> None:
    before, after = report(images=images), report(images=images, half=NOW)
    assert before.ready == (images == STABLE)
    assert before.needs == images.needs(QUIET, NOW)
    assert (after.needs, after.ready) == ((), True)


@pytest.mark.parametrize(
    ("images", "half", "look_again"),
    [
        (NONE, HALF, HALF),  # only time can bring it on
        (FRESH, HALF, NOW + MINUTE / 2),  # quiet before half
        (Images(0, 1, NOW - 3 * MINUTE, behind=NOW - 3 * MINUTE), HALF, NOW + MINUTE / 120),  # what came is being read
        (FRESH, NOW + MINUTE / 4, NOW + MINUTE / 4),  # half before quiet
        (FRESH, None, NOW + MINUTE / 2),  # no due time yet
        (NONE, None, None),
        (STABLE, HALF, None),
        (NONE, NOW, None),
    ],
)
def test_a_report_is_looked_at_again_when_time_alone_changes_the_answer(
    images: Images, half: datetime | None, look_again: datetime | None
) -> None:
    found = report(images=images, half=half)
    assert found.look_again == look_again
    assert found.look_again is None or found.look_again > NOW


@pytest.mark.parametrize(("approved", "unsent", "images"), list(product(_BOTH, (0, 3), _IMAGES)))
def test_images_go_at_once_after_approval_and_end_when_all_are_here_and_quiet(
    approved: bool, unsent: int, images: Images
) -> None:
    found = images_readiness(
        approved=approved, others=True, unsent=unsent, ask_at=None, images=images, stable_after=QUIET, now=NOW
    )
    assert found.ready == (approved and (unsent > 0 or images == STABLE))
    assert (Needs.APPROVAL in found.needs) == (not approved)
    assert found.needs[not approved :] == images.needs(QUIET, NOW)
    assert found.look_again == (NOW + MINUTE / 2 if images == FRESH else None)


def test_images_wait_for_the_approval_of_the_other_exams_of_their_study() -> None:
    found = images_readiness(
        approved=True, others=False, unsent=3, ask_at=None, images=STABLE, stable_after=QUIET, now=NOW
    )
    assert found == Readiness((Needs.OTHERS,), ready=False)


@pytest.mark.parametrize(("approved", "unsent", "images"), list(product(_BOTH, (0, 3), _IMAGES)))
def test_images_that_are_stored_wait_for_their_commitment_or_the_time_to_ask_for_it(
    approved: bool, unsent: int, images: Images
) -> None:
    for ask_at in (NOW + MINUTE / 4, NOW, NOW - MINUTE):
        found = images_readiness(
            approved=approved, others=True, unsent=unsent, ask_at=ask_at, images=images, stable_after=QUIET, now=NOW
        )
        assert found.needs[-1] == Needs.COMMITMENT
        assert found.needs[not approved : -1] == images.needs(QUIET, NOW)
        assert found.ready == (approved and (unsent > 0 or ask_at <= NOW))
        quiet_at = NOW + MINUTE / 2 if images == FRESH else None
        assert found.look_again == (ask_at if ask_at > NOW else quiet_at)


# -- the move

_ASIDE = [None, State.OUT_OF_SCOPE, State.EXCLUDED, State.NOT_SHARED]
_HOLDERS = ["", PERSON, "identity", "approval"]
_EVERYTHING = list(product(State, _HOLDERS, ["", "identity: a doubt"], _ASIDE, _BOTH, _BOTH))


def _follow(state: State, held_by: str, hold: str, aside: State | None, ready: bool, news: bool) -> list[State]:
    """The states from `state` on, until it stays; as the correlator does, a state that was left is held by nobody."""
    path = [state]
    for _ in range(10):
        to = target(path[-1], held_by=held_by, hold=hold, aside=aside, ready=ready, news=news)
        if to == path[-1]:
            return path
        path.append(to)
        held_by = "identity" if to == State.HELD else ""
    pytest.fail(f"it never comes to rest: {path}")


@pytest.mark.parametrize("state", State)
def test_every_target_is_a_move_of_the_table_or_no_move(state: State) -> None:
    for start, held_by, hold, aside, ready, news in _EVERYTHING:
        if start == state:
            to = target(start, held_by=held_by, hold=hold, aside=aside, ready=ready, news=news)
            assert to == start or (start, to) in MOVES, (held_by, hold, aside, ready, news)


def test_every_delivery_comes_to_rest_within_three_moves() -> None:
    assert all(len(_follow(*everything)) <= 4 for everything in _EVERYTHING)


def test_nothing_is_made_ready_that_is_doubted_set_aside_or_not_complete() -> None:
    for start, held_by, hold, aside, ready, news in _EVERYTHING:
        path = _follow(start, held_by, hold, aside, ready, news)
        if path[-1] == State.READY:
            assert ready, path
            assert not hold, path
            assert aside is None, path


def test_evaluation_never_sends_delivers_defers_fails_or_cancels() -> None:
    for everything in _EVERYTHING:
        entered = set(_follow(*everything)[1:])
        assert entered <= {State.WAITING, State.READY, State.HELD, *_ASIDE}, everything


def test_a_person_s_hold_outlasts_everything_but_that_person() -> None:
    for start, held_by, hold, aside, ready, news in _EVERYTHING:
        if start == State.HELD and held_by == PERSON:
            assert _follow(start, held_by, hold, aside, ready, news) == [State.HELD]


# The state, what is known (hold, aside, ready, news), and where it comes to rest.
_CASES = [
    (State.WAITING,      "",  None, False, True,  State.WAITING),
    (State.WAITING,      "",  None, True,  True,  State.READY),
    (State.WAITING,      "h", None, True,  True,  State.HELD),
    (State.WAITING,      "h", State.EXCLUDED, True, True, State.HELD),  # a doubt is told before a rule
    (State.WAITING,      "",  State.EXCLUDED, True, True, State.EXCLUDED),
    (State.READY,        "",  None, True,  True,  State.READY),
    (State.READY,        "",  None, False, True,  State.WAITING),  # its JSON was replaced by one with gaps
    (State.READY,        "h", None, True,  True,  State.HELD),
    (State.READY,        "",  State.OUT_OF_SCOPE, True, True, State.OUT_OF_SCOPE),
    (State.DEFERRED,     "",  None, True,  True,  State.DEFERRED),  # its pause is the queue's
    (State.DEFERRED,     "",  None, False, True,  State.WAITING),
    (State.DEFERRED,     "h", None, True,  True,  State.HELD),
    (State.SENDING,      "",  None, False, False, State.SENDING),  # whoever has the lease ends it
    (State.SENDING,      "h", None, True,  True,  State.HELD),
    (State.DELIVERED,    "",  None, True,  False, State.DELIVERED),
    (State.DELIVERED,    "",  None, True,  True,  State.READY),  # a new revision
    (State.DELIVERED,    "",  None, False, True,  State.WAITING),
    (State.DELIVERED,    "h", None, True,  False, State.DELIVERED),  # told by an alarm
    (State.DELIVERED,    "h", None, True,  True,  State.HELD),  # what is new does not go out
    (State.FAILED,       "",  None, True,  False, State.FAILED),  # only a person tries the same again
    (State.FAILED,       "",  None, True,  True,  State.READY),
    (State.FAILED,       "h", None, True,  True,  State.HELD),
    (State.HELD,         "h", None, True,  True,  State.HELD),
    (State.HELD,         "",  None, True,  True,  State.READY),  # its cause is gone: evaluated anew
    (State.HELD,         "",  None, False, True,  State.WAITING),
    (State.CANCELLED,    "",  None, True,  True,  State.CANCELLED),
    (State.CANCELLED,    "h", None, True,  True,  State.CANCELLED),
    (State.EXCLUDED,     "",  State.EXCLUDED, True, True, State.EXCLUDED),
    (State.EXCLUDED,     "",  State.OUT_OF_SCOPE, True, True, State.OUT_OF_SCOPE),
    (State.EXCLUDED,     "",  None, True,  True,  State.READY),
    (State.NOT_SHARED,   "",  None, False, True,  State.WAITING),
]  # fmt: skip


@pytest.mark.parametrize(("state", "hold", "aside", "ready", "news", "rests"), _CASES)
def test_where_a_delivery_comes_to_rest(
    state: State, hold: str, aside: State | None, ready: bool, news: bool, rests: State
) -> None:
    assert _follow(state, "identity" if state == State.HELD else "", hold, aside, ready, news)[-1] == rests
