"""`queue unreported`: studies here that no exam names, and their senders, which may be dismissed."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.cells import cell_len

from router.cli.opened import clock_of, opened, reading
from router.cli.options import (
    are_several,
    common_options,
    hospital_option,
    node_config,
    print_json,
    reason_given,
    require_hospital,
    who_option,
)
from router.cli.speech import echo, say
from router.cli.tables import console, show, with_hospital
from router.clock import SystemClock
from router.config.sections import Config
from router.config.types import ago
from router.review.decisions import OperatorReason
from router.review.unreported import Listed, dismiss, listed
from router.text.language import N_

_COLUMNS = N_(("Study", "From", "Address", "Mod", "Date", "Inst", "Last", "Days"))
_SUMS = ("From", "Address", "Studies", "Recent", "Inst", "Oldest", "")
_WIDTH, _LEAST_UID, _LONGEST_ADDRESS = 80, 10, 15


@click.command("unreported", short_help="Studies here that no exam names, by age; a sender dismissed.")
@click.option("--older", default="0 s", help="Only those here for so much working time, like 3d.")
@click.option("--sender", help="Only those that this AE title sent.")
@hospital_option
@click.option("--dismiss", "dismissed", metavar="AE", help="Its studies get no report: no alarm until one does.")
@click.option("--why", default="", help="With --dismiss: the reason; it is kept in the events.")
@who_option
@common_options
def unreported(
    older: str, sender: str | None, hospital: str | None, dismissed: str | None, why: str, who: str, config_file: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Studies here that no exam names, the oldest first: from which AE title and address, how many working days old.

    Those that should have their report count for the alarm `unreported`; priors, and what is out of [share], do not.
    """
    config = node_config(config_file)
    require_hospital(hospital, config)
    if dismissed is not None:
        sender, reason = dismissed.strip(), OperatorReason(who, reason_given(why))
        with opened(config) as (catalogue, bus):
            number = dismiss(catalogue, bus, clock_of(catalogue), sender, reason)
        if as_json:
            print_json({"dismissed": sender, "studies": number})
        else:
            echo(f"dismissed: {number} studies of {sender}, and later ones until one gets its report")
        return
    title, age = None if sender is None else sender.strip(), _span(older)
    with reading(config) as catalogue:
        found = listed(config, catalogue, clock_of(catalogue).now(), sender=title, older=age, hospital=hospital)
    if as_json:
        print_json([unreported_json(one) for one in found])
    else:
        _tell(found, config)


def _span(text: str) -> timedelta:
    now = SystemClock().now()
    try:
        return now - ago(text, now)
    except ValueError as error:
        raise click.UsageError(f"--older: expected a time like 3d or 12h, found {text}") from error


def unreported_json(one: Listed) -> dict[str, Any]:
    """A study in the shape of the contract; times ISO 8601 with zone, `study_date` as DICOM writes it."""
    study = one.study
    return {
        "study": study.study_uid, "sender": study.sender, "address": study.address, "modalities": list(one.modalities),
        "study_date": study.study_date, "instances": one.instances, "came": study.came.isoformat(),
        "last": study.last.isoformat(), "working_days": one.working_days, "recent": not one.passed_over,
        "hospital": study.hospital,
    }  # fmt: skip


def _tell(found: Sequence[Listed], config: Config) -> None:
    if not found:
        echo("no study lacks its report")
        return
    zone, several = config.node.timezone, are_several(config)
    columns = with_hospital(_COLUMNS, several)
    show("", columns, _fitting(columns, [_cells(one, zone, several=several) for one in found]))
    show("By sender", _SUMS, _sums(found))
    echo("Days: working days since it came; * raises no alarm: a prior, or out of [share]")


def _cells(one: Listed, zone: ZoneInfo, *, several: bool) -> list[str]:
    study, kinds = one.study, "-"
    if one.modalities:
        kinds = one.modalities[0] + ("+" if one.modalities[1:] else "")  # the first, and a sign that there are others
    return [
        study.study_uid, *([study.hospital or "-"] if several else []), study.sender or "-",
        shortened(study.address or "-", _LONGEST_ADDRESS), kinds, study.study_date or "-", str(one.instances),
        f"{study.last.astimezone(zone):%m-%d}",
        _days(one.working_days) + ("*" if one.passed_over else ""),
    ]  # fmt: skip


def _days(number: float) -> str:
    return f"{number:g}" if number < 10 else f"{number:.0f}"


def _fitting(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The rows with UIDs cut to the width that the other columns leave."""
    out = console()
    line = out.width if out.is_terminal else _WIDTH
    widths = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
    room = max(line - 2 * len(widths[1:]) - sum(widths[1:]), _LEAST_UID)
    return [[shortened(uid, room), *others] for uid, *others in rows]


def shortened(text: str, width: int) -> str:
    """The text, without its middle if it is longer than `width`."""
    if len(text) <= width:
        return text
    end = (width - 1) * 2 // 3
    return f"{text[: width - 1 - end]}…{text[-end:]}"


def _sums(found: Sequence[Listed]) -> list[list[str]]:
    """Studies by sender, the most first."""
    senders: dict[str, list[Listed]] = defaultdict(list)
    for one in found:
        senders[one.study.sender].append(one)
    return [
        [
            sender or "-", _addresses(some), str(len(some)), str(sum(not one.passed_over for one in some)),
            str(sum(one.instances for one in some)), _days(max(one.working_days for one in some)),
            say(N_("dismissed")) if all(one.dismissed for one in some) else "",
        ]
        for sender, some in sorted(senders.items(), key=lambda item: (-len(item[1]), item[0]))
    ]  # fmt: skip


def _addresses(some: Sequence[Listed]) -> str:
    known = {one.study.address or "-" for one in some}
    return say(f"{len(known)} addresses") if len(known) > 1 else shortened(known.pop(), _LONGEST_ADDRESS)
