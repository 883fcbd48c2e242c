"""When what waits will have been delivered, from the backlog before it and the measured rate: pure functions."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

# Of the past counts what fits into so much time of sending: an hour-old rate says little.
_MEMORY = timedelta(minutes=10).total_seconds()
LATE_SHARE = 0.25  # of the capacity for what is already missed, while others can still make it


@dataclass(frozen=True, slots=True)
class Throughput:
    """How much went in how many seconds of sending, the older the less; a unit is an instance, or a report."""

    units: float = 0.0
    seconds: float = 0.0

    def and_then(self, units: int, seconds: float) -> "Throughput":
        """With what was sent since."""
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
    """When each will be done by as it looks now, sent in the order of due times.

    What is already missed gets its share of the rate beside those that can still make it, and all of it after them.
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
