"""`backup`: copies of the database, and putting one back."""

from pathlib import Path

import click

from router.catalogue.db.backup import Backups
from router.cli.mending import rebuild_rows, stopped, tell_rebuilt
from router.cli.options import common_options, config_option, configured, print_json, require_node
from router.cli.speech import echo
from router.clock import SystemClock, zoned
from router.config.sections import Config
from router.errors import InvalidData


@click.group("backup")
def command() -> None:
    """Copies of SQLite's database: now, listed, put back. A running node makes one every hour.

    A database on PostgreSQL is backed up with PostgreSQL's own means: pg_dump, or archiving for recovery to a point in
    time; then `verify --rebuild --restored`.
    """


@command.command("now")
@config_option
def now(config_file: Path) -> None:
    """Make a copy; the node may run."""
    config = _sqlite(config_file)
    require_node(config)
    made = Backups(config.node.data).make(SystemClock().now())
    echo(f"{made.path} ({made.size} bytes)")


@command.command("list")
@common_options
def listed(config_file: Path, as_json: bool) -> None:
    """The copies, the newest first."""
    config = _sqlite(config_file)
    found, zone = Backups(config.node.data).listed(), config.node.timezone
    if as_json:
        print_json([{"file": str(one.path), "at": one.at.isoformat(), "bytes": one.size} for one in found])
        return
    for one in found:
        click.echo(f"{zoned(one.at, zone)}  {one.size:>14}  {one.path}")


@command.command("restore")
@config_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def restore(config_file: Path, file: Path) -> None:
    """Put a copy back, with the node stopped; the database that is there is set aside.

    Every file gets its row again. A delivery is held if the copy does not say what was sent of it.
    """
    config = _sqlite(config_file)
    with stopped(config):
        Backups(config.node.data).put_back(file, SystemClock().now())
        tell_rebuilt(rebuild_rows(config, older=True))


def _sqlite(config_file: Path) -> Config:
    config = configured(config_file)
    if config.database.url:
        raise InvalidData("the database is on PostgreSQL", hint="use pg_dump or point-in-time recovery, see README")
    return config
