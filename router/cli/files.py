"""`queue files` and `queue dismiss`: files of the drop folder that wait for a person, or lie there to no purpose."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.cells import cell_len, chop_cells
from rich.text import Text

from router.catalogue.files import ALARMS, FileKind, FolderFile
from router.cli.opened import clock_of, opened
from router.cli.options import config_option, configured, json_option, print_json, require_node, who_option
from router.cli.tables import brief, console, local
from router.flow.decisions import Verdict
from router.flow.dismissals import Ambiguous, Dismissals
from router.reports.watch import OtherKind
from router.text import shown

COMMAND = "scripts/queue files"
_WIDTH, _INDENT = 80, 6
_KINDS = click.Choice([kind.value for kind in FileKind])
_WHERE = {
    FileKind.REJECTED: "rejected",
    FileKind.UNCLAIMED: "PDF without exam JSON",
    FileKind.NEAR: "name that nearly pairs",
    FileKind.OTHER: "other file",
}
_PLURAL = {
    FileKind.REJECTED: "rejected",
    FileKind.UNCLAIMED: "PDFs without exam JSON",
    FileKind.NEAR: "names that nearly pair",
    FileKind.OTHER: "other files",
}
_OTHER = {
    OtherKind.ENDING: "its ending is none of .json, .pdf, .hl7",
    OtherKind.TEMPORARY: "it was begun and not finished for an hour: a temporary or hidden name",
    OtherKind.LINK: "it is a link, which is never followed",
    OtherKind.SPECIAL: "it is a pipe, a socket or a device",
    OtherKind.UNREADABLE: "it cannot be read: see its rights, and folders that lie too deep",
}
REMEDY = {
    FileKind.REJECTED: f"`{COMMAND}` has the reason; have the RIS write the file again, corrected",
    FileKind.UNCLAIMED: f"`{COMMAND}` has the names; have the RIS write JSON and PDF under one name",
    FileKind.NEAR: f"`{COMMAND}` has both names; nothing pairs by a near name: have it written under the exact one",
    FileKind.OTHER: f"`{COMMAND}` has the reasons; remove them, or `scripts/queue dismiss FILE --why ...`",
}
"""What to do about files of a kind."""


def counted(counts: Mapping[FileKind, int]) -> str:
    """How many there are of each kind: `3 rejected, 1 PDF without exam JSON`; "" where there is none."""
    named = ((n, (_WHERE if n == 1 else _PLURAL)[kind]) for kind, n in counts.items() if n)
    return ", ".join(f"{number} {name}" for number, name in named)


def reason(one: FolderFile) -> str:
    """Why a file is listed, in words."""
    found = one.found
    if found.kind is FileKind.REJECTED:
        return f"{found.why}: {found.text}"
    if found.kind is FileKind.NEAR:
        return f"nearly {found.near}; the difference: {found.text}"
    if found.kind is FileKind.UNCLAIMED:
        return f"no exam JSON of this name ({found.path.removesuffix('.pdf')}.json) has claimed it"
    return _OTHER[OtherKind(found.why)]


def tell_files(files: Iterable[FolderFile], zone: ZoneInfo) -> None:
    """Print what is known of each file: name, reason, near name, and what to do."""
    out = console()
    for one in files:
        found = one.found
        exam = f", exam e{found.exam}" if found.exam is not None else ""
        out.print(
            f"File {one.name} {found.path}: {_WHERE[found.kind]} since {local(one.since, zone)}{exam}", markup=False
        )
        out.print(f"  {reason(one)}", markup=False)
        if found.kept:
            out.print(f"  a copy: `scripts/quarantine show {found.kept}`", markup=False)
        if one.dismissed is not None:
            text = f"  dismissed by {one.who} {local(one.dismissed, zone)}: {one.because}"
            out.print(text, markup=False)
        else:
            out.print(f"  {REMEDY[found.kind]}; `scripts/queue dismiss {one.name} --why ...` ends it", markup=False)


def files_json(files: Iterable[FolderFile]) -> list[dict[str, Any]]:
    """The same for programs; times ISO 8601 with zone."""
    return [_json(one) for one in files]


def _json(one: FolderFile) -> dict[str, Any]:
    found = one.found
    return {
        "file": one.name, "kind": found.kind, "name": found.path, "why": found.why, "reason": reason(one),
        "near": found.near or None, "branch": found.branch or None,
        "exam": None if found.exam is None else f"e{found.exam}", "since": one.since.isoformat(),
        "quarantine": found.kept or None, "alarm": ALARMS.get(found.kind) if one.dismissed is None else None,
        "dismissed": _iso(one.dismissed), "who": one.who or None, "because": one.because or None,
    }  # fmt: skip


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


@click.command("files", short_help="Files of the drop folder that wait, or lie there to no purpose.")
@click.option("--all", "every", is_flag=True, help="Also those that a person has dismissed.")
@config_option
@json_option
def files(every: bool, config_file: Path, as_json: bool) -> None:
    """Files of the drop folder: rejected ones, PDFs without exam JSON, names that nearly pair, others that stay there.

    As the node's last scan found them. File names may hold patients' names.
    """
    config = configured(config_file)
    require_node(config)
    with opened(config) as (catalogue, _):
        found, counts = catalogue.exams.files.open(dismissed=every), catalogue.exams.files.counts()
    if as_json:
        print_json(files_json(found))
        return
    for line in folded(f"Drop folder: {counted(counts) or 'no file waits, and none lies there to no purpose'}", _WIDTH):
        click.echo(line)
    for one in found:
        _tell_row(one, config.node.timezone)


def _tell_row(one: FolderFile, zone: ZoneInfo) -> None:
    """Two lines or more of 80 columns: number, since when, exam and name; then the reason."""
    found = one.found
    exam = "-" if found.exam is None else f"e{found.exam}"
    head = f"{one.name:<{_INDENT}}{brief(one.since, zone):<13}{exam:<7}"
    click.echo(head + shortened(shown(found.path), _WIDTH - cell_len(head)))
    tail = f" (dismissed by {one.who}: {one.because})" if one.dismissed is not None else ""
    for line in folded(shown(f"{_WHERE[found.kind]}: {reason(one)}{tail}"), _WIDTH - _INDENT):
        click.echo(" " * _INDENT + line)


def shortened(text: str, width: int) -> str:
    """The text in so many columns, its middle left out where it is longer."""
    if cell_len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{chop_cells(text, half)[0]}…{chop_cells(text[::-1], half)[0][::-1]}"


def folded(text: str, width: int) -> Sequence[str]:
    """The text in lines of so many columns, broken between words where that is possible."""
    return [line.plain.rstrip() for line in Text(text).wrap(console(), width)]


@click.command("dismiss", short_help="A file of the drop folder may lie as it is: ends its alarm.")
@click.argument("file", required=False)
@click.option(
    "--kind", type=click.Choice([kind.value for kind in FileKind]), help="Every file of this kind that is listed now."
)
@click.option("--why", default="", help="The reason; it is kept in the events.")
@who_option
@config_option
@json_option
def dismiss(file: str | None, kind: str | None, why: str, who: str, config_file: Path, as_json: bool) -> None:
    """End the alarm of FILE, a file's number (f12), path or name, and show it no longer. The file stays where it is.

    It comes back when the file changes, or when another one of that name is refused.
    """
    if (file is None) == (kind is None):
        raise click.UsageError("name one file, or use --kind")
    if not why.strip():
        raise click.UsageError("--why: say why; it is kept in the events")
    config = configured(config_file)
    require_node(config)
    with opened(config) as (catalogue, journal):
        dismissals, verdict = Dismissals(catalogue, journal, clock_of(catalogue)), Verdict(who, why)
        try:
            found = (
                dismissals.dismiss_kind(FileKind(kind), verdict) if kind else dismissals.dismiss(file or "", verdict)
            )
        except Ambiguous as error:
            named = "; ".join(f"{one.name} is {one.found.path}" for one in error.files)
            raise click.UsageError(f"several files have that name: {named}") from error
    if as_json:
        print_json({"dismissed": [one.name for one in found]})
        return
    for one in found:
        click.echo(f"dismissed: {one.name} {one.found.path} ({_WHERE[one.found.kind]})")


COMMANDS = (files, dismiss)
