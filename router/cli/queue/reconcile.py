"""`queue reconcile`: expected, received, selected, sent, confirmed, exam by exam; the gaps."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from router.cli.opened import reading
from router.cli.options import common_options, node_config, print_json
from router.cli.queue.report import day_of
from router.cli.speech import echo, say
from router.cli.tables import show
from router.intake.exam_reader import ExamReader
from router.review.reconcile import Account, Reconciliation, summed
from router.storage import open_storage

_COLUMNS = (
    "ExamId 检查记录ID", "Destination", "Expected", "Received", "Selected", "Sent", "Images confirmed", "Gaps",
)  # fmt: skip


@click.command("reconcile", short_help="Expected, received, sent, confirmed; the gaps.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Of approval, by the hospital's clock; else today.")
@common_options
def reconcile(day: datetime | None, config_file: Path, as_json: bool) -> None:
    """Show what each exam approved on a day should have, and what became of it; status 1 if there are gaps."""
    config = node_config(config_file)
    reports = open_storage(config.node.data, config.node.owner).reports
    with reading(config) as catalogue, catalogue.engine.patient():
        found = Reconciliation(catalogue, ExamReader(config), reports.read).ledger(*day_of(day, config))
    open_ = [one for one in found if one.gaps]
    if as_json:
        print_json({"accounts": [asdict(one) for one in found], "gaps": len(open_)})
    else:
        echo(summed(found))
        if open_:
            show("Gaps", _COLUMNS, [_cells(one) for one in open_])
    if open_:
        raise click.exceptions.Exit(1)


def _cells(one: Account) -> list[str]:
    expected = "-" if one.expected is None else str(one.expected)
    numbers = map(str, (one.received, one.selected, one.sent, one.confirmed))
    return [one.exam_id, one.destination, expected, *numbers, "; ".join(map(say, one.gaps))]
