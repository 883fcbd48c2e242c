"""`queue`: deliveries to look at, and what a person may tell them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from router.catalogue import Catalogue
from router.catalogue.breakers import Tripped
from router.catalogue.queue import Delivery
from router.cli.compare import compare
from router.cli.decide import COMMANDS
from router.cli.many import preview, progress
from router.cli.opened import opened
from router.cli.options import config_option, configured, destinations, json_option, person, print_json, require_node
from router.cli.punctuality import report
from router.cli.recheck import recheck
from router.cli.reconcile import reconcile
from router.cli.story import Teller
from router.cli.tables import brief, left, lines_here, say, show, tongue, watching
from router.clock import SystemClock
from router.config import Config, load
from router.flow.review import ENDED_BY_HAND, Line, Review, expected_of, will_miss
from router.flow.rules import rulebook
from router.flow.sides import Sides
from router.flow.traces import Traces
from router.states import PENDING, State
from router.storage.reports import Reports

_SHOWN = 200


@click.group("queue")
def command() -> None:
    """Deliveries: one exam (检查) to one destination by one channel."""


@contextmanager
def _catalogue(config: Config) -> Iterator[Catalogue]:
    require_node(config)
    with opened(config) as (catalogue, _):
        yield catalogue


@contextmanager
def _review(config: Config) -> Iterator[Review]:
    with _catalogue(config) as catalogue:
        yield Review(catalogue, SystemClock())


_STATES = click.Choice([state.value for state in State])


@command.command("list")
@config_option
@json_option
@click.option("--state", "states", type=_STATES, multiple=True, help="Only these states; may be given again.")
@click.option("--destination", shell_complete=destinations, help="Only this destination.")
@click.option("--text", help="Part of an ExamId, accession number or study UID.")
@click.option("--limit", type=click.IntRange(1), help=f"Not more than so many; else all with --json, else {_SHOWN}.")
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
def list_(
    config_file: Path, as_json: bool, states: tuple[str, ...], destination: str | None, text: str | None,
    limit: int | None, watch: bool,
) -> None:  # fmt: skip
    """Deliveries by due time."""
    if watch and as_json:
        raise click.UsageError("--watch is for people, --json for programs: use one of them")
    config = configured(config_file)
    most = limit or (None if as_json else lines_here() if watch else _SHOWN)
    wanted = [State(state) for state in states]
    with _catalogue(config) as catalogue:
        review = Review(catalogue, SystemClock())
        if as_json:
            print_json([line_json(line) for line in review.listed(wanted, destination, text, most)])
            return

        def tell() -> None:
            _tell(review.listed(wanted, destination, text, most), catalogue.breakers.tripped(), config, most)

        watching(tell, time.sleep, again=watch)


def _tell(lines: list[Line], tripped: list[Tripped], config: Config, most: int | None) -> None:
    columns = (
        "ID",
        "ExamId 检查记录ID",
        "Destination",
        "Channel",
        "State",
        "Due",
        "Left",
        "Expected",
        "Sent",
        "Tries",
        "Waits for / trouble",
    )
    show("", columns, [_cells(line, config) for line in lines])
    if not lines:
        click.echo(say("no such delivery"), err=True)
    for each in tripped:
        click.echo(say(f"breaker {each.breaker.position}: {each.channel} to {each.destination}: {each.breaker.why}"))
    if len(lines) == most:
        click.echo(say(f"the first {most}; --limit shows more, --state fewer kinds"), err=True)


def _cells(line: Line, config: Config) -> list[str]:
    one = line.delivery
    return [
        str(one.id), line.exam_id, one.destination, say(one.channel), say(one.state),
        brief(one.due, config.node.timezone),
        left(line.slack_seconds) if one.state in PENDING else "-", _expected(line, config),
        f"{line.sent}/{line.selected}", str(one.attempts), say(one.error or ", ".join(one.waiting_for)),
    ]  # fmt: skip


def _expected(line: Line, config: Config) -> str:
    expected = expected_of(line.delivery)
    if expected is None:
        return "-"
    time = f"{expected.astimezone(config.node.timezone):%H:%M}"
    return tongue().say("{time} LATE", time=time) if will_miss(line.delivery) else time


def line_json(line: Line) -> dict[str, Any]:
    """A delivery in the shape of the contract."""
    one = line.delivery
    return {
        "id": str(one.id),
        "exam_id": line.exam_id,
        "destination": one.destination,
        "channel": one.channel,
        "state": one.state,
        "due": _iso(one.due),
        "slack_seconds": line.slack_seconds,
        "attempts": one.attempts,
        "selected": line.selected,
        "sent": line.sent,
        "waiting_for": list(one.waiting_for),
        "error": one.error or None,
    }


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _story(name: str) -> Any:
    @command.command(name, short_help="An exam's story: what came, waits, went, and why.")
    @click.argument("name", metavar="ID")
    @config_option
    @json_option
    def tell_story(name: str, config_file: Path, as_json: bool) -> None:
        """What came and from where, what it waits for, which key joined it or what nearly fits, what went where.

        ID is a delivery's id, an ExamId (检查记录ID), a study UID or a file name.
        """
        config = configured(config_file)
        with _catalogue(config) as catalogue:
            review, traces = Review(catalogue, SystemClock()), Traces(catalogue, config)
            sides = Sides(config, Reports(config.node.data).read, catalogue.decisions.classes)
            teller = Teller(review, traces, rulebook(config.series), config.node, sides)
            if as_json:
                print_json(teller.as_json(name))
            else:
                teller.tell(name)

    return tell_story


_story("show")
_story("explain")

Act = Callable[[Review, Delivery, str, str], bool]


def _action(name: str, act: Act, states: tuple[State, ...], help_: str, one_by_one: Act | None = None) -> None:
    """A command; `one_by_one` is what it does to deliveries that are named, where that is more than to many at once."""

    @command.command(name, help=help_)
    @click.argument("names", metavar="ID...", nargs=-1)
    @click.option("--all", "every", is_flag=True, help="Every delivery that this can be done to.")
    @click.option("--destination", shell_complete=destinations, help="Every such delivery to this destination.")
    @click.option("--why", default="", help="The reason; it is kept in the events.")
    @click.option("--yes", is_flag=True, help="With --all or --destination: no preview, no question.")
    @config_option
    @json_option
    def run(
        names: tuple[str, ...], every: bool, destination: str | None, why: str, yes: bool, config_file: Path,
        as_json: bool,
    ) -> None:  # fmt: skip
        if bool(names) == (every or destination is not None):
            raise click.UsageError("name deliveries, or use --all or --destination")
        if not why.strip():
            raise click.UsageError("--why: say why; it is kept in the events")
        config = load(config_file)
        with _review(config) as review:
            chosen = review.named(names) if names else review.deliveries(states, destination)
            if destination is not None and not chosen:
                _require(destination, config)
            if not (names or yes or as_json or preview(name, chosen)):
                raise click.Abort
            do, who = one_by_one if one_by_one and names else act, person()
            movable = [one for one in chosen if one.state in states]
            with progress(name, len(movable)) as told:
                done = review.each(movable, lambda one: do(review, one, why, who), told)
        left_out = [one for one in chosen if one.id not in done]
        _answer(name, [one for one in chosen if one.id in done], left_out, as_json)
        if left_out and names:
            raise click.exceptions.Exit(1)


def _require(destination: str, config: Config) -> None:
    """UsageError for the name of a destination that the configuration does not have."""
    if config.destination_named(destination) is None:
        known = ", ".join(one.name for one in config.destination) or "none"
        raise click.UsageError(f"no destination is called {destination}; configured: {known}")


def _answer(name: str, done: list[Delivery], left_out: list[Delivery], as_json: bool) -> None:
    if as_json:
        print_json({"done": [str(one.id) for one in done], "not_done": [str(one.id) for one in left_out]})
        return
    click.echo(f"{name}: {len(done)} delivery(s)")
    for one in left_out:
        click.echo(f"  {one.id} is {one.state}: nothing to {name}", err=True)


_MOVABLE = (State.WAITING, State.READY, State.SENDING, State.DEFERRED, State.FAILED)
_action("hold", Review.hold, (*_MOVABLE, State.HELD), "Keep deliveries from being sent until they are released.")
_action(
    "release", Review.release, (State.HELD,),
    "Let held deliveries be evaluated anew. One that is held for its report PDF and is named by its ID goes with the "
    "PDF that is here.", Review.confirm,
)  # fmt: skip
_action(
    "retry", Review.retry, (State.FAILED, State.DEFERRED, State.CANCELLED), "Try again now; take a cancellation back."
)
_action(
    "fail", Review.fail, ENDED_BY_HAND,
    "End deliveries that were refused by an answer which nothing proves to be the platform's (alarm unproved).",
)  # fmt: skip
_action("cancel", Review.cancel, (*_MOVABLE, State.HELD), "Never send these deliveries.")
command.add_command(report)
command.add_command(reconcile)
command.add_command(recheck)
command.add_command(compare)
for _decision in COMMANDS:
    command.add_command(_decision)
