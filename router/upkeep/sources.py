"""The alarm about a source that fell silent: no images from a sender that usually sends, no reports while images come.

It ends when the source sends again, or when a person says that it is not to be waited for.
"""

from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.config.sections import Config
from router.correlator.holidays import Holidays
from router.events import Event, EventBus, Kind
from router.policy.sources import HISTORY, SilentSource
from router.review.sources import Sources, hospital_of_source, silent_of, sources_of

_EVERY, _SHARE = 600.0, 100.0
_MOMENT = timedelta(minutes=30)


class SourceWatch:
    """Watches every sender of images, and the reports of each hospital, from the node's start on."""

    def __init__(self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock) -> None:
        self._config = config
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._began = clock.now()
        self._since: datetime | None = None
        self._holidays = Holidays(config.study.holidays)

    def reconfigure(self, config: Config) -> None:
        """Look by other holidays."""
        self._config = config
        self._holidays.reconfigure(config.study.holidays)

    def step(self) -> float:
        """Look at every source; the seconds to rest."""
        began = self._clock.monotonic()
        self._look(self._clock.now())
        return max(_EVERY, (self._clock.monotonic() - began) * _SHARE)

    def _look(self, now: datetime) -> None:
        found = sources_of(self._catalogue, now)
        dismissed = self._end_dismissals(found, now)
        self._since = self._since or self._listening_since(found)
        for one in silent_of(found, self._config, self._holidays.reading().days, now, self._since):
            if one.name not in dismissed:
                self._record(Kind.ALARM, one.name, self._text(one), now)
        last = {one.name: one.last for one in found.all}
        for alarm in self._catalogue.alarms.of([Alarm.SILENT_SOURCE]):
            # A source of which nothing has come stays silent, also once its four weeks are over.
            if alarm.subject in last and last[alarm.subject] > alarm.since:
                self._record(Kind.CLEARED, alarm.subject, f"{alarm.subject} sends again", now)

    def _listening_since(self, found: Sources) -> datetime:
        """The node's start; longer ago where something came shortly before: it was down for a moment alone."""
        heard = max((one.last for one in found.all if one.last <= self._began), default=self._began)
        return self._began if self._began - heard > _MOMENT else self._began - HISTORY

    def _text(self, one: SilentSource) -> str:
        last = one.last.astimezone(self._config.node.timezone)
        return f"nothing from {one.name} since {last:%m-%d %H:%M}; usually {one.expected:.0f} would have come by now"

    def _end_dismissals(self, found: Sources, now: datetime) -> set[str]:
        """The sources not to be waited for; one that has sent since is waited for as before."""
        last = {one.name: one.last for one in found.all}
        left = set()
        for one in self._catalogue.sources.dismissed():
            if one.source in last and last[one.source] > one.at:
                self._catalogue.sources.end(one.source)
                text = f"{one.source} is waited for again: it has sent"
                self._bus.record(Event(now, Kind.DECIDED, text, subject=one.source))
            else:
                left.add(one.source)
        return left

    def _record(self, kind: Kind, subject: str, text: str, now: datetime) -> None:
        hospital = hospital_of_source(subject, self._config)
        fields = {"hospital": hospital} if hospital else {}
        self._bus.record(Event(now, kind, text, fields=fields, alarm=Alarm.SILENT_SOURCE, subject=subject))
