"""Counting of the statistics as exams go on, and at night the PACS's own account of the last days."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from router.catalogue import Catalogue
from router.clock import Clock
from router.config.sections import Config
from router.errors import TransientError
from router.events import Event, EventBus, Kind
from router.intake.exam_reader import ExamReader
from router.policy.backfill import is_night
from router.review.outcomes import OutcomeCounter, PacsStudy, ReadReport
from router.review.pacs_days import ask_pacs

EVERY = 300.0
_RETRY = 1800.0
_DAYS = 7  # that the PACS is asked for each night: a modality may send days later
_AskPacs = Callable[[Config, date], Sequence[PacsStudy]]


class Counting:
    """The duty of one node at a time. `ask` asks the PACS for a day."""

    def __init__(
        self, config: Config, counter: OutcomeCounter, ask: _AskPacs, bus: EventBus, clock: Clock
    ) -> None:  # fmt: skip
        self._config = config
        self._counter = counter
        self._ask = ask
        self._bus = bus
        self._clock = clock
        self._asked: date | None = None
        self._not_before = float("-inf")

    def reconfigure(self, config: Config) -> None:
        """Count by another configuration."""
        self._config = config
        self._counter.reconfigure(config)

    def step(self) -> None:
        """Count what has changed; once a night ask the PACS."""
        now = self._clock.now()
        self._counter.catch_up(now)
        local = now.astimezone(self._config.node.timezone)
        wants = self._config.query is not None and is_night(now, self._config.node.timezone)
        # The night belongs to the day that it began on, whose studies have all been made.
        night = (local - timedelta(hours=12)).date()
        if wants and self._asked != night and self._clock.monotonic() >= self._not_before:
            self._look_at_pacs(night, now)

    def _look_at_pacs(self, night: date, now: datetime) -> None:
        lacking = 0
        try:
            for n in range(_DAYS):
                day = night - n * timedelta(days=1)
                lacking += self._counter.note_pacs(day, self._ask(self._config, day))
        except TransientError as error:
            self._not_before = self._clock.monotonic() + _RETRY
            self._bus.record(Event(now, Kind.ASKED, f"the PACS cannot be asked which studies it has: {error}"))
            return
        self._asked = night
        text = f"the PACS was asked which studies of the last {_DAYS} days it has: {lacking} never came here"
        self._bus.record(Event(now, Kind.ASKED, text))


def build(
    config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock, *, reader: ExamReader, read: ReadReport,
    stop: Callable[[], bool],
) -> Counting:  # fmt: skip
    """The duty of a node, which asks its PACS until `stop` says true. `read` gives a report file."""
    counter = OutcomeCounter(config, catalogue, reader, read)
    return Counting(config, counter, lambda by, day: ask_pacs(by, day, stop), bus, clock)
