"""`queue report`: deliveries due on a day, those in time, and why the rest was not."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from router.cli.opened import clock_of, reading
from router.cli.options import (
    are_several,
    common_options,
    hospital_option,
    node_config,
    print_json,
    require_hospital,
)
from router.cli.speech import say, tongue
from router.cli.tables import local, show, with_hospital
from router.clock import SystemClock
from router.config.sections import Config
from router.review.punctuality import DueDelivery, findings
from router.text.language import N_
from router.upkeep.daily import FINDING_COLUMNS, OVERDUE, bounds, by_hospital, columns_of, counts, finding_row, table_of

_COLUMNS = N_((
    "ID", "ExamId 检查记录ID", "Destination", "Channel", "Verdict", "Legal due", "All here", "Delivered at", "Why",
))  # fmt: skip


def day_of(day: datetime | None, config: Config) -> tuple[datetime, datetime]:
    """Beginning and end of the day by the hospital's clock; today without one."""
    return bounds((day or SystemClock().now().astimezone(config.node.timezone)).date(), config)


@click.command("report", short_help="What was due on a day: met, missed, late, pending.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="By the hospital's clock; today if it is left out.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every delivery there.")
@hospital_option
@common_options
def report(day: datetime | None, csv_file: Path | None, hospital: str | None, config_file: Path, as_json: bool) -> None:
    """Show deliveries due on a day: met, missed by us, missed while sending was paused, arrived late, pending; with the
    reasons."""
    config = node_config(config_file)
    require_hospital(hospital, config)
    zone, several = config.node.timezone, are_several(config)
    with reading(config) as catalogue:
        found = findings(config, catalogue, *day_of(day, config), clock_of(catalogue).now(), hospital)
    if csv_file is not None:
        columns = columns_of(FINDING_COLUMNS, config)
        csv_file.write_bytes(table_of(columns, (finding_row(one, zone) for one in found)))
    if as_json:
        each = {name: counts(some) for name, some in by_hospital(found).items()}
        rows = [finding_row(one, zone) for one in found]
        print_json({"counts": counts(found), "hospitals": each, "deliveries": rows})
        return
    click.echo(_counted(found))
    if several:
        show("By hospital", ("Hospital", "Due"), [(name, _counted(some)) for name, some in by_hospital(found).items()])
    _tell(found, zone, several=several)


def _counted(found: Sequence[DueDelivery]) -> str:
    numbers = counts(found).items()
    return ", ".join(tongue().say("{count} {what}", count=n, what=say(each)) for each, n in numbers)


def _tell(found: Sequence[DueDelivery], zone: ZoneInfo, *, several: bool) -> None:
    """Print what was not in time."""
    rows = [
        (f"d{one.delivery.id}", *([one.delivery.hospital] if several else []), one.exam_id, one.delivery.destination,
         say(one.delivery.channel), say(one.punctuality), local(one.delivery.legal_due, zone),
         local(one.complete, zone), local(one.delivered, zone), say(one.reason))
        for one in found if one.punctuality in OVERDUE
    ]  # fmt: skip
    if rows:
        show(f"Not in time ({zone.key})", with_hospital(_COLUMNS, several), rows)
