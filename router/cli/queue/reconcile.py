"""`queue reconcile`: expected, received, selected, sent, confirmed, exam by exam; the gaps."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from router.cli.opened import reading
from router.cli.options import (
    are_several,
    common_options,
    hospital_option,
    node_config,
    print_json,
    require_hospital,
)
from router.cli.queue.report import day_of
from router.cli.speech import echo, say
from router.cli.tables import show, with_hospital
from router.intake.exam_reader import ExamReader
from router.review.reconcile import Account, Reconciliation, summed
from router.storage import open_storage
from router.text.language import N_

_COLUMNS = N_((
    "ExamId 检查记录ID", "Destination", "Expected", "Received", "Selected", "Sent", "Images confirmed", "Gaps",
))  # fmt: skip


@click.command("reconcile", short_help="Expected, received, sent, confirmed; the gaps.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Of approval, by the hospital's clock; else today.")
@hospital_option
@common_options
def reconcile(day: datetime | None, hospital: str | None, config_file: Path, as_json: bool) -> None:
    """Show what each exam approved on a day should have, and what became of it; status 1 if there are gaps."""
    config = node_config(config_file)
    require_hospital(hospital, config)
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
