"""`queue files` and `queue dismiss`: files of the drop folder that wait for a person or belong to nothing.

`queue dismiss` also ends an exam's alarms that only somebody outside can settle.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.cells import cell_len
from rich.text import Text

from router.catalogue.exams.files import ALARMS, FileKind, FolderFile
from router.cli.opened import clock_of, opened
from router.cli.options import (
    common_options,
    exam_id_option,
    hospital_option,
    node_config,
    print_json,
    reason_given,
    require_hospital,
    the_name,
    who_option,
    why_option,
)
from router.cli.speech import echo, say, tongue
from router.cli.tables import brief, console, iso, local, shortened
from router.intake.folder_files import WHERE, reason
from router.review.decisions import OperatorReason
from router.review.dismissals import Ambiguous, Dismissals
from router.review.file_owners import hospitals_of_files
from router.review.lookup import ExamId
from router.text.decoding import shown

COMMAND = "scripts/queue files"
_WIDTH, _INDENT = 80, 6
_FILE = re.compile(r"(?i)(f[0-9]+|.*\.[a-z][a-z0-9]*)\Z")  # written as a file's number or name
_KINDS = click.Choice([kind.value for kind in FileKind])
_PLURAL = {
    FileKind.REJECTED: "rejected",
    FileKind.UNCLAIMED: "PDFs without exam JSON",
    FileKind.NEAR: "names that nearly pair",
    FileKind.OTHER: "other files",
}
REMEDY = {
    FileKind.REJECTED: f"`{COMMAND}` has the reason; have the RIS write the file again, corrected",
    FileKind.UNCLAIMED: f"`{COMMAND}` has the names; have the RIS name the PDF as the JSON, or by its ExamId",
    FileKind.NEAR: f"`{COMMAND}` has both names; nothing pairs by a near name: have it written under the exact one",
    FileKind.OTHER: f"`{COMMAND}` has the reasons; remove them, or `scripts/queue dismiss FILE --why ...`",
}
"""The remedy for files of a kind."""


def counted(counts: Mapping[FileKind, int]) -> str:
    """The number of each kind: `3 rejected, 1 PDF without exam JSON`; "" without any."""
    named = ((n, (WHERE if n == 1 else _PLURAL)[kind]) for kind, n in counts.items() if n)
    return ", ".join(f"{number} {name}" for number, name in named)


def tell_files(files: Iterable[FolderFile], zone: ZoneInfo) -> None:
    """Print each file's name, reason, near name, and what to do."""
    out = console()
    for one in files:
        found = one.found
        exam, since = f", exam e{found.exam}" if found.exam is not None else "", local(one.since, zone)
        out.print(f"File {one.name} {found.path}: {WHERE[found.kind]} since {since}{exam}", markup=False)
        out.print(f"  {reason(one)}", markup=False)
        if found.kept:
            out.print(f"  a copy: `scripts/quarantine show {found.kept}`", markup=False)
        if one.dismissed is not None:
            out.print(f"  dismissed by {one.who} {local(one.dismissed, zone)}: {one.because}", markup=False)
        else:
            out.print(f"  {REMEDY[found.kind]}; `scripts/queue dismiss {one.name} --why ...` ends it", markup=False)


def files_json(files: Iterable[FolderFile]) -> list[dict[str, Any]]:
    """The same for programs; times ISO 8601 with zone."""
    return [
        {
            "file": one.name, "kind": one.found.kind, "name": one.found.path, "why": one.found.why,
            "reason": reason(one), "near": one.found.near or None, "branch": one.found.branch or None,
            "exam": None if one.found.exam is None else f"e{one.found.exam}", "since": iso(one.since),
            "quarantine": one.found.kept or None,
            "alarm": ALARMS.get(one.found.kind) if one.dismissed is None else None,
            "dismissed": iso(one.dismissed), "who": one.who or None, "because": one.because or None,
        }
        for one in files
    ]  # fmt: skip


@click.command("files", short_help="Files of the drop folder that wait, or lie there to no purpose.")
@click.option("--all", "every", is_flag=True, help="Also those that a person has dismissed.")
@hospital_option
@common_options
def files(every: bool, hospital: str | None, config_file: Path, as_json: bool) -> None:
    """Files of the drop folder: rejected ones, PDFs without exam JSON, names that nearly pair, others that stay there.

    As the node's last scan found them. File names may hold patients' names. A file is of the hospital in whose own
    folder it lies, else of that of its exam.
    """
    config = node_config(config_file)
    require_hospital(hospital, config)
    with opened(config) as (catalogue, _):
        found, counts = catalogue.exams.files.open(dismissed=every), catalogue.exams.files.counts()
        of = hospitals_of_files(catalogue, found)
    if hospital is not None:
        found = [one for one in found if of[one.id] == hospital]
        counts = Counter(one.found.kind for one in found)
    if as_json:
        print_json([row | {"hospital": of[one.id]} for row, one in zip(files_json(found), found, strict=True)])
        return
    text = f"Drop folder: {counted(counts) or 'no file waits, and none lies there to no purpose'}"
    for line in folded(say(text), _WIDTH):
        click.echo(line)
    for one in found:
        _tell_row(one, config.node.timezone)


def _tell_row(one: FolderFile, zone: ZoneInfo) -> None:
    """Two lines or more of 80 columns: number, since when, exam and name; then the reason."""
    found = one.found
    exam = "-" if found.exam is None else f"e{found.exam}"
    head = f"{one.name:<{_INDENT}}{brief(one.since, zone):<13}{exam:<7}"
    click.echo(head + shortened(shown(found.path), _WIDTH - cell_len(head)))
    tail = say(f" (dismissed by {one.who}: {one.because})") if one.dismissed is not None else ""
    text = tongue().say("{where}: {reason}", where=say(WHERE[found.kind]), reason=say(reason(one)))
    for line in folded(shown(text + tail), _WIDTH - _INDENT):
        click.echo(" " * _INDENT + line)


def folded(text: str, width: int) -> Sequence[str]:
    """The text in lines of so many columns, broken between words if possible."""
    return [line.plain.rstrip() for line in Text(text).wrap(console(), width)]


@click.command("dismiss", short_help="A file may lie as it is, or the platform was told of an exam: ends the alarm.")
@click.argument("name", metavar="[FILE|EXAM]", required=False)
@exam_id_option
@click.option("--kind", type=_KINDS, help="Every file of this kind that is listed now.")
@why_option
@who_option
@common_options
def dismiss(
    name: str | None, exam_ids: tuple[str, ...], kind: str | None, why: str, who: str, config_file: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """End the alarm of FILE, a file's number (f12), path or name, and show it no longer. The file stays where it is.

    It comes back when the file changes, or when another one of that name is refused.

    Of EXAM (e17, d85 or an ExamId) it ends the alarms delivered-in-doubt and rejected-after-delivery: the platform's
    operator knows what was delivered. What is doubted or rejected later is an alarm again.
    """
    if (name is None and not exam_ids) == (kind is None):
        raise click.UsageError("name one file or exam, or use --kind")
    reason_, config = OperatorReason(who, reason_given(why)), node_config(config_file)
    with opened(config) as (catalogue, bus):
        dismissals = Dismissals(catalogue, bus, clock_of(catalogue))
        word = "" if kind else the_name(name, exam_ids)
        if not kind and (isinstance(word, ExamId) or not (_FILE.match(word) or dismissals.is_of_a_file(word))):
            alarms = list(dict.fromkeys(one.alarm for one in dismissals.dismiss_exam(word, reason_)))
            if as_json:
                print_json({"dismissed": [word], "alarms": alarms})
            else:
                echo(f"dismissed: {', '.join(alarms)} of {word}")
            return
        try:
            found = dismissals.dismiss_kind(FileKind(kind), reason_) if kind else dismissals.dismiss(word, reason_)
        except Ambiguous as error:
            named = "; ".join(f"{one.name} is {one.found.path}" for one in error.files)
            raise click.UsageError(f"several files have that name: {named}") from error
    if as_json:
        print_json({"dismissed": [one.name for one in found]})
        return
    for one in found:
        names = f"{one.name} {one.found.path} ({say(WHERE[one.found.kind])})"
        echo(f"dismissed: {names}")


COMMANDS = (files, dismiss)
