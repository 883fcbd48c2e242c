"""Click's sentences about wrong use, in the language of the command: the texts are click's own, as it fills them in."""

import io
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import click

from router.cli.options import VARIABLE
from router.cli.speech import Speech
from router.config.file import shipped
from router.text.language import N_

CLICK = N_((
    "Usage:", "Error:", "Try '{command} {option}' for help.", "Missing command.",
    "No such command {name}.", "No such command {name}. Did you mean {possibility}?",
    "No such command {name}. (Did you mean one of: {possibilities}?)",
    "No such option {name}.", "No such option {name}. Did you mean {possibility}?",
    "No such option {name}. (Did you mean one of: {possibilities}?)",
    "Option {name} requires an argument.", "Option {name} requires {nargs} arguments.",
    "Option {name} does not take a value.", "Argument {name} takes {nargs} values.",
    "Missing argument {hint}.", "Missing argument {hint}. Choose from:",
    "Missing option {hint}.", "Missing option {hint}. Choose from:",
    "Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})",
    "Invalid value for {param_hint}: {value} is not one of {choices}.", "Invalid value: {message}",
    "Invalid value for {param_hint}: {message}",
    "{value} is not {choice}.", "{value} is not a valid {number_type}.",
    "{value} is not in the range {range}.", "{value} does not match the format {format}.",
    "{value} does not match the formats {formats}.",
    "File {filename} does not exist.", "Directory {filename} does not exist.", "Path {filename} does not exist.",
    "File {filename} is a directory.", "Directory {filename} is a file.",
    "File {filename} is not readable.", "Directory {filename} is not readable.", "Path {filename} is not readable.",
    "integer", "float", "integer range", "float range", "boolean",
))  # fmt: skip


def show(error: click.ClickException, speech: Speech, arguments: Sequence[str]) -> None:
    """Print it on stderr; in the language of the configuration that the command was to read, where none was read."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    context = getattr(error, "ctx", None)  # click's parser gives none
    if not speech.is_known and (context is None or _reads_configuration(context.command)):
        speech.note(_named(arguments))
    if type(error) is click.UsageError:
        error = click.UsageError(speech.tongue.told(error.message), error.ctx)
    out = io.StringIO()
    error.show(out)
    for line in out.getvalue().splitlines():  # a value to choose is what one types
        click.echo(line if line.startswith("\t") else speech.tongue.told(line), err=True)


def _reads_configuration(command: click.Command) -> bool:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return any(one.name == "config_file" for one in command.params) or any(map(_reads_configuration, inner))


def _named(arguments: Sequence[str]) -> Path:
    """The configuration file that the arguments name, else the one that commands find."""
    given = [*arguments, ""]
    joined = [one.partition("=")[2] for one in given if one.startswith("--config=")]
    apart = [second for first, second in pairwise(given) if first == "--config"]
    return Path(next(iter((*joined, *apart)), "") or os.environ.get(VARIABLE) or shipped("router.toml"))
