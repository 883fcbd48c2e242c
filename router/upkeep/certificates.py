"""Watch over the certificates of the keys: an alarm before they end, until they are renewed."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.config.sections import Config, Destination, HttpDestination
from router.events import Event, EventBus, Kind
from router.forward.certified import Ending, endings
from router.policy.account import fields_of

RENEW_WITHIN = timedelta(days=30)
"""How long before the end of a certificate the alarm is raised."""


class CertificateWatch:
    """Reads the certificates at each step, as they are in the key files then."""

    def __init__(self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock) -> None:
        self._config = config
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock

    def reconfigure(self, config: Config) -> None:
        """Watch the certificates of this configuration."""
        self._config = config

    def step(self) -> None:
        """Raise the alarm of each that ends soon, and end those of all others, also of destinations that are gone.

        Where files do not read nothing is raised or ended: the former keys stay in use.
        """
        now, kept = self._clock.now(), set[str]()
        for fields, subject, one in _watched(self._config):
            if one.ends is None or one.ends - now < RENEW_WITHIN:
                kept.add(subject)
            if one.ends is not None and subject in kept:
                self._record(Kind.ALARM, subject, _text(one.purpose, one.ends, self._config, now), fields)
        renewed = "the certificate is renewed, or not used any more"
        for active in self._catalogue.alarms.of([Alarm.CERTIFICATE]):
            if active.subject not in kept:
                self._record(Kind.CLEARED, active.subject, renewed, fields_of(active.destination))

    def _record(self, kind: Kind, subject: str, text: str, fields: Mapping[str, str]) -> None:
        event = Event(self._clock.now(), kind, text, fields=fields, alarm=Alarm.CERTIFICATE, subject=subject)
        self._bus.record(event)


def _watched(config: Config) -> Iterator[tuple[Mapping[str, str], str, Ending]]:
    """Fields, subject and end of each purpose with certificates."""
    for destination in config.destination:
        for account, http in _ways(destination):
            for one in endings(http):
                of_account = f" by the account of {account}" if account else ""
                yield fields_of(destination.name, account), f"{one.purpose} of {destination.name}{of_account}", one


def _ways(destination: Destination) -> Iterator[tuple[str, HttpDestination]]:
    """The destination's own settings, and those of each hospital's account."""
    if destination.http is not None:
        yield "", destination.http
    for account in destination.account:
        if (http := destination.http_of(account.hospital)) is not None:
            yield account.hospital, http


def _text(purpose: str, ends: datetime, config: Config, now: datetime) -> str:
    day = f"{ends.astimezone(config.node.timezone):%Y-%m-%d}"
    if ends < now:
        return f"the certificate of the {purpose} has ended on {day}: nothing can be sent with this key"
    return f"the certificate of the {purpose} ends on {day}"
