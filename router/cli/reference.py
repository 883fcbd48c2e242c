"""`reference`: every configuration key, as Markdown."""

import types
import typing
from collections.abc import Iterator
from typing import Any

import click

from router.config.sections import Branch, Config, Hospital, StudyRule
from router.config.types import A_SIZE
from router.config.written import written

_USUALLY_ALONE = {"hospital", "alarms.webhook", "alarms.mail"}


@click.command("reference")
def command() -> None:
    """Every key of the configuration with its default and its purpose, as Markdown."""
    click.echo(reference(), nl=False)


def reference() -> str:
    """The text of docs/configuration.md."""
    parts = ["# Configuration\n\nMade by `scripts/reference` from the code.\n"]
    for heading, table in tables():
        description = table.description or ""
        parts.append(f"\n## {heading}\n\n{description[:1].upper()}{description[1:]}.\n")
        section = section_of(table)
        if _is_told_elsewhere(heading, section):
            continue
        rows = [_row(name, field) for name, field in section.model_fields.items() if section_of(field) is None]
        if rows:
            parts.append("\n| key | default | |\n|---|---|---|\n" + "".join(rows))
    return "".join(parts)


def tables(model: Any = Config, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each table as TOML writes its heading, with its field; tables within a table come after it."""
    for name, field in model.model_fields.items():
        if inner := section_of(field):
            inside = f"{path}.{name}".lstrip(".")
            alone = "tuple" not in str(field.annotation) or inside in _USUALLY_ALONE
            yield f"[{inside}]" if alone else f"[[{inside}]]", field
            if not _is_told_elsewhere(inside, inner):
                yield from tables(inner, inside)


def _is_told_elsewhere(heading: str, section: Any) -> bool:
    """Whether it is a hospital's table of keys that a common table has: its description says of which."""
    own = Hospital.model_fields.values()
    own_only = (Branch, StudyRule)
    return (
        heading.strip("[]").startswith("hospital.")
        and section not in own_only
        and any(section_of(field) is section for field in own)
    )


def section_of(field: Any) -> Any:
    """The section that a field holds, one or many; None for a plain value."""
    return next((each for each in _within(field.annotation) if hasattr(each, "model_fields")), None)


def _within(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union, tuple):
        for each in typing.get_args(annotation):
            yield from _within(each)
    else:
        yield annotation


def _row(name: str, field: Any) -> str:
    size = A_SIZE in field.metadata
    default = "required" if field.is_required() else f"`{written(field.default, size=size)}`"
    description = (field.description or "").replace("|", "\\|")
    return f"| `{field.alias or name}` | {default} | {description} |\n"
