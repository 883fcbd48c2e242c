"""What is remembered takes a bounded amount of memory, whatever comes from outside."""

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from router import remembered as module
from router.catalogue.images.series_members import _facts
from router.matching.patient.names import likeness
from router.matching.patient.pinyin import spelling
from router.remembered import Recent, remembered
from router.text.decoding import reading

PACKAGE = Path(module.__file__).parent
# Their arguments are one character, a configured path, a mark, a text of at most 1,000 characters.
OF_BOUNDED_ARGUMENTS = {
    "text/decoding.py": 4, "matching/patient/pinyin.py": 1, "reports/hl7/narrative.py": 1, "text/language.py": 1,
}  # fmt: skip


def kept_of(feed: Callable[[int], object], count: int) -> int:
    """Bytes that are left after `count` different inputs."""
    feed(-1)
    tracemalloc.start()
    try:
        for number in range(count):
            feed(number)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "feed",
    [
        lambda n: reading(f"{n:08}".encode() * 120 + "张".encode(), ""),
        lambda n: likeness("张三" + f"{n:08}" * 100, "张三"),
        lambda n: spelling("\ue000", f"ZHANGSAN{n:08}" * 50),
        lambda n: _facts(f'{{"series_description": "{n:08}{"x" * 10_000}"}}'),
    ],
    ids=["text", "name", "pinyin", "series"],
)
def test_long_values_from_outside_are_not_kept(feed: Callable[[int], object]) -> None:
    assert kept_of(feed, 200) < 50_000


def test_short_values_are_remembered_and_long_ones_worked_out_each_time() -> None:
    asked: list[tuple[str, bytes]] = []

    @remembered(2, 6)
    def joined(one: str, other: bytes) -> str:
        asked.append((one, other))
        return one + other.decode()

    for _ in range(2):
        assert joined("abc", b"def") == "abcdef"
        assert joined("abc", b"defg") == "abcdefg"
    assert asked == [("abc", b"def"), ("abc", b"defg"), ("abc", b"defg")]


def test_the_last_results_are_remembered_up_to_a_number_and_a_weight() -> None:
    asked: list[int] = []

    def work(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    recent = Recent(work, len, 3, 10)

    def works(*sizes: int) -> list[int]:
        asked.clear()
        for size in sizes:
            assert len(recent(size)) == size
        return list(asked)

    assert works(1, 2, 3, 1, 2, 3) == [1, 2, 3]
    assert works(4, 3, 2, 1) == [4, 1]  # the fourth one pushes out the one that was asked for longest ago
    assert works(9, 1, 9) == [9]
    assert works(50, 50, 1, 50) == [50, 1, 50]  # one that is too heavy stays until another comes
    recent.clear()
    assert works(1) == [1]


def test_no_other_cache_counts_only_its_entries() -> None:
    """A cache of texts goes by their length, too: `remembered` or `Recent`."""
    found = {
        str(path.relative_to(PACKAGE)): count
        for path in PACKAGE.rglob("*.py")
        if path.name != "remembered.py" and (count := len(re.findall(r"lru_cache\(", path.read_text("utf-8"))))
    }
    assert found == OF_BOUNDED_ARGUMENTS


def test_only_what_lists_all_alarms_reads_all() -> None:
    """Each refused file is an alarm, and there may be ten thousands: a duty reads the kinds that it knows."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"alarms\.standing\(\)", path.read_text("utf-8"))
    }
    assert found == {"review/attention.py", "cli/doctor.py"}
