"""`queue sources`: senders of images and reports, what is usual, which are silent; one not to be waited for."""

from dataclasses import asdict
from pathlib import Path

import click

from router.cli.opened import clock_of, opened, reading
from router.cli.options import common_options, node_config, print_json, reason_given, who_option
from router.cli.speech import echo, say
from router.cli.tables import local, show
from router.correlator.holidays import Holidays
from router.review.decisions import OperatorReason
from router.review.sources import SourceLine, dismiss_source, lines
from router.text.language import N_

_COLUMNS = ("Source", "A day", "Last", "Expected since", "")
_SILENT, _DISMISSED = N_("fell silent"), N_("dismissed")


@click.command("sources", short_help="Senders and reports: what is usual, which are silent; one dismissed.")
@click.option(
    "--dismiss", "dismissed", metavar="SOURCE", help="Not waited for until it sends again: an AE title, reports."
)
@click.option("--why", default="", help="With --dismiss: the reason; it is kept in the events.")
@who_option
@common_options
def sources(dismissed: str | None, why: str, who: str, config_file: Path, as_json: bool) -> None:
    """Senders of images, and reports, of the last four weeks: how many on a usual working day, when the last came, how
    many were to be expected since then."""
    config = node_config(config_file)
    if dismissed is not None:
        reason = OperatorReason(who, reason_given(why))
        with opened(config) as (catalogue, bus):
            name = dismiss_source(catalogue, bus, clock_of(catalogue), dismissed.strip(), reason)
        if as_json:
            print_json({"dismissed": name})
        else:
            echo(f"dismissed: {name}, until it sends again")
        return
    with reading(config) as catalogue:
        days = Holidays(config.study.holidays).reading().days
        found = lines(config, catalogue, days, clock_of(catalogue).now())
    if as_json:
        print_json([asdict(one) | {"last": one.last.isoformat()} for one in found])
    elif not found:
        echo("nothing has come in the last four weeks")
    else:
        show("", _COLUMNS, [_cells(one, local(one.last, config.node.timezone)) for one in found])


def _cells(one: SourceLine, last: str) -> list[str]:
    note = say(_DISMISSED) if one.dismissed else say(_SILENT) if one.silent else ""
    return [say(one.name), f"{one.usual:.0f}", last, f"{one.expected:.0f}", note]
