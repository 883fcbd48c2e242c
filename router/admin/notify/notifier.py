"""The alarm notifier: alarms from the event bus, folded, put into the queue of every way.

Every node and command writes what it raises and clears to the database, with the alarm itself. One node has the duty to
fold these and to send the messages. Both resume after a restart.
"""

import logging
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from router.admin.notify.heartbeat import Heartbeat
from router.admin.notify.notification import Notification, Style, notification_of, report_of, style_of, summary_of
from router.admin.notify.notification_queue import NotificationQueue
from router.admin.notify.ways import MAIL, Way, ways_of
from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.cluster.membership import ALARMS, Membership
from router.config.sections import Config
from router.errors import RouterError
from router.events import Event
from router.loop import Loop, Step, Untried
from router.policy.folding import AlarmNews, Cause, Fold, Folded, State, fold

_IDLE_SECONDS = 1.0
_ROUND_SECONDS = 10.0  # causes are looked at again so often without news
_AT_ONCE = 10_000
_FOLDING_SHARE = 1 / 4  # of the time
_log = logging.getLogger("router")

MakeLoop = Callable[[str, Step, float], Loop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """The parts that `[alarms]` asks for, ready for use."""

    ways: tuple[Way, ...]
    only: frozenset[Alarm]
    style: Style
    heartbeat: Heartbeat | None

    @property
    def audiences(self) -> dict[tuple[str, ...], tuple[Way, ...]]:
        """The ways by the hospitals whose alarms alone they are for; by () those that are for all."""
        found: dict[tuple[str, ...], tuple[Way, ...]] = {(): ()}
        for way in self.ways:
            found[way.hospitals] = (*found.get(way.hospitals, ()), way)
        return found


@dataclass(frozen=True, slots=True)
class _Served:
    """A way in use."""

    queue: NotificationQueue
    loop: Loop


class AlarmNotifier:
    """Sends alarms. `on_event` subscribes to the event bus; `loop` makes a loop, `able` says whether the node works."""

    def __init__(
        self, config: Config, catalogue: Catalogue, membership: Membership, clock: Clock, loop: MakeLoop,
        able: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._catalogue = catalogue
        self._membership = membership
        self._clock = clock
        self._make_loop = loop
        self._able = able
        self._served: Mapping[str, _Served] = {}
        self._beating: Loop | None = None
        self._leaving: list[Loop] = []
        self._running = False
        self._looked = float("-inf")
        self._retained: tuple[str, ...] | None = None
        self._folding = loop("alarms", self.step, _FOLDING_SHARE)
        self.use(self.fit(config))

    def fit(self, config: Config) -> Fitting:
        """The ways of this configuration. ConfigurationError if a file that `[alarms]` names is unusable."""
        alarms, heartbeat = config.alarms, None
        if alarms.heartbeat is not None:
            heartbeat = Heartbeat(
                settings=alarms.heartbeat, node=config.node.owner, kept=self._catalogue.notifications,
                clock=self._clock, able=self._able,
            )  # fmt: skip
        return Fitting(
            ways=ways_of(alarms, self._clock), only=frozenset(alarms.only), style=style_of(config), heartbeat=heartbeat
        )

    def use(self, fitting: Fitting) -> None:
        """Use these ways. A way of the same name keeps its queue; the queue of a way that is gone is deleted."""
        former, self._fitting = self._served, fitting
        self._served = {way.name: self._serve(way, former.get(way.name)) for way in fitting.ways}
        gone = [one.loop for name, one in former.items() if name not in self._served]
        fresh = [one.loop for name, one in self._served.items() if name not in former]
        gone += [self._beating] if self._beating else []
        beat = fitting.heartbeat
        self._beating = None if beat is None else self._make_loop("heartbeat", beat.step, 1.0)
        fresh += [self._beating] if self._beating else []
        self._looked = float("-inf")
        self._folding.wake()
        if self._running:
            self._end(gone)
            for loop in fresh:
                loop.start()

    def on_event(self, event: Event) -> None:
        """The subscriber of the event bus."""
        if event.alarm is not None:
            self._folding.wake()
        report = report_of(event, self._fitting.style.node, str(uuid.uuid4()))
        if report is not None:
            for way in self._fitting.ways:
                if way.name.startswith(MAIL) and not way.hospitals:
                    self._mail(way, report)

    def _mail(self, way: Way, report: Notification) -> None:
        try:
            self._catalogue.notifications.add(way.name, report.to_json(), self._clock.now())
            self._served[way.name].loop.wake()
        except RouterError as error:
            _log.error("the daily report is not mailed: %s", error)

    def start(self) -> None:
        """Begin to fold and to send."""
        self._running = True
        for loop in self._loops():
            loop.start()

    def stop(self) -> None:
        """Ask every loop to end after its current step; waiting messages are sent after the next start."""
        if self._running:
            self._running = False
            self._end(self._loops())

    def unfinished(self, seconds: float) -> int:
        """The number of loops still running this many seconds after `stop`."""
        until = self._clock.monotonic() + seconds
        return sum(not loop.join(max(until - self._clock.monotonic(), 0.0)) for loop in self._leaving)

    @property
    def works(self) -> Sequence[str]:
        """The loops in use, by name."""
        return [loop.name for loop in self._loops()]

    def degraded(self) -> Sequence[str]:
        """The ways on which nothing arrives from this node now, in words; the database is not asked."""
        heartbeat = self._fitting.heartbeat
        errors = {served.queue.name: served.queue.error for served in self._served.values()}
        errors |= {heartbeat.name: heartbeat.error} if heartbeat else {}
        return [f"alarms cannot be delivered: {name}: {error}" for name, error in errors.items() if error]

    def step(self) -> float:
        """Fold news into messages; return the seconds to rest."""
        if not self._membership.has(ALARMS):
            return Untried(_IDLE_SECONDS)
        heartbeat = self._fitting.heartbeat
        names = (*self._served, *([heartbeat.name] if heartbeat else []))
        if names != self._retained:
            self._catalogue.notifications.retain(names)
            self._retained = names
        came = self._catalogue.alarm_news.waits()
        if not came and self._clock.monotonic() - self._looked < _ROUND_SECONDS:
            return _IDLE_SECONDS
        self._looked = self._clock.monotonic()
        if self._fold():
            for served in self._served.values():
                served.loop.wake()
        return 0.0 if came else _IDLE_SECONDS

    def _fold(self) -> int:
        """Fold news into messages in one transaction, or change nothing; return the number of messages."""
        now, fitting = self._clock.now(), self._fitting
        with self._catalogue.engine.write():
            self._membership.fence(ALARMS)
            news = self._catalogue.alarm_news.take(_AT_ONCE)
            self._catalogue.alarm_news.retain(fitting.audiences)
            known = self._catalogue.alarm_news.folds()
            fresh = self._catalogue.notifications.fresh({way.mark for way in fitting.ways})
            if not (news or known or fresh):
                return 0
            return sum(self._fold_for(of, ways, news, known, fresh, now) for of, ways in fitting.audiences.items())

    def _fold_for(
        self, hospitals: tuple[str, ...], ways: Sequence[Way], news: Mapping[Cause, Sequence[AlarmNews]],
        known: Mapping[Cause, Fold], fresh: Collection[str], now: datetime,
    ) -> int:  # fmt: skip
        """Fold what concerns these hospitals into messages for the ways that are for them; how many there are."""
        fitting = self._fitting
        standing = self._catalogue.alarm_news.standing(hospitals)
        mine = {replace(cause, hospitals=hospitals): some for cause, some in news.items()}
        mine = {cause: own for cause, some in mine.items() if (own := [n for n in some if cause.is_of(n.hospital)])}
        messages: list[Folded] = []
        for cause in dict.fromkeys([*(one for one in known if one.hospitals == hospitals), *mine]):
            if _is_wanted(cause, fitting):
                former = known.get(cause, Fold(cause=cause))
                messages += self._refold(former, mine.get(cause, ()), standing.get(cause, 0), now)
        begun = {one.cause for one in messages if one.state == State.STANDING}
        rest = {cause: n for cause, n in standing.items() if cause not in begun and _is_wanted(cause, fitting)}
        newcomers = [way.name for way in ways if way.mark in fresh] if rest else []
        for name in newcomers:
            text = summary_of(rest, fitting.style, now, str(uuid.uuid4())).to_json()
            self._catalogue.notifications.add(name, text, now)
        for one in messages:
            text = notification_of(one, fitting.style, str(uuid.uuid4())).to_json()
            for way in ways:
                self._catalogue.notifications.add(way.name, text, now)
        return len(messages) + len(newcomers)

    def _refold(self, former: Fold, news: Sequence[AlarmNews], standing: int, now: datetime) -> Sequence[Folded]:
        after, messages = fold(former, news, standing, now)
        if after != former or after.is_over(now):
            self._catalogue.alarm_news.keep(after, now)
        return messages

    def _serve(self, way: Way, former: _Served | None) -> _Served:
        if former is not None:
            former.queue.send = way.send
            former.queue.hurry()
            former.loop.wake()
            return former
        queue = NotificationQueue(
            name=way.name, send=way.send, kept=self._catalogue.notifications, clock=self._clock,
            mine=lambda: self._membership.has(ALARMS),
        )  # fmt: skip
        return _Served(queue, self._make_loop(f"alarms to {way.name}", queue.step, 1.0))

    def _loops(self) -> list[Loop]:
        ways = [served.loop for served in self._served.values()]
        return [self._folding, *ways, *([self._beating] if self._beating else [])]

    def _end(self, loops: Sequence[Loop]) -> None:
        for loop in loops:
            loop.stop()
        self._leaving = [*(loop for loop in self._leaving if not loop.join(0)), *loops]


def _is_wanted(cause: Cause, fitting: Fitting) -> bool:
    return not fitting.only or cause.alarm in fitting.only
