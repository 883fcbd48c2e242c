from datetime import UTC, datetime, timedelta

import pytest

from router.matching.exam.recount import Ending, corrected, count_alone
from router.policy.states import State

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def report(count: object, json: int = 1, studies: str = "ab") -> str:
    return f"json={json} pdf=2 images={count} studies={studies}"


@pytest.mark.parametrize(
    ("wanted", "before", "alone"),
    [
        (report(3), report(4), True),
        (report(3), report("-"), True),
        (report(3), report(3), False),
        (report(3, json=2), report(4), False),
        (report(3, studies="cd"), report(4), False),
        (report(3), "", False),
    ],
)
def test_whether_only_the_count_differs(wanted: str, before: str, alone: bool) -> None:
    assert count_alone(wanted, before) == alone


@pytest.mark.parametrize(
    ("state", "is_open", "quiet", "due", "over"),
    [
        (State.DELIVERED, False, True, HOUR, True),
        (State.FAILED, False, True, HOUR, True),
        (State.CANCELLED, False, True, None, True),
        (State.DELIVERED, True, True, HOUR, False),
        (State.DELIVERED, False, False, HOUR, False),
        (State.SENDING, False, True, HOUR, False),
        (State.HELD, False, True, None, False),
        (State.DEFERRED, True, True, HOUR, False),
        (State.DEFERRED, True, True, -HOUR, True),
        (State.WAITING, False, False, timedelta(0), True),
    ],
)
def test_the_count_is_what_it_will_be_when_the_images_have_ended_or_are_due(
    state: State, is_open: bool, quiet: bool, due: timedelta | None, over: bool
) -> None:
    ending = Ending(state=state, open=is_open, due=None if due is None else NOW + due, cause=None)
    assert ending.over(NOW, quiet=quiet) == over


def test_the_count_is_sent_anew_once_for_each_cause() -> None:
    first, again = (report(4), NOW), (report(3), NOW + HOUR)
    assert not corrected([first], NOW)
    assert corrected([first, again], NOW)
    assert not corrected([first, again], NOW + 2 * HOUR)
    assert not corrected([first, (report(3, json=2), NOW + HOUR)], NOW)
    assert corrected([first, again, (report(3, json=2), NOW + 3 * HOUR)], NOW)
    assert not corrected([], None)
