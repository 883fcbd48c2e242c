"""`queue report`: deliveries due on a day, those in time, and why the rest was not."""

from datetime import datetime
from pathlib import Path

import click

from router.catalogue import open_catalogue
from router.cli.opened import clock_of
from router.cli.options import config_option, configured, json_option, print_json, require_node
from router.cli.speech import say, tongue
from router.cli.tables import local, show
from router.clock import SystemClock
from router.config.sections import Config
from router.events import EventBus
from router.review.punctuality import DueDelivery, findings
from router.upkeep.daily import FINDING_COLUMNS, OVERDUE, bounds, counts, finding_row, table_of


def day_of(day: datetime | None, config: Config) -> tuple[datetime, datetime]:
    """Beginning and end of the day by the hospital's clock; today without one."""
    return bounds((day or SystemClock().now().astimezone(config.node.timezone)).date(), config)


@click.command("report", short_help="What was due on a day: met, missed, late, pending.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="By the hospital's clock; today if it is left out.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every delivery there.")
@config_option
@json_option
def report(day: datetime | None, csv_file: Path | None, config_file: Path, as_json: bool) -> None:
    """Show deliveries due on a day: met, missed by us, missed while sending was paused, arrived late, pending; with the
    reasons."""
    config = configured(config_file)
    require_node(config)
    zone = config.node.timezone
    catalogue = open_catalogue(config.database.url, config.node.data, EventBus())
    try:
        found = findings(config, catalogue, *day_of(day, config), clock_of(catalogue).now())
    finally:
        catalogue.engine.close_thread()
    if csv_file is not None:
        csv_file.write_bytes(table_of(FINDING_COLUMNS, (finding_row(one, zone) for one in found)))
    if as_json:
        rows = [finding_row(one, zone) for one in found]
        print_json({"counts": counts(found), "deliveries": rows})
        return
    numbers = counts(found).items()
    click.echo(", ".join(tongue().say("{count} {what}", count=n, what=say(each)) for each, n in numbers))
    late = [one for one in found if one.punctuality in OVERDUE]
    columns = (
        "ID",
        "ExamId 检查记录ID",
        "Destination",
        "Channel",
        "Verdict",
        "Legal due",
        "All here",
        "Delivered at",
        "Why",
    )
    if late:
        show(f"Not in time ({zone.key})", columns, [_cells(one, config) for one in late])


def _cells(one: DueDelivery, config: Config) -> list[str]:
    zone, it = config.node.timezone, one.delivery
    times = [local(each, zone) for each in (it.legal_due, one.complete, one.delivered)]
    return [f"d{it.id}", one.exam_id, it.destination, say(it.channel), say(one.punctuality), *times, say(one.reason)]
