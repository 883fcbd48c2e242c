"""Forecast of when deliveries will be done, from the backlog before them and the measured throughput. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

# Only so much sending time of the past counts: an hour-old rate says little.
_MEMORY = timedelta(minutes=10).total_seconds()
LATE_SHARE = 0.25  # of the capacity for late deliveries, while others can still be in time


@dataclass(frozen=True, slots=True)
class Throughput:
    """Units sent in so many seconds of sending; older ones weigh less. A unit is an instance or a report."""

    units: float = 0.0
    seconds: float = 0.0

    def and_then(self, units: int, seconds: float) -> "Throughput":
        """The throughput with so many more units sent in so many seconds."""
        kept = max(1 - seconds / _MEMORY, 0.0) if self.seconds + seconds > _MEMORY else 1.0
        return Throughput(self.units * kept + units, self.seconds * kept + seconds)

    @property
    def rate(self) -> float | None:
        """Units a second; None while nothing was measured."""
        return self.units / self.seconds if self.units > 0 and self.seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Job:
    """A delivery that may be sent: `units` are still to go."""

    id: int
    due: datetime
    units: int


def finish(jobs: Iterable[Job], rate: float, now: datetime) -> Mapping[int, datetime]:
    """The expected end of each job, by id, sent in the order of due times.

    Late jobs get their share of the rate beside those that can still be in time, and all of it after them.
    """
    ordered = sorted(jobs, key=lambda job: (job.due, job.id))
    late = [job for job in ordered if job.due <= now]
    timely = [job for job in ordered if job.due > now]
    share = LATE_SHARE if late and timely else 0.0
    work = sum(job.units for job in timely)
    beside = work / (1 - share) / rate if timely else 0.0
    done = _at(timely, lambda units: units / (1 - share) / rate)
    until = beside * rate * share
    done |= _at(late, lambda units: units / share / rate if units < until else (units + work) / rate)
    return {number: now + timedelta(seconds=seconds) for number, seconds in done.items()}


def _at(jobs: Iterable[Job], seconds: Callable[[int], float]) -> dict[int, float]:
    found, units = {}, 0
    for job in jobs:
        units += job.units
        found[job.id] = seconds(units)
    return found
