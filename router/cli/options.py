"""Options that several commands share."""

import json
import os
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from router.catalogue.node.restore import has_database
from router.cli.speech import speak, speech
from router.clock import SystemClock
from router.config.file import load, shipped
from router.config.hospitals import UNREGISTERED, several_of
from router.config.sections import Config
from router.config.types import ago
from router.errors import InvalidData, RouterError
from router.process.account import account
from router.review.lookup import ExamId
from router.text.spelling import did_you_mean

# Characters that JSON allows and a terminal obeys or hides. In JSON they occur only within strings.
_UNSHOWN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

VARIABLE = "ROUTER_CONFIG"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def noted(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """Report errors from here on in the language of this configuration file."""
    if value is not None:
        speech().note(value)
    return value


config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False),
    default=lambda: shipped("router.toml"), envvar=VARIABLE, callback=noted, is_eager=True,
    help="The configuration file; else the one that ROUTER_CONFIG names, else conf/router.toml.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else.")


def common_options(command: _Command) -> _Command:
    """--config and --json, which nearly every command has."""
    return config_option(json_option(command))


def destinations(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Configured destinations that begin with this, for completion."""
    try:
        config = load(ctx.params.get("config_file") or shipped("router.toml"))
    except RouterError:
        return []
    return [one.name for one in config.destination if one.name.startswith(incomplete)]


def hospitals(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Registered hospitals whose name begins with this, for completion."""
    try:
        config = load(ctx.params.get("config_file") or shipped("router.toml"))
    except RouterError:
        return []
    return [one.name for one in config.hospital if one.name and one.name.startswith(incomplete)]


hospital_option = click.option(
    "--hospital", metavar="NAME", shell_complete=hospitals, help="Only what is of this hospital; ? is nobody's."
)


def require_hospital(name: str | None, config: Config) -> None:
    """Raise UsageError unless a hospital has this name, or it is that of exams of nobody."""
    known = [one.name for one in config.hospital if one.name]
    if name is not None and name not in (*known, UNREGISTERED):
        meant = did_you_mean(name, known)
        raise click.UsageError(f"no hospital is called {name}; registered: {', '.join(known) or 'none'}{meant}")


def are_several(config: Config) -> bool:
    """Whether people are shown hospitals: there are several."""
    return bool(several_of(config))


def configured(config_file: Path) -> Config:
    """The configuration; from here on the command speaks its language."""
    config = load(config_file)
    speak(config)
    return config


def speak_as_shipped() -> None:
    """Speak the language of the configuration that other commands would find."""
    speech().note(Path(os.environ.get(VARIABLE) or shipped("router.toml")))


def print_json(document: Any) -> None:
    """Print the one JSON document of a command called with --json."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    click.echo(_UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def has_node(config: Config) -> bool:
    """Whether a node has run with this configuration."""
    return bool(config.database.url) or has_database(config.node.data)


def node_config(config_file: Path) -> Config:
    """The configuration, as `configured` reads it, of a node that has run; else InvalidData."""
    config = configured(config_file)
    require_node(config)
    return config


def require_node(config: Config) -> None:
    """Raise InvalidData unless a node has run with this configuration."""
    if not has_node(config):
        text = f"there is no node here yet: its database does not exist, or is empty ({config.node.data})"
        raise InvalidData(text, hint="start scripts/run first, or name the node's own --config")


def require_destination(name: str | None, config: Config) -> None:
    """Raise UsageError if the configuration has no such destination."""
    if name is not None and config.destination_named(name) is None:
        known = [one.name for one in config.destination]
        meant = did_you_mean(name, known)
        raise click.UsageError(f"no destination is called {name}; configured: {', '.join(known) or 'none'}{meant}")


def person() -> str:
    """The account that runs the command, as events name it; "node" is reserved for the node itself."""
    name = account()
    return f"account {name}" if _is_node(name) else name


def _is_node(name: str) -> bool:
    return name.strip().casefold() in ("", "node")


def _named(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if _is_node(value):
        raise click.UsageError("--who: name the person; by 'node' events mean what the node does by itself")
    return value


exam_id_option = click.option(
    "--exam-id",
    "exam_ids",
    multiple=True,
    metavar="EXAMID",
    help="An ExamId (检查记录ID), where that looks like an ID.",
)


def the_name(name: str | None, exam_ids: Sequence[str]) -> str:
    """The one exam or delivery named; UsageError for none or several."""
    names = [*([name] if name else []), *map(ExamId, exam_ids)]
    if len(names) != 1:
        raise click.UsageError("name one exam: e17, its ExamId, or --exam-id")
    return names[0]


who_option = click.option(
    "--who", default=person, callback=_named, help="Who decides; the account's name if it is left out."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask; needed where no terminal is there.")
why_option = click.option("--why", default="", help="The reason; it is kept in the events.")


def reason_given(why: str) -> str:
    """The reason itself; UsageError if it is blank."""
    if not why.strip():
        raise click.UsageError("--why: say why; it is kept in the events")
    return why


def _since(_context: click.Context, _parameter: click.Parameter, value: str) -> datetime:
    try:
        return ago(value, SystemClock().now())
    except ValueError as error:
        raise click.UsageError(f"--since: expected a time like 30d or 12h, found {value}") from error


def since_option(help_: str, default: str) -> Callable[[_Command], _Command]:
    """The option --since: a time ago, as an instant."""
    return click.option("--since", default=default, show_default=True, callback=_since, help=help_)
