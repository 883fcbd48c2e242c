"""The language of a command, and its sentences on stdout and stderr."""

from pathlib import Path

import click

from router.config.salvage import salvage
from router.config.sections import Config
from router.text.language import SOURCE, Tongue, tongue_of


class Speech:
    """The language that `[node] language` says, in the configuration that was read, else in the file named.

    English if neither says one. It outlives the command's context, so that a failure is reported in it, too.
    """

    def __init__(self) -> None:
        self._file: Path | None = None
        self._language = ""

    def note(self, file: Path) -> None:
        """Take the language from this configuration file, unless `use` names one."""
        self._file, self._language = file, ""

    def use(self, language: str) -> None:
        """Speak this language."""
        self._language = language

    @property
    def is_known(self) -> bool:
        """Whether anything says which language."""
        return bool(self._language) or self._file is not None

    @property
    def tongue(self) -> Tongue:
        """The language known so far."""
        if not self._language:
            known = self._file is not None and self._file.is_file()
            self._language = salvage(self._file).node.language if known and self._file else SOURCE
        return tongue_of(self._language)


def speech() -> Speech:
    """The speech of the running command; outside of one, a speech in English."""
    context = click.get_current_context(silent=True)
    if context is None:
        return Speech()
    return context.find_object(Speech) or context.ensure_object(Speech)


def speak(config: Config) -> None:
    """Let the running command speak the language of a configuration."""
    speech().use(config.node.language)


def tongue() -> Tongue:
    """The language of the running command."""
    return speech().tongue


def say(text: str) -> str:
    """A text in the command's language; it may already have its values in it."""
    return tongue().told(text)


def echo(text: str, *, err: bool = False) -> None:
    """Print a text in the command's language."""
    click.echo(say(text), err=err)


def confirm(question: str, *, abort: bool = False, err: bool = False) -> bool:
    """Ask a person in the command's language; click.Abort for a no if `abort` is set."""
    return click.confirm(say(question), abort=abort, err=err)
