"""Who is to blame when a destination ends associations."""

import pytest

from router.delivery.abort_tracker import AbortTracker
from router.policy.retry import LOSSES, LOSSES_ALONE, given_up


@pytest.mark.parametrize("losses", range(1, LOSSES_ALONE + 2))
def test_an_instance_is_given_up_sooner_where_others_went(losses: int) -> None:
    assert given_up(losses, others_went=True) == (losses >= LOSSES)
    assert given_up(losses, others_went=False) == (losses >= LOSSES_ALONE)
    assert LOSSES < LOSSES_ALONE


def test_one_instance_alone_is_to_blame_however_often() -> None:
    suspects = AbortTracker()
    assert [suspects.lost(1) for _ in range(3)] == [True] * 3


def test_of_several_none_is_to_blame_until_the_destination_answers_again() -> None:
    suspects = AbortTracker()
    assert [suspects.lost(key) for key in (1, 2, 1, 3)] == [True, False, False, False]
    suspects.answered()
    assert [suspects.lost(2), suspects.lost(2), suspects.lost(1)] == [True, True, False]
