"""The routes to every destination of the configuration in use, and the loops that serve them.

What is under way when a destination changes is finished over the route on which it was begun; whatever is claimed
afterwards goes by the new one. Both claim from the same queue, so nothing is lost and nothing goes twice.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.config.sections import Config, Destination, DicomDestination, HttpDestination
from router.delivery.breaker_gate import Route
from router.delivery.commitment import Asker, CommitmentReports
from router.delivery.senders import ImagesSender, Objection, ReportSender
from router.delivery.sharing import Sharing
from router.delivery.throttle import Throttle
from router.delivery.unwritten import Unwritten
from router.delivery.withdrawal_sender import WithdrawalSender
from router.dicom.scu.client import StorageClient
from router.errors import ConfigurationError
from router.events import Event, EventBus, Kind
from router.forward.credentials import Credentials, KeyFiles
from router.forward.profiles import Profile
from router.forward.recorded import Recorder, exchange_file
from router.forward.report import ReportAgent
from router.intake.exam_reader import ExamReader
from router.loop import Loop
from router.model import Channel
from router.policy.account import at, fields_of, keys_of, place_of, profile_of
from router.policy.bandwidth import Window
from router.storage import Storage
from router.storage.pins import pin_arguments, strange


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFactory:
    """Makes the routes of a destination; what it makes them of is the same for all."""

    references: ExamReader
    catalogue: Catalogue
    storage: Storage
    commitment_reports: CommitmentReports
    bus: EventBus
    clock: Clock
    objection: Objection
    unwritten: Unwritten
    sharing: Sharing
    digests: dict[tuple[str, str], str] = field(default_factory=dict)

    def routes(self, config: Config, destination: Destination) -> list[Route]:
        """ConfigurationError when keys or certificates are not as they must be."""
        windows = [Window(one.from_, one.to, one.limit) for one in destination.bandwidth]
        senders = partial(self.sharing.senders, destination.name)
        paced = Throttle(windows, config.node.timezone, self.clock, senders=senders)
        routes = [
            self._for_reports(config, destination, account, http, paced)
            for account in config.accounts(destination)
            if (http := destination.http_of(account)) is not None
        ]
        if destination.dicom is not None:
            routes.append(self._for_images(config, destination, destination.dicom, paced))
        return routes

    def _for_reports(
        self, config: Config, destination: Destination, account: str, http: HttpDestination, paced: Throttle
    ) -> Route:
        """One route for each account: what a platform refuses of one hospital stops no other one's."""
        keys = self._key_files(destination.name, account, http)
        file = exchange_file(self.storage.exchanges, destination.name, account)
        heard = Recorder(file, lambda: keys.current().profile.outline.upload[0].name)
        agent = ReportAgent(http, keys.current, self.clock, paced=paced, heard=heard)
        report = ReportSender(
            config=config, references=self.references, catalogue=self.catalogue, storage=self.storage, agent=agent,
            credentials=keys.current, bus=self.bus, clock=self.clock, objection=self.objection,
            unwritten=self.unwritten,
        )  # fmt: skip
        return Route(
            destination=destination.name, channel=Channel.REPORT, width=1, sender=WithdrawalSender(report=report),
            probe=agent.probe,
            hospitals=config.served(destination, account), account=account,
        )  # fmt: skip

    def _for_images(
        self, config: Config, destination: Destination, dicom: DicomDestination, paced: Throttle
    ) -> Route:  # fmt: skip
        name = destination.name
        client = StorageClient(dicom, paced=paced, shared=self.sharing.slots(name))
        asker = None
        if dicom.commitment:
            asker = Asker(
                destination=dicom, catalogue=self.catalogue, client=client, reports=self.commitment_reports,
                bus=self.bus, clock=self.clock, random=os.urandom,
            )  # fmt: skip
        sender = ImagesSender(
            config=config, catalogue=self.catalogue, storage=self.storage, client=client, clock=self.clock, asker=asker,
            objection=self.objection, bus=self.bus, unwritten=self.unwritten,
        )  # fmt: skip
        return Route(
            destination=name, channel=Channel.IMAGES, width=dicom.associations, sender=sender, probe=client.probe,
            narrow=client.narrow, room=client.room, hospitals=config.served(destination),
        )  # fmt: skip

    def _key_files(self, name: str, account: str, http: HttpDestination) -> KeyFiles:
        outside = http.profile_file is not None

        def told(kind: Kind, text: str, alarm: Alarm = Alarm.CRYPTO, subject: str = "") -> None:
            fields = fields_of(name, account)
            subject = subject or (profile_of(name, account) if alarm == Alarm.PROFILE else keys_of(name, account))
            self.bus.record(Event(self.clock.now(), kind, text, fields=fields, alarm=alarm, subject=subject))

        def accept(found: Credentials) -> None:
            self._require_pinned(name, account, found)
            told(Kind.CLEARED, "the key files read, and the platform's keys are those that were pinned")
            if outside:
                for subject in ("", place_of(name, Channel.REPORT, account)):
                    told(Kind.CLEARED, "the profile has no faults", Alarm.PROFILE, subject)
                self._note_digest(name, account, found.profile)

        def faulty(begin: str, error: ConfigurationError) -> None:
            told(Kind.ALARM, f"{begin}: {error}", Alarm.PROFILE if "profile" in error.fields else Alarm.CRYPTO)

        # One hospital's key files, or one platform's profile, are no reason to serve no other one.
        return KeyFiles(
            http, self.storage.pins.file, accept, lambda error: faulty("the former ones stay in use", error),
            (lambda error: faulty("nothing goes there", error)) if account or outside else None,
        )  # fmt: skip

    def _note_digest(self, name: str, account: str, profile: Profile) -> None:
        """Which file speaks to a platform belongs into the audit trail, whenever it is another."""
        if self.digests.get((name, account)) != profile.digest:
            self.digests[name, account] = profile.digest
            text = f"profile {profile.name} of {at(name, account)}: SHA-256 {profile.digest}"
            event = Event(self.clock.now(), Kind.CONFIGURED, text, fields=fields_of(name, account))
            self.bus.record(event)

    def _require_pinned(self, name: str, account: str, found: Credentials) -> None:
        """The platform's keys are pinned when they are first seen; later ones only by `keys pin`."""
        ids, pinned = found.profile.pinned, self.storage.pins.of(name, account)
        if pinned is None and ids:
            self.storage.pins.pin(name, ids)
            held = "; ".join(f"{purpose} {', '.join(each)}" for purpose, each in ids.items())
            text = f"keys of platform {name} seen first: {held}"
            self.bus.record(Event(self.clock.now(), Kind.PINNED, text, fields={"destination": name}))
        elif unknown := strange(ids, pinned or {}):
            raise ConfigurationError(
                f"the platform keys of {name} are not those that were pinned: {', '.join(unknown)}",
                hint=f"ask the platform for its key ids; if they are these: keys pin {pin_arguments(name, account)}",
            )


@dataclass(frozen=True, slots=True)
class ActiveRoute:
    """The routes of a destination, each with its loops, and what they were made by."""

    basis: object
    served: tuple[tuple[Route, Loop], ...]


class Routes:
    """Those in use. `loop` makes the loop, of that name, of one place on a route."""

    def __init__(self, factory: RouteFactory, loop: Callable[[str, Route], Loop]) -> None:
        self._factory = factory
        self._loop = loop
        self._fitted: Mapping[str, ActiveRoute] = {}
        self._leaving: list[Loop] = []
        self._running = False

    def fit(self, config: Config, files: Callable[[Destination], object]) -> Mapping[str, ActiveRoute]:
        """The routes by this configuration, not in use yet; `files` are stamps. Raises as `RouteFactory.routes`."""
        return {one.name: self._fit(config, one, files(one)) for one in config.destination}

    def use(self, fitted: Mapping[str, ActiveRoute]) -> None:
        """Serve these from now on; the others end with what they have under way."""
        former, self._fitted = self._fitted, fitted
        if self._running:
            self._end(one for name, one in former.items() if fitted.get(name) is not one)
            self._begin(one for name, one in fitted.items() if former.get(name) is not one)

    def start(self) -> None:
        """Begin to serve."""
        self._running = True
        self._begin(self._fitted.values())

    def loops(self) -> list[Loop]:
        """The loops of the routes in use."""
        return [loop for fitted in self._fitted.values() for _, loop in fitted.served]

    def wake(self, destination: object, channel: object, hospital: object = "") -> None:
        """There is something of the hospital to send."""
        for fitted in self._fitted.values():
            for route, loop in fitted.served:
                if (route.destination, route.channel) == (destination, channel) and hospital in route.hospitals:
                    loop.wake()

    def stop(self) -> None:
        """Ask every loop to end after the step at hand."""
        if self._running:
            self._running = False
            self._end(self._fitted.values())

    def unfinished(self, until: float) -> int:
        """After `stop`: how many loops are still at work at that time of time.monotonic()."""
        return sum(not loop.join(max(until - time.monotonic(), 0.1)) for loop in self._leaving)

    def _fit(self, config: Config, destination: Destination, files: object) -> ActiveRoute:
        basis = destination, files, config.model_copy(update={"destination": ()})
        former = self._fitted.get(destination.name)
        if former is not None and former.basis == basis:
            return former
        routes = self._factory.routes(config, destination)
        places = [(route, f"{place_of(*route.place)} {n + 1}") for route in routes for n in range(route.width)]
        return ActiveRoute(basis, tuple((route, self._loop(name, route)) for route, name in places))

    @staticmethod
    def _begin(fitted: Iterable[ActiveRoute]) -> None:
        for one in fitted:
            for _, loop in one.served:
                loop.start()

    def _end(self, fitted: Iterable[ActiveRoute]) -> None:
        ending = [loop for one in fitted for _, loop in one.served]
        for loop in ending:
            loop.stop()
        self._leaving = [*(loop for loop in self._leaving if not loop.join(0)), *ending]
