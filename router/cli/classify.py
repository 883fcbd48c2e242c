"""`classify`: the class that the series rules give to files or headers, and why; the effect of other rules."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from router.cli.options import hospital_option, json_option, noted, print_json, require_hospital, speak_as_shipped
from router.cli.speech import echo, say, tongue
from router.cli.tables import bar, show
from router.config.file import load, shipped
from router.config.sections import Config, Destination, Series
from router.images.classify_files import Judged, examine, look
from router.images.rulebook import rulebook
from router.images.series_report import in_words
from router.series.classify import Rulebook, classify, used
from router.series.table import facts_of
from router.text.decoding import decode
from router.text.language import N_

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_YES, _NO = N_(("yes", "no"))
_SENT, _NOT_SENT = N_(("sent", "not sent"))
_ANYWHERE = (Destination(name="any"),)


@click.command("classify")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--headers", type=_FILE, metavar="TABLE.csv", help="A table of headers instead, one row a series.")
@click.option("--what-if", type=_FILE, metavar="RULES.toml", help="What these rules would change, tried as own rules.")
@click.option("--config", "config_file", type=_FILE, callback=noted,
              is_eager=True, help="Its rules and destinations; without it the shipped rules.")  # fmt: skip
@hospital_option
@json_option
def command(
    folder: Path | None, headers: Path | None, what_if: Path | None, config_file: Path | None, hospital: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show each series' class, the rule and the facts that decide it, and whether it is sent.

    FOLDER is searched for DICOM files, subfolders included. With --what-if and no FOLDER: the node's own studies. A
    file tried out takes the place of the rule file in use that has its name, else of [series] own_rules. With
    --hospital: its own rules, and the destinations of its exams.
    """
    if config_file is None:
        speak_as_shipped()
    if headers is None and folder is None and what_if is None:
        raise click.UsageError("name a FOLDER, or use --headers or --what-if")
    config = None
    if config_file is not None or hospital is not None or (folder is None and headers is None):
        config = load(config_file or shipped("router.toml"))
        require_hospital(hospital, config)
    own = config.for_hospital(hospital) if config and hospital is not None else None
    series = (own or config).series if config else Series()
    if headers is not None:
        _tell_table(headers, rulebook(series, instead=what_if), as_json)
        return
    destinations = [d for d in config.destination if d.dicom is not None] if config else list(_ANYWHERE)
    if config is not None and hospital is not None:
        destinations = [d for d in destinations if hospital in config.served(d)]
    seen, others = look(bar(_files(folder, config), N_("Reading")))
    for path in others:
        echo(f"no DICOM: {click.format_filename(path)}", err=True)
    now = examine(seen, rulebook(series), destinations)
    if what_if is None:
        _tell(now, as_json)
    else:
        _tell_changes(now, examine(seen, rulebook(series, instead=what_if), destinations), as_json)


def _files(folder: Path | None, config: Config | None) -> list[Path]:
    """The files of a folder, without one of the node's studies."""
    if folder is None and config is not None:
        folder = config.node.data / "studies"
    if folder is None or not folder.exists():
        raise click.UsageError("there are no studies of a node here: name a FOLDER")
    return [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())


# -- files


def _entry(one: Judged) -> dict[str, Any]:
    return {
        "path": click.format_filename(one.path), "study": one.glimpse.study, "series": one.glimpse.series,
        "instance": one.glimpse.sop, "class": one.series_class, "rule": one.rule, "forward": one.forward,
    }  # fmt: skip


def _tell(judged: Sequence[Judged], as_json: bool) -> None:
    if as_json:
        print_json([_entry(one) for one in judged])
        return
    keys = ((one.glimpse.series or "-", one.series_class, one.rule, in_words(one.used), one.forward) for one in judged)
    rows = [
        (series, say(kind), str(n), rule, say(facts), say(_YES if sent else _NO))
        for (series, kind, rule, facts, sent), n in Counter(keys).items()
    ]
    show("", ("SeriesInstanceUID", "Class", "Instances", "Rule", "Facts", "Sent"), rows)


def _tell_changes(now: Sequence[Judged], then: Sequence[Judged], as_json: bool) -> None:
    changed = [(a, b) for a, b in zip(now, then, strict=True) if _outcome(a) != _outcome(b)]
    if as_json:
        print_json([{**_entry(b), "before": _outcome(a)} for a, b in changed])
        return
    counts = Counter((a.glimpse.series or "-", _line(a), _line(b)) for a, b in changed)
    show("", ("SeriesInstanceUID", "Now", "Then", "Instances"), [(*key, str(n)) for key, n in counts.items()])
    echo(f"{len(changed)} of {len(now)} instance(s) would change")


def _outcome(one: Judged) -> dict[str, object]:
    return {"class": one.series_class, "rule": one.rule, "forward": one.forward}


def _line(one: Judged) -> str:
    sent = say(_SENT if one.forward else _NOT_SENT)
    return tongue().say("{kind} ({rule}), {sent}", kind=say(one.series_class), rule=one.rule, sent=sent)


# -- tables


def _tell_table(table: Path, rules: Rulebook, as_json: bool) -> None:
    lines = io.StringIO(decode(table.read_bytes()).removeprefix("\ufeff"), newline="")
    rows = [(row.get("row_id") or str(n), facts_of(row)) for n, row in enumerate(csv.DictReader(lines), 1)]
    found = [(row_id, facts, classify(facts, rules)) for row_id, facts in rows]
    if as_json:
        print_json([{"row_id": r, "class": rule.series_class, "rule": rule.name} for r, _, rule in found])
        return
    cells = [(r, say(rule.series_class), rule.name, say(in_words(used(facts, rule)))) for r, facts, rule in found]
    show("", ("Row", "Class", "Rule", "Facts"), cells)
