"""`queue rename-destination`: deliveries to a destination, moved to its new name in the configuration."""

from pathlib import Path

import click

from router.admin.status.finder import find_node
from router.catalogue import Catalogue
from router.cli.opened import clock_of, opened
from router.cli.options import (
    common_options,
    destinations,
    node_config,
    print_json,
    reason_given,
    require_destination,
    who_option,
    why_option,
)
from router.cli.queue.many import agreed
from router.cli.speech import echo
from router.config.file import ConfigFile
from router.config.sections import Config
from router.errors import InvalidData, WrongUse
from router.events import Event, Kind
from router.policy.pause import pause_of
from router.policy.states import State

RENAME = "scripts/queue rename-destination {old} NEW --why ..."
"""The command for a destination that is called NEW by now."""


@click.command("rename-destination", short_help="A destination has another name in the configuration.")
@click.argument("old")
@click.argument("new", shell_complete=destinations)
@why_option
@click.option("--yes", is_flag=True, help="Do not ask; needed where no terminal is there.")
@who_option
@common_options
def rename_destination(old: str, new: str, why: str, yes: bool, who: str, config_file: Path, as_json: bool) -> None:
    """The destination that was called OLD is NEW in the configuration: what went to OLD is known to be there.

    Without it corrections of exams that were delivered to OLD go nowhere. OLD must not be configured any more, NEW must
    be, and be the same receiver. Deliveries of exams that NEW has deliveries of already stay as they are.
    """
    why, config = reason_given(why), node_config(config_file)
    require_destination(new, config)
    _require_gone(old, config, config_file)
    with opened(config) as (catalogue, bus):
        clock = clock_of(catalogue)
        counts = _require_idle(catalogue, old)
        what = f"rename-destination: {old} is called {new}, and is the same receiver"
        agreed(what, [f"  {count:>7} {state}" for state, count in sorted(counts.items())], yes=yes)
        with catalogue.engine.write():  # recorded before anything is renamed
            text = f"destination {old} is called {new}: {sum(counts.values())} delivery(s) go on under that name: {why}"
            bus.record(Event(clock.now(), Kind.DECIDED, text, who=who, fields={"destination": new}))
        renamed = catalogue.renaming.rename(old, new, clock.now())
    if as_json:
        print_json({"renamed": renamed.deliveries, "left": renamed.left})
        return
    echo(f"renamed: {renamed.deliveries} delivery(s) of {old} are of {new}")
    if renamed.left:
        echo(f"{renamed.left} stay with {old}: {new} has deliveries of the same exams")


def _require_gone(old: str, config: Config, config_file: Path) -> None:
    """Raise WrongUse while this configuration, or the running node's, has the destination."""
    if config.destination_named(old) is not None:
        raise WrongUse(f"destination {old} is still configured", hint="give it its new name there first")
    node, mine = find_node(config, config_file), ConfigFile.of(config_file).digest
    if node.runs and node.running is not None and node.running.digest not in ("", mine):
        raise WrongUse("the node has not read this configuration yet", hint="reload it, then do this again")


def _require_idle(catalogue: Catalogue, old: str) -> dict[State, int]:
    """Its deliveries by state; InvalidData if there are none, or one is still under way."""
    counts = dict(catalogue.renaming.counts(old))
    if not counts:
        raise InvalidData(f"nothing was ever sent to a destination called {old}", hint="see `scripts/status`")
    if counts.get(State.SENDING):
        raise InvalidData(f"something is being sent to {old}", hint="do this again when it has ended")
    pause = pause_of(catalogue.pauses.standing(), old)
    if pause is not None and pause.destination:
        raise InvalidData(f"sending to {old} is paused", hint=f"end it with `{pause.ends}`, and pause the new name")
    return counts
