"""The series rules in use: read at start and again on command, with the limits of the configuration."""

from collections.abc import Callable, Sequence
from pathlib import Path

from router.alarms import Alarm
from router.clock import Clock
from router.config.file import shipped
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config, Destination, Series, Thin
from router.errors import ConfigurationError
from router.events import Event, EventBus, Kind
from router.model import ThinLimit
from router.series.classify import Rulebook
from router.series.rules import load

SHIPPED_RULES = "series_rules.toml"
BookOf = Callable[[frozenset[str]], Rulebook]
"""The rules for a study that these hospitals brought."""


def rulebook(series: Series, *, instead: Path | None = None) -> Rulebook:
    """The hospital's own rules, then the shipped ones or those that replace them. ConfigurationError names faults.

    `instead` is tried out in place of the file in use that has its name, else in place of the own rules.
    """
    shared, own = series.rules or shipped(SHIPPED_RULES), series.own_rules
    if instead is not None and instead.name == shared.name:
        shared = instead
    elif instead is not None:
        own = instead
    return Rulebook((*(load(own) if own else ()), *load(shared)), _limits(series.thin))


def books_of(config: Config) -> BookOf:
    """The rules of each hospital, and the common ones for other studies. ConfigurationError names faults."""
    sections = {one.own.name: one.series for one in config.hospitals} | {"": HospitalConfigs(config).of_shared.series}
    read = {series: rulebook(series) for series in dict.fromkeys(sections.values())}

    def book(hospitals: frozenset[str]) -> Rulebook:
        (name,) = hospitals if len(hospitals) == 1 else ("",)
        return read[sections.get(name, sections[""])]

    return book


def book_for(destination: Destination, book: Rulebook) -> Rulebook:
    """The rules with the destination's own limits, where it has some."""
    return Rulebook(book.rules, _limits(destination.thin)) if destination.thin else book


def _limits(thin: Sequence[Thin]) -> tuple[ThinLimit, ...]:
    return tuple(ThinLimit(one.modality, one.up_to, one.body_part) for one in thin)


class SeriesRules:
    """The rulebook in use."""

    def __init__(self, config: Config, bus: EventBus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._book = books_of(config)

    def book(self, hospitals: frozenset[str]) -> Rulebook:
        """The rules for a study that these hospitals brought; for one of no certain hospital the common ones."""
        return self._book(hospitals)

    def reload(self, config: Config) -> None:
        """Read the files again, with these limits; decisions stay. Faulty files raise an alarm and nothing else."""
        try:
            self._book = books_of(config)
        except ConfigurationError as error:
            self._record(Kind.ALARM, f"the series rules stay as they were: {error}", Alarm.SETTINGS)
            return
        self.end_alarm()
        self._record(Kind.RELOADED, f"{len(self.book(frozenset()).rules)} series rules read again")

    def end_alarm(self) -> None:
        """End the alarm about faulty rules: those in use were read."""
        self._record(Kind.CLEARED, "the series rules can be read", Alarm.SETTINGS)

    def _record(self, kind: Kind, text: str, alarm: Alarm | None = None) -> None:
        subject = "series rules" if alarm else ""
        self._bus.record(Event(self._clock.now(), kind, text, alarm=alarm, subject=subject))
