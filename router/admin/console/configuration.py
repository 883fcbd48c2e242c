"""The configuration that the node runs with, beside its file as it is by now; nothing is changed here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from router.admin.console.context import Act, ConsoleContext
from router.admin.console.view import View, render
from router.admin.http.server import Answer, Request, html
from router.config.changes import Changes, compare
from router.config.file import load
from router.config.listing import Setting, listed
from router.config.sections import Config
from router.correlator.checks import resolved
from router.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationPage:
    """The keys by table; `faults` of the file, "" for none. `file` is None where the node was started without one."""

    file: Path | None
    faults: Sequence[str]
    settings: Sequence[Setting]

    @property
    def changed(self) -> Sequence[Setting]:
        """Keys that the file has otherwise."""
        return [one for one in self.settings if one.wanted is not None]

    @property
    def tables(self) -> Iterator[tuple[str, Sequence[Setting], Sequence[Setting]]]:
        """Each table with the keys that are set, and those that are as they are by default."""
        for table, some in groupby(self.settings, key=lambda one: one.table):
            rows = [one for one in some if one.value]
            if table:  # else lists without an entry
                yield table, [one for one in rows if not one.default], [one for one in rows if one.default]


class ConfigurationPages:
    """The page; who may see it is decided before."""

    def __init__(self, context: ConsoleContext) -> None:
        self.use(context)

    def use(self, context: ConsoleContext) -> None:
        """Show that this configuration is in use from now on."""
        self._context = context

    @property
    def looks(self) -> Mapping[str, Act]:
        """Pages to look at, by path."""
        return {"/configuration": self._show}

    def _show(self, view: View, _: Request) -> Answer:
        running, file = self._context.config, self._context.file
        faults: Sequence[str] = ()
        changes: Changes | None = None
        wanted: Config | None = None
        try:
            if file is not None:
                wanted = resolved(load(file), self._context.catalogue.settings)
                changes = compare(running, wanted)
        except ConfigurationError as error:
            faults = error.faults or (error.message,)
        shown = ConfigurationPage(file=file, faults=faults, settings=listed(running, changes, wanted))
        return html(render(view, "configuration.html", shown))
