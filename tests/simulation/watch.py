"""What must hold in a world: while things happen, after each step, and at the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router.policy.states import State
from simulation.facts import Facts
from simulation.removal import RemovalWatch
from simulation.sending import SendingWatch
from simulation.standing import StandingWatch

if TYPE_CHECKING:
    from simulation.world import World


@dataclass(frozen=True, slots=True)
class Breach:
    """What did not hold, by its name, and about what."""

    name: str
    about: str


@dataclass
class Watch:
    """Of one world. `found` is the first breach."""

    world: "World"
    found: Breach | None = None

    def __post_init__(self) -> None:
        self.facts = Facts(self.world)
        self.sending, self.standing, self.removal = SendingWatch(self), StandingWatch(self), RemovalWatch(self)

    def breach(self, name: str, about: object) -> None:
        """Note the first."""
        if self.found is None:
            self.found = Breach(name, str(about))

    # -- at the end

    def all_delivered(self) -> bool:
        rows = self.facts.deliveries()
        return all(self._has_ended(one) for one in rows) and len(rows) == 3 * len(self.world.hospital.exams)

    def _has_ended(self, one: Mapping[str, Any]) -> bool:
        return bool(one["state"] == State.DELIVERED)

    def at_end(self) -> None:
        """Everything was well for long enough."""
        if not self.all_delivered():
            left = [f"d{one['id']} {one['state']} {one['waiting_for']}" for one in self.facts.deliveries()
                    if not self._has_ended(one)]  # fmt: skip
            self.breach("each exam is delivered when the faults stop", "; ".join(left))
        for exam in self.world.hospital.exams:
            last = [one.version for one in self.world.ends["reports"].taken if one.exam == exam.exam_id]
            if max(last, default=0) != exam.version:
                self.breach("the last version is delivered", f"{exam.exam_id}: {last} of {exam.version}")
            for kind in ("images", "region"):
                if lacks := exam.names() - self.world.ends[kind].names:
                    self.breach("every image is delivered", f"{sorted(lacks)} to {kind}")
