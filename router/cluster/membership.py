"""A node among others: its sign of life, the duties that it has, and the work of those that have died.

A node is dead when the database has not heard of it for a lease and its lock is free: a database that does not answer
alone, or a lock that got lost alone, makes nobody take anything from a node that works.
"""

from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.node.nodes import Absent
from router.clock import Clock
from router.delivery.unwritten import Unwritten
from router.events import Event, EventBus, Kind
from router.storage.takeover import Takeover

DROP_FOLDER, CORRELATOR, RETENTION, LOOKOUT = "drop folder", "correlator", "retention", "lookout"
DAILY, SCRUB, ALARMS = "daily report", "scrub", "alarms"
DUTIES = (DROP_FOLDER, CORRELATOR, RETENTION, LOOKOUT, DAILY, SCRUB, ALARMS)
_BEATS = 4  # in a lease


class Membership:
    """`beat` is called often enough by a thread of its own; `has` by those who do what only one node may do."""

    def __init__(
        self, catalogue: Catalogue, takeover: Takeover, owner: str, *, lease: timedelta, bus: EventBus, clock: Clock,
        unwritten: Unwritten | None = None,
    ) -> None:  # fmt: skip
        self._catalogue = catalogue
        self._takeover = takeover
        self._owner = owner
        self._lease = lease
        self._bus = bus
        self._clock = clock
        self._unwritten = unwritten or Unwritten()
        self._until = dict.fromkeys(DUTIES, float("-inf"))

    @property
    def pause(self) -> float:
        """Seconds between two beats."""
        return self._lease.total_seconds() / _BEATS

    def has(self, duty: str) -> bool:
        """Whether the duty is this node's, with time left."""
        return self._clock.monotonic() < self._until[duty]

    def fence(self, duty: str) -> None:
        """Within a transaction: TransientError unless the duty is this node's until its end."""
        self._catalogue.nodes.fence(duty, self._owner)

    def beat(self) -> int:
        """Say that we live, keep our duties or take those that are free, take over from the dead: instances taken."""
        self._catalogue.nodes.beat(self._owner)
        for duty in DUTIES:
            asked = self._clock.monotonic()
            if self._catalogue.nodes.hold(duty, self._owner, self._lease):
                self._until[duty] = asked + self._lease.total_seconds() - self.pause
        return self._take_over()

    def leave(self) -> None:
        """Others need not wait for a lease to end."""
        self._until = dict.fromkeys(DUTIES, float("-inf"))
        self._catalogue.nodes.leave(self._owner, Absent.STOPPED)

    def _take_over(self) -> int:
        nodes = self._catalogue.nodes
        late, folders = nodes.late(self._lease) - {self._owner}, self._takeover.others()
        found = 0
        left = {name for name in folders - nodes.known() if self._takeover.is_left_by(name)}
        for name in sorted(left | (late & folders)):
            taken = self._takeover.take_over(name)
            if taken is None:
                continue
            found += taken
            if name in late:
                self._inherit(name, taken)
            if taken:
                text = f"{taken} instance(s) that the node {name} had acknowledged are taken over"
                self._bus.record(Event(self._clock.now(), Kind.STARTED, text))
        return found

    def _inherit(self, name: str, instances: int) -> None:
        now = self._clock.now()
        self._unwritten.adopt(self._catalogue.late, name)
        count = self._catalogue.queue.take_back(name, now)
        taken = (
            f"{count} delivery(s) that it was sending and {instances} instance(s) that it had acknowledged went over to"
            f" the node {self._owner}"
        )
        self._catalogue.nodes.leave(name, Absent.DEAD, taken)
        text = f"the node {name} is dead: {count} delivery(s) that it was sending go on here"
        self._bus.record(Event(now, Kind.STOPPED, text))
