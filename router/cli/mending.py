"""Repair of a stopped node's data folder: shared by `verify --rebuild` and `backup restore`."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from router.catalogue.db.backup import finish, unfinished
from router.cli.opened import clock_of, opened
from router.cli.speech import echo
from router.cli.tables import bar
from router.config.sections import Config
from router.errors import ConfigurationError
from router.images.rulebook import books_of
from router.storage import open_storage
from router.storage.lock import lock
from router.text.language import N_
from router.upkeep.rebuild import Rebuild, Rebuilt


@contextmanager
def stopped(config: Config) -> Iterator[None]:
    """Keep every node on the data folder from starting; ConfigurationError when one runs."""
    open_storage(config.node.data, config.node.owner)
    with ExitStack() as held:
        for folder in sorted(path for path in (config.node.data / "incoming").iterdir() if path.is_dir()):
            held.callback(os.close, _locked(folder))
        yield


def _locked(folder: Path) -> int:
    try:
        return lock(folder, folder.name)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"the node {folder.name!r} still works on this data folder",
            hint="stop every node on it, each on its own host, and run this again",
        ) from error


def rebuild_rows(config: Config, *, older: bool) -> Rebuilt:
    """Give rows to every file that has none; `older`: the database is a backup, as after a run that was broken off."""
    older = older or unfinished(config.node.data)
    storage, rules = open_storage(config.node.data, config.node.owner), books_of(config)
    with opened(config) as (catalogue, bus), catalogue.engine.patient():
        rebuild = Rebuild(config, catalogue, storage, rules, bus=bus, clock=clock_of(catalogue), older=older)
        rebuilt = rebuild.run(progress)
    finish(config.node.data)
    return rebuilt


def progress(paths: Iterable[Path]) -> Iterator[Path]:
    """The paths, with a bar on a terminal's stderr."""
    yield from bar(list(paths), N_("Reading"))


def tell_rebuilt(rebuilt: Rebuilt) -> None:
    """Print the outcome."""
    echo(f"rebuilt: {rebuilt.instances} instance(s), {rebuilt.documents} document(s) got rows")
    if rebuilt.held:
        echo(f"{rebuilt.held} delivery(s) whose ledger is lost are held until they are released")
    for name in rebuilt.unreadable:
        echo(f"cannot be read: {name}")
