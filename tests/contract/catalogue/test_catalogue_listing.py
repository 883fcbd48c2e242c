"""A list with a limit is the beginning of the list without one."""

from router.catalogue import Catalogue
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, NOW, delivery, exam


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


def test_the_first_of_one_hospital_are_found_among_those_of_others(catalogue: Catalogue) -> None:
    made: dict[str, list[int]] = {"renmin": [], "xiehe": []}
    for minutes in range(12):
        hospital = "renmin" if minutes % 3 == 0 else "xiehe"
        number = catalogue.exams.number_of(hospital, "01", f"X{minutes}", NOW)
        due = None if minutes == 9 else NOW + (12 - minutes) * MINUTE
        made[hospital].append(delivery(catalogue, number, State.READY, due=due).id)
    first, second, third, undated = made["renmin"]
    assert [one.id for one in catalogue.queue.in_state([State.READY], None, 10, "renmin")] == [
        third, second, first, undated,
    ]  # fmt: skip
    assert [one.id for one in catalogue.queue.in_state(list(State), CLOUD, 2, "renmin")] == [third, second]
    assert catalogue.queue.in_state([State.READY], "elsewhere", 2, "renmin") == []
    assert {one.id for one in catalogue.queue.in_state([State.READY], hospital="xiehe")} == set(made["xiehe"])
    assert len(catalogue.queue.in_state([State.READY], None, 20)) == 12
