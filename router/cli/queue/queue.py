"""`queue`: deliveries, and the actions on them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from router.catalogue import Catalogue
from router.catalogue.queue.breakers import OpenBreaker
from router.catalogue.queue.queue import Delivery
from router.cli.opened import clock_of, opened
from router.cli.options import (
    are_several,
    common_options,
    destinations,
    exam_id_option,
    hospital_option,
    hospitals,
    node_config,
    print_json,
    reason_given,
    require_destination,
    require_hospital,
    who_option,
    why_option,
)
from router.cli.queue import decide, files, story
from router.cli.queue.backfill import backfill
from router.cli.queue.compare import compare
from router.cli.queue.corrected import corrected
from router.cli.queue.many import agreed, preview, progress
from router.cli.queue.nodes import node
from router.cli.queue.pause import pause, resume, tell_paused
from router.cli.queue.recheck import recheck
from router.cli.queue.reconcile import reconcile
from router.cli.queue.refused import refused
from router.cli.queue.rename import rename_destination
from router.cli.queue.report import report
from router.cli.queue.sources import sources
from router.cli.queue.statistics import show_statistics
from router.cli.queue.story import named_json
from router.cli.queue.unreported import unreported
from router.cli.queue.withdraw import withdraw
from router.cli.speech import echo, say, tongue
from router.cli.status import attention_json, tell_attention
from router.cli.tables import brief, is_narrow, iso, left, lines_here, shortened, show, watching, with_hospital
from router.config.sections import Config
from router.policy.account import at
from router.policy.attention import Attention
from router.policy.states import PENDING, State
from router.review.answers import Answers, Explained
from router.review.attention import look, places_of
from router.review.deliveries import ENDED_BY_HAND, Line, Review
from router.review.lookup import ExamId
from router.review.refusal_owners import quarantine_owners
from router.text.language import N_

_SHOWN, _ASKED = 200, 20


@click.group("queue")
def command() -> None:
    """Deliveries: one exam (检查) to one destination by one channel."""


_STATES = click.Choice([state.value for state in State])


@command.command("list")
@common_options
@click.option("--state", "states", type=_STATES, multiple=True, help="Only these states; may be given again.")
@click.option("--destination", shell_complete=destinations, help="Only this destination.")
@hospital_option
@click.option("--text", help="Part of an ExamId, accession number or study UID.")
@click.option("--attention", is_flag=True, help="Only what waits for a person, also what is no delivery.")
@click.option("--all", "every", is_flag=True, help="Delivered ones, too; so does --state, --text or --json.")
@click.option("--limit", type=click.IntRange(1), help=f"Not more than so many; else all with --json, else {_SHOWN}.")
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
def list_(
    config_file: Path, as_json: bool, states: tuple[str, ...], destination: str | None, hospital: str | None,
    text: str | None, attention: bool, every: bool, limit: int | None, watch: bool,
) -> None:  # fmt: skip
    """Deliveries by due time that are not delivered yet."""
    if watch and as_json:
        raise click.UsageError("--watch is for people, --json for programs: use one of them")
    config = node_config(config_file)
    require_hospital(hospital, config)
    most = limit or (None if as_json else lines_here() if watch else _SHOWN)
    given = [State(state) for state in states]
    wanted = given
    if not (given or every or text or as_json):
        wanted = [state for state in State if state != State.DELIVERED]
    with opened(config) as (catalogue, _):
        clock = clock_of(catalogue)
        review, answers = Review(catalogue, clock), Answers(catalogue, config, clock)
        chosen = _Chosen(states=given, destination=destination, text=text, most=most, hospital=hospital)
        if as_json and attention:
            print_json(_attention_json(review, answers, _waiting(catalogue, config, hospital), chosen))
            return
        if as_json:
            explained = answers.of(review.listed(wanted, destination, text, most, hospital))
            print_json([_line_json(one.line) | named_json(one) for one in explained])
            return

        def tell() -> None:
            tell_paused(catalogue.pauses.standing(), config)
            if attention:
                _tell_attention(review, answers, _waiting(catalogue, config, hospital), chosen, config)
                return
            explained = answers.of(review.listed(wanted, destination, text, most, hospital))
            _tell(explained, catalogue.breakers.tripped(), config, most)
            if not explained:
                click.echo(say(_nothing(review, asked=bool(states or text or destination or hospital))), err=True)

        watching(tell, time.sleep, again=watch)


def _nothing(review: Review, *, asked: bool) -> str:
    """Why the list is empty."""
    if asked:
        return N_("no delivery is like that")
    if review.listed([], None, None, 1):
        return N_("the queue is empty: everything that came is delivered; --all shows it")
    return N_("the queue is empty: no exam has come yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The filters of the list; `most` deliveries at most, None for all."""

    states: Sequence[State]
    destination: str | None
    text: str | None
    most: int | None
    hospital: str | None

    def of(self, review: Review, entries: Sequence[Attention]) -> list[Line]:
        """The deliveries that wait for a person, by due time."""
        numbers = {number for one in entries for number in one.deliveries}
        if self.text:
            numbers &= {line.delivery.id for line in review.listed([], None, self.text, None, self.hospital)}
        lines = [
            line
            for line in review.lines_of(sorted(numbers))
            if (not self.states or line.delivery.state in self.states)
            and self.destination in (None, "", line.delivery.destination)
        ]
        return lines[: self.most]

    def without_delivery(self, entries: Sequence[Attention]) -> list[Attention]:
        """Entries without a delivery; none if the filters are about deliveries."""
        if self.states or self.text:
            return []
        return [one for one in entries if not one.deliveries and self.destination in (None, "", one.destination)]


def _waiting(catalogue: Catalogue, config: Config, hospital: str | None) -> list[Attention]:
    now = clock_of(catalogue).now()
    only = () if hospital is None else (hospital,)
    quarantine = config.node.data / "quarantine"
    return look(catalogue, places_of(config), quarantine, now, only, lambda: quarantine_owners(config, catalogue))


def _tell_attention(
    review: Review, answers: Answers, entries: list[Attention], chosen: _Chosen, config: Config
) -> None:
    lines, others = chosen.of(review, entries), chosen.without_delivery(entries)
    if lines:
        _tell(answers.of(lines), [], config, chosen.most)
    for one in others:
        tell_attention(one, config)
    if not lines and not others:
        echo("nothing waits for a person", err=True)


def _attention_json(
    review: Review, answers: Answers, entries: list[Attention], chosen: _Chosen
) -> list[dict[str, Any]]:
    """Deliveries in the shape of the contract, each with its cause; then entries without a delivery."""
    causes = {number: one for one in reversed(entries) for number in one.deliveries}
    found = [
        {**_line_json(one.line), **named_json(one), "attention": causes[one.line.delivery.id].what, "count": 1,
         "command": f"scripts/queue explain e{one.line.delivery.exam}"}
        for one in answers.of(chosen.of(review, entries))
    ]  # fmt: skip
    without = _NO_DELIVERY | {"hospital": chosen.hospital}
    return found + [{**without, **attention_json(one), "attention": one.what, "error": one.says}
                    for one in chosen.without_delivery(entries)]  # fmt: skip


_NO_DELIVERY: dict[str, Any] = {
    "id": None, "exam_id": None, "channel": None, "state": None, "due": None, "slack_seconds": None, "attempts": 0,
    "selected": 0, "sent": 0, "waiting_for": [], "hospital": None,
}  # fmt: skip


def _tell(lines: list[Explained], tripped: list[OpenBreaker], config: Config, most: int | None) -> None:
    several = are_several(config)
    if is_narrow():
        below = [say(str(one.answer.what)) for one in lines]
        show("", with_hospital(_NARROW, several), [_narrow_cells(one, config) for one in lines], below)
    else:
        show("", with_hospital(_COLUMNS, several), [_cells(one, config) for one in lines])
    for each in tripped:
        destination, found = at(each.destination, each.account), each.breaker
        click.echo(say(f"breaker {found.position}: {each.channel} to {destination}: {found.why}"))
    if lines:
        click.echo(tongue().say("times: {zone}", zone=config.node.timezone.key), err=True)
    if len(lines) == most:
        click.echo(say(f"the first {most}; --limit shows more, --state fewer kinds"), err=True)


_NARROW = N_(("ID", "ExamId 检查记录ID", "Destination", "Channel", "State", "Due", "Left"))
_COLUMNS = (*_NARROW, *N_(("Expected", "Sent", "Tries", "Why")))
_EXAM_ID, _NAME = 17, 11  # characters


def _narrow_cells(explained: Explained, config: Config) -> list[str]:
    line = explained.line
    one = line.delivery
    whose = [shortened(one.hospital, _NAME)] if are_several(config) else []
    return [
        f"d{one.id}", *whose, shortened(line.exam_id, _EXAM_ID), shortened(one.destination, _NAME), say(one.channel),
        say(one.state), brief(one.due, config.node.timezone),
        left(line.slack_seconds) if one.state in PENDING else "-",
    ]  # fmt: skip


def _cells(explained: Explained, config: Config) -> list[str]:
    line = explained.line
    one = line.delivery
    cells, expected, time = _narrow_cells(explained, config), explained.expected, "-"
    whole = [*([one.hospital] if are_several(config) else []), line.exam_id, one.destination]
    if expected is not None:
        time = f"{expected.astimezone(config.node.timezone):%H:%M}"
        if one.due is not None and expected > one.due:
            time = tongue().say("{time} LATE", time=time)
    return [
        cells[0], *whole, *cells[1 + len(whole) :], time, f"{line.sent}/{line.selected}", str(one.attempts),
        say(str(explained.answer.what)),
    ]  # fmt: skip


def _line_json(line: Line) -> dict[str, Any]:
    """A delivery in the shape of the contract; with its hospital where hospitals have names."""
    one = line.delivery
    return {
        "id": str(one.id), "exam_id": line.exam_id, "destination": one.destination, "channel": one.channel,
        "state": one.state, "due": iso(one.due), "slack_seconds": line.slack_seconds, "attempts": one.attempts,
        "selected": line.selected, "sent": line.sent, "waiting_for": list(one.waiting_for), "error": one.error or None,
        **({"hospital": one.hospital} if one.hospital else {}),
    }  # fmt: skip


Act = Callable[[Review, Delivery, str, str], bool]


def _action(
    name: str, act: Act, states: tuple[State, ...], help_: str, one_by_one: Act | None = None, *, asks: bool = False
) -> None:
    """Add a command. `one_by_one`, if given, is its action on deliveries that are named.

    `asks`: it prints what it will do and asks first, also for named deliveries.
    """

    @command.command(name, help=help_)
    @click.argument("names", metavar="ID...", nargs=-1)
    @exam_id_option
    @click.option("--all", "every", is_flag=True, help="Every delivery that this can be done to.")
    @click.option("--destination", shell_complete=destinations, help="Every such delivery to this destination.")
    @click.option(
        "--hospital", metavar="NAME", shell_complete=hospitals, help="Every such delivery of it; with ID: IDs mean its."
    )
    @why_option
    @click.option("--yes", is_flag=True, help="No preview, no question.")
    @who_option
    @common_options
    def run(
        names: tuple[str, ...], exam_ids: tuple[str, ...], every: bool, destination: str | None,
        hospital: str | None, why: str, yes: bool, who: str, config_file: Path, as_json: bool,
    ) -> None:  # fmt: skip
        names += tuple(map(ExamId, exam_ids))
        many = every or destination is not None or (hospital is not None and not names)
        if bool(names) == many:
            raise click.UsageError("name deliveries, or use --all, --destination or --hospital")
        why, config = reason_given(why), node_config(config_file)
        require_hospital(hospital, config)
        with opened(config) as (catalogue, _):
            review = Review(catalogue, clock_of(catalogue), hospital)
            chosen = review.named(names) if names else review.deliveries(states, destination, hospital)
            if destination is not None and not chosen:
                require_destination(destination, config)
            if asks and names:
                agreed(N_(f"{name} {len(chosen)} delivery(s)"), list(map(_line_of, chosen[:_ASKED])), yes=yes)
            elif not (names or yes or as_json or preview(name, chosen, asks=asks)):
                raise click.Abort
            do = one_by_one if one_by_one and names else act
            movable = [one for one in chosen if one.state in states]
            with progress(name, len(movable)) as advance:
                done = review.each(movable, lambda one: do(review, one, why, who), advance)
        left_out = [one for one in chosen if one.id not in done]
        _answer(name, [one for one in chosen if one.id in done], left_out, as_json)
        if left_out and names:
            raise click.exceptions.Exit(1)


def _line_of(one: Delivery) -> str:
    our, doubt = tongue(), N_(" (an identity doubt: release does not settle it, `queue resolve` does)")
    what = our.say("d{id}: {channel} of e{exam} to {destination}, {state}", id=one.id, channel=say(one.channel),
                   exam=one.exam, destination=one.destination, state=say(one.state))  # fmt: skip
    held = say(doubt) if one.held_by == "identity" else ""
    return f"  {what}{held}: {say(one.error) or '-'}"


def _answer(name: str, done: list[Delivery], left_out: list[Delivery], as_json: bool) -> None:
    if as_json:
        print_json({"done": [str(one.id) for one in done], "not_done": [str(one.id) for one in left_out]})
        return
    echo(f"{name}: {len(done)} delivery(s)")
    if doubted := [one for one in done if one.held_by == "identity" and name == "release"]:
        exams = ", ".join(dict.fromkeys(f"e{one.exam}" for one in doubted))
        echo(f"  an identity doubt is not settled by this and holds again: `queue resolve` {exams}", err=True)
    for one in left_out:
        echo(f"  d{one.id} is {one.state}: nothing to {name}", err=True)


_MOVABLE = (State.WAITING, State.READY, State.SENDING, State.DEFERRED, State.FAILED)
_action(
    "hold", Review.hold, (*_MOVABLE, State.HELD),
    "Keep deliveries from being sent until they are released: those that are here, also with --all. An exam that comes"
    " later is sent; `queue pause` stops all sending, of those too.",
)  # fmt: skip
_action(
    "release", Review.release, (State.HELD,),
    "Let held deliveries be evaluated anew. One that is held for its report PDF and is named by its ID goes with the "
    "PDF that is here.", Review.confirm, asks=True,
)  # fmt: skip
_action(
    "retry", Review.retry, (State.FAILED, State.DEFERRED, State.CANCELLED), "Try again now; take a cancellation back."
)
_action(
    "fail", Review.fail, ENDED_BY_HAND,
    "End deliveries that were refused by an answer which nothing proves to be the platform's (alarm unproved).",
)  # fmt: skip
_action("cancel", Review.cancel, (*_MOVABLE, State.HELD), "Never send these deliveries.")
for _command in (
    report, show_statistics, reconcile, recheck, compare, corrected, unreported, refused, backfill, pause, resume,
    rename_destination, withdraw, node, sources, *decide.COMMANDS, *files.COMMANDS, *story.COMMANDS,
):  # fmt: skip
    command.add_command(_command)
