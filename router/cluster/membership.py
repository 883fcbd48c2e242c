"""Membership of a node among others: its sign of life, the duties that it holds, the takeover from dead nodes.

A node is dead when the database has not heard of it for a lease and its lock is free. A database that does not answer,
or a lock that got lost, is not enough by itself: nobody takes anything from a node that works.
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
    """One node among the others. Its own thread calls `beat` every `pause`; work of one node at a time asks `has`."""

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
        """Whether this node holds the duty, with time left."""
        return self._clock.monotonic() < self._until[duty]

    def fence(self, duty: str) -> None:
        """Within a transaction: DutyLost unless this node holds the duty until its end."""
        self._catalogue.nodes.fence(duty, self._owner)

    def beat(self) -> int:
        """Give a sign of life, keep our duties, take free ones, take over from dead nodes; the instances taken."""
        self._catalogue.nodes.beat(self._owner)
        for duty in DUTIES:
            asked = self._clock.monotonic()
            if self._catalogue.nodes.hold(duty, self._owner, self._lease):
                self._until[duty] = asked + self._lease.total_seconds() - self.pause
        return self._take_over()

    def leave(self) -> None:
        """Give the duties back, so that others need not wait for a lease to end."""
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
