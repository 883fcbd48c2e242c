"""A year of a hospital's senders, made by what happens at the machines: appointments, walk-ins, breaks, batches.

Nothing here knows rates by hour: a machine has a timetable, a staff and a habit of sending, as machines have.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from router.policy.workdays import Workdays

ZONE = ZoneInfo("Asia/Shanghai")
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine: `slot` minutes for a patient in the sessions of its days, `full` of the slots taken.

    `saturday`: the share of the morning that is worked on Saturdays. `emergencies` an hour come at any time.
    `batch`: minutes between two sendings, 0 for at once. `service`: the share of its days that it is not used in the
    morning. `days` are the weekdays that it works.
    """

    name: str
    slot: float
    full: float = 0.85
    sessions: tuple[tuple[float, float], ...] = ((8, 11.6), (13.5, 17))
    saturday: float = 0.5
    emergencies: float = 0.0
    batch: float = 0.0
    service: float = 0.0
    days: tuple[int, ...] = (0, 1, 2, 3, 4)


MACHINES = (
    Machine(name="CT1", slot=6, emergencies=0.8), Machine(name="CT2", slot=7, full=0.9),
    Machine(name="CT3", slot=9, emergencies=1.5, batch=12), Machine(name="DR1", slot=3),
    Machine(name="DR2", slot=4, full=0.7), Machine(name="DR3", slot=5, saturday=0.9),
    Machine(name="DRER", slot=30, full=0.3, emergencies=2.2), Machine(name="MR1", slot=17, full=0.95,
    sessions=((8, 12), (13, 20.5)), saturday=1.0),
    Machine(name="MR2", slot=15, full=0.95, sessions=((8, 12), (13, 18))),
    Machine(name="US1", slot=8, batch=30), Machine(name="US2", slot=7), Machine(name="US3", slot=9, full=0.8),
    Machine(name="US4", slot=12, batch=45), Machine(name="MG1", slot=20, full=0.7, saturday=0),
    Machine(name="DSA1", slot=75, full=0.6, saturday=0.2), Machine(name="NM1", slot=35, full=0.8, saturday=0),
    Machine(name="RF1", slot=40, full=0.5, saturday=0, sessions=((8, 11.5),)),
    Machine(name="BMD1", slot=25, full=0.7, saturday=0, days=(1, 3)), Machine(name="ES1", slot=14, sessions=((8, 12),)),
    Machine(name="PORT1", slot=45, full=0.5, sessions=((7, 11), (14, 18)), saturday=1.0),
)  # fmt: skip


def calendar(year: int = 2026) -> Workdays:
    """Public holidays and the weekend days that are worked in exchange, as they fall."""

    def days(*spans: tuple[int, int, int]) -> frozenset[date]:
        return frozenset(date(year, month, day + n) for month, day, count in spans for n in range(count))

    free = days((1, 1, 3), (2, 16, 8), (4, 4, 3), (5, 1, 5), (6, 19, 3), (9, 25, 3), (10, 1, 7))
    return Workdays(free=free, worked=days((2, 14, 1), (2, 28, 1), (4, 26, 1), (5, 9, 1), (9, 20, 1), (10, 10, 1)))


def arrivals(machine: Machine, start: date, days: int, calendar: Workdays, seed: int) -> list[datetime]:
    """When its studies came, in order."""
    chance = random.Random(f"{machine.name} {seed}")
    found: list[datetime] = []
    for n in range(days):
        found += _day(machine, start + timedelta(days=n), calendar, chance)
    return sorted(_sent(machine, at, chance) for at in found)


def _day(machine: Machine, day: date, calendar: Workdays, chance: random.Random) -> Iterator[datetime]:
    midnight = datetime.combine(day, time(), ZONE)
    works, season = calendar.has(day), 1 + 0.12 * ((day.toordinal() * 7919) % 100 / 100 - 0.5)  # all have busy days
    full = min(machine.full * season * chance.uniform(0.85, 1.1), 1.0)
    sessions = machine.sessions if works and (day.weekday() in machine.days or day.weekday() > 4) else ()
    if not works and day.weekday() == 5 and chance.random() < machine.saturday:
        sessions = machine.sessions[:1]
    if sessions and chance.random() < machine.service:
        sessions = sessions[1:]
    for begin, end in sessions:
        at, until = begin * 60 + chance.uniform(-5, 15), end * 60 + chance.uniform(-20, 25)
        while at < until:
            at += machine.slot * chance.lognormvariate(0, 0.35)
            if chance.random() < full:
                yield midnight + at * MINUTE
            elif chance.random() < 0.04:
                at += chance.uniform(5, 25)  # somebody is fetched, a room is cleaned
    hours = 24 * machine.emergencies
    for _ in range(sum(chance.random() < hours / 48 for _ in range(48)) if hours else 0):
        yield midnight + chance.triangular(0, 1439, 1020) * MINUTE


def _sent(machine: Machine, at: datetime, chance: random.Random) -> datetime:
    """A study is sent when it is closed, or with the next batch."""
    at += chance.expovariate(1 / 4) * MINUTE
    if machine.batch:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        number = (at - midnight) // (machine.batch * MINUTE) + 1
        at = midnight + number * machine.batch * MINUTE
    return at
