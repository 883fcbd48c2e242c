"""`codes`: the code tables in use, and the values seen that none of them knows."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click

from router.cli.options import config_option, json_option, print_json
from router.cli.tables import show
from router.config import load
from router.errors import InvalidData
from router.exam.fields import TABLE_NAMES
from router.exam.unknown import Unknown, unknown
from router.flow.references import References
from router.storage.reports import Reports


@click.group("codes")
def command() -> None:
    """The code tables of the exam JSON (conf/codes/, [codes])."""


@command.command()
@config_option
@json_option
def tables(config_file: Path, as_json: bool) -> None:
    """The tables in use: file, standard codes, own values, whether unknown codes are errors."""
    references = References(load(config_file))
    columns = ("table", "name", "file", "codes", "own", "complete")
    rows: list[tuple[object, ...]] = []
    for name, known in references.tables.items():
        own = len(known.own_codes) + len(known.own_names)
        rows.append((name, TABLE_NAMES[name], str(references.file(name)), len(known.names), own, known.complete))
    _print(columns, rows, as_json=as_json)


@command.command("unknown")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@config_option
@json_option
def unknown_values(folder: Path | None, config_file: Path, as_json: bool) -> int:
    """The values that no table knows, with counts, the most frequent first.

    They are looked for in every exam JSON that the node has taken, or in those of FOLDER. `own` is the hospital's
    code or name without a row, `standard` a standard code that the RIS gives and the table lacks.

    Exit status: 0 every value is known; 1 some are not.
    """
    config = load(config_file)
    references = References(config)
    files = _below(folder) if folder else _taken(config.node.data)
    found = _count(files, references)
    ranked = sorted(found.items(), key=lambda item: (item[0].table, -item[1], item[0]))
    rows = [(one.table, one.kind, one.code, one.name, count) for one, count in ranked]
    _print(("table", "kind", "code", "name", "count"), rows, as_json=as_json)
    if not rows:
        click.echo("every value is known", err=True)
    return 1 if rows else 0


def _below(folder: Path) -> Iterable[Path]:
    """The folder may be one that others write to: a pipe in it would be waited for, a link leads elsewhere."""
    return (path for path in folder.rglob("*.json") if path.is_file() and not path.is_symlink())


def _taken(data: Path) -> Iterable[Path]:
    return (path for path in Reports(data).walk() if path.suffix != ".pdf") if data.exists() else ()


def _count(files: Iterable[Path], references: References) -> Counter[Unknown]:
    found: Counter[Unknown] = Counter()
    for path in files:
        try:
            found.update(unknown(references.read(path.read_bytes()), references.tables))
        except (InvalidData, OSError):
            continue  # `validate` says what is wrong with such a file
    return found


def _print(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]], *, as_json: bool) -> None:
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    show("", columns, [[str(cell) for cell in row] for row in rows])
