"""`validate`: exam JSON files checked against the standard, as given or as the node would fill them."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from router.cli.options import (
    config_option,
    configured,
    destinations,
    hospital_option,
    json_option,
    print_json,
    require_hospital,
)
from router.cli.speech import echo, say
from router.cli.tables import bar, show
from router.clock import SystemClock
from router.config.sections import Config, HospitalConfig
from router.correlator.document import sources_of
from router.errors import InvalidData
from router.exam.faults import Fault, Findings
from router.exam.fields import FIELDS, Field
from router.exam.fill import Filled, fill
from router.exam.key import institution_of
from router.exam.origins import MISSING, Origin, origins
from router.exam.read import MAX_BYTES
from router.exam.schema import describe, schema
from router.exam.validate import validate
from router.exam.values import is_empty
from router.intake.exam_reader import ExamReader
from router.matching.exam.institution import hospital_of
from router.text.language import N_

_WORTH_A_BAR = 200  # files; fewer are done before a bar is drawn

_Row = tuple[str, str, str, str, str]
_COLUMNS: _Row = ("file", "kind", "path", "name", "message")
_ERROR, _WARNING, _ADDED, _NOTE = N_(("error", "warning", "added", "note"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """The findings on one file; `filled`, `added` and `notes` only with --fill."""

    path: str
    findings: Findings
    filled: Mapping[str, object] | None = None
    added: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()


@click.command()
@click.argument("target", metavar="FILE|FOLDER", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--fill", "with_fill", is_flag=True, help="Show what the node would add without images; check that.")
@click.option(
    "--destination", "name", metavar="NAME", shell_complete=destinations,
    help="Take empty what this destination's accept_empty names.",
)  # fmt: skip
@hospital_option
@click.option("--mapping", "with_mapping", is_flag=True, help="Show each field with where it came from.")
@click.option("--schema", "with_schema", is_flag=True, help="Print the JSON Schema (2020-12) of what is sent.")
@click.option("--fields", "with_fields", is_flag=True, help="Print every field: name, type, code table, source.")
@json_option
@config_option
def command(
    target: Path | None, *, with_fill: bool, name: str | None, hospital: str | None, with_mapping: bool,
    with_schema: bool, with_fields: bool, as_json: bool, config_file: Path,
) -> int:  # fmt: skip
    """Check an exam JSON against appendices A and B, field by field.

    The file is taken as given: nothing is filled, so empty StudyInstanceUIDs and a Status other than Reported are
    errors; disagreement with [hospital] is a warning. A mapping file of the configuration is applied first. With
    --mapping each field is shown with the line of the mapping, or with what fills its gap without images. A folder
    is searched for *.json and *.xml, subfolders included. Without --destination every required field must be there.
    Of several hospitals the one counts that the file names, or --hospital: with its own mapping, tables and constants.

    Exit status: 0 all valid; 1 at least one is not, or does not read as JSON; 2 wrong use.
    """
    config, now = configured(config_file), SystemClock().now()
    require_hospital(hospital, config)
    references = ExamReader(config)
    if with_schema:
        print_json(schema(references.tables))
        return 0
    if with_fields:
        _show_fields(as_json=as_json)
        return 0
    if target is None:
        raise click.UsageError("name a file or a folder")
    check = _Check(
        config=config, references=references, now=now, with_fill=with_fill, accept_empty=_accepted_empty(config, name),
        hospital=hospital,
    )  # fmt: skip
    files = _files(target)
    if with_mapping:
        return _show_origins([check.origins(path) for path in files], as_json=as_json)
    paths = files if len(files) < _WORTH_A_BAR else bar(files, N_("validating"), transient=True)
    answers = [check.answer(path) for path in paths]
    if as_json and target.is_file():
        print_json(_outcome(answers[0]) if answers[0].filled is None else answers[0].filled)
    elif as_json:
        print_json([_entry(answer) for answer in answers])
    else:
        _show(answers)
    return 0 if all(answer.findings.valid for answer in answers) else 1


def _accepted_empty(config: Config, name: str | None) -> frozenset[str]:
    if name is None:
        return frozenset()
    accepted = {one.name: frozenset(one.accept_empty) for one in config.destination}
    if name not in accepted:
        raise click.UsageError(
            f"no destination {name!r} in the configuration; there is {', '.join(accepted) or 'none'}"
        )
    return accepted[name]


def _files(target: Path) -> list[Path]:
    if target.is_file():
        return [target]
    named = (path for path in target.rglob("*") if path.suffix.lower() in (".json", ".xml"))
    found = sorted(path for path in named if path.is_file() and not path.is_symlink())
    if not found:
        raise click.UsageError(f"no *.json or *.xml in {click.format_filename(target)}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origins:
    """Origins of the fields of one file; `why` it does not read, "" where it does."""

    path: str
    why: str = ""
    fields: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """Everything that files are checked by."""

    config: Config
    references: ExamReader
    now: datetime
    with_fill: bool
    accept_empty: frozenset[str]
    hospital: str | None

    def answer(self, path: Path) -> _Answer:
        shown = click.format_filename(path)
        try:
            given = self._reader.read(_bytes(path))
        except (InvalidData, OSError) as error:
            why = _why(error)
            return _Answer(path=shown, findings=Findings((Fault(path="", name="", expected=why),), ()))
        if not self.with_fill:
            return _Answer(path=shown, findings=self._findings(given))
        filled = self._filled(given)
        added = tuple(_additions(given, filled.document))
        return _Answer(
            path=shown, findings=self._findings(filled.document), filled=filled.document, added=added,
            notes=filled.notes,
        )  # fmt: skip

    def origins(self, path: Path) -> _Origins:
        """The fields of one file, each with where it came from."""
        shown = click.format_filename(path)
        try:
            data = _bytes(path)
            given, lines = self._reader.read(data), self._reader.origins(data)
        except (InvalidData, OSError) as error:
            return _Origins(path=shown, why=_why(error))
        return _Origins(path=shown, fields=tuple(origins(given, lines, self._filled(given))))

    def _filled(self, given: Mapping[str, object]) -> Filled:
        own = self._own(given)
        return fill(given, sources_of(own, self.references.of(own.own.name).tables, own.own.HospitalBranchCode))

    @property
    def _reader(self) -> ExamReader:
        """By the mapping of the hospital that was named, else by the common one."""
        return self.references if self.hospital is None else self.references.of(self.hospital)

    def _own(self, document: Mapping[str, object]) -> HospitalConfig:
        """The configuration of the hospital that was named, else of the one that the document names, else of the first
        one."""
        name = self.hospital or hospital_of(institution_of(document), None, self.config.hospital)
        return self.config.for_hospital(name) or next(self.config.hospitals)

    def _findings(self, document: Mapping[str, object]) -> Findings:
        config = self._own(document)
        return validate(
            document, tables=self.references.of(config.own.name).tables, accept_empty=self.accept_empty,
            hospital=config.own, now=self.now, tolerance=config.reports.clock_tolerance, zone=config.node.timezone,
        )  # fmt: skip


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _why(error: InvalidData | OSError) -> str:
    return error.message if isinstance(error, InvalidData) else f"cannot be read: {error.strerror}"


def _additions(given: Mapping[str, object], filled: Mapping[str, object]) -> Iterator[Fault]:
    for field in FIELDS:
        before, after = _at(given, field.path), _at(filled, field.path)
        if not field.path.startswith("Order.Procedures") and before != after and not is_empty(after):
            yield Fault(path=field.path, name=field.name, expected=json.dumps(after, ensure_ascii=False))


def _at(document: Mapping[str, object], path: str) -> object:
    value: object = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _entry(answer: _Answer) -> Mapping[str, object]:
    filled = {} if answer.filled is None else {"document": answer.filled}
    return {"path": answer.path, **_outcome(answer), **filled}


def _outcome(answer: _Answer) -> Mapping[str, object]:
    faults = {"errors": answer.findings.errors, "warnings": answer.findings.warnings}
    return {"valid": answer.findings.valid} | {
        kind: [{"path": one.path, "name": one.name, "message": one.message} for one in some]
        for kind, some in faults.items()
    }


def _rows(answers: Iterable[_Answer]) -> Iterator[_Row]:
    for answer in answers:
        for kind, faults in (
            (_ERROR, answer.findings.errors),
            (_WARNING, answer.findings.warnings),
            (_ADDED, answer.added),
            (_NOTE, answer.notes),
        ):
            for fault in faults:
                message = fault.message if kind == _ADDED else say(fault.message)
                yield answer.path, kind, fault.path, fault.name, message


def _show(answers: list[_Answer]) -> None:
    rows = list(_rows(answers))
    if not sys.stdout.isatty():
        for row in rows:
            echo("\t".join(row))
    elif rows:
        shown = slice(1 if len(answers) == 1 else 0, None)  # without the file's name if there is only one
        show("", _COLUMNS[shown], [(path, say(kind), *rest)[shown] for path, kind, *rest in rows])
    good = sum(answer.findings.valid for answer in answers)
    echo(f"{len(answers)} file(s): {good} valid, {len(answers) - good} not valid")


def _show_origins(found: list[_Origins], *, as_json: bool) -> int:
    """Print the origins; 1 where a file does not read or lacks what the standard requires."""
    columns = N_(("file", "path", "name", "value", "from"))
    if as_json:
        print_json([_of_file(one) for one in found])
    else:
        rows = [(one.path, each.path, each.name, each.value, say(each.source)) for one in found for each in one.fields]
        rows += [(one.path, "", "", "", say(one.why)) for one in found if one.why]
        shown = slice(1, None) if len(found) == 1 else slice(None)
        show("", columns[shown], [row[shown] for row in rows])
    return int(any(one.why or any(each.source == MISSING for each in one.fields) for one in found))


def _of_file(one: _Origins) -> Mapping[str, object]:
    fields = [{"path": each.path, "name": each.name, "value": each.value, "from": each.source} for each in one.fields]
    return {"path": one.path, "error": one.why, "fields": fields}


def _show_fields(*, as_json: bool) -> None:
    columns = ("path", "name", "type", "required", "about")
    rows = [(f.path, f.name, f.kind, _due(f), describe(f)) for f in FIELDS]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show("", columns, [(path, name, kind, say(due), say(about)) for path, name, kind, due, about in rows])


def _due(field: Field) -> str:
    of_visits = f"for {', '.join(sorted(field.visits))}"
    return {"always": "yes", "when": of_visits, "known": N_("where there is one"), "never": "no"}[field.required]
