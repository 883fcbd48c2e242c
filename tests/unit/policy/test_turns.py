"""How the time of sending is shared between what is missed and what can still make it."""

from hypothesis import given
from hypothesis import strategies as st

from router.policy.fair_share import FairShare


@given(st.lists(st.floats(0.1, 30), min_size=50, max_size=200))
def test_what_is_missed_gets_a_quarter_but_for_the_delivery_at_hand_and_what_it_saved(jobs: list[float]) -> None:
    balance, missed, timely = FairShare(), 0.0, 0.0
    for seconds in jobs:
        if balance.missed_first:
            balance, missed = balance.after_missed(seconds), missed + seconds
        else:
            balance, timely = balance.after_timely(seconds), timely + seconds
        assert missed <= (missed + timely) / 4 + 30
    assert missed >= sum(jobs) / 4 - 45


def test_it_does_not_save_up_for_long() -> None:
    balance = FairShare()
    for _ in range(1000):
        balance = balance.after_timely(60)
    assert balance.missed_first
    assert not balance.after_missed(11).missed_first


def test_at_first_it_is_the_turn_of_what_can_still_make_it() -> None:
    assert not FairShare().missed_first
