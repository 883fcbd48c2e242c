"""`queue corrected`: exams delivered under patient data that was corrected later."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from router.cli.opened import opened, record_look
from router.cli.options import (
    are_several,
    common_options,
    hospital_option,
    node_config,
    print_json,
    require_hospital,
    since_option,
)
from router.cli.speech import say, tongue
from router.cli.tables import iso, local, show, with_hospital
from router.correlator.corrections import Corrected, Corrections
from router.intake.exam_reader import ExamReader
from router.model import Channel
from router.review.comparison import NO_READING
from router.storage.reports import Reports
from router.text.decoding import is_readable
from router.text.language import N_

_COLUMNS = N_(("Exam", "Destination", "Channel", "Field", "Was", "Is", "Corrected", "Delivered", "Sent since"))


@click.command("corrected", short_help="What destinations have under a patient's old data.")
@since_option("Corrected so long ago or later.", "30d")
@hospital_option
@common_options
def corrected(since: datetime, hospital: str | None, config_file: Path, as_json: bool) -> None:
    """Exams whose patient (name, sex, birth date, number) was corrected after something of them was delivered.

    For each destination: what it has under the old data, what has changed, and what was sent since. It shows patient
    data, and it is recorded who looked. Nothing is changed.

    \b
    --json: an array of
      {exam: "e17", exam_id, hospital, delivery: "d85", destination, channel, changes: [{field, was, is}], corrected,
       delivered, old, sent_since, last_sent}
      old: how many reports or images were sent under the old data, last at `delivered`; sent_since: how many of them
      were sent again under the present data, last at `last_sent` (null: none)
    """
    config = node_config(config_file)
    require_hospital(hospital, config)
    with opened(config) as (catalogue, bus):
        corrections = Corrections(config, ExamReader(config), catalogue, Reports(config.node.data).read)
        found, unread = corrections.since(since)
        of = catalogue.exams.hospitals({*(one.exam for one in found), *unread})
        found = [one for one in found if hospital in (None, of.get(one.exam))]
        unread = [exam for exam in unread if hospital in (None, of.get(exam))]
        exams = dict.fromkeys(one.exam for one in found)
        record_look(catalogue, bus, "patient data shown by queue corrected", exams)
    for exam in unread:
        text = tongue().say("e{exam} cannot be judged: its exam JSON is gone or cannot be read", exam=exam)
        click.echo(text, err=True)
    if as_json:
        print_json([corrected_json(one) | {"hospital": of.get(one.exam, "")} for one in found])
    elif not found:
        click.echo(say(N_("no destination has anything under a patient's old data")))
    else:
        several = are_several(config)
        rows = [
            (first, *([of.get(one.exam, "") if first else ""] if several else []), *rest)
            for one in found for first, *rest in _rows(one, config.node.timezone)
        ]  # fmt: skip
        show("", with_hospital(_COLUMNS, several), rows)


def corrected_json(one: Corrected) -> dict[str, Any]:
    """A delivery as --help describes it; times ISO 8601 with zone."""
    return {
        "exam": f"e{one.exam}", "exam_id": one.exam_id, "delivery": f"d{one.delivery}",
        "destination": one.destination, "channel": one.channel,
        "changes": [{"field": each.field, "was": _shown(each.was), "is": _shown(each.now)} for each in one.changes],
        "corrected": one.came.isoformat(), "delivered": one.delivered.isoformat(), "old": one.number,
        "sent_since": one.anew, "last_sent": iso(one.since),
    }  # fmt: skip


def _rows(one: Corrected, zone: ZoneInfo) -> list[tuple[str, ...]]:
    """A line for each field; what they have in common stands in the first."""
    first = (f"e{one.exam}", one.destination, say(one.channel))
    times = (local(one.came, zone), local(one.delivered, zone), _since(one, zone))
    changes = [(say(each.field), _shown(each.was) or "-", _shown(each.now) or "-") for each in one.changes]
    blank = ("", "", "")
    return [(*(blank if n else first), *change, *(blank if n else times)) for n, change in enumerate(changes)]


def _since(one: Corrected, zone: ZoneInfo) -> str:
    if one.since is None:
        return say(N_("nothing"))
    if one.channel == Channel.REPORT:
        return local(one.since, zone)
    values = {"sent": str(one.anew), "all": str(one.number), "at": local(one.since, zone)}
    return tongue().say("{sent} of {all} images, {at}", **values)


def _shown(text: str) -> str:
    return text if is_readable(text) else NO_READING
