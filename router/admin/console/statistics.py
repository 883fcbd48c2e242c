"""The statistics: rates of the exams by day, hospital, department or device, why exams were missed, and their table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from router.admin.console.context import Act, ConsoleContext
from router.admin.console.plots import RatePlot, Rating, rate_plot
from router.admin.console.view import View, render
from router.admin.http.server import Answer, Request, html
from router.catalogue import Catalogue
from router.errors import InvalidData
from router.review.statistics import PERCENTILES, By, Rates, Statistics, percentile, statistics_of, worded
from router.text.language import N_
from router.upkeep.statistics_table import csv_of

DAYS = 30  # of the first screen, and where nothing is asked for
MOST_DAYS = 366
_DAY = timedelta(days=1)
_OVER_TIME = (By.DAY, By.WEEK, By.MONTH)
_BY = N_({
    By.DAY: "Day", By.WEEK: "Week", By.MONTH: "Month", By.HOSPITAL: "Hospital", By.BRANCH: "Branch",
    By.DEPARTMENT: "Department", By.MODALITY: "Modality", By.DEVICE: "Device",
})  # fmt: skip
_UPLOADED = Rating(*N_(("Upload rate", "Uploaded", "Exams due")))
_IN_TIME = Rating(*N_(("Rate in time", "Both in time", "Exams due")))
_ACCEPTED = Rating(*N_(("Rate of the first try", "First try", "Uploaded")))


@dataclass(frozen=True, slots=True)
class Span:
    """Days from the first to the last."""

    first: date
    last: date

    @property
    def days(self) -> Sequence[date]:
        """Each of them."""
        return [self.first + n * _DAY for n in range((self.last - self.first).days + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsPage:
    """The statistics of a span, by what is a row; `cut` where a longer one was asked for."""

    found: Statistics
    span: Span
    by: By
    plots: Sequence[RatePlot]
    cut: bool
    today: date

    names = _BY
    percentile_names = tuple(f"{n} %" for n in PERCENTILES)
    worded = staticmethod(worded)

    def minutes(self, took: Mapping[int, int]) -> str:
        """The minutes within which half of these were done, and 95 of 100."""
        return f"{percentile(took, 50)} / {percentile(took, 95)}" if took else "-"

    def percentiles_of(self, took: Mapping[int, int]) -> Sequence[object]:
        """The minutes within which so many per cent of these were done."""
        return [percentile(took, n) or "-" for n in PERCENTILES]

    @property
    def table(self) -> str:
        """The address of the table."""
        return "/statistics.csv?" + self._asking(self.span, self.by)

    @property
    def spans(self) -> Mapping[str, str]:
        """Addresses of usual spans by their names, with the same rows."""
        month = self.today.replace(day=1)
        before = (month - _DAY).replace(day=1)
        spans = (Span(self.today - (DAYS - 1) * _DAY, self.today), Span(month, self.today), Span(before, month - _DAY))
        names = N_(("The last 30 days", "This month", "Last month"))
        return {name: "/statistics?" + self._asking(span, self.by) for name, span in zip(names, spans, strict=True)}

    def _asking(self, span: Span, by: By) -> str:
        return urlencode({"from": span.first.isoformat(), "to": span.last.isoformat(), "by": str(by)})


class StatisticsPages:
    """The pages; who may see them is decided before."""

    def __init__(self, context: ConsoleContext) -> None:
        self.use(context)

    def use(self, context: ConsoleContext) -> None:
        """Show what this configuration says from now on."""
        self._context = context

    @property
    def looks(self) -> Mapping[str, Act]:
        """Pages to look at, by path."""
        return {"/statistics": self._page, "/statistics.csv": self._table}

    def _page(self, view: View, request: Request) -> Answer:
        today = _today(view)
        span, by, cut = _asked(request.query, today)
        found = statistics_of(self._context.catalogue, span.first, span.last, by, view.scope)
        shown = StatisticsPage(found=found, span=span, by=by, plots=_plots(found, span, by), cut=cut, today=today)
        return html(render(view, "statistics.html", shown))

    def _table(self, view: View, request: Request) -> Answer:
        """The same table as `queue statistics --csv` makes."""
        span, by, _ = _asked(request.query, _today(view))
        found = statistics_of(self._context.catalogue, span.first, span.last, by, view.scope)
        name = f"statistics-{by}-{span.first}-{span.last}.csv"
        return Answer(200, csv_of(found, by), "text/csv; charset=utf-8",
                      {"Content-Disposition": f'attachment; filename="{name}"'})  # fmt: skip


def recent_rates(catalogue: Catalogue, today: date, hospitals: tuple[str, ...]) -> Sequence[RatePlot]:
    """The rates of the last days up to `today`."""
    span = Span(today - (DAYS - 1) * _DAY, today)
    return _plots(statistics_of(catalogue, span.first, span.last, By.DAY, hospitals), span, By.DAY)


def _plots(found: Statistics, span: Span, by: By) -> Sequence[RatePlot]:
    """A plot of each rate; none where the rows are no times."""
    if by not in _OVER_TIME:
        return ()
    rows = {one.group: one for one in found.rows}
    groups = [day.isoformat() for day in span.days] if by == By.DAY else list(rows)

    def of(rating: Rating, count: Callable[[Rates], tuple[int, int]]) -> RatePlot:
        return rate_plot(rating, [(group, *(count(rows[group]) if group in rows else (0, 0))) for group in groups])

    return (
        of(_UPLOADED, lambda one: (one.uploaded, one.due)), of(_IN_TIME, lambda one: (one.on_time, one.due)),
        of(_ACCEPTED, lambda one: (one.accepted_first_time, one.uploaded)),
    )  # fmt: skip


def _today(view: View) -> date:
    return view.now.astimezone(view.zone).date()


def _asked(query: Mapping[str, str], today: date) -> tuple[Span, By, bool]:
    """The days and the rows that are asked for, and whether the days were too many; InvalidData where they are none."""
    by = query.get("by", "") or By.DAY
    if by not in list(By):
        raise InvalidData("no such rows")
    last = _day(query.get("to", "")) or today
    first = _day(query.get("from", "")) or last - (DAYS - 1) * _DAY
    if first > last:
        raise InvalidData("the first day is after the last")
    cut = (last - first).days >= MOST_DAYS
    return Span(last - (MOST_DAYS - 1) * _DAY if cut else first, last), By(by), cut


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  # a day alone
    except ValueError as error:
        raise InvalidData("expected a day like 2026-03-01") from error
