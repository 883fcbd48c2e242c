"""Watch over the certificates of keys and of TLS: an alarm before they end, until they are renewed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.config.certificates import own_certificates, ways
from router.config.sections import Config
from router.crypto.certificates import first_end
from router.errors import ConfigurationError
from router.events import Event, EventBus, Kind
from router.forward.certified import endings
from router.policy.account import fields_of
from router.text.language import N_

_KEY_ENDS, _KEY_ENDED = N_((
    "the certificate of the {purpose} ends on {day}",
    "the certificate of the {purpose} has ended on {day}: nothing can be sent with this key",
))  # fmt: skip
_TLS_ENDS, _TLS_ENDED = N_((
    "the TLS certificate ends on {day}",
    "the TLS certificate has ended on {day}: peers that check it refuse the connection",
))  # fmt: skip
RENEW_WITHIN = timedelta(days=30)
"""How long before the end of a certificate the alarm is raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """A certificate: the subject of its alarm, and the texts before and after its end, with a place for the day.

    `ends` is aware, the earliest end of its chain; None where its file does not read.
    """

    subject: str
    ending: str
    ended: str
    fields: Mapping[str, str]
    ends: datetime | None


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
        for one in (*_of_keys(self._config), *_of_tls(self._config)):
            if one.ends is None or one.ends - now < RENEW_WITHIN:
                kept.add(one.subject)
            if one.ends is not None and one.subject in kept:
                day = f"{one.ends.astimezone(self._config.node.timezone):%Y-%m-%d}"
                text = (one.ended if one.ends < now else one.ending).format(day=day)
                self._record(Kind.ALARM, one.subject, text, one.fields)
        renewed = "the certificate is renewed, or not used any more"
        for active in self._catalogue.alarms.of([Alarm.CERTIFICATE]):
            if active.subject not in kept:
                self._record(Kind.CLEARED, active.subject, renewed, fields_of(active.destination))

    def _record(self, kind: Kind, subject: str, text: str, fields: Mapping[str, str]) -> None:
        event = Event(self._clock.now(), kind, text, fields=fields, alarm=Alarm.CERTIFICATE, subject=subject)
        self._bus.record(event)


def _of_keys(config: Config) -> Iterator[_Watched]:
    for destination in config.destination:
        for account, http in ways(destination):
            for one in endings(http):
                of_account = f" by the account of {account}" if account else ""
                yield _Watched(
                    subject=f"{one.purpose} of {destination.name}{of_account}",
                    ending=_KEY_ENDS.replace("{purpose}", one.purpose),
                    ended=_KEY_ENDED.replace("{purpose}", one.purpose),
                    fields=fields_of(destination.name, account),
                    ends=one.ends,
                )


def _of_tls(config: Config) -> Iterator[_Watched]:
    for one in own_certificates(config):
        try:
            ends = first_end(one.file)
        except ConfigurationError:
            ends = None
        yield _Watched(
            subject=f"TLS of {one.place}",
            ending=_TLS_ENDS,
            ended=_TLS_ENDED,
            fields=fields_of(one.destination, one.account) if one.destination else {},
            ends=ends,
        )
