"""`queue node`: the nodes of a database; removal of one that will not come back."""

from pathlib import Path

import click

from router.cli.opened import clock_of, opened
from router.cli.options import config_option, configured, json_option, print_json, require_node, who_option
from router.cluster import absence
from router.review.decisions import OperatorReason


@click.group("node", short_help="Nodes of this database: `forget` one that is gone for good.")
def node() -> None:
    """The nodes of this database; `scripts/status` shows them."""


@node.command("forget", short_help="A node that is gone for good: its alarm ends.")
@click.argument("name")
@click.option("--why", default="", help="The reason; it is kept in the events.")
@who_option
@config_option
@json_option
def forget(name: str, why: str, who: str, config_file: Path, as_json: bool) -> None:
    """Say that a node was removed. It is not missed any more, and its alarms end.

    A node that gives signs of life is refused. What it had acknowledged and was sending goes on at the other nodes in
    any case. One that starts again under this name is known again.
    """
    if not why.strip():
        raise click.UsageError("--why: say why; it is kept in the events")
    config = configured(config_file)
    require_node(config)
    with opened(config) as (catalogue, bus):
        by = OperatorReason(who, why.strip())
        absence.forget(catalogue, bus, clock_of(catalogue).now(), config.node.lease, name, by)
    if as_json:
        print_json({"forgotten": name})
    else:
        click.echo(f"the node {name} is forgotten")
