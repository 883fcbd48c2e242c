"""`verify`: files against the index."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from router.catalogue import open_catalogue
from router.cli.options import config_option, json_option, print_json, require_node
from router.config import load
from router.events import Journal
from router.flow.inventory import Inventory, take
from router.storage.studies import Studies


@click.command("verify")
@config_option
@json_option
def command(config_file: Path, as_json: bool) -> None:
    """Whether every acknowledged instance has its file, with the digest it came with, and its row."""
    config = load(config_file)
    require_node(config)
    catalogue = open_catalogue(config.database.url, config.node.data, Journal())
    found = take(Studies(config.node.data / "studies"), catalogue.instances, _progress)
    catalogue.engine.close_thread()
    if as_json:
        print_json({"instances": found.instances, "missing": found.missing,
                    "corrupt": found.corrupt, "unindexed": found.unindexed})  # fmt: skip
    else:
        _tell(found)
    if not found.sound:
        raise click.exceptions.Exit(1)


def _progress(paths: Iterable[Path]) -> Iterator[Path]:
    yield from track(list(paths), "Reading", console=Console(stderr=True), disable=not sys.stderr.isatty())


def _tell(found: Inventory) -> None:
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
