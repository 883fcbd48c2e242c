"""A list with a limit is the beginning of the list without one."""

from router.catalogue import Catalogue
from router.policy.states import State
from support.catalogue_rows import MINUTE, NOW, delivery, exam


def test_a_limited_list_is_the_beginning_of_the_whole_one(catalogue: Catalogue) -> None:
    ways = [(), (State.READY,), (State.HELD,), (State.READY, State.SENDING), (State.READY,), ()]
    for n, way in enumerate(ways):
        delivery(catalogue, exam(catalogue, f"E{n}"), *way, due=NOW - n * MINUTE)
    whole = catalogue.queue.in_state(list(State))
    assert len(whole) == len(ways)
    assert {one.due is None for one in whole} == {True, False}
    for limit in range(1, len(ways) + 2):
        assert catalogue.queue.in_state(list(State), None, limit) == whole[:limit]
        assert (
            catalogue.queue.in_state([State.READY], "cloud", limit) == catalogue.queue.in_state([State.READY])[:limit]
        )
