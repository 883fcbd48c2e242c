"""Senders and series: who usually sends what, what the series rules say of the latest series, and a rule on trial."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from router.admin.console.context import ConsoleContext
from router.admin.console.overview import Shared
from router.admin.console.view import View, render
from router.admin.http.server import Answer, Request, html
from router.correlator.holidays import Holidays
from router.errors import ConfigurationError, InvalidData, TransientError
from router.events import Kind
from router.images.recent_series import RecentSeries, SeriesSum
from router.images.rule_trial import LONGEST, tried
from router.review.sources import SourceLine, lines
from router.text.language import N_

_SECONDS = 30.0  # that the latest series are shown by all browsers
_BUSY = N_("Another rule is being tried; try again in a moment.")
_EXAMPLE = """[[rule]]
name = "thin lung"
class = "thin"
modality = { equals = "CT" }
series_description = { contains = "lung" }
"""


@dataclass(frozen=True, slots=True)
class Series:
    """The latest series, so many with so many instances, by what they came from."""

    sums: Sequence[SeriesSum]
    series: int
    instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendersPage:
    """The senders, the latest series, and the `rule` on trial with its changes, or what is wrong with it.

    `faults` are in the words of the rule's file, whatever the reader's language.
    """

    sources: Sequence[SourceLine]
    latest: Series
    rule: str = _EXAMPLE
    changes: Sequence[SeriesSum] | None = None
    fault: str = ""
    faults: Sequence[str] = ()

    longest = LONGEST

    @property
    def changed(self) -> int:
        """How many instances change."""
        return sum(one.instances for one in self.changes or ())


class SendersPages:
    """The page; who may see it is decided before."""

    def __init__(self, context: ConsoleContext) -> None:
        self._holidays = Holidays(context.config.study.holidays)
        self._one_at_a_time = threading.Lock()
        self.use(context)

    def use(self, context: ConsoleContext) -> None:
        """Show what this configuration says from now on."""
        self._context = context
        self._holidays.reconfigure(context.config.study.holidays)
        self._latest: Shared[tuple[str, ...], SendersPage] = Shared(context.clock, _SECONDS)

    def show(self, view: View, request: Request) -> Answer:
        """The page; by its form a rule is tried, which is recorded: by a rule headers can be read letter by letter."""
        if request.method != "POST":
            return self._shown(view, self._latest.of(view.scope, self._page))
        self._context.record(Kind.VIEWED, "a series rule tried at the console", view.who)
        self._context.seal()
        # A browser ends each line of a form's text by CR LF, which TOML takes only whole.
        rule = request.form.get("rule", "").replace("\r\n", "\n").strip()
        return self._shown(view, self._on_trial(view, rule))

    def _shown(self, view: View, page: SendersPage) -> Answer:
        answer = html(render(view, "senders.html", page))
        return replace(answer, status=400) if page.fault else answer

    def _page(self, hospitals: tuple[str, ...]) -> SendersPage:
        return self._with(self._read(hospitals), hospitals)

    def _with(self, read: RecentSeries, hospitals: tuple[str, ...]) -> SendersPage:
        context, days = self._context, self._holidays.reading().days
        return SendersPage(
            sources=lines(context.config, context.catalogue, days, context.clock.now(), hospitals),
            latest=Series(read.sums(), read.series, read.instances),
        )

    def _read(self, hospitals: tuple[str, ...]) -> RecentSeries:
        context = self._context
        return RecentSeries(context.catalogue, context.config, context.rules, hospitals)

    def _on_trial(self, view: View, rule: str) -> SendersPage:
        read = self._read(view.scope)
        page = replace(self._with(read, view.scope), rule=rule)
        if not self._one_at_a_time.acquire(blocking=False):
            return replace(page, fault=_BUSY)
        try:
            return replace(page, changes=read.changes(tried(rule, read.questions)))
        except ConfigurationError as error:
            return replace(page, fault=error.message, faults=error.faults)
        except (InvalidData, TransientError) as error:
            return replace(page, fault=error.message)
        finally:
            self._one_at_a_time.release()
