"""The catalogue, opened for a command: to read, or to act with an audit record and event for each action."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from router.admin.audit.audit import Audit, Guard
from router.admin.audit.messages import ACCOUNT
from router.admin.audit.seals import seals_of, trail_of
from router.catalogue import Catalogue, open_catalogue
from router.cli.options import person
from router.clock import SharedClock, SystemClock
from router.config.hospitals import several_of
from router.config.sections import Config
from router.events import Event, EventBus, Kind, Subscriber

__all__ = ["audited", "clock_of", "opened", "reading", "record_look", "trail_of"]


@contextmanager
def reading(config: Config) -> Iterator[Catalogue]:
    """The catalogue for a command that changes nothing: without audit."""
    catalogue = open_catalogue(config.database.url, config.node.data, EventBus())
    try:
        yield catalogue
    finally:
        catalogue.engine.close_thread()


@contextmanager
def opened(config: Config, *subscribers: Subscriber) -> Iterator[tuple[Catalogue, EventBus]]:
    """The catalogue and its event bus, until the end of the block."""
    with audited(config, *subscribers) as (catalogue, audit, guard):
        catalogue.engine.before_commit(audit.seal)
        yield catalogue, guard.bus


@contextmanager
def audited(config: Config, *subscribers: Subscriber) -> Iterator[tuple[Catalogue, Audit, Guard]]:
    """The catalogue and the audit of the block's actions; a doubt about the trail does not stop them."""
    owner = config.node.owner
    seals, clock = seals_of(config.node.data, owner), SharedClock(SystemClock())
    audit = Audit(trail_of(config, owner, seals), owner, clock, config.retention.audit)
    account = person()
    bus = EventBus(*subscribers, lambda event: audit.take(_by(event, account)))
    catalogue = open_catalogue(config.database.url, config.node.data, bus)
    if several_of(config):
        bus.name_hospitals(catalogue.exams.hospital_of)
    try:
        catalogue.nodes.set_clock(clock)
        guard = Guard(seals=seals, heads=catalogue.audit_heads, bus=bus, close=catalogue.engine.close_thread)
        audit.guard(guard)
        yield catalogue, audit, guard
    finally:
        audit.stop()
        catalogue.engine.close_thread()


def _by(event: Event, account: str) -> Event:
    """The event with the account that ran the command, where another name was given for the person."""
    return event if event.who in ("node", account) else replace(event, fields={**event.fields, ACCOUNT: account})


def record_look(catalogue: Catalogue, bus: EventBus, text: str, exams: Iterable[int | None]) -> None:
    """Record that a person looks at patient data of these exams, before it is shown."""
    now, who = clock_of(catalogue).now(), person()
    with catalogue.engine.write():
        for exam in exams:
            bus.record(Event(now, Kind.VIEWED, text, who=who, exam=exam))


def clock_of(catalogue: Catalogue) -> SharedClock:
    """The clock by which this database's instants are written."""
    clock = SharedClock(SystemClock())
    catalogue.nodes.set_clock(clock)
    return clock
