"""`verify`: files against the index, and the index anew from the files."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from router.catalogue import open_catalogue
from router.catalogue.restore import set_aside_damaged
from router.cli.options import config_option, json_option, print_json, require_node
from router.clock import SystemClock
from router.config import Config, load
from router.events import Journal
from router.flow.inventory import Inventory, take
from router.flow.rebuild import Rebuild, Rebuilt
from router.flow.rules import rulebook
from router.storage import open_storage
from router.storage.incoming import waiting_in
from router.storage.lock import lock
from router.storage.studies import Studies


@click.command("verify")
@config_option
@json_option
@click.option("--rebuild", is_flag=True, help="First make rows for every file that has none; the node must be stopped.")
def command(config_file: Path, as_json: bool, rebuild: bool) -> None:
    """Whether every acknowledged instance has its file, with the digest it came with, and its row.

    Where --rebuild finds the database lost or damaged, it makes a new one and holds the deliveries of every exam:
    what was sent is not known any more, and a person releases what is to be sent again.
    """
    config = load(config_file)
    rebuilt = _rebuild(config) if rebuild else None
    require_node(config)
    catalogue = open_catalogue(config.database.url, config.node.data, Journal())
    waiting = waiting_in(config.node.data / "incoming")
    found = take(Studies(config.node.data / "studies"), catalogue.instances, waiting, _progress)
    uncommitted = catalogue.commitments.waiting()
    catalogue.engine.close_thread()
    if as_json:
        print_json({"instances": found.instances, "missing": found.missing,
                    "corrupt": found.corrupt, "unindexed": found.unindexed})  # fmt: skip
    else:
        _tell(found, rebuilt)
        if uncommitted:
            click.echo(f"{uncommitted} sent instance version(s) wait for a destination's storage commitment")
    if not found.sound:
        raise click.exceptions.Exit(1)


def _rebuild(config: Config) -> Rebuilt:
    clock = SystemClock()
    storage = open_storage(config.node.data, config.node.owner)
    held = lock(config.node.data / "incoming" / config.node.owner, config.node.owner)
    if not config.database.url:
        set_aside_damaged(config.node.data, clock.now())
    catalogue = open_catalogue(config.database.url, config.node.data, Journal())
    try:
        return Rebuild(config, catalogue, storage, rulebook(config.series), clock).run(_progress)
    finally:
        catalogue.engine.close_thread()
        os.close(held)


def _progress(paths: Iterable[Path]) -> Iterator[Path]:
    yield from track(list(paths), "Reading", console=Console(stderr=True), disable=not sys.stderr.isatty())


def _tell(found: Inventory, rebuilt: Rebuilt | None) -> None:
    if rebuilt is not None:
        click.echo(f"rebuilt: {rebuilt.instances} instance(s), {rebuilt.documents} document(s) got rows")
        if rebuilt.held:
            click.echo(f"{rebuilt.held} delivery(s) whose ledger is lost are held until they are released")
        for name in rebuilt.unreadable:
            click.echo(f"cannot be read: {name}")
    click.echo(f"{found.instances} instance version(s) in the index")
    for title, names in (
        ("missing: in the index, no file", found.missing),
        ("corrupt: the digest is not the recorded one", found.corrupt),
        ("unindexed: a file without a row", found.unindexed),
    ):
        for name in names:
            click.echo(f"{title}: {name}")
    if found.sound:
        click.echo("every file is there and as it came")
