"""`queue backfill`: exams from before sharing began (历史补传), shared after today's work; progress and end."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from router.catalogue import Catalogue
from router.catalogue.queue.backfills import Extent, Stage
from router.cli.opened import clock_of, opened
from router.cli.options import common_options, hospital_option, node_config, person, print_json, require_hospital
from router.cli.queue.many import agreed
from router.cli.speech import say, tongue
from router.cli.tables import iso, local, show
from router.clock import SystemClock
from router.config.sections import Config
from router.correlator.backfilling import span_of
from router.errors import InvalidData
from router.matching.exam.share import share_policy
from router.policy.backfill import Backfill
from router.text.language import N_
from router.upkeep.daily import bounds

_COLUMNS = (N_("Exams"), "")
_DAY = click.DateTime(["%Y-%m-%d"])
_STAGES = {
    Stage.DELIVERED: N_("delivered"), Stage.GOING: N_("in the queue"), Stage.WAITING: N_("wait for images or report"),
    Stage.HELD: N_("held for a person"), Stage.FAILED: N_("failed"), Stage.KEPT: N_("kept back"),
    Stage.ASIDE: N_("excluded, out of scope or cancelled"),
}  # fmt: skip


@click.command("backfill", short_help="Share exams from before [share] from, behind today's work.")
@click.option("--from", "first", type=_DAY, help="The first day of approval, by the hospital's clock.")
@click.option("--to", "last", type=_DAY, help="The last day of approval.")
@click.option("--at", "at", type=click.Choice(["night"]), help="Only from 22:00 to 06:00.")
@click.option("--per-hour", type=click.IntRange(1), help="So many exams an hour to each destination at most.")
@hospital_option
@click.option("--status", is_flag=True, help="How far it has come.")
@click.option("--stop", is_flag=True, help="End it: what has not gone is kept back again.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@common_options
def backfill(
    first: datetime | None, last: datetime | None, at: str | None, per_hour: int | None, hospital: str | None,
    status: bool, stop: bool, yes: bool, config_file: Path, as_json: bool,
) -> None:  # fmt: skip
    """Share exams that were approved before [share] from (历史补传): those that are here and those that come.

    They go when nothing of today's work is ready, have no due time and count in no rate. It stands until --stop, over
    restarts and for every node of the database. Images that [retention] has removed cannot go. With --hospital: its
    exams alone, from before its own [share] from; one backfill stands at a time.

    \b
    --json:
      backfill   {from, to, at_night, per_hour, hospital, since, until, who}, null: none was ever begun; until null: it
                 stands; hospital null: of all
      exams      {delivered, going, waiting, held, failed, kept, aside}: by the delivery that is furthest back
    """
    if (first is not None or last is not None) + status + stop != 1:
        raise click.UsageError("use one of --from with --to, --status, --stop")
    config, wanted = node_config(config_file), None
    require_hospital(hospital, config)
    if not (stop or status):
        wanted = _wanted(config, first, last, at_night=at is not None, per_hour=per_hour, hospital=hospital)
    with opened(config) as (catalogue, _):
        if wanted is not None:
            _begin(config, catalogue, wanted, yes=yes)
        elif stop:
            _stop(config, catalogue)
        _tell(config, catalogue, as_json=as_json)


def _wanted(
    config: Config, first: datetime | None, last: datetime | None, *, at_night: bool, per_hour: int | None,
    hospital: str | None,
) -> Backfill:  # fmt: skip
    if first is None or last is None:
        raise click.UsageError("name both days: --from YYYY-MM-DD --to YYYY-MM-DD")
    start, end = bounds(first.date(), config)[0], bounds(last.date(), config)[1]
    if start >= end:
        raise click.UsageError("--to lies before --from")
    try:
        own = None if hospital is None else config.for_hospital(hospital)
        start, end = span_of(share_policy(own or config), start, end)
    except InvalidData as error:
        raise click.UsageError(str(error)) from error
    return Backfill(
        first=start, last=end, since=SystemClock().now(), who=person(), at_night=at_night, per_hour=per_hour,
        hospital=hospital,
    )  # fmt: skip


def _begin(config: Config, catalogue: Catalogue, wanted: Backfill, *, yes: bool) -> None:
    if catalogue.backfills.standing() is not None:
        raise InvalidData("a backfill stands already", hint="see --status; --stop ends it")
    lines, days = _preview(config, wanted, catalogue.backfills.extent(wanted)), _days(wanted, config)
    agreed(tongue().say("backfill of {days}", days=days), lines, yes=yes)
    if not catalogue.backfills.begin(replace(wanted, since=clock_of(catalogue).now()), days):
        raise InvalidData("a backfill stands already", hint="see --status; --stop ends it")


def _stop(config: Config, catalogue: Catalogue) -> None:
    found = catalogue.backfills.standing()
    days = _days(found, config) if found else ""
    if catalogue.backfills.stop(person(), days, clock_of(catalogue).now()) is None:
        raise InvalidData("no backfill stands")


def _preview(config: Config, wanted: Backfill, extent: Extent) -> list[str]:
    """Preview of a backfill: how many exams, how much, where to, and how long that takes at least."""
    going, our = extent.exams - extent.purged, tongue()
    lines = [our.say("{exams} exam(s) are kept back here, about {size} GiB; what comes later goes too",
                     exams=going, size=f"{extent.size / 2**30:.1f}")]  # fmt: skip
    if extent.purged:
        lines.append(our.say("{exams} more cannot go: retention has removed their images", exams=extent.purged))
    places = ", ".join(one.name for one in config.destination)
    lines.append(our.say("to {places}, {pace}", places=places, pace=_pace(wanted)))
    if wanted.per_hour and going:
        days = -(-going // (wanted.per_hour * (8 if wanted.at_night else 24)))
        lines.append(our.say("that takes {days} day(s) at least", days=days))
    return [f"  {line}" for line in lines]


def _pace(one: Backfill) -> str:
    words = [say(N_("at night")) if one.at_night else say(N_("at any hour"))]
    if one.per_hour:
        words.append(tongue().say("at most {number} exam(s) an hour", number=str(one.per_hour)))
    return ", ".join([*words, say(N_("when nothing of today is ready"))])


def _days(one: Backfill, config: Config) -> str:
    """The days, and the hospital if it is one's alone."""
    zone = config.node.timezone
    days = f"{one.first.astimezone(zone):%Y-%m-%d} - {one.last_day(zone):%Y-%m-%d}"
    return f"{days} ({one.hospital})" if one.hospital else days


def _tell(config: Config, catalogue: Catalogue, *, as_json: bool) -> None:
    one = next(reversed(catalogue.backfills.all()), None)
    stages = catalogue.backfills.stages(one) if one else {}
    if as_json:
        print_json({"backfill": one and _as_json(one, config),
                    "exams": {stage.value: number for stage, number in stages.items()}})  # fmt: skip
    elif one is None:
        click.echo(say(N_("no backfill was ever begun")))
    else:
        click.echo(_line(one, config))
        show("", _COLUMNS, [(str(stages[stage]), say(text)) for stage, text in _STAGES.items()])


def _line(one: Backfill, config: Config) -> str:
    zone, our, days = config.node.timezone, tongue(), _days(one, config)
    if one.until is not None:
        return our.say("backfill of {days}, stopped at {until}", days=days, until=local(one.until, zone))
    return our.say("backfill of {days}, since {since} by {who}: {pace}", days=days, since=local(one.since, zone),
                   who=one.who, pace=_pace(one))  # fmt: skip


def _as_json(one: Backfill, config: Config) -> dict[str, Any]:
    zone = config.node.timezone
    return {
        "from": f"{one.first.astimezone(zone):%Y-%m-%d}", "to": f"{one.last_day(zone):%Y-%m-%d}",
        "at_night": one.at_night, "per_hour": one.per_hour, "hospital": one.hospital,
        "since": iso(one.since), "until": iso(one.until), "who": one.who,
    }  # fmt: skip
