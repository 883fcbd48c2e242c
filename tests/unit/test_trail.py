"""The audit trail: unbroken as long as nobody touches it, and broken by every change."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.storage.trail import Trail

MONDAY = datetime(2026, 3, 2, 8, tzinfo=UTC)
DAY = timedelta(days=1)


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    """Two records of Monday, two of Tuesday."""
    trail = Trail(tmp_path / "audit", digest)
    for day in (0, 1):
        trail.append([f"one of day {day}", f"another of day {day}"], MONDAY + day * DAY)
    return trail


def file(trail: Trail, day: int = 0) -> Path:
    return trail.folder / f"{MONDAY + day * DAY:%Y-%m-%d}.{2 * day + 1:012}.jsonl"


def lines(trail: Trail) -> list[bytes]:
    return file(trail).read_bytes().splitlines(keepends=True)


def test_what_was_added_is_there_in_order_and_unbroken(trail: Trail) -> None:
    assert [record.message for record in trail.records()] == [
        "one of day 0", "another of day 0", "one of day 1", "another of day 1",
    ]  # fmt: skip
    found = trail.verify()
    assert (found.count, found.faults) == (4, ())
    assert found.last is not None
    assert found.last.n == 4


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a word is changed": lambda old: [old[0].replace(b"one of", b"two of"), old[1]],
    "a time is changed": lambda old: [old[0].replace(b"08:00", b"09:00"), old[1]],
    "the first line is taken out": lambda old: old[1:],
    "the last line of a day is taken out": lambda old: old[:1],
    "lines are exchanged": lambda old: old[::-1],
    "a line is there twice": lambda old: [old[0], *old],
    "a line is no record": lambda old: [old[0], b"{}\n", old[1]],
    "a line is no JSON": lambda old: [old[0], b"x\n", old[1]],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_breaks_the_chain(trail: Trail, change: Callable[[list[bytes]], list[bytes]]) -> None:
    file(trail).write_bytes(b"".join(change(lines(trail))))
    assert trail.verify().faults


def test_every_changed_byte_of_a_record_breaks_the_chain(trail: Trail) -> None:
    whole = file(trail).read_bytes()
    first = len(lines(trail)[0]) - 1
    for place in range(first):
        file(trail).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert trail.verify().faults, f"byte {place}"


def test_a_record_that_was_sealed_anew_does_not_fit_the_next(trail: Trail) -> None:
    forged = Trail(trail.folder.parent / "forged", digest)
    forged.append(["something else"], MONDAY)
    file(trail).write_bytes(file(forged).read_bytes() + lines(trail)[1])
    assert any("does not follow" in fault for fault in trail.verify().faults)


def test_what_a_crash_left_of_a_line_is_cut_off_by_the_next_one(trail: Trail) -> None:
    with file(trail, 1).open("ab") as opened:
        opened.write(b'{"n": 5, "at": "20')
    assert trail.verify().faults == ()
    trail.append(["after the crash"], MONDAY + DAY)
    assert trail.verify().faults == ()
    assert [record.n for record in trail.records()] == [1, 2, 3, 4, 5]


def test_a_clock_that_was_set_back_keeps_the_order(trail: Trail) -> None:
    trail.append(["by a clock that is wrong"], MONDAY - 9 * DAY)
    assert trail.verify().faults == ()
    assert [record.n for record in trail.records()] == [1, 2, 3, 4, 5]


def test_several_may_write(trail: Trail) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: Trail(trail.folder, digest).append([f"of {n}"], MONDAY + DAY), range(12)))
    found = trail.verify()
    assert (found.count, found.faults) == (16, ())


def test_after_retention_the_rest_is_unbroken_and_goes_on(trail: Trail) -> None:
    assert trail.purge((MONDAY + 5 * DAY).date()) == 1, "the newest file stays"
    trail.append(["later"], MONDAY + 6 * DAY)
    assert trail.verify().faults == ()
    assert [record.n for record in trail.records()] == [3, 4, 5]


@pytest.mark.parametrize("n", range(6))
def test_the_records_after_a_number_are_found(trail: Trail, n: int) -> None:
    assert [record.n for record in trail.after(n)] == [1, 2, 3, 4][n:]


def test_a_message_may_hold_anything(trail: Trail) -> None:
    text = 'line\nbreak "quote" \u2028 张三 \x85'
    trail.append([text], MONDAY + DAY)
    assert list(trail.records())[-1].message == text
    assert trail.verify().faults == ()
    assert json.loads(file(trail, 1).read_bytes().split(b"\n")[-2])["message"] == text
