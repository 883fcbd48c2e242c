"""When a file has settled: size and time still for long enough, seen twice at least."""

from pathlib import Path

from router.reports.folder.settle import Seen, Settling

A = Seen(Path("/in/a.json"), 10, 1000)
B = Seen(Path("/in/b.pdf"), 10, 500)
GROWN = Seen(A.path, 11, 1000)
TOUCHED = Seen(A.path, 10, 1001)


def test_a_file_is_taken_once_it_was_still_for_the_whole_time() -> None:
    settling = Settling(2.0)
    assert settling.settled([A], 100.0) == []
    assert settling.settled([A], 101.9) == []
    assert settling.settled([A], 102.0) == [A]


def test_a_file_that_grows_or_is_touched_begins_anew() -> None:
    settling = Settling(2.0)
    settling.settled([A], 100.0)
    assert settling.settled([GROWN], 102.0) == []
    assert settling.settled([TOUCHED], 103.0) == []
    assert settling.settled([TOUCHED], 104.9) == []
    assert settling.settled([TOUCHED], 105.0) == [TOUCHED]


def test_a_file_that_goes_back_to_its_former_look_begins_anew() -> None:
    settling = Settling(2.0)
    settling.settled([A], 100.0)
    settling.settled([GROWN], 101.0)
    assert settling.settled([A], 102.0) == []


def test_a_file_that_vanished_and_came_back_begins_anew() -> None:
    settling = Settling(2.0)
    settling.settled([A], 100.0)
    assert settling.settled([], 101.0) == []
    assert not settling.pending
    assert settling.settled([A], 102.0) == []


def test_the_oldest_file_comes_first_and_the_path_decides_between_equals() -> None:
    settling = Settling(0.0)
    twin = Seen(Path("/in/0.json"), 1, 1000)
    assert settling.settled([A, twin, B], 1.0) == [B, twin, A]


def test_a_file_that_could_not_be_taken_is_offered_again() -> None:
    settling = Settling(1.0)
    settling.settled([A], 0.0)
    assert settling.settled([A], 1.0) == [A]
    assert settling.settled([A], 2.0) == [A]


def test_a_file_that_was_dealt_with_is_left_alone_until_it_changes() -> None:
    settling = Settling(1.0)
    settling.settled([A, B], 0.0)
    settling.settled([A, B], 1.0)
    settling.done(A)
    assert settling.settled([A, B], 2.0) == [B]
    settling.done(B)
    assert not settling.pending
    assert settling.settled([TOUCHED, B], 3.0) == []
    assert settling.pending
    assert settling.settled([TOUCHED, B], 4.0) == [TOUCHED]


def test_what_was_dealt_with_and_vanished_is_forgotten() -> None:
    settling = Settling(0.0)
    settling.settled([A], 0.0)
    settling.done(A)
    settling.settled([], 1.0)
    assert settling.settled([A], 2.0) == [A]
