"""`reference`: every configuration key, as Markdown."""

import re
import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from router.config.sections import Config, shipped

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_SIZE_KEYS = {"min_free", "journal", "max_pdu", "max_message"}


@click.command("reference")
def command() -> None:
    """Every key of the configuration with its default and what it is for, as Markdown."""
    click.echo(reference(), nl=False)


def reference() -> str:
    """The text of docs/configuration.md."""
    comments = _comments(shipped("router.toml").read_text(encoding="utf-8"))
    parts = ["# Configuration\n\nMade by `scripts/reference` from the code and from `conf/router.toml`.\n"]
    for section, model in _sections(Config, ""):
        rows = [_row(section, name, field, comments) for name, field in model.model_fields.items() if not _table(field)]
        if rows:
            head = f"\n## {section}\n\n| key | default | |\n|---|---|---|\n"
            parts.append(head + "".join(rows))
    return "".join(parts)


def _sections(model: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Tables as TOML writes them, those within a table after it."""
    for name, field in model.model_fields.items():
        if inner := _table(field):
            many = "tuple" in str(field.annotation)
            place = f"{path}.{name}".lstrip(".")
            yield f"[[{place}]]" if many else f"[{place}]", inner
            yield from _sections(inner, place)


def _table(field: Any) -> Any:
    """The section that a field holds, one or many; None for a plain value."""
    return next((each for each in _within(field.annotation) if hasattr(each, "model_fields")), None)


def _within(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union, tuple):
        for each in typing.get_args(annotation):
            yield from _within(each)
    else:
        yield annotation


def _row(section: str, name: str, field: Any, comments: dict[tuple[str, str], str]) -> str:
    key = field.alias or name
    default = "required" if field.is_required() else f"`{_written(key, field.default)}`"
    return f"| `{key}` | {default} | {comments.get((section, key), '')} |\n"


def _written(key: str, value: Any) -> str:
    """A default as the file writes it."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size and seconds % size == 0), (1, "s"))
        return f'"{seconds / size:g} {unit}"'
    if key in _SIZE_KEYS:
        size, unit = next((size, unit) for size, unit in _SIZES if value % size == 0)
        return f'"{value // size} {unit}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_written(key, each) for each in value)}]"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value.key if isinstance(value, ZoneInfo) else _plain(value)}"'


def _plain(value: Any) -> str:
    return value.as_posix() if isinstance(value, Path) else str(value)


def _comments(text: str) -> dict[tuple[str, str], str]:
    """Comments by section and key: those behind the key and on the following lines."""
    found: dict[tuple[str, str], str] = {}
    section, key = "", ""
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        if table := re.match(r"(\[\[?[a-z_.0-9]+\]\]?)", bare):
            section, key = table[1], ""
        elif entry := re.match(r'(\w+) = (?:"[^"]*"|\[.*?\]|\{.*?\}|[^#"\[{]*)\s*(?:#(.*))?$', bare):
            key = entry[1]
            found[section, key] = (entry[2] or "").strip()
        elif key and (more := re.match(r"\s{10,}#(.*)$", line)):
            found[section, key] = f"{found[section, key]} {more[1].strip()}".strip()
        else:
            key = ""
    return {place: comment.replace("|", "\\|") for place, comment in found.items()}
