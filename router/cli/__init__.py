"""The commands that people run, each in the module of its name, loaded when it is called.

Exit status: 0 done, 1 the answer is no, 2 wrong use or wrong configuration.
"""

import importlib
import sys
from typing import Any, NoReturn

import click

from router import __version__
from router.cli.speech import Speech
from router.cli.tables import plain_output
from router.cli.wrong_use import show
from router.errors import ConfigurationError, RouterError, WrongUse

COMMANDS = {
    "demo": "The main job on real input, from nothing.",
    "run": "The node in the foreground.",
    "status": "One screen: whether the node receives, disk, destinations, what is at risk, what waits for a person.",
    "doctor": "Whether everything that the node needs is there and answers, and what to do about it.",
    "queue": "Deliveries: list, show, explain, hold, release, retry, cancel; all sending: pause, resume.",
    "validate": "An exam JSON against the standard, field by field.",
    "classify": "What the series rules make of files, and why; what other rules would change.",
    "codes": "The code tables of the exam JSON, and the values that none of them knows.",
    "verify": "Files against the index: missing, corrupt, unindexed.",
    "backup": "Copies of the database: now, listed, put back.",
    "quarantine": "What cannot be filed: list, show, delete.",
    "keys": "Key pairs and an API key for trying out; key ids.",
    "users": "The people at the console: add, list, role, password, disable, enable, unlock, remove.",
    "profile": "A platform's wire format in a file of its own: checked, shown, tried at the platform, replayed.",
    "audit": "The audit trail and kept receipts, checked again.",
    "platform": "The reference platform: the receiving side.",
    "setup": "The first run: asks what must be known, checks it, installs, and ends with a test exam.",
    "install": "Account, folders, configuration, keys and systemd unit of a machine; upgrade, way back, removal.",
    "bundle": "One file from which a machine without internet installs the node.",
    "reference": "Every key of the configuration with its default, as Markdown.",
    "completion": "What a shell needs to complete these commands.",
}

COMPLETE_VAR = "_IMAGING_CLOUD_ROUTER_COMPLETE"  # by which click's script asks, whatever path a command is called by

_MODULES = {"queue": "queue.queue"}  # of the commands that have more than one
_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class _LazyGroup(click.Group):
    """Imports a command's module only when that command is used, so that each starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return module(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings=_SETTINGS)
@click.version_option(__version__)
def commands() -> None:
    """Store-and-forward node between a hospital's PACS and RIS and a regional imaging cloud."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its status."""
    _run(commands, arguments, None)


def launched(arguments: list[str]) -> None:
    """Run one command for the launcher: help and errors name it scripts/NAME."""
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        _run(module(name), arguments[1:], f"scripts/{name}")
    _run(commands, arguments, "scripts/")


def module(name: str) -> click.Command:
    command: click.Command = importlib.import_module(f"router.cli.{_MODULES.get(name, name)}").command
    command.context_settings.update(_SETTINGS)
    return command


def _run(command: click.Command, arguments: list[str] | None, program: str | None) -> NoReturn:
    speech, status = Speech(), 1
    with plain_output():
        try:
            answer: Any = command.main(arguments, program, COMPLETE_VAR, standalone_mode=False, obj=speech)
            status = answer if isinstance(answer, int) else 0
        except click.ClickException as error:
            show(error, speech, sys.argv[1:] if arguments is None else arguments)
            status = error.exit_code
        except click.Abort:
            pass
        except RouterError as error:
            first, *faults = str(error).splitlines() or [""]
            text = "\n".join([speech.tongue.told(first), *map(speech.tongue.told_of_key, faults)])
            click.echo(speech.tongue.say("error: {text}", text=text), err=True)
            status = 2 if isinstance(error, ConfigurationError | WrongUse) else 1
    sys.exit(status)
