"""`queue withdraw`: an exam taken back at the platforms that have it, by hand; withdrawals confirmed that wait."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from router.cli.opened import clock_of, opened
from router.cli.options import (
    common_options,
    exam_id_option,
    hospital_option,
    node_config,
    print_json,
    reason_given,
    require_hospital,
    the_name,
    who_option,
    why_option,
    yes_option,
)
from router.cli.queue.many import agreed
from router.cli.speech import echo, tongue
from router.errors import InvalidData
from router.review.decisions import OperatorReason
from router.review.withdrawals import Given, WithdrawalsByHand


@click.command("withdraw", short_help="Take an exam back at the platforms that have it.")
@click.argument("exam", required=False)
@exam_id_option
@click.option("--confirm", is_flag=True, help="Let those go that wait because a source withdrew too many at once.")
@hospital_option
@why_option
@yes_option
@who_option
@common_options
def withdraw(
    exam: str | None, exam_ids: tuple[str, ...], confirm: bool, hospital: str | None, why: str, yes: bool, who: str,
    config_file: Path, as_json: bool,
) -> None:  # fmt: skip
    """Have the platforms withdraw EXAM (e17, d85 or an ExamId), which they have, as a withdrawn approval would.

    Nothing more of it goes until the RIS approves a later version, which is the next revision.
    """
    config, reason = node_config(config_file), OperatorReason(who, reason_given(why))
    answer: Mapping[str, object]
    require_hospital(hospital, config)
    with opened(config) as (catalogue, bus):
        by_hand = WithdrawalsByHand(catalogue, bus, clock_of(catalogue), hospital)
        if confirm:
            if exam or exam_ids:
                raise click.UsageError("--confirm is for all that wait: name no exam")
            count = _confirm(by_hand, reason, yes=yes)
            answer, text = {"confirmed": count}, f"{count} exam(s) are withdrawn at their destinations"
        else:
            given = by_hand.given(the_name(exam, exam_ids))
            agreed(f"withdraw e{given[0].delivery.exam}", _lines(given), yes=yes)
            by_hand.withdraw(given, reason)
            names = [f"d{one.delivery.id}" for one in given]
            answer, text = {"withdrawn": names}, f"withdrawn in a moment: {', '.join(names)}"
    if as_json:
        print_json(answer)
    else:
        echo(text)


def _confirm(by_hand: WithdrawalsByHand, reason: OperatorReason, *, yes: bool) -> int:
    stops = by_hand.stops()
    if not stops:
        raise InvalidData("no withdrawals wait for a person", hint="name an exam: `scripts/queue withdraw e17`")
    our = tongue()
    lines = [
        our.say("  {count} exam(s) of {source} at {destination}", count=one.waiting, source=str(one.source),
                destination=one.source.destination)
        for one in stops
    ]  # fmt: skip
    agreed("confirm the withdrawals that wait", lines, yes=yes)
    return by_hand.confirm(stops, reason)


def _lines(given: Sequence[Given]) -> list[str]:
    our = tongue()
    return [
        our.say("  revision {revision} at {destination}", revision=one.revision, destination=one.delivery.destination)
        for one in given
    ]
