"""The audit trail: unbroken as long as nobody touches it, and broken by every change."""

import hashlib
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.storage.trail import Key, Trail

MONDAY = datetime(2026, 3, 2, 8, tzinfo=UTC)
DAY = timedelta(days=1)


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def key(name: str) -> Key:
    return Key(name, lambda data: hmac.digest(name.encode(), data, "sha256"))


@pytest.fixture(params=["", "k1"], ids=["unkeyed", "keyed"])
def trail(request: pytest.FixtureRequest, tmp_path: Path) -> Trail:
    """Two records of Monday, two of Tuesday."""
    trail = Trail(tmp_path / "audit", digest, key(request.param) if request.param else None)
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
    forged = Trail(trail.folder.parent / "forged", digest, trail._key)
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
        again = Trail(trail.folder, digest, trail._key)
        list(pool.map(lambda n: again.append([f"of {n}"], MONDAY + DAY), range(12)))
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


# -- the key


@pytest.fixture
def keyed(tmp_path: Path) -> Trail:
    """Two records of before there was a key, three under it."""
    Trail(tmp_path / "audit", digest).append(["old", "older"], MONDAY)
    trail = Trail(tmp_path / "audit", digest, key("k1"))
    trail.append(["one", "two", "three"], MONDAY + DAY)
    return trail


def test_records_of_before_the_key_verify_as_what_they_are(keyed: Trail) -> None:
    found = keyed.verify()
    assert found.faults == ()
    assert (found.count, found.unkeyed, found.foreign) == (5, 2, 0)
    assert found.vouched is not None
    assert found.vouched.n == 3
    plain = Trail(keyed.folder, digest).verify()
    assert "under a key that is not here" in plain.faults[-1]
    assert Trail(keyed.folder, digest).verify(accepted=5).faults == ()
    assert (plain.vouched, plain.foreign) == (None, 3)


def rewritten(trail: Trail, forger: Trail, from_: int) -> None:
    """What somebody does who may write the files and computes every seal from there on again, as well as he can."""
    records = list(trail.records())
    for path in trail.folder.glob("*.jsonl"):
        path.unlink()
    for n, record in enumerate(records, 1):
        message = record.message if n < from_ else f"{record.message}, says the forger"
        maker = forger if n >= from_ else Trail(trail.folder, digest, trail._key if record.key else None)
        maker.append([message], MONDAY if n < 3 else MONDAY + DAY)


@pytest.mark.parametrize("forger_key", [None, "k2"])
@pytest.mark.parametrize("from_", [3, 4, 5])
def test_nobody_without_the_key_closes_the_chain_again(keyed: Trail, from_: int, forger_key: str | None) -> None:
    rewritten(keyed, Trail(keyed.folder, digest, key(forger_key) if forger_key else None), from_)
    found = keyed.verify()
    assert found.count == 5
    assert found.vouched is None or found.faults
    assert (from_ == 3 and forger_key is None) or found.faults


def test_the_same_forgery_goes_unseen_in_a_trail_without_a_key(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "audit", digest)
    trail.append(["one", "two"], MONDAY)
    rewritten(trail, trail, 2)
    assert trail.verify().faults == ()


def test_a_record_by_number_and_the_last_one(keyed: Trail) -> None:
    assert [record.n if (record := keyed.at(n)) else None for n in range(7)] == [None, 1, 2, 3, 4, 5, None]
    assert (last := keyed.last()) is not None
    assert last.n == 5
    assert Trail(keyed.folder / "none", digest).last() is None


def test_the_mark_of_what_was_sent_cannot_be_written_by_others(keyed: Trail) -> None:
    assert keyed.sent() == 0
    keyed.note_sent(4)
    assert keyed.sent() == 4
    mark = keyed.folder / "sent"
    for forged in ("5", "5 " + mark.read_text().split()[1], "4 ", "x", "", "4 00", "-1"):
        mark.write_text(forged)
        assert keyed.sent() == 0, forged
    mark.write_text("2")  # of before there was a key
    assert keyed.sent() == 2
    mark.write_text("99")  # beyond the end: told as what it is
    assert keyed.sent() == 99


@pytest.mark.parametrize("line", [
    b"[]", b"1", b"null", b'{"n": "1", "at": 1, "message": [], "previous": 0, "seal": 0}', b"x",
    b"[" * 100_000, b'{"n": true, "at": "", "message": "", "previous": "", "seal": ""}',
    '{"n": 6, "at": "", "message": "", "previous": "\u00e9", "seal": "\u00e9"}'.encode(),
])  # fmt: skip
def test_a_line_of_any_kind_is_a_fault_and_ends_nothing(keyed: Trail, line: bytes) -> None:
    with file(keyed, 1).open("ab") as opened:
        opened.write(line + b"\n")
    assert keyed.verify().count == 5
    assert any("is no record" in fault for fault in keyed.verify().faults)
