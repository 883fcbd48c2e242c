"""`codes`: the code tables in use, and the values seen that are in none of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from router.cli.opened import reading
from router.cli.options import common_options, configured, has_node, hospital_option, print_json, require_hospital
from router.cli.speech import echo, say, tongue
from router.cli.tables import show
from router.config.file import shipped
from router.config.sections import Config
from router.errors import InvalidData
from router.exam.fields import TABLE_NAMES
from router.exam.key import REPORTED
from router.exam.mapping import RisMapping, value_line
from router.exam.unknown import Unknown, unknown
from router.intake.exam_reader import ExamReader
from router.matching.exam.approval import Part, unread_approval
from router.reports.hl7.hl7v2 import is_message
from router.storage.reports import Reports
from router.text.language import N_

_STATUS = "Order.Status"
_KINDS = N_(("own", "standard", "status", "yes", "no"))


@click.group("codes")
def command() -> None:
    """The code tables of the exam JSON (conf/codes/, [codes])."""


@command.command()
@hospital_option
@common_options
def tables(hospital: str | None, config_file: Path, as_json: bool) -> None:
    """The tables in use: file, standard codes, own values, whether unknown codes are errors; a hospital's own ones."""
    references = _reader(configured(config_file), hospital)
    columns = N_(("table", "name", "file", "codes", "own", "complete"))
    rows: list[tuple[object, ...]] = []
    for name, known in references.tables.items():
        own = len(known.own_codes) + len(known.own_names)
        rows.append((name, TABLE_NAMES[name], str(references.file(name)), len(known.names), own, known.complete))
    _print(columns, rows, as_json=as_json)


@command.command("unknown")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@hospital_option
@common_options
def unknown_values(folder: Path | None, hospital: str | None, config_file: Path, as_json: bool) -> int:
    """The values that no table knows, with counts, the most frequent first.

    They are looked for in every exam JSON that the node has taken, or in those of FOLDER, by the common tables and
    mapping; with --hospital in its exam JSONs, by its own. `own` is the hospital's
    code or name without a row, `standard` a standard code that the RIS gives and the table lacks. `status` is an
    Order.Status beside an ApproveTime that is no word of the standard: its exam waits until the mapping file has it.
    The lines to paste are printed.

    Exit status: 0 every value is known; 1 some are not.
    """
    config = configured(config_file)
    references = _reader(config, hospital)
    own = None if hospital is None else config.for_hospital(hospital)
    files: Iterable[Path] = ()
    if folder:
        files = _below(folder)
    elif config.node.data.exists():
        files = (path for path in Reports(config.node.data).walk() if path.suffix != ".pdf")
        files = files if hospital is None else _of_hospital(files, config, hospital)
    values, statuses = _count(files, references)
    ranked = sorted(values.items(), key=lambda item: (item[0].table, -item[1], item[0]))
    rows: list[tuple[object, ...]] = [(one.table, one.kind, one.code, one.name, count) for one, count in ranked]
    rows += [(_STATUS, "status", word, "", count) for (_, word), count in statuses.most_common()]
    _print(N_(("table", "kind", "code", "name", "count")), rows, as_json=as_json)
    if not as_json:
        for line in _to_paste(statuses, own or config, references):
            click.echo(line)
    if not rows:
        echo("every value is known", err=True)
    return 1 if rows else 0


def _reader(config: Config, hospital: str | None) -> ExamReader:
    """By the hospital's tables and mapping, else by the common ones."""
    require_hospital(hospital, config)
    return ExamReader(config) if hospital is None else ExamReader(config).of(hospital)


def _of_hospital(files: Iterable[Path], config: Config, hospital: str) -> Iterator[Path]:
    """The files of the hospital's exams; each lies in the folder of its exam's number."""
    if not has_node(config):
        return
    found = {path: int(path.parts[-3]) for path in files if path.parts[-3].isdecimal()}
    with reading(config) as catalogue:
        of = catalogue.exams.hospitals(set(found.values()))
    yield from (path for path, exam in found.items() if of.get(exam) == hospital)


def _below(folder: Path) -> Iterable[Path]:
    """Plain files below a folder. Others may write to it: a pipe would block, a link leads elsewhere."""
    return (
        path
        for path in folder.rglob("*")
        if path.suffix in (".json", ".xml") and path.is_file() and not path.is_symlink()
    )


def _count(files: Iterable[Path], references: ExamReader) -> tuple[Counter[Unknown], Counter[tuple[bool, str]]]:
    """Values that no table knows, and words of Order.Status that no mapping knows (of HL7, word), with counts."""
    values: Counter[Unknown] = Counter()
    statuses: Counter[tuple[bool, str]] = Counter()
    for path in files:
        try:
            data = path.read_bytes()
            document = references.read(data)
            values.update(unknown(document, references.tables))
            unread = unread_approval(references.key(document, "", ""))
        except (InvalidData, OSError):
            continue  # `validate` says what is wrong with such a file
        if unread is not None and unread.part == Part.STATUS:
            statuses[is_message(data), unread.word] += 1
    return values, statuses


def _to_paste(statuses: Iterable[tuple[bool, str]], config: Config, references: ExamReader) -> Iterator[str]:
    """Lines to paste for these words, and where."""
    words = sorted(statuses)
    of_json, of_hl7 = ([word for hl7, word in words if word and hl7 == kind] for kind in (False, True))
    reports = config.reports
    if of_json:
        where = reports.mapping or 'a file of its own, which [reports] mapping = "..." names'
        yield from _lines(of_json, references.mapping, say(str(where)))
    if of_hl7:
        copy = f'a copy of {shipped("hl7_mapping.toml")}, which [reports] hl7_mapping = "..." names'
        yield from _lines(of_hl7, references.hl7.rules, say(str(reports.hl7_mapping or copy)))
    if any(not word for _, word in words):
        yield say(f"\nWhere {_STATUS} is empty or not there, name the RIS's own field for it below [fields] of the")
        yield say("mapping file; or set [reports] approved_only = true, where the RIS exports approved reports only.")


def _lines(words: Iterable[str], rules: RisMapping, where: str) -> Iterator[str]:
    """A table that the file has already cannot be written twice."""
    yield say("\nWhere such a word says that the report is approved (审核), paste its line into")
    table = f'[values."{_STATUS}"]'
    if _STATUS in rules.values:
        yield tongue().say("{where}, below its {table}:", where=where, table=table) + "\n"
    else:
        yield f"{where}:\n\n{table}"
    yield from (value_line(word, REPORTED) for word in words)
    yield say("\nFor a word that says something else, write Submitted, Cancelled or Withdrawn in place of Reported.")


def _print(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]], *, as_json: bool) -> None:
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    show("", columns, [[_cell(each) for each in row] for row in rows])


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return say("yes" if value else "no")
    return say(str(value)) if value in _KINDS else str(value)
