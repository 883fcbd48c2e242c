"""How long the queue's questions take with so many ledger rows, on each engine."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import queue_purge
import queue_turns
from measure import Run, markdown, say
from queue_rows import arrivals, fill, names
from servers import postgresql

from router.catalogue import Catalogue, open_catalogue
from router.catalogue.db.tables.images import Facts, Instance, Study, StudyIdentity
from router.clock import SystemClock
from router.events import EventBus
from router.model import Channel
from router.policy.states import PENDING, State
from router.policy.turns import Turns
from router.review.deliveries import Review

_TIMES, _PATIENCE_SECONDS = 200, 20.0
_OF_A_DISTRICT = 30
_LEASE = timedelta(minutes=2)
_FIRST, _LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
Question = Callable[[int], object]


def small(run: Run) -> str:
    """10 thousand ledger rows"""
    return _measured(run, 10_000)


def million(run: Run) -> str:
    """1 million ledger rows"""
    return _measured(run, 1_000_000)


def large(run: Run) -> str:
    """10 million ledger rows: minutes, and some 8 GB on the disk for each engine"""
    return _measured(run, 10_000_000)


def district(run: Run) -> str:
    """10 million ledger rows of 30 hospitals whose numbers are alike, 2.4 million instances a day"""
    return _measured(run, 10_000_000, _OF_A_DISTRICT)


def _measured(run: Run, ledger: int, hospitals: int = 0) -> str:
    count = run.count(ledger, 1000)
    rows: list[list[str]] = []
    with _engines() as engines:
        for name, url in engines.items():
            if not run.has(name):
                continue
            catalogue = open_catalogue(url, run.folder, EventBus())
            try:
                rows += _of_engine(name, catalogue, count, run, hospitals)
            finally:
                catalogue.engine.close_thread()
    columns = ["", "median ms", "p99 ms", "longest ms", "a second"]
    of = f" of {hospitals} hospitals" if hospitals else ""
    return markdown(f"{count:,} ledger rows{of}", columns, rows)


@contextmanager
def _engines() -> Iterator[Mapping[str, str]]:
    with postgresql() as url:
        if url is None:
            say("PostgreSQL is not installed: left out")
        yield {"SQLite": ""} | ({"PostgreSQL": url} if url else {})


def _of_engine(name: str, catalogue: Catalogue, count: int, run: Run, hospitals: int) -> Iterator[list[str]]:
    began = time.monotonic()
    exams = fill(catalogue, count, hospitals)
    for table in (Study, Facts, Instance, StudyIdentity):
        catalogue.engine.numbered(table)
    say(f"  {name}: filled in {time.monotonic() - began:.0f} s")
    asked = _of_district(catalogue, exams, names(hospitals)) if hospitals else {}
    for title, question in (_questions(catalogue, exams) | asked).items():
        times = list(_times(question, run.count(_TIMES)))
        p99 = sorted(times)[min(len(times) - 1, round(len(times) * 0.99))]
        middle = statistics.median(times)
        yield [f"{name}: {title}", *(f"{1000 * t:.1f}" for t in (middle, p99, max(times))), f"{1 / middle:.0f}"]


def _times(question: Question, count: int) -> Iterator[float]:
    """Seconds of each, as many as fit in a while."""
    until = time.monotonic() + _PATIENCE_SECONDS
    for n in range(count):
        yield _timed(question, n)
        if time.monotonic() > until:
            return


def _timed(question: Question, n: int) -> float:
    began = time.perf_counter()
    question(n)
    return time.perf_counter() - began


def _questions(catalogue: Catalogue, exams: int) -> dict[str, Question]:
    review, now, before = Review(catalogue, SystemClock()), datetime.now(UTC), datetime(2027, 1, 1, tzinfo=UTC)

    def explain(n: int) -> None:
        for story in review.stories(f"E{n * 7919 % exams + 1}"):
            for line in story.lines:
                review.ledger(line.delivery)

    def claim(_: int) -> None:
        if catalogue.queue.claim("cloud", Channel.IMAGES, "bench", now, _LEASE) is None:
            say("    nothing was left to claim")

    def catalogue_study(n: int) -> None:
        catalogue.instances.add(arrivals(f"1.4.{n}", 250, 2**19, now))

    def status(_: int) -> None:
        with catalogue.engine.read():
            catalogue.survey.places(now)
            catalogue.survey.due_soon(now, 10)
            catalogue.survey.nodes()

    return {
        "claim": claim,
        "list of what is open": lambda _: review.listed(sorted(PENDING), None, None, limit=100),
        "list of everything": lambda _: review.listed(list(State), None, None, limit=100),
        "catalogue 250 instances": catalogue_study,
        "explain": explain,
        "status": status,
        "alarms": lambda _: catalogue.alarms.standing(),
        "next to purge": lambda _: catalogue.purge.delivered(before, now, 20),
        "to evaluate": lambda _: catalogue.exams.next_check(),
    }


def _of_district(catalogue: Catalogue, exams: int, hospitals: tuple[str, ...]) -> dict[str, Question]:
    """What one hospital of several asks; `claim` in turns and arrivals with their hospital in place of the others."""
    review, now, day = Review(catalogue, SystemClock()), datetime.now(UTC), timedelta(days=1)
    exam, state, last = catalogue.exams, {"turns": Turns()}, catalogue.queue.due_between(_FIRST, _LAST)[-1].due or now

    def of(n: int) -> str:
        return hospitals[n % len(hospitals)]

    def number(n: int) -> str:
        return f"A{n * 7919 % (exams // len(hospitals)) + 1}"

    def claim(_: int) -> None:
        found = catalogue.queue.claim(
            "cloud", Channel.IMAGES, "bench", now, _LEASE, hospitals=hospitals, turns=state["turns"]
        )  # fmt: skip
        if found is None:
            say("    nothing was left to claim")
        else:
            state["turns"] = state["turns"].after(found.hospital)

    def catalogue_study(n: int) -> None:
        catalogue.instances.add([replace(new, hospital=of(n)) for new in arrivals(f"1.4.{n}", 250, 2**19, now)])

    def explain(n: int) -> None:
        for story in review.stories(f"e:{n * 7919 % exams + 1}"):
            for line in story.lines:
                review.ledger(line.delivery)

    def status(n: int) -> None:
        with catalogue.engine.read():
            catalogue.survey.places(now, of(n))
            catalogue.survey.due_soon(now, 10, of(n))

    return {
        "claim": claim,
        "catalogue 250 instances": catalogue_study,
        "explain": explain,
        "an exam with its studies": lambda n: exam.case(n * 7919 % exams + 1),
        "studies of an accession number": lambda n: exam.links.candidates(number(n), of(n)),
        "exams of an ExamId": lambda n: exam.find(number(n).replace("A", "E"), hospital=of(n)),
        "place in the queue": lambda _: catalogue.prospects.queued("cloud", Channel.IMAGES, now),
        "list of what is open, of a hospital": lambda n: review.listed(sorted(PENDING), None, None, 100, of(n)),
        "list of everything, of a hospital": lambda n: review.listed(list(State), None, None, 100, of(n)),
        "status of a hospital": status,
        "due on a day, of a hospital": lambda n: catalogue.queue.due_between(last - day, last, of(n)),
        "due on a day, of all": lambda _: catalogue.queue.due_between(last - day, last),
        "studies without a report": lambda _: catalogue.unreported.waiting(),
    }


def purge(run: Run) -> str:
    """claims and receiving while a day of 10,000 instances is purged"""
    with _engines() as engines:
        taken = {name: url for name, url in engines.items() if run.has(name)}
        rows = [row for name, url in taken.items() for row in queue_purge.measured(name, url, run)]
    return markdown("A day is purged", queue_purge.HEADS, rows)


def hospitals(run: Run) -> str:
    """claims where one of thirty hospitals has 10 thousand deliveries waiting, and another one now and then"""
    with _engines() as engines:
        taken = {name: url for name, url in engines.items() if run.has(name)}
        rows = [row for name, url in taken.items() for row in queue_turns.measured(name, url, run)]
    return markdown("Turns of hospitals", queue_turns.HEADS, rows)


SECTIONS: Mapping[str, Callable[[Run], str]] = {
    "purge": purge, "hospitals": hospitals, "small": small, "million": million, "large": large, "district": district,
}  # fmt: skip
