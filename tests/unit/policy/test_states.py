"""The table of moves against the design's text, pair by pair."""

from itertools import product

import pytest

from router.policy.states import MOVES, OPEN, PENDING, ForbiddenMove, Needs, State, require_move

# One row per state as the design tells it: where a delivery may go from there, by the first letters of the columns.
_COLUMNS = [
    "waiting", "ready", "sending", "deferred", "delivered", "failed", "held", "cancelled",
    "out_of_scope", "excluded", "not_shared", "withdrawn",
]  # fmt: skip
_TABLE = {
    #               w r s d D f h c o e n W
    "waiting":      ". x . . . . x x x x x .",  # everything is there; aside by [share]
    "ready":        "x . x . . x x x . . . .",  # claimed, its JSON was replaced, or a person ends it
    "sending":      "x x . x x x x x . . . x",  # confirmed, deferred, lease lost, refused, more to come, taken back
    "deferred":     "x x . . . x x x . . . .",  # the next try, its JSON was replaced, or a person ends it
    "delivered":    "x x . . . . . . . . . .",  # a new revision, late images, a withdrawal; lost there: the same again
    "failed":       "x x . . . . x x . . . .",  # retry, or new data
    "held":         "x . . . . . . x . . . .",  # never straight to ready: evaluated anew
    "cancelled":    "x . . . . . . . . . . .",  # a person took it back
    "out_of_scope": "x . . . . . . . . . . .",
    "excluded":     "x . . . . . . . . . . .",
    "not_shared":   "x . . . . . . . . . . .",
    "withdrawn":    "x . . . . . . . . . . .",  # approved again
}  # fmt: skip
_PAIRS = [
    (State(start), State(end), mark == "x")
    for start, row in _TABLE.items()
    for end, mark in zip(_COLUMNS, row.split(), strict=True)
]


def test_the_table_above_knows_every_state() -> None:
    assert {(start, end) for start, end, _ in _PAIRS} == set(product(State, State))


@pytest.mark.parametrize("start", State)
def test_a_move_is_allowed_exactly_where_the_design_says_so(start: State) -> None:
    allowed = {end for one, end, yes in _PAIRS if one == start and yes}
    assert {end for one, end in MOVES if one == start} == allowed
    for end in State:
        if end in allowed:
            require_move(start, end)
        else:
            with pytest.raises(ForbiddenMove, match=f"from {start} to {end}$"):
                require_move(start, end)


def test_every_move_says_what_it_takes() -> None:
    assert all(MOVES.values())


def test_sending_is_entered_from_ready_alone_so_that_nothing_is_sent_unclaimed() -> None:
    assert {start for start, end in MOVES if end == State.SENDING} == {State.READY}


def test_delivered_is_entered_from_sending_alone_so_that_nothing_counts_as_sent_that_was_not() -> None:
    assert {start for start, end in MOVES if end == State.DELIVERED} == {State.SENDING}


def test_no_state_is_a_dead_end() -> None:
    assert {start for start, _ in MOVES} == set(State)


def test_a_held_delivery_does_not_pass_evaluation_by() -> None:
    assert {end for start, end in MOVES if start == State.HELD} == {State.WAITING, State.CANCELLED}


def test_what_is_open_is_pending_and_what_has_ended_is_not() -> None:
    ended = {State.DELIVERED, State.CANCELLED, State.OUT_OF_SCOPE, State.EXCLUDED, State.NOT_SHARED, State.WITHDRAWN}
    assert OPEN < PENDING
    assert set(State) - PENDING == ended
    assert State.SENDING not in OPEN  # it belongs to who holds its lease


def test_states_and_needs_are_written_as_the_queue_shows_them() -> None:
    assert [state.value for state in State] == _COLUMNS
    assert [need.value for need in Needs] == ["approval", "json", "pdf", "images", "stable", "commitment", "others"]
