"""`queue reconcile`: expected, received, selected, sent, confirmed, exam by exam; the gaps."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from router.cli.opened import reading
from router.cli.options import (
    are_several,
    common_options,
    destinations,
    hospital_option,
    node_config,
    print_json,
    require_destination,
    require_hospital,
    since_option,
    who_option,
    yes_option,
)
from router.cli.queue.remote import Resending, compare_remote
from router.cli.queue.report import day_of
from router.cli.speech import echo, say
from router.cli.tables import show, with_hospital
from router.intake.exam_reader import ExamReader
from router.review.reconcile import Account, Reconciliation, summed
from router.review.remote import places
from router.storage import open_storage
from router.text.language import N_

_COLUMNS = N_((
    "ExamId 检查记录ID", "Destination", "Expected", "Received", "Selected", "Sent", "Images confirmed", "Gaps",
))  # fmt: skip


@click.command("reconcile", short_help="Expected, received, sent, confirmed; the gaps.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Of approval, by the hospital's clock; else today.")
@click.option("--remote", is_flag=True, help="Compare with what the destinations say that they have.")
@click.option("--resend", is_flag=True, help="With --remote: send again what is missing there.")
@click.option("--destination", shell_complete=destinations, help="With --remote: only this destination.")
@since_option("With --remote and without --day: what was confirmed so long ago or later.", "30d")
@hospital_option
@yes_option
@who_option
@common_options
def reconcile(
    day: datetime | None, remote: bool, resend: bool, destination: str | None, since: datetime, hospital: str | None,
    yes: bool, who: str, config_file: Path, as_json: bool,
) -> None:  # fmt: skip
    """Show what each exam approved on a day should have, and what became of it; status 1 if there are gaps.

    With --remote: compare the reports that destinations confirmed (of the day, else of the last 30 days) with the
    platforms' inventories, and the images with what their archives answer (C-FIND). Status 1 if something is missing
    there, is there in another state, or was never sent from here, and while an answer is not whole. --resend sends
    what is missing again, under the name that it had.

    \b
    --remote --json: [{destination, hospital, channel, offered, not_offered, ours, there, missing: [{exam, delivery,
      revision}], otherwise: [...], unknown, days: [{day, ours, missing}], why_not, resent}]; of images in the place
      of revision: instances, lost, why
    """
    config = node_config(config_file)
    require_hospital(hospital, config)
    if remote or resend:
        if not remote:
            raise click.UsageError("--resend goes with --remote")
        require_destination(destination, config)
        when = day_of(day, config) if day is not None else (since, None)
        chosen = places(config, destination, hospital)
        compare_remote(config, chosen, when, Resending(asked=resend, yes=yes, who=who), as_json=as_json)
        return
    reports = open_storage(config.node.data, config.node.owner).reports
    with reading(config) as catalogue, catalogue.engine.patient():
        found = Reconciliation(catalogue, ExamReader(config), reports.read).ledger(*day_of(day, config), hospital)
    open_ = [one for one in found if one.gaps]
    if as_json:
        print_json({"accounts": [asdict(one) for one in found], "gaps": len(open_)})
    else:
        echo(summed(found))
        if open_:
            several = are_several(config)
            show("Gaps", with_hospital(_COLUMNS, several), [_cells(one, several=several) for one in open_])
    if open_:
        raise click.exceptions.Exit(1)


def _cells(one: Account, *, several: bool) -> list[str]:
    expected = "-" if one.expected is None else str(one.expected)
    numbers = map(str, (one.received, one.selected, one.sent, one.confirmed))
    return [
        one.exam_id,
        *([one.hospital] if several else []),
        one.destination,
        expected,
        *numbers,
        "; ".join(map(say, one.gaps)),
    ]
