"""`queue refused`: senders and images that the node refused, also as `explain` reports them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from router.catalogue import Catalogue
from router.catalogue.exams.provenance import Arrival
from router.catalogue.node.refusals import RefusedSender
from router.cli.opened import clock_of, opened
from router.cli.options import (
    are_several,
    common_options,
    hospital_option,
    node_config,
    print_json,
    reason_given,
    require_hospital,
    since_option,
    who_option,
)
from router.cli.speech import echo, say
from router.cli.tables import brief, console, local, show, with_hospital
from router.config.hospitals import UNREGISTERED
from router.config.sections import Config
from router.correlator.refused import RefusalSum, by_sender
from router.errors import InvalidData
from router.matching.images.hospital import hospital_of_sender
from router.refusals import WHYS, remedy, sender
from router.review.decisions import OperatorReason
from router.review.dismissals import dismiss as dismiss_senders
from router.review.refusal_owners import owner_of
from router.text.decoding import shown

_COLUMNS = ("From", "Address", "Why", "Times", "Studies", "Last")
_SHOWN = 200


@click.command("refused", short_help="Senders and images that this node refused, and why.")
@since_option("Refused so long ago or later.", "7d")
@click.option("--dismiss", metavar="AE", help="End the alarms of this sender: its AE title, or its address.")
@click.option("--why", default="", help="With --dismiss: the reason; it is kept in the events.")
@hospital_option
@who_option
@common_options
def refused(
    since: datetime, dismiss: str | None, why: str, hospital: str | None, who: str, config_file: Path, as_json: bool
) -> None:
    """Associations and images that were refused, and images in quarantine, the latest first.

    A sender that is dismissed and goes on to be refused for the same cause is no alarm for seven days. Images that are
    dismissed are no alarm any more; further ones are.

    A refusal is of the hospital whose sender it was, by AE title or address, else of the one that brought the study.

    \b
    --json: an array of {ae_title, address, called, why, meaning, remedy, study, times, first, last, quarantine,
    hospital}, one for each study; study and quarantine may be null, hospital "" where nothing tells.
    """
    config = node_config(config_file)
    require_hospital(hospital, config)
    with opened(config) as (catalogue, bus):
        if dismiss is None:
            _tell(catalogue, since, config, hospital, as_json)
            return
        reason = OperatorReason(who, reason_given(why))
        senders = _senders(catalogue, config, hospital)
        chosen = [one for one in senders if dismiss in (one.calling, shown(one.calling), one.address)]
        if not chosen:
            raise InvalidData("no sender of that AE title or address is refused", hint="see `scripts/queue refused`")
        dismiss_senders(catalogue, bus, clock_of(catalogue), chosen, reason)
    names = list(dict.fromkeys(sender(one.calling, one.address) for one in chosen))
    if as_json:
        print_json({"dismissed": names})
    else:
        echo(f"dismissed: {', '.join(names)}")


def _tell(catalogue: Catalogue, since: datetime, config: Config, hospital: str | None, as_json: bool) -> None:
    rows = catalogue.refusals.since(since)
    owner = owner_of(config, catalogue, rows)
    rows = [one for one in rows if hospital in (None, owner(one) or UNREGISTERED)]
    if as_json:
        print_json([refusal_json(one) for row in rows for one in by_sender([row], owner)])
        return
    zone, several = config.node.timezone, are_several(config)
    if not rows:
        echo(f"nothing was refused since {local(since, zone)}")
        return
    sums = by_sender(rows, owner)
    cells = [
        (
            one.calling or "-", *([one.hospital or "-"] if several else []), one.address or "-", one.why,
            str(one.count), str(one.studies), brief(one.last, zone),
        ) for one in sums[:_SHOWN]
    ]  # fmt: skip
    show("", with_hospital(_COLUMNS, several), cells)
    if len(sums) > _SHOWN:
        echo(f"the first {_SHOWN} of {len(sums)}; `--json` shows all", err=True)
    click.echo("")
    for means, todo in _causes(sums[:_SHOWN]).items():
        click.echo(say(means) + (f"\n    {say(todo)}" if todo else ""))
    for each in _senders(catalogue, config, hospital):
        if each.dismissed is not None:
            name = sender(each.calling, each.address)
            echo(f"{name}: dismissed {local(each.dismissed, zone)} by {each.dismissal}")


def _senders(catalogue: Catalogue, config: Config, hospital: str | None) -> list[RefusedSender]:
    """The senders that are being refused, of the hospital or of all."""
    return [
        one for one in catalogue.refusals.senders()
        if hospital in (None, hospital_of_sender(one.calling, one.address, config) or UNREGISTERED)
    ]  # fmt: skip


def _causes(sums: Sequence[RefusalSum]) -> Mapping[str, str]:
    """Each cause that occurs, with its remedy."""
    found = {}
    for one in sums:
        if one.place:
            found[f"{one.why}: {one.reason}"] = one.todo
        else:
            found[one.means if one.means.startswith(one.why) else f"{one.why}: {one.means}"] = one.todo
    return found


# -- in `explain`


def refusal_json(one: RefusalSum) -> dict[str, Any]:
    """A refusal for a program."""
    return {
        "ae_title": one.calling, "address": one.address, "called": one.called, "why": one.why, "meaning": one.means,
        "remedy": one.todo, "study": one.study_uid or None,
        "times": one.count, "first": one.first.isoformat(), "last": one.last.isoformat(),
        "quarantine": one.place or None, "hospital": one.hospital,
    }  # fmt: skip


def tell_refused(found: Sequence[RefusalSum], arrivals: Sequence[Arrival], zone: ZoneInfo) -> None:
    """Print which parts of studies the node refused or set aside."""
    out = console()
    for one in found:
        if one.place:
            _tell_set_aside(one, f"study {one.study_uid}", zone)
            continue
        text = f"{one.who} offered images of study {one.study_uid} {one.count} time(s) {_span(one, zone)}; refused"
        out.print(f"  {text}: {one.means}", markup=False)
        if any(a.study_uid == one.study_uid and a.sending_ae == one.calling and a.last > one.last for a in arrivals):
            out.print("      images of it came after that")
        elif todo := remedy(one.why):
            out.print(f"      {todo}", markup=False)


def tell_hints(hints: Sequence[RefusalSum], zone: ZoneInfo) -> None:
    """Print refusals of that time whose study is unknown."""
    out = console()
    for one in hints:
        if one.place:
            _tell_set_aside(one, "a study that cannot be read", zone)
            continue
        what = "associations" if one.why in WHYS else "images"
        text = f"in that time this node refused {one.count} {what} of {one.who} {_span(one, zone)}"
        out.print(f"  {text}: {one.means}", markup=False)
        out.print(f"      whether images of this exam were among them is not known; {remedy(one.why)}", markup=False)


def _span(one: RefusalSum, zone: ZoneInfo) -> str:
    first, last = local(one.first, zone), local(one.last, zone)
    return f"at {first}" if first == last else f"between {first} and {last}"


def _tell_set_aside(one: RefusalSum, study: str, zone: ZoneInfo) -> None:
    out = console()
    out.print(f"  an image of {study} from {one.who} lies in quarantine since {local(one.first, zone)}:", markup=False)
    out.print(f"      {one.reason}; {one.todo}", markup=False)
