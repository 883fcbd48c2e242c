"""`queue node`: the nodes of a database; removal of one that will not come back."""

from pathlib import Path

import click

from router.cli.opened import clock_of, opened
from router.cli.options import common_options, node_config, print_json, reason_given, who_option, why_option
from router.cluster import absence
from router.review.decisions import OperatorReason


@click.group("node", short_help="Nodes of this database: `forget` one that is gone for good.")
def node() -> None:
    """The nodes of this database; `scripts/status` shows them."""


@node.command("forget", short_help="A node that is gone for good: its alarm ends.")
@click.argument("name")
@why_option
@who_option
@common_options
def forget(name: str, why: str, who: str, config_file: Path, as_json: bool) -> None:
    """Say that a node was removed. It is not missed any more, and its alarms end.

    A node that gives signs of life is refused. What it had acknowledged and was sending goes on at the other nodes in
    any case. One that starts again under this name is known again.
    """
    reason, config = OperatorReason(who, reason_given(why).strip()), node_config(config_file)
    with opened(config) as (catalogue, bus):
        absence.forget(catalogue, bus, clock_of(catalogue).now(), config.node.lease, name, reason)
    if as_json:
        print_json({"forgotten": name})
    else:
        click.echo(f"the node {name} is forgotten")
