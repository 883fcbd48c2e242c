"""What tests share: the order of the files, the promise of a mark, a database on each engine, a drop folder."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import router
from router.alarms import Alarm
from router.catalogue import Catalogue
from router.events import Event, EventBus, Kind
from router.forward import chat
from router.reports.pdf.reader import Readers
from support.catalogue_rows import Database, lay_tables
from support.forked_processes import FORK_SERVER, forked_chat
from support.intake_folder import IntakeFolder, OpenDesk
from support.postgres import HASTE, Server, postgres_server

# Programs that tests start by the hundred need not be compiled by each; nor the tests by each of five processes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Nor need those that nodes start: each receive worker would load half of the program.
FORK_SERVER.forks_workers = True
# Nor apprise, by each message that a test's own process sends through it.
vars(chat)["subprocess"] = forked_chat()
# The suite tries the same examples each time, as long as each takes; `scripts/test --hypothesis-profile=default` tries
# others.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
_PRODUCT = Path(router.__file__).parent
# These files take longest, most of it waiting: they come first, so that no process ends long after the others.
_FIRST = (
    "test_benchmarks", "test_readme", "test_health", "test_crash", "test_torture", "test_waiting_files",
    "test_cluster_troubles",
    "test_damaged", "test_damaged_images", "test_wrong_input", "test_notify", "test_alarms_end", "test_four_hours_down",
    "test_reload", "test_arrival_order", "test_late_images", "test_receive_workers", "test_waits_for_a_person",
    "test_refused_at_the_door", "test_kept_releases", "test_slow_clients", "test_joining_cases", "test_recheck",
    "test_district",
)  # fmt: skip
_KINDS = ("acceptance", "integration", "contract", "unit")


def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-xdist keep our order; its own puts the files with most tests first, which are quick ones."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, then those of processes and sockets; each file's tests as they stand."""
    places = {name: place for place, name in enumerate(_FIRST)}

    def rank(item: pytest.Item) -> tuple[int, int]:
        kind = item.path.relative_to(Path(__file__).parent).parts[0]
        return places.get(item.path.stem, len(places)), _KINDS.index(kind) if kind in _KINDS else len(_KINDS)

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have no garbage collection look at fifteen thousand tests again and again: they stay to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _fires(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The promise of a test marked `fires(alarm)` or `ends(alarm)`: the product itself, not the test, does so in it."""
    marks = {"fires": Kind.ALARM, "ends": Kind.CLEARED}
    promised = {
        (kind, Alarm(name))
        for word, kind in marks.items()
        for mark in request.node.iter_markers(word)
        for name in mark.args
    }
    if not promised:
        yield
        return
    found, record = set[tuple[Kind, Alarm]](), EventBus.record

    def noted(bus: EventBus, event: Event) -> None:
        by_product = Path(sys._getframe(1).f_code.co_filename).is_relative_to(_PRODUCT)
        if event.alarm is not None and by_product:
            found.add((event.kind, event.alarm))
        record(bus, event)

    monkeypatch.setattr(EventBus, "record", noted)
    yield
    missing = ", ".join(f"{alarm} {kind}" for kind, alarm in sorted(promised - found))
    assert found >= promised, f"never told: {missing}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server that need not outlive the tests."""
    with postgres_server(HASTE) as url:
        yield url


@pytest.fixture(scope="session")
def server(postgres: str) -> Iterator[Server]:
    """The server, with the tables made once."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        found = Server(postgres, connection)
        Database(found.new_schema(), Path()).open().engine.close_thread()
        yield found


@pytest.fixture
def bare_sqlite(tmp_path: Path) -> Database:
    """A folder without a file."""
    return Database("", tmp_path)


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    """A file with empty tables."""
    lay_tables(tmp_path)
    return Database("", tmp_path)


@pytest.fixture
def postgresql(server: Server, tmp_path: Path) -> Database:
    """Empty tables on the server, the same in every test."""
    return Database(server.emptied(), tmp_path)


@pytest.fixture
def bare_postgresql(server: Server, tmp_path: Path) -> Database:
    """A schema of the server without tables."""
    return Database(server.new_schema(), tmp_path)


@pytest.fixture(params=["bare_sqlite", "bare_postgresql"])
def bare_database(request: pytest.FixtureRequest) -> Database:
    """Each engine in turn, without tables."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each engine in turn."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def catalogue(database: Database) -> Iterator[Catalogue]:
    """A new catalogue, open."""
    opened = database.open()
    yield opened
    opened.engine.close_thread()


@pytest.fixture(scope="session")
def readers() -> Iterator[Readers]:
    """A program that reads PDFs."""
    found = Readers(1)
    yield found
    found.close()


@pytest.fixture
def open_desk(tmp_path: Path, readers: Readers) -> Iterator[OpenDesk]:
    """Makes a drop folder with its intake; settings go into [reports]."""
    desks: list[IntakeFolder] = []

    def opened(settings: str = "") -> IntakeFolder:
        desks.append(IntakeFolder(tmp_path, readers, settings))
        return desks[-1]

    yield opened
    for desk in desks:
        desk.catalogue.engine.close_thread()


@pytest.fixture
def desk(open_desk: OpenDesk) -> IntakeFolder:
    """A drop folder with the defaults."""
    return open_desk()
