"""Missing nodes: the alarm about one that is dead, silent or long stopped, and its removal by a person.

A node that was stopped is not missed for a day: that is maintenance. One that gives no sign of life is missed after two
leases, and at once where its lock shows that its process has ended.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.node.nodes import Absent
from router.clock import Clock
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.review.decisions import OperatorReason
from router.upkeep.clock_watch import clock_of

_SILENT = 2  # leases
STOPPED_FOR = timedelta(days=1)


class AbsenceWatch:
    """Alarms about missing nodes. The holder of the duty calls `look` as often as it gives a sign of life."""

    def __init__(self, catalogue: Catalogue, lease: timedelta, bus: EventBus, clock: Clock) -> None:
        self._catalogue = catalogue
        self._lease = lease
        self._bus = bus
        self._clock = clock

    def look(self) -> None:
        """Raise the alarm about every missing node, and end the alarm about every other one."""
        missed, alarms = dict(self._missed()), self._catalogue.alarms
        active = alarms.subjects(Alarm.NODE_SILENT)
        for name, text in missed.items():
            subject = subject_of(name)
            if subject in active:
                alarms.reword(Alarm.NODE_SILENT, subject, text)
            else:
                self._record(Kind.ALARM, subject, text)
        for subject in sorted(active - {subject_of(name) for name in missed}):
            name = subject.removeprefix(subject_of(""))
            self._record(Kind.CLEARED, subject, f"the node {name} is back")

    def _missed(self) -> Iterator[tuple[str, str]]:
        for name in self._catalogue.nodes.late(self._lease * _SILENT):
            text = (
                f"the node {name} gives no sign of life, and its process may still run; what it was sending goes on"
                " at the other nodes as its leases end"
            )
            yield name, text
        for one in self._catalogue.nodes.absent():
            if one.how == Absent.DEAD:
                yield one.node, f"the node {one.node} is dead: {one.taken}"
            elif one.ago >= STOPPED_FOR:
                yield one.node, f"the node {one.node} was stopped more than a day ago and has not come back"

    def _record(self, kind: Kind, subject: str, text: str) -> None:
        self._bus.record(Event(self._clock.now(), kind, text, alarm=Alarm.NODE_SILENT, subject=subject))


def subject_of(name: str) -> str:
    """The subject of the alarm about a node."""
    return f"node {name}"


def audit_of(node: str) -> str:
    """The subject of the alarm about a node's audit trail."""
    return f"audit of {node}"


def forget(catalogue: Catalogue, bus: EventBus, now: datetime, lease: timedelta, name: str, by: OperatorReason) -> None:
    """Remove a node that will not come back and end its alarms. InvalidData for one that lives, or that is unknown."""
    nodes = catalogue.nodes
    with catalogue.engine.write():
        known = nodes.known()
        if name in known - nodes.late(lease):
            raise InvalidData(f"the node {name} lives: it gives signs of life", hint="stop it first")
        if name not in known | {one.node for one in nodes.absent()}:
            raise InvalidData(f"no node is called {name}", hint="`scripts/status` names the nodes")
        nodes.forget(name)
        bus.record(Event(now, Kind.DECIDED, f"the node {name} was removed: {by.why}", who=by.who))
        about = {Alarm.NODE_SILENT: subject_of(name), Alarm.CLOCK: clock_of(name), Alarm.AUDIT: audit_of(name)}
        for alarm, subject in about.items():
            bus.record(Event(now, Kind.CLEARED, f"the node {name} was removed", alarm=alarm, subject=subject))
