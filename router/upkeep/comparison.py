"""The nightly comparison with every destination: the last days, reported; small losses sent again where that is set."""

from collections.abc import Callable
from datetime import datetime, time, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.config.sections import Config
from router.dicom.scu.finder import finding
from router.errors import ConfigurationError, IntegrityError, PermanentError, TransientError
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.account import at, fields_of
from router.review.remote import Place, RemoteComparison, asking, never, places
from router.storage.pins import Pins

_AT = time(3)  # by the hospital's clock: before the daily report, when little is sent
_DAYS = 3
_LONGEST = 30  # days, as long as something of the first one is missing
_AGAIN = timedelta(hours=1)  # until a destination that did not answer is asked again
_ALARMS = (Alarm.MISSING_THERE, Alarm.UNKNOWN_THERE)


class ComparisonWatch:
    """The duty to compare, of one node at a time."""

    def __init__(
        self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock, *, pins: Pins,
        stop: Callable[[], bool] = never,
    ) -> None:  # fmt: skip
        """A comparison of images ends once `stop` says true."""
        self._config = config
        self._catalogue = catalogue
        self._pins = pins
        self._stop = stop
        self._bus = bus
        self._clock = clock
        self._tried: dict[str, datetime] = {}
        self._offers_none: dict[str, datetime] = {}

    def reconfigure(self, config: Config) -> None:
        """Compare with the destinations of this configuration."""
        self._config = config

    def step(self) -> None:
        """Compare where that is due; end the alarms of destinations that are not configured any more."""
        now = self._clock.now()
        here = places(self._config)
        for place in here:
            if self._is_due(place, now):
                self._tried[place.subject] = now
                self._compare(place, now)
        served = {place.subject for place in here}
        for one in self._catalogue.alarms.of(_ALARMS):
            if one.subject not in served:
                text = "the destination is not configured any more"
                fields = {"destination": one.destination}
                event = Event(now, Kind.CLEARED, text, fields=fields, alarm=one.alarm, subject=one.subject)
                self._bus.record(event)

    def _is_due(self, place: Place, now: datetime) -> bool:
        """Whether last night's comparison is still to be made, and was not tried within the hour."""
        local = now.astimezone(self._config.node.timezone)
        since = datetime.combine(local.date(), _AT, local.tzinfo)
        since -= timedelta(0) if local >= since else timedelta(days=1)
        tried = self._tried.get(place.subject)
        if (tried is not None and now - tried < _AGAIN) or self._offers_none.get(place.subject, since) > since:
            return False
        done = self._catalogue.comparisons.of(place.destination.name, place.hospital, place.channel)
        return not any(one.at >= since for one in done)

    def _compare(self, place: Place, now: datetime) -> None:
        end = datetime.combine(now.astimezone(self._config.node.timezone).date(), time(), self._config.node.timezone)
        remote = RemoteComparison(
            self._config, self._catalogue, self._bus, self._clock, ask=asking(self._pins, self._clock),
            open_archive=lambda peer: finding(peer, self._stop), stop=self._stop,
        )  # fmt: skip
        try:
            found = remote.compare(place, self._begin(place, end), end)
        except (ConfigurationError, IntegrityError, PermanentError, TransientError) as error:
            self._say_impossible(place, str(error), now)
            return
        if found.not_offered:
            self._offers_none[place.subject] = now
            self._say_impossible(place, found.not_offered, now)
        elif place.destination.resend and found.missing and not found.why_not:
            remote.send_again(place, found.missing, "the destination has lost it, as its inventory says")

    def _begin(self, place: Place, end: datetime) -> datetime:
        """Three days before, or the day of which something is missing: its alarm lasts until that is there."""
        kept = self._catalogue.comparisons.of(place.destination.name, place.hospital, place.channel)
        lacking = (datetime.combine(one.day, time(), end.tzinfo) for one in kept if one.missing)
        first = min((day for day in lacking if end - day <= timedelta(days=_LONGEST)), default=end)
        return min(first, end - timedelta(days=_DAYS))

    def _say_impossible(self, place: Place, why: str, now: datetime) -> None:
        name, fields = at(place.destination.name, place.hospital), fields_of(place.destination.name, place.hospital)
        text = f"the comparison with {name} was not possible: {why}"
        if place.channel == Channel.IMAGES:
            text = f"the comparison of images with {name} was not possible: {why}"
        self._bus.record(Event(now, Kind.REPORTED, text, fields=fields))
