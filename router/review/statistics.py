"""Statistics (统计): the rates by day, week, month, hospital, branch, department, modality or device; pure sums.

上传率 is uploaded / due, 及时率 both channels in time / due, 合格率 accepted at the first try / uploaded.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from router.catalogue import Catalogue
from router.catalogue.queue.outcomes import GroupSum
from router.policy.attention import SAYS, Cause
from router.policy.completeness import Completeness

PERCENTILES = (50, 90, 95, 99)


class By(StrEnum):
    """A way to group exams."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    HOSPITAL = "hospital"
    BRANCH = "branch"
    DEPARTMENT = "department"
    MODALITY = "modality"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """A group of exams, with those whose report says a critical value among them.

    `states` says in which state each of them is; their sum is `exams`. `report_took` and `images_took` are how many
    exams took how many minutes from approval to the last destination's confirmation.
    """

    group: str
    exams: int
    due: int
    uploaded: int
    report_on_time: int
    images_on_time: int
    on_time: int
    accepted_first_time: int
    unreported: int
    states: Mapping[str, int]
    report_took: Mapping[int, int]
    images_took: Mapping[int, int]

    @property
    def upload_rate(self) -> float | None:
        """上传率; None where nothing is due."""
        return self.uploaded / self.due if self.due else None

    @property
    def on_time_rate(self) -> float | None:
        """及时率; None where nothing is due."""
        return self.on_time / self.due if self.due else None

    @property
    def first_time_rate(self) -> float | None:
        """合格率; None where nothing is uploaded."""
        return self.accepted_first_time / self.uploaded if self.uploaded else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A reason with its number of exams; of a miss `whose` says on which side it was caused."""

    reason: str
    exams: int
    whose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The groups in order, all of them together, and the critical values (危急值) alone.

    `misses` are the reasons why exams are not in time, `waits` and `kept_back` why they wait for a person or are not
    shared, each with the most exams first.
    """

    rows: Sequence[Rates]
    total: Rates
    critical: Rates
    misses: Sequence[Reason]
    waits: Sequence[Reason]
    kept_back: Sequence[Reason]


def statistics_of(
    catalogue: Catalogue, first: date, last: date, by: By, hospitals: Sequence[str] = ()
) -> Statistics:  # fmt: skip
    """The statistics of these days, as far as they are counted; of these hospitals or of all."""
    column = By.DAY if by in (By.WEEK, By.MONTH) else by
    return statistics(catalogue.outcomes.grouped(first.isoformat(), last.isoformat(), column, hospitals), by)


def statistics(sums: Sequence[GroupSum], by: By) -> Statistics:
    """Sum up; by week and by month the sums are those of days."""
    groups: dict[str, list[GroupSum]] = defaultdict(list)
    name = _NAMES.get(by, str)
    for one in sums:
        groups[name(one.group)].append(one)
    rows = [_rates(group, some) for group, some in sorted(groups.items())]
    return Statistics(
        rows=rows, total=_rates("", sums, rows),
        critical=_rates("", [one for one in sums if one.critical]),
        misses=_ranked((one.miss, one.whose, one.exams) for one in sums if one.miss),
        waits=_ranked((one.reason, "", one.exams) for one in sums if one.state == Completeness.PERSON),
        kept_back=_ranked((one.reason, "", one.exams) for one in sums if one.state == Completeness.NOT_SHARED),
    )  # fmt: skip


def percentile(took: Mapping[int, int], percent: int) -> int | None:
    """The least number of minutes within which so many per cent were done; None where none was."""
    whole, seen = sum(took.values()), 0
    for minutes, count in sorted(took.items()):
        seen += count
        if seen * 100 >= whole * percent:
            return minutes
    return None


def percent(rate: float | None) -> str:
    """Cut off, not rounded: 100 % is said only where none is missing; "" where nothing counts."""
    return "" if rate is None else f"{int(round(rate * 10_000, 6)) / 100:.2f}%"


def worded(reason: str) -> str:
    """A reason in words: that of a cause is its sentence."""
    return SAYS[Cause(reason)] if reason in set(Cause) else reason


def _week(day: str) -> str:
    year, week, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{week:02}"


_NAMES: Mapping[By, Callable[[str], str]] = {By.WEEK: _week, By.MONTH: lambda day: day[:7]}


def _rates(group: str, sums: Sequence[GroupSum], parts: Sequence[Rates] = ()) -> Rates:
    """Rates of a group; its times are those of its `parts`, where these are known already."""
    states = dict.fromkeys(map(str, Completeness), 0)
    for one in sums:
        states[one.state] += one.exams
    return Rates(
        group=group, exams=sum(one.exams for one in sums), due=sum(one.due for one in sums),
        uploaded=sum(one.uploaded for one in sums), report_on_time=sum(one.report_on_time for one in sums),
        images_on_time=sum(one.images_on_time for one in sums), on_time=sum(one.on_time for one in sums),
        accepted_first_time=sum(one.first_time for one in sums), unreported=states[Completeness.UNREPORTED],
        states=states,
        report_took=_merged(one.report_took for one in parts) or _times(one.report_took for one in sums),
        images_took=_merged(one.images_took for one in parts) or _times(one.images_took for one in sums),
    )  # fmt: skip


def _times(took: Iterable[str]) -> Mapping[int, int]:
    """How many exams took how many minutes. Equal entries, of which a year has millions, are counted before they are
    read."""
    entries = Counter[str]()
    for text in took:
        entries.update(text.split())
    counts = Counter[int]()
    for entry, times in entries.items():
        minutes, _, exams = entry.partition(":")
        counts[int(minutes)] += int(exams) * times
    return counts


def _merged(took: Iterable[Mapping[int, int]]) -> Mapping[int, int]:
    counts = Counter[int]()
    for one in took:
        counts.update(one)
    return counts


def _ranked(found: Iterable[tuple[str, str, int]]) -> list[Reason]:
    counts = Counter[tuple[str, str]]()
    for reason, whose, exams in found:
        counts[reason, whose] += exams
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Reason(reason=reason, exams=exams, whose=whose) for (reason, whose), exams in ranked]
