"""Claims where one of thirty hospitals has thousands waiting, and another has one now and then."""

import statistics
import time
from datetime import UTC, datetime, timedelta

from measure import Run

from router.catalogue import Catalogue, open_catalogue
from router.events import EventBus
from router.model import Channel
from router.policy.states import State
from router.policy.turns import Turns

HEADS = ["", "median ms", "p99 ms", "longest wait of the small one, claims", "the same, ms"]
_WAITING, _CLAIMS, _EVERY = 10_000, 1000, 50
_LEASE = timedelta(minutes=2)
_NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
_FLOODS, _SMALL = "h00", "h29"
_HOSPITALS = tuple(f"h{n:02}" for n in range(30))


def measured(name: str, url: str, run: Run) -> list[list[str]]:
    """A row for one hospital alone, one for thirty."""
    folder = run.folder / name
    folder.mkdir()
    catalogue = open_catalogue(url, folder, EventBus())
    try:
        _fill(catalogue, run.count(_WAITING, 100))
        claims = run.count(_CLAIMS, 60)
        alone, _ = _claimed(catalogue, (_FLOODS,), claims)
        times, waits = _claimed(catalogue, _HOSPITALS, claims)
    finally:
        catalogue.engine.close_thread()
    of_waits = [f"{max(count for count, _ in waits)}", f"{max(ms for _, ms in waits):.1f}"] if waits else ["", ""]
    return [
        [f"{name}: one hospital", *_figures(alone), "", ""],
        [f"{name}: thirty hospitals", *_figures(times), *of_waits],
    ]


def _figures(times: list[float]) -> list[str]:
    p99 = sorted(times)[min(len(times) - 1, round(len(times) * 0.99))]
    return [f"{statistics.median(times):.2f}", f"{p99:.2f}"]


def _fill(catalogue: Catalogue, count: int) -> None:
    for first in range(0, count, 500):
        with catalogue.engine.write():
            for n in range(first, min(first + 500, count)):
                _ready(catalogue, _FLOODS, f"E{n}", 60 + n / 1000)
    catalogue.engine.execute("ANALYZE")


def _ready(catalogue: Catalogue, hospital: str, exam_id: str, minutes: float) -> None:
    number = catalogue.exams.number_of(hospital, "01", exam_id, _NOW)
    catalogue.queue.make(number, [("cloud", Channel.REPORT)], _NOW)
    changes = {"due": _NOW + timedelta(minutes=minutes)}
    catalogue.queue.move(catalogue.queue.of_exam(number)[0], State.READY, _NOW, "bench", changes=changes)


def _claimed(
    catalogue: Catalogue, hospitals: tuple[str, ...], claims: int
) -> tuple[list[float], list[tuple[int, float]]]:  # fmt: skip
    """Milliseconds of each claim; how many claims, and how long, each delivery of the small one waited."""
    turns, times, waits, since, began = Turns(), list[float](), list[tuple[int, float]](), 0, 0.0
    for n in range(claims):
        if len(hospitals) > 1 and n % _EVERY == 0:
            _ready(catalogue, _SMALL, f"S{n}", 24 * 60)  # due long after all the others
            since, began = n, time.perf_counter()
        at = time.perf_counter()
        found = catalogue.queue.claim(
            "cloud", Channel.REPORT, "bench", _NOW, _LEASE, hospitals=hospitals, turns=turns
        )  # fmt: skip
        times.append(1000 * (time.perf_counter() - at))
        if found is not None:
            turns = turns.after(found.hospital)
            if found.hospital == _SMALL:
                waits.append((n - since, 1000 * (at - began)))
    return times, waits
