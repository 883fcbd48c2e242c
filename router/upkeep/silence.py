"""Alarms about images without a report: unusually many, a sender none of whose studies gets one, a silent RIS."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.config.sections import Config
from router.correlator.holidays import Holidays
from router.events import Event, EventBus, Kind
from router.matching.images.unreported import HISTORY_DAYS, Silence, Waiting, overdue, silence, too_many
from router.policy.workdays import WorkClock
from router.review.unreported import Scopes, of_hospital, scopes_of, subject_of, work_clock

_EVERY, _SHARE = 600.0, 100.0
_REPORTS_OF = timedelta(days=35)
_STUDIES, _FOLDER, _FILE = "studies", "reports folder", "holidays"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An alarm that is due."""

    text: str
    hospital: str = ""


class SilenceWatch:
    """Watches for missing reports. The holder of the duty calls `step` once the files in the drop folder are taken."""

    def __init__(self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock) -> None:
        self._config = config
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._holidays = Holidays(config.study.holidays)

    def reconfigure(self, config: Config) -> None:
        """Apply another [share], [study] unreported_after or holidays."""
        self._config = config
        self._holidays.reconfigure(config.study.holidays)

    def step(self) -> float:
        """Look at every study that no exam names; the seconds to rest."""
        began = self._clock.monotonic()
        self._look(self._clock.now())
        return max(_EVERY, (self._clock.monotonic() - began) * _SHARE)

    def _look(self, now: datetime) -> None:
        reading = self._holidays.reading()
        self._record_faults(reading.faults, now)
        waiting, reported = self._catalogue.unreported.waiting(), self._catalogue.unreported.reported(now - _REPORTS_OF)
        latest: dict[str, datetime] = {}
        for one in reported:
            latest[one.sender] = max(one.at, latest.get(one.sender, one.at))
        self._end_dismissals(latest, now)
        clock, scope = work_clock(self._config, reading.days, now), scopes_of(self._config, self._catalogue)
        wanted: dict[str, _Wanted] = {}
        for hospital in sorted({one.hospital for one in waiting}):  # another's reports are no sign of its RIS
            mine = [one for one in waiting if one.hospital == hospital]
            theirs = [one for one in reported if one.hospital == hospital]
            wanted |= _silent(silence(mine, theirs, scope(hospital), clock), hospital)
        self._bring_in_line(wanted | self._too_many(waiting, scope, clock), now)

    def _end_dismissals(self, latest: Mapping[str, datetime], now: datetime) -> None:
        """End the dismissal of a sender of which a report came: its studies count from then on."""
        for one in self._catalogue.unreported.dismissals():
            came = latest.get(one.sender)
            if one.until is None and came is not None and came > one.at:
                self._catalogue.unreported.end(one.sender, came)
                text = f"studies of {one.sender} count again: a report of it came"
                self._bus.record(Event(now, Kind.DECIDED, text, subject=subject_of(one.sender)))

    def _too_many(self, waiting: list[Waiting], scope: Scopes, clock: WorkClock) -> dict[str, _Wanted]:
        """Keep the number of the day and compare it with those of four weeks; the alarm by its subject."""
        today = clock.local(clock.now).date()
        names = {one.hospital for one in waiting}
        number = sum(overdue([w for w in waiting if w.hospital == name], scope(name), clock) for name in names)
        self._catalogue.unreported.note(today.isoformat(), number)
        first = today - timedelta(days=HISTORY_DAYS)
        why = too_many(number, self._catalogue.unreported.numbers(first.isoformat(), today.isoformat()))
        days = self._config.study.unreported_after / timedelta(days=1)
        text = f"{number} studies lack their report after {days:g} working days, {why}"
        return {_STUDIES: _Wanted(text)} if why else {}

    def _bring_in_line(self, wanted: Mapping[str, _Wanted], now: datetime) -> None:
        for subject, one in wanted.items():
            self._record(Kind.ALARM, Alarm.UNREPORTED, subject, one.text, now, one.hospital)
        for standing in self._catalogue.alarms.of([Alarm.UNREPORTED]):
            if standing.subject not in wanted:
                self._record(
                    Kind.CLEARED, standing.alarm, standing.subject, "reports came, or the studies are gone", now
                )

    def _record_faults(self, faults: tuple[int, ...], now: datetime) -> None:
        if faults:
            lines = ", ".join(map(str, faults[:5]))
            text = f"[study] holidays: these lines are no date and are left out: {lines}"
            self._record(Kind.ALARM, Alarm.SETTINGS, _FILE, text, now)
        else:
            self._record(Kind.CLEARED, Alarm.SETTINGS, _FILE, "[study] holidays can be read", now)

    def _record(self, kind: Kind, alarm: Alarm, subject: str, text: str, now: datetime, hospital: str = "") -> None:
        fields = {"hospital": hospital} if hospital else {}
        self._bus.record(Event(now, kind, text, fields=fields, alarm=alarm, subject=subject))


def _silent(found: Silence, hospital: str) -> dict[str, _Wanted]:
    """The alarms by their subjects; `hospital` is "" where there is one alone, or none is certain."""
    texts = {
        subject_of(sender): f"none of the {one.studies} studies of {one.day} that {one.sender} sent has its"
        " report; others' reports came"
        for sender, one in found.senders.items()
    }
    if (ris := found.ris) is not None:
        texts[_FOLDER] = f"no study of {ris.day} has its report: the RIS exports none, or none that can be joined"
    return {of_hospital(subject, hospital): _Wanted(text, hospital) for subject, text in texts.items()}
