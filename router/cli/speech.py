"""The language in which a command speaks, and its words on stdout and stderr that are no table."""

from pathlib import Path

import click

from router.config.salvage import salvage
from router.config.sections import Config
from router.text.language import SOURCE, Tongue, tongue_of


class Speech:
    """The language of `[node] language`: of the configuration that was read, else of the file that is named.

    English where neither says one. It outlives the command's context, for whoever tells how the command failed.
    """

    def __init__(self) -> None:
        self._file: Path | None = None
        self._language = ""

    def note(self, file: Path) -> None:
        """The command goes by this configuration file, if it comes to that."""
        self._file, self._language = file, ""

    def use(self, language: str) -> None:
        """Speak this language."""
        self._language = language

    @property
    def tongue(self) -> Tongue:
        """The language as far as it is known by now."""
        if not self._language:
            known = self._file is not None and self._file.is_file()
            self._language = salvage(self._file).node.language if known and self._file else SOURCE
        return tongue_of(self._language)


def speech() -> Speech:
    """Of the command that runs; one that knows nothing outside of a command."""
    context = click.get_current_context(silent=True)
    if context is None:
        return Speech()
    return context.find_object(Speech) or context.ensure_object(Speech)


def speak(config: Config) -> None:
    """Have the command that runs speak the language of a configuration."""
    speech().use(config.node.language)


def tongue() -> Tongue:
    """The language of the command that runs."""
    return speech().tongue


def say(text: str) -> str:
    """A text, also one with its values in it, in the command's language."""
    return tongue().told(text)


def echo(text: str, *, err: bool = False) -> None:
    """Print a text in the command's language."""
    click.echo(say(text), err=err)


def confirm(question: str, *, abort: bool = False, err: bool = False) -> bool:
    """Ask a person in the command's language; click.Abort where `abort` is set and the answer is no."""
    return click.confirm(say(question), abort=abort, err=err)
