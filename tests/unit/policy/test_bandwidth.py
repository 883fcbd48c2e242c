"""Bandwidth by time of day, with a clock that is told what time it is."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from router.clock import FakeClock
from router.config.file import parse
from router.delivery.throttle import Throttle
from router.errors import ConfigurationError
from router.forward.http import Multipart, Part
from router.policy.bandwidth import Bucket, Window, rate_at

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = Window(time(8), time(18), 1000)
NIGHT = Window(time(22), time(6), 500)
NOON = datetime(2026, 3, 2, 12, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("at", "rate"),
    [("07:59", None), ("08:00", 1000), ("17:59", 1000), ("18:00", None),
     ("22:00", 500), ("02:00", 500), ("06:00", None)],
)  # fmt: skip
def test_a_window_holds_from_its_beginning_to_before_its_end_also_over_midnight(at: str, rate: int | None) -> None:
    assert rate_at([DAY, NIGHT], time.fromisoformat(at)) == rate


def test_of_several_windows_the_smallest_limit_counts() -> None:
    assert rate_at([DAY, Window(time(11), time(13), 200)], time(12)) == 200
    assert rate_at([Window(time(0), time(0), 7)], time(12)) == 7


def test_what_was_granted_has_its_time_before_the_next() -> None:
    bucket, waits, now = Bucket(), [], 100.0
    for size in (500, 1000, 100):
        bucket, wait = bucket.grant(size, 1000, now)
        waits.append(round(wait, 6))
        now += wait
    assert waits == [0, 0.25, 1.0]
    assert bucket.grant(9999, 1000, now + 60)[1] == 0


def throttled(windows: list[Window], start: datetime) -> tuple[Throttle, FakeClock]:
    clock = FakeClock(start)
    return Throttle(windows, SHANGHAI, clock, clock.advance), clock


def test_bytes_take_their_time_within_a_window_and_none_outside() -> None:
    send, clock = throttled([DAY], NOON)
    for _ in range(101):
        send(100)
    assert clock.monotonic() == pytest.approx(10, abs=0.3)
    clock.advance(timedelta(hours=6).total_seconds())
    before = clock.monotonic()
    for _ in range(100):
        send(10**6)
    assert clock.monotonic() == before


def test_windows_are_by_the_hospitals_clock() -> None:
    send, clock = throttled([DAY], datetime(2026, 3, 2, 1, tzinfo=UTC))
    for _ in range(11):
        send(1000)
    assert clock.monotonic() > 9


def test_an_upload_is_paced_piece_by_piece(tmp_path: Path) -> None:
    (tmp_path / "report").write_bytes(bytes(600_000))
    sizes: list[int] = []
    body = Multipart([Part("report", "application/octet-stream", tmp_path / "report")], sizes.append)
    assert sum(map(len, body)) == len(body)
    assert sum(sizes) == 600_000
    assert max(sizes) <= 2**18


CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "H"
HospitalBranchCode = "01"
[[destination]]
name = "cloud"
[[destination.bandwidth]]
from = "08:00"
to = "18:30"
limit = "LIMIT"
"""


def test_a_window_is_written_as_two_times_and_a_size(tmp_path: Path) -> None:
    [window] = parse(CONFIG.replace("LIMIT", "2 MiB"), base=tmp_path).destination[0].bandwidth
    assert (window.from_, window.to, window.limit) == (time(8), time(18, 30), 2**21)
    with pytest.raises(ConfigurationError, match="limit"):
        parse(CONFIG.replace("LIMIT", "1 KiB"), base=tmp_path)
    with pytest.raises(ConfigurationError, match="from"):
        parse(CONFIG.replace("LIMIT", "2 MiB").replace('"08:00"', '"8 h"'), base=tmp_path)


def test_nodes_that_send_at_the_same_time_have_their_part_of_the_rate_each() -> None:
    clock, nodes = FakeClock(NOON), 2
    send = Throttle([DAY], SHANGHAI, clock, clock.advance, lambda: nodes)
    for _ in range(101):
        send(100)
    assert clock.monotonic() == pytest.approx(20, abs=0.6)
    nodes = 1
    before = clock.monotonic()
    for _ in range(101):
        send(100)
    assert clock.monotonic() - before == pytest.approx(10, abs=0.6)
