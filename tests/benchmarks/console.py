"""How long the console's pages take with a million exams, and what twenty open browsers cost the node."""

import http.client
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from measure import Run, markdown, say

from router.admin.console.console import Console
from router.admin.console.context import ConsoleContext
from router.admin.http.server import AdminServer
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.queue.backlog import Place
from router.clock import SystemClock
from router.config.file import parse
from router.events import EventBus
from router.images.rulebook import rulebook
from router.model import Channel
from router.review.attention import look
from support import bulk_rows
from support.intake_folder import CONFIG

_PAGES = ("/", "/work", "/queue", "/queue?state=held", "/exam?id=5", "/unreported", "/refused", "/files", "/login")
_A_DAY = 3000  # exams
_EVERY, _BROWSERS = 5.0, 20  # seconds between two looks, as the page's script has it


def pages(run: Run) -> str:
    """Each page's first and median time with 1 million exams."""
    rows = []
    with _listening(run) as port:
        for page in _PAGES:
            times = [_look(port, page)[0] for _ in range(run.rounds + 1)]
            rows.append([page, f"{times[0] * 1000:.0f}", f"{statistics.median(times[1:]) * 1000:.0f}"])
            say(f"  {page}: {times[0] * 1000:.0f} ms")
    return markdown(_title(run, "the console's pages"), ["", "first ms", "median ms"], rows)


def browsers(run: Run) -> str:
    """Processor seconds a minute of 20 browsers that refresh the first screen, the work list or the queue."""
    seconds = run.duration()
    with _listening(run) as port:
        for page in _PAGES:
            _look(port, page)
        until, began = time.monotonic() + seconds, time.process_time()
        threads = [threading.Thread(target=_browse, args=(port, _PAGES[n % 3], until)) for n in range(_BROWSERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = (time.process_time() - began) * 60 / seconds
    rows = [[f"{_BROWSERS} browsers", f"{spent:.2f}", f"{spent / 60:.1%}"]]
    heads = ["", "processor seconds a minute, the browsers' own included", "of one processor"]
    return markdown(_title(run, "open browsers"), heads, rows)


def _title(run: Run, what: str) -> str:
    return f"{what} with {run.count(1_000_000, 1000):,} exams"


def _browse(port: int, page: str, until: float) -> None:
    tag = ""
    while time.monotonic() < until:
        _, tag = _look(port, page, tag)
        time.sleep(max(0.0, min(_EVERY, until - time.monotonic())))


def _look(port: int, page: str, tag: str = "") -> tuple[float, str]:
    """Seconds that the page took, and its tag; as the page's script looks where there is a tag already."""
    began = time.monotonic()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", page, headers={"X-Live": "1", "If-None-Match": tag} if tag else {})
        answer = connection.getresponse()
        answer.read()
    if answer.status not in (200, 304):
        raise RuntimeError(f"{page}: {answer.status}")
    return time.monotonic() - began, answer.headers.get("ETag", "")


@contextmanager
def _listening(run: Run) -> Iterator[int]:
    """The port of a console over the catalogue of so many exams."""
    bulk_rows.fill(run.folder, run.count(1_000_000, 1000))
    catalogue = open_catalogue("", run.folder, EventBus())
    _spread(catalogue)
    console = Console(_context(run.folder, catalogue), "a token of this bench")
    server = AdminServer(console.routes(), catalogue.engine.close_thread)
    try:
        yield server.start("127.0.0.1", 0)
    finally:
        server.stop()
        catalogue.engine.close_thread()


def _spread(catalogue: Catalogue) -> None:
    """Have the delivered exams come in the course of the months, so many a day as in a large hospital."""
    ago = 86_400_000_000 // _A_DAY
    with catalogue.engine.write():
        for table, number in (("exam", "id"), ("delivery", "exam_id")):
            times = "approved_at" if table == "exam" else "changed"
            catalogue.engine.execute(
                f"UPDATE {table} SET created = created - {number} * {ago}, {times} = {times} - {number} * {ago}"
                f" WHERE {number} > {bulk_rows.OPEN}"
            )


def _context(folder: Path, catalogue: Catalogue) -> ConsoleContext:
    config = parse(CONFIG.replace('"data"', f'"{folder}"'), base=folder)
    clock, quarantine = SystemClock(), folder / "quarantine"
    places = [Place("cloud", Channel.IMAGES, timedelta(hours=6)), Place("cloud", Channel.REPORT, timedelta(hours=1))]
    return ConsoleContext(
        config=config, catalogue=catalogue, bus=EventBus(), clock=clock, rules=lambda _: rulebook(config.series),
        queues=places, free=lambda: 2**40, token_file=folder / "token", seal=lambda: None,
        attention=lambda of: look(catalogue, places, quarantine, clock.now(), of),
    )  # fmt: skip


SECTIONS: dict[str, Callable[[Run], str]] = {"pages": pages, "browsers": browsers}
