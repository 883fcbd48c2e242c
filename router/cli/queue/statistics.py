"""`queue statistics`: how many exams were uploaded, in time and at the first try, and why the rest was not."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from router.cli.opened import clock_of, reading
from router.cli.options import common_options, node_config, print_json
from router.cli.speech import echo, say, tongue
from router.cli.tables import show
from router.config.sections import Config
from router.errors import ConfigurationError, InvalidData, TransientError
from router.intake.exam_reader import ExamReader
from router.review.outcomes import OutcomeCounter
from router.review.pacs_days import ask_pacs
from router.review.statistics import (
    PERCENTILES,
    By,
    Rates,
    Reason,
    Statistics,
    percent,
    percentile,
    statistics_of,
    worded,
)
from router.storage import open_storage
from router.text.language import N_
from router.upkeep.statistics_table import csv_of

_DAY = timedelta(days=1)
_DAYS = 30  # that are shown where nothing is asked for
_COLUMNS = ("", "Exams due", "Uploaded", "Rate", "Both in time", "In time", "First try", "Accepted", "Unreported")
_ALL, _CRITICAL = N_("all"), N_("critical values")


def _span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[date, date]:
    last = end.date() if end else now.date()
    first = start.date() if start else last - (_DAYS - 1) * _DAY
    if first > last:
        raise click.UsageError(f"--from {first} is after --to {last}")
    return first, last


@click.command("statistics", short_help="Uploaded, in time, accepted at the first try; why the rest was not.")
@click.option("--from", "start", type=click.DateTime(["%Y-%m-%d"]), help="The first day of approval; else 30 days.")
@click.option(
    "--to", "end", type=click.DateTime(["%Y-%m-%d"]), help="The last day, by the hospital's clock; else today."
)
@click.option("--by", type=click.Choice([str(one) for one in By]), default=str(By.DAY), help="What is a row.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows there.")
@click.option("--pacs", is_flag=True, help="First ask the PACS ([query]) which studies it has of each of the days.")
@common_options
def show_statistics(
    start: datetime | None, end: datetime | None, by: str, csv_file: Path | None, pacs: bool, config_file: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Count exams by their approval: due, uploaded (上传率), both channels in time (及时率), accepted at the first try
    (合格率); held ones count as due, those of a backfill do not.

    Every exam, and every study without a report, is in one state: the states sum up to the total.
    """
    config = node_config(config_file)
    with reading(config) as catalogue, catalogue.engine.patient():
        now = clock_of(catalogue).now()
        first, last = _span(start, end, now.astimezone(config.node.timezone))
        reports = open_storage(config.node.data, config.node.owner).reports
        counter = OutcomeCounter(config, catalogue, ExamReader(config), reports.read)
        if pacs:
            _ask(config, counter, first, last)
        counter.catch_up(now)
        found = statistics_of(catalogue, first, last, By(by))
    if csv_file is not None:
        csv_file.write_bytes(csv_of(found, By(by)))
    if as_json:
        print_json(statistics_json(found, By(by), first, last))
    else:
        _tell(found, first, last)


def _ask(config: Config, counter: OutcomeCounter, first: date, last: date) -> None:
    if config.query is None:
        raise ConfigurationError("there is no [query]: the PACS cannot be asked")
    for n in range((last - first).days + 1):
        day = first + n * _DAY
        try:
            counter.note_pacs(day, ask_pacs(config, day, lambda: False))
        except (TransientError, InvalidData) as error:
            echo(f"the PACS cannot be asked for {day}: {error}", err=True)
            raise click.exceptions.Exit(1) from error


# -- documents


def rates_json(one: Rates) -> dict[str, Any]:
    """A row in the shape of the contract, with rates (null where nothing is due), states and percentiles in minutes."""
    return {
        "group": one.group, "due": one.due, "uploaded": one.uploaded, "report_on_time": one.report_on_time,
        "images_on_time": one.images_on_time, "on_time": one.on_time, "accepted_first_time": one.accepted_first_time,
        "unreported": one.unreported, "upload_rate": _rounded(one.upload_rate),
        "on_time_rate": _rounded(one.on_time_rate), "first_time_rate": _rounded(one.first_time_rate),
        "exams": one.exams, "states": dict(one.states),
        "report_minutes": _percentiles(one.report_took), "images_minutes": _percentiles(one.images_took),
    }  # fmt: skip


def statistics_json(found: Statistics, by: By, first: date, last: date) -> dict[str, Any]:
    """The document of `queue statistics --json`."""
    return {
        "from": first.isoformat(), "to": last.isoformat(), "by": str(by),
        "rows": [rates_json(one) for one in found.rows], "total": rates_json(found.total),
        "critical": rates_json(found.critical), "misses": [asdict(one) for one in found.misses],
        "waits_for_a_person": [_plain(one) for one in found.waits],
        "not_shared": [_plain(one) for one in found.kept_back],
    }  # fmt: skip


def _plain(one: Reason) -> dict[str, Any]:
    return {"reason": one.reason, "exams": one.exams}


def _percentiles(took: Mapping[int, int]) -> dict[str, int | None]:
    return {f"p{n}": percentile(took, n) for n in PERCENTILES}


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 6)


# -- for people


def _tell(found: Statistics, first: date, last: date) -> None:
    rows = [_line(one.group or "-", one) for one in found.rows]
    if not rows:
        echo(f"no exam from {first} to {last}")
        return
    rows.append(_line(say(_ALL), found.total))
    if found.critical.exams:
        rows.append(_line(say(_CRITICAL), found.critical))
    show(tongue().say("From {first} to {last}", first=first, last=last), _COLUMNS, rows)
    show("Every exam once", ("State", "Exams"), [(say(s), str(n)) for s, n in found.total.states.items() if n])
    took = [(say(N_("report")), found.total.report_took), (say(N_("images")), found.total.images_took)]
    show(
        "Minutes from approval to confirmation", ("", *(f"{n} %" for n in PERCENTILES)),
        [(name, *(str(percentile(some, n) or "-") for n in PERCENTILES)) for name, some in took],
    )  # fmt: skip
    _reasons("Why not in time", found.misses)
    _reasons("Waits for a person", found.waits)
    _reasons("Not shared", found.kept_back)


def _reasons(title: str, reasons: Sequence[Reason]) -> None:
    if reasons:
        rows = [(str(one.exams), said(one.reason), say(one.whose) if one.whose else "") for one in reasons]
        show(title, ("Exams", "Reason", "Whose"), rows)


def said(reason: str) -> str:
    """A reason in words."""
    return say(worded(reason))


def _line(name: str, one: Rates) -> tuple[str, ...]:
    return (
        name, str(one.due), str(one.uploaded), percent(one.upload_rate), str(one.on_time), percent(one.on_time_rate),
        str(one.accepted_first_time), percent(one.first_time_rate), str(one.unreported),
    )  # fmt: skip
