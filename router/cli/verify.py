"""`verify`: the index checked against the files, or rebuilt from them."""

from pathlib import Path

import click

from router.catalogue.db.backup import mend
from router.cli.mending import progress, rebuild_rows, stopped, tell_rebuilt
from router.cli.opened import reading
from router.cli.options import common_options, configured, print_json, require_node
from router.cli.speech import echo, say, tongue
from router.clock import SystemClock, zoned
from router.config.sections import Config
from router.storage.incoming import waiting_in
from router.storage.studies import Studies
from router.upkeep.check import Check, take
from router.upkeep.rebuild import Rebuilt

_NEXT = (
    "have the PACS send the studies of the missing files again; nothing that was delivered is lost by it",
    "look at the disk (dmesg, smartctl), then have the PACS send the studies of the corrupt files again",
    "stop every node on this data folder and run `scripts/verify --rebuild`, which makes the rows that are missing",
)


@click.command("verify")
@common_options
@click.option(
    "--rebuild", is_flag=True,
    help="First make rows for every file that has none; every node on this data folder must be stopped.",
)  # fmt: skip
@click.option("--restored", is_flag=True, help="With --rebuild: the database was put back by its own means.")
def command(config_file: Path, as_json: bool, rebuild: bool, restored: bool) -> None:
    """Check that every acknowledged instance has its file, with the digest it came with, and its row.

    Where --rebuild finds the database lost or damaged, it takes the newest sound backup, else makes a new one. It holds
    every delivery of which it is not known any more what was sent: a person releases what is to be sent again.
    """
    config = configured(config_file)
    if restored and not rebuild:
        raise click.UsageError("--restored goes with --rebuild")
    rebuilt = _rebuild(config, restored=restored) if rebuild else None
    require_node(config)
    waiting = waiting_in(config.node.data / "incoming")
    with reading(config) as catalogue:
        with catalogue.engine.patient():
            found = take(Studies(config.node.data / "studies"), catalogue.instances, waiting, progress)
        uncommitted = catalogue.commitments.waiting()
    if as_json:
        print_json({"instances": found.instances, "missing": found.missing,
                    "corrupt": found.corrupt, "unindexed": found.unindexed})  # fmt: skip
    else:
        _tell(found, rebuilt)
        if uncommitted:
            echo(f"{uncommitted} sent instance version(s) wait for a destination's storage commitment")
    if not found.sound:
        raise click.exceptions.Exit(1)


def _rebuild(config: Config, *, restored: bool) -> Rebuilt:
    with stopped(config):
        taken = None if config.database.url else mend(config.node.data, SystemClock().now())
        if taken is not None:
            echo(f"the database is put back as it was at {zoned(taken.at, config.node.timezone)}", err=True)
        return rebuild_rows(config, older=restored or taken is not None)


def _tell(found: Check, rebuilt: Rebuilt | None) -> None:
    if rebuilt is not None:
        tell_rebuilt(rebuilt)
    echo(f"{found.instances} instance version(s) in the index")
    for title, names in (
        ("missing: in the index, no file", found.missing),
        ("corrupt: the digest is not the recorded one", found.corrupt),
        ("unindexed: a file without a row", found.unindexed),
    ):
        for name in names:
            click.echo(tongue().say("{title}: {name}", title=say(title), name=name))
    if found.sound:
        echo("every file is there and as it came")
    for names, next_ in zip((found.missing, found.corrupt, found.unindexed), _NEXT, strict=True):
        if names:
            echo(f"next: {next_}")
