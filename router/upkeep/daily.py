"""Daily report: punctuality of the deliveries due the day before, and gaps between exams and destinations."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.config.hospitals import several_of
from router.config.sections import Config
from router.events import Event, EventBus, Kind
from router.policy.account import at
from router.policy.deadlines import Punctuality
from router.review.attention import look, places_of, tallied
from router.review.punctuality import DueDelivery, findings
from router.review.reconcile import Account, Reconciliation, summed
from router.review.unreported import counted as without_report
from router.storage.dailies import Dailies
from router.text.language import N_

_DAYS = 7  # days that a node which was down makes up for, and whose gaps are looked for
_DAY = timedelta(days=1)
_SENDERS = 20
_GAPS = N_("reconciliation")  # the subject of the alarm
FINDING_COLUMNS = (
    "id", "exam_id", "destination", "channel", "state", "verdict", "legal_due", "due", "complete", "delivered",
    "reason", "hospital",
)  # fmt: skip
OVERDUE = (Punctuality.MISSED, Punctuality.LATE, Punctuality.PAUSED)
_ACCOUNT_COLUMNS = tuple(each.name for each in fields(Account))


class Daily:
    """The duty to report, of one node at a time."""

    def __init__(
        self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock, *, reconciliation: Reconciliation,
        dailies: Dailies,
    ) -> None:  # fmt: skip
        self._config = config
        self._catalogue = catalogue
        self._reconciliation = reconciliation
        self._dailies = dailies
        self._bus = bus
        self._clock = clock

    def reconfigure(self, config: Config) -> None:
        """Report at another time of day, by other budgets."""
        self._config = config

    def step(self) -> None:
        """Report on the days that are over and not reported on."""
        now = self._clock.now()
        for day in outstanding(now.astimezone(self._config.node.timezone), self._config.daily.at, self._dailies.done()):
            self._report(day, now)

    def _report(self, day: date, now: datetime) -> None:
        start, end = bounds(day, self._config)
        found = findings(self._config, self._catalogue, start, end, now)
        accounts = self._reconciliation.ledger(start - (_DAYS - 1) * _DAY, end)
        gaps = [one for one in accounts if one.gaps]
        rows = (finding_row(one, self._config.node.timezone) for one in found)
        lacking = (asdict(one) | {"gaps": "; ".join(one.gaps)} for one in gaps)
        tables = {
            "deliveries": table_of(columns_of(FINDING_COLUMNS, self._config), rows),
            "gaps": table_of(columns_of(_ACCOUNT_COLUMNS, self._config), lacking),
        }
        # The last head of each node's audit trail, kept where the node cannot reach it.
        kept = self._catalogue.audit_heads
        newest = [head for node in kept.nodes() if (head := kept.newest(node)) is not None]
        heads = [f"Audit head {head} of {head.at}, signed by {head.key}: {head.signature}" for head in newest]
        text = self._text(day, found, accounts, now)
        self._dailies.write(day, tables, text + "".join(f"{head}\n" for head in heads))
        self._dailies.prune(day - self._config.retention.audit)
        self._record(now, {one.exam: one.hospital for one in gaps}, f"report of {day}: {counted(found)}", heads)

    def _text(self, day: date, found: Sequence[DueDelivery], accounts: Sequence[Account], now: datetime) -> str:
        unreported = without_report(self._config, self._catalogue, now)
        quarantine = self._config.node.data / "quarantine"
        counts = tallied(look(self._catalogue, places_of(self._config), quarantine, now))
        named = (f"{n} {what}{f' at {place}' if place else ''}" for (what, place), n in counts.items())
        lines = [
            f"Deliveries that were due on {day}: {counted(found)}",
            *self._of_hospitals(found, accounts),
            *(f"- d{it.id} {o.exam_id} {it.channel} to {it.destination}: {o.punctuality}, {o.reason}"
              for o in found if o.punctuality in OVERDUE for it in [o.delivery]),
            f"Approved in the last {_DAYS} days: {summed(accounts)}",
            *(f"- {one.exam_id} at {one.destination}: {'; '.join(one.gaps)}" for one in accounts if one.gaps),
            f"Waits for a person: {', '.join(named) or 'nothing'}",
            *(f"Compared with {at(one.destination, one.hospital)}, "
              f"{one.channel} of {one.day}: {one.ours} confirmed, "
              f"{one.theirs} there, {one.missing} missing there" for one in self._catalogue.comparisons.last()
              if self._config.destination_named(one.destination)),
            f"Studies that no exam names: {unreported.count}, of which {unreported.recent} should get their report",
            *(f"- {number} sent by {sender or '-'}" for sender, number in unreported.by_sender[:_SENDERS]),
        ]  # fmt: skip
        return "".join(f"{line}\n" for line in lines)

    def _of_hospitals(self, found: Sequence[DueDelivery], accounts: Sequence[Account]) -> list[str]:
        """A line for each of several hospitals; every registered one has its line, also without anything due."""
        several = several_of(self._config)
        if not several:
            return []
        due = by_hospital(found)
        gaps: dict[str, set[int]] = defaultdict(set)
        for one in accounts:
            if one.gaps:
                gaps[one.hospital].add(one.exam)
        names = dict.fromkeys([*due, *sorted(gaps), *several])
        return [f"- {name}: {counted(due.get(name, ()))}; exams with gaps: {len(gaps.get(name, ()))}" for name in names]

    def _record(self, now: datetime, lacking: Mapping[int, str], text: str, heads: Sequence[str]) -> None:
        """`lacking` are the exams with gaps, by number, and their hospitals: an alarm stands for each of several."""
        gaps = len(lacking)
        self._bus.record(Event(now, Kind.REPORTED, f"{text}; {gaps} exam(s) with gaps", fields={"heads": heads}))
        several = bool(several_of(self._config))
        counts = Counter(hospital if several else "" for hospital in lacking.values())
        for hospital, gaps in counts.items():
            said, fields = f"{gaps} exam(s) of the last days have gaps", {"hospital": hospital} if hospital else {}
            subject = at(_GAPS, hospital)
            self._bus.record(Event(now, Kind.ALARM, said, fields=fields, alarm=Alarm.GAPS, subject=subject))
        for one in self._catalogue.alarms.of([Alarm.GAPS]):
            if one.subject not in {at(_GAPS, hospital) for hospital in counts}:
                said = "no exam of the last days has gaps"
                self._bus.record(Event(now, Kind.CLEARED, said, alarm=one.alarm, subject=one.subject))


def outstanding(now: datetime, at: time, done: Sequence[date]) -> list[date]:
    """The days to report on, by the hospital's clock: those over since the last of `done`, from the hour `at` on.

    Without any done it is the day before; there is never more than a week of them. No day is reported twice, also by a
    clock that was wrong and went back.
    """
    last = now.date() - (_DAY if now.time() >= at else 2 * _DAY)
    first = max(last - (_DAYS - 1) * _DAY, done[-1] + _DAY) if done and done[-1] <= now.date() else last
    return [day for n in range((last - first).days + 1) if (day := first + n * _DAY) not in done]


def bounds(day: date, config: Config) -> tuple[datetime, datetime]:
    """Beginning and end of the day by the hospital's clock."""
    zone = config.node.timezone
    return datetime.combine(day, time(), zone), datetime.combine(day + _DAY, time(), zone)


def finding_row(one: DueDelivery, zone: ZoneInfo) -> dict[str, str | None]:
    """A row of the table and of `queue report --json`; times in ISO 8601 by the hospital's clock."""
    it = one.delivery
    instants = (it.legal_due, it.due, one.complete, one.delivered)
    times = [None if each is None else each.astimezone(zone).isoformat() for each in instants]
    first = (str(it.id), one.exam_id, it.destination, it.channel, it.state, one.punctuality)
    values = [*first, *times, one.reason, it.hospital]
    return dict(zip(FINDING_COLUMNS, values, strict=True))


def columns_of(columns: Sequence[str], config: Config) -> list[str]:
    """Those of a table: without `hospital` where the node serves one alone."""
    return [each for each in columns if each != "hospital" or several_of(config)]


def by_hospital(found: Iterable[DueDelivery]) -> dict[str, list[DueDelivery]]:
    """The deliveries of each hospital, that with the most overdue ones first."""
    mine: dict[str, list[DueDelivery]] = defaultdict(list)
    for one in found:
        mine[one.delivery.hospital].append(one)
    overdue = {name: sum(one.punctuality in OVERDUE for one in some) for name, some in mine.items()}
    return {name: mine[name] for name in sorted(mine, key=lambda name: (-overdue[name], name))}


def table_of(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """A CSV file as spreadsheets read it, of these columns of the rows: UTF-8 with BOM."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows({name: _quoted(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _quoted(value: object) -> object:
    """Text that a spreadsheet would calculate, marked as text."""
    begins = isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@"))
    return f"'{value}" if begins or (isinstance(value, str) and value.startswith(("\t", "\r"))) else value


def counted(found: Iterable[DueDelivery]) -> str:
    """The numbers of deliveries in time, missed, late and pending, in words."""
    return ", ".join(f"{count} {each}" for each, count in counts(found).items())


def counts(found: Iterable[DueDelivery]) -> dict[Punctuality, int]:
    """The number of each; missed while paused is left out where there is none."""
    numbers = Counter(one.punctuality for one in found)
    return {each: numbers[each] for each in Punctuality if each != Punctuality.PAUSED or numbers[each]}
