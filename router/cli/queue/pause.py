"""`queue pause` and `resume`: sending stopped and started, to a destination or to all, of a hospital or of all."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from router.catalogue import Catalogue
from router.cli.opened import clock_of, opened
from router.cli.options import (
    common_options,
    destinations,
    hospital_option,
    node_config,
    print_json,
    reason_given,
    require_destination,
    require_hospital,
    who_option,
    why_option,
)
from router.cli.speech import confirm, echo
from router.cli.tables import local
from router.config.sections import Config
from router.errors import InvalidData
from router.policy.pause import ALL, EVERY, Pause, pause_of, place_of
from router.policy.states import State

_ON_THE_WAY = (State.READY, State.SENDING, State.DEFERRED)
_to = click.option("--destination", shell_complete=destinations, help="Only this destination; else every one.")


@click.command("pause", short_help="Stop all sending, also of exams that come later.")
@_to
@hospital_option
@click.option("--why", default="", help="The reason; it is kept in the events, and shown until sending goes on.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@who_option
@common_options
def pause(
    destination: str | None, hospital: str | None, why: str, yes: bool, who: str, config_file: Path, as_json: bool
) -> None:
    """Stop all sending, of reports and images, to a destination or to every one, until `queue resume`.

    With --hospital only that of its exams; the others are sent.

    It holds for exams that come later, over restarts and for every node of the database. What is under way ends with
    the image or report at hand. Receiving and evaluating go on, and so do the due times.
    """
    reason, config = reason_given(why).strip(), node_config(config_file)
    require_destination(destination, config)
    require_hospital(hospital, config)
    with opened(config) as (catalogue, _):
        if not yes:
            _ask(catalogue, destination, hospital)
        now = clock_of(catalogue).now()
        if not catalogue.pauses.begin(destination or EVERY, who, reason, now, hospital or ALL):
            place = place_of(destination or EVERY, hospital or ALL)
            raise InvalidData(f"sending to {place} is paused already", hint="see `scripts/status`")
        _answer(catalogue.pauses.standing(), config, as_json)


@click.command("resume", short_help="Start sending again.")
@_to
@hospital_option
@why_option
@who_option
@common_options
def resume(destination: str | None, hospital: str | None, why: str, who: str, config_file: Path, as_json: bool) -> None:
    """Start sending again to a destination, or, without one, to all that are paused; likewise of a hospital."""
    config = node_config(config_file)
    with opened(config) as (catalogue, _):
        now, stood = clock_of(catalogue).now(), catalogue.pauses.standing()
        mine = [one for one in stood if destination in (None, one.destination) and hospital in (None, one.hospital)]
        if not mine:
            raise _nothing_to_end(stood, destination, hospital, config)
        with catalogue.engine.write():
            ended = [one for one in mine if catalogue.pauses.end(one.destination, who, why.strip(), now, one.hospital)]
        if not as_json:
            for one in ended:
                echo(f"sending to {one.place} goes on; {one.who} had paused it: {one.why}")
        _answer(catalogue.pauses.standing(), config, as_json)


def _ask(catalogue: Catalogue, destination: str | None, hospital: str | None) -> None:
    """Print on stderr what will stop, and ask a person; UsageError without a terminal."""
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal nobody can be asked: say --yes")
    count = len(catalogue.queue.in_state(_ON_THE_WAY, destination, hospital=hospital))
    place = place_of(destination or EVERY, hospital or ALL)
    echo(f"pause: all sending to {place} stops; {count} delivery(s) are on the way", err=True)
    if not confirm("stop it, also for exams that come later?", err=True):
        raise click.Abort


def _nothing_to_end(
    stood: Sequence[Pause], destination: str | None, hospital: str | None, config: Config
) -> InvalidData:
    """Why there is no pause to end."""
    if destination is None and hospital is None:
        return InvalidData("nothing is paused")
    place = place_of(destination or EVERY, hospital or ALL)
    if (wider := pause_of(stood, destination or EVERY, hospital or ALL)) is not None:
        if hospital is None:
            text = "not this destination alone is paused, but all of them"
        else:
            text = f"sending to {place} is paused with all sending to {wider.place}"
        return InvalidData(text, hint=f"run `{wider.ends}`")
    require_destination(destination, config)
    require_hospital(hospital, config)
    return InvalidData(f"sending to {place} is not paused")


def _answer(pauses: Sequence[Pause], config: Config, as_json: bool) -> None:
    if as_json:
        print_json({"paused": paused_json(pauses)})
    else:
        tell_paused(pauses, config)


def tell_paused(pauses: Sequence[Pause], config: Config) -> None:
    """Print each pause on a line, with the command that ends it."""
    for one in pauses:
        since = local(one.since, config.node.timezone)
        echo(f"PAUSED: sending to {one.place}, since {since} by {one.who}: {one.why}; `{one.ends}` ends it")


def paused_json(pauses: Sequence[Pause]) -> list[dict[str, Any]]:
    """The same for programs; `destination` null: all of them, `hospital` null: those of every hospital."""
    return [
        {
            "destination": one.destination or None, "hospital": one.hospital or None, "since": one.since.isoformat(),
            "who": one.who, "why": one.why,
        } for one in pauses
    ]  # fmt: skip
