"""What must hold while something is sent: of claims, leases, breakers, limits, and of each message."""

from pathlib import Path
from typing import TYPE_CHECKING

from router.alarms import Alarm
from router.catalogue.queue.late import LateAnswer, LateReceipt
from router.catalogue.queue.queue import STOPPED, Delivery
from router.delivery.breaker_gate import Route
from router.events import Event, Kind
from router.policy.states import State
from simulation.facts import LEDGER, MINUTE, SECOND, move_of
from simulation.far_ends import FarEnd, Weather
from simulation.hospital import BEIJING

if TYPE_CHECKING:
    from simulation.node import SimNode
    from simulation.watch import Watch
    from simulation.world import Frame

_LOOKED = 2 * SECOND  # a sender looks once a second, at a pause that it knows for a second
_LONGEST_WAIT = 60.0  # seconds for which a limit may hold an instance back, with two nodes and two lanes each


class SendingWatch:
    """Told by nodes and far ends what they do."""

    def __init__(self, watch: "Watch") -> None:
        self._breach, self._world, self._facts = watch.breach, watch.world, watch.facts
        self._holders: dict[int, Frame] = {}
        self._lost_at: dict[int, int] = {}
        self._probe_began: dict[int, int] = {}
        self._to_judge: set[int] = set()

    def heard(self, node: "SimNode | None", event: Event) -> None:
        """An event, within its transaction; `node` records it, or a command."""
        if event.alarm in (Alarm.DEFECT, Alarm.INTEGRITY) and event.kind is Kind.ALARM:
            self._breach("a part fails", event.text)
        if event.kind is not Kind.MOVED or event.delivery is None:
            return
        start, to = move_of(event.text)
        if to == State.SENDING and node is not None:
            self._claimed(node, event)
        elif start == State.SENDING:
            self._ended(node, event, to)

    def _claimed(self, node: "SimNode", event: Event) -> None:
        frame, run = self._world.stack[-1], node.catalogue.engine.execute
        assert event.delivery is not None
        self._holders[event.delivery] = frame
        frame.claimed = frame.points
        place, channel = event.fields["destination"], event.fields["channel"]
        if run(f"SELECT since FROM pause WHERE until IS NULL AND destination IN ('', '{place}')", []):
            self._breach("a paused route sends nothing", f"{node.name} claims d{event.delivery}: {event.text}")
        if frame.disturbed:
            return
        here = f"destination = '{place}' AND channel = '{channel}'"
        ((going,),) = run(f"SELECT COUNT(*) FROM delivery WHERE state = 'sending' AND {here}", [])
        for position, width in run(f"SELECT position, width FROM breaker WHERE {here}", []):
            if position == "open" or going > width:
                self._breach("a breaker lets through no more than it says", f"{position} {width}, {going} under way")
        ((due,),) = run(f"SELECT due FROM delivery WHERE id = {event.delivery}", [])
        if due is not None and due > self._world.clock.stamp:
            between = f"due > {self._world.clock.stamp} AND due < {due}"
            if run(f"SELECT id FROM delivery WHERE state = 'ready' AND {here} AND {between}", []):
                self._breach("what is due first goes first", f"d{event.delivery}")

    def _ended(self, node: "SimNode | None", event: Event, to: str) -> None:
        assert event.delivery is not None
        holder = self._holders.get(event.delivery)
        self._to_judge.add(event.exam or 0)
        self._lost_at[event.delivery] = self._world.clock.stamp
        if holder is None or to in (State.HELD, State.CANCELLED):
            return
        if to == State.DELIVERED and node is not None and holder.kind == "reports":
            exam_id = self._facts.exam_of(event.exam or 0).exam_id
            has = [one.version for one in self._world.ends["reports"].taken if one.exam == exam_id]
            if max(has, default=0) < node.counted.get(event.delivery, 0):
                self._breach(
                    "a version gives way to the next", f"{exam_id}: {has}, {node.counted[event.delivery]} counted"
                )
        if to == State.DELIVERED and node is not None and holder.kind in ("images", "region"):
            study = self._facts.exam_of(event.exam or 0).study
            here = f"l.destination = '{event.fields['destination']}' AND s.uid = '{study}'"
            before = f"{LEDGER} WHERE l.state = 'selected' AND l.at < {holder.began} AND {here}"
            if node.catalogue.engine.execute(before, []):
                self._breach("what is delivered is whole", f"d{event.delivery}")
        if event.text.endswith(STOPPED):
            if holder in self._world.stack and holder.node.well and not holder.excused:
                self._breach("the lease of a node that works does not end", f"{holder.node.name} d{event.delivery}")
        elif holder is not self._world.stack[-1] and not (
            node is holder.node and self._world.stack[-1].kind == "other"
        ):
            self._breach("only who holds a delivery ends it", f"{node.name if node else 'a command'}: {event.text}")

    def judges(self, node: "SimNode", delivery: Delivery) -> None:
        """The node finds nothing against the delivery."""
        exam = self._facts.exam_of(delivery.exam)
        if exam.approved is None:
            self._breach("nothing goes before approval", f"d{delivery.id}")
        node.judged[delivery.id] = node.counted[delivery.id] = exam.version

    def begins(self, node: "SimNode", end: FarEnd) -> None:
        """A batch of images begins."""
        if node.judged.pop(node.sending[-1].id, None) is None:
            self._breach("nothing goes that nobody has judged", f"d{node.sending[-1].id} to {end.name}")

    def sends_image(self, node: "SimNode", end: FarEnd, name: str, file: Path) -> None:
        """Just asked whether to stop, the node goes on with this."""
        delivery, now = node.sending[-1], self._world.clock.stamp
        if not self._holds(delivery) and now - self._lost_at.get(delivery.id, now) > SECOND:
            self._breach("at most one node sends a delivery", f"{node.name} has lost d{delivery.id}")
        sop = name.rpartition("/")[2].removesuffix(".dcm")
        for destination, state, _, at, _, uid, _ in self._facts.rows(f"{LEDGER} WHERE i.sop_uid = '{sop}'"):
            if (destination, state, uid) == (end.name, "sent", sop) and now - at > SECOND:
                self._breach("what is confirmed is not sent again", f"{name} to {end.name} by {node.name}")
        if (end.name, sop) in self._kept(node):
            self._breach("what is confirmed is not sent again", f"{name} is still to be written down")
        if not file.exists():
            self._breach("nothing is removed that is still to be sent", name)
        since = [at for (at,) in self._facts.rows(_pauses(end.name)) if now - at > _LOOKED]
        if since:
            self._breach("a paused route sends nothing", f"{node.name}, {name} to {end.name}")

    def sends_report(self, node: "SimNode", end: FarEnd, idem: str, exam: str, version: int) -> None:
        """The node uploads this."""
        delivery = node.sending[-1]
        judged = node.judged.pop(delivery.id, None)
        if judged is None:
            self._breach("nothing goes that nobody has judged", f"d{delivery.id} to {end.name}")
        elif version < judged:
            self._breach("a version gives way to the next", f"{exam}: {version} goes, {judged} has come")
        confirmed = self._facts.rows(f"SELECT id FROM upload WHERE idem = '{idem}' AND confirmed IS NOT NULL")
        if self._holds(delivery) and (confirmed or (end.name, idem) in self._kept(node)):
            self._breach("what is confirmed is not sent again", f"{exam} version {version} by {node.name}")

    def took(self, node: "SimNode", end: FarEnd) -> None:
        """The destination has it, and the node does not know yet."""
        self._world.stack[-1].taken.append((end, end.taken[-1].name))

    def answered(self, node: "SimNode", end: FarEnd, name: str, stored: bool) -> None:
        """The node knows."""
        if stored:
            self._world.stack[-1].answered.append((end, name))

    def probed(self, end: FarEnd) -> None:
        """Somebody asks whether the destination is there."""
        now = self._world.clock.stamp
        if end.probing > 1 and now - self._probe_began[id(end)] < MINUTE:
            self._breach("of several nodes one asks", end.name)
        self._probe_began[id(end)] = now

    def ran(self, node: "SimNode", end: FarEnd, route: Route, before: int) -> None:
        """A route's step has ended in order."""
        if end.answered > before and end.weather is not Weather.DOWN and not self._world.stack[-1].disturbed:
            here = f"destination = '{route.destination}' AND channel = '{route.channel}'"
            if self._facts.rows(f"SELECT since FROM breaker WHERE position = 'open' AND {here}"):
                self._breach("a breaker is half-open once the destination answers", f"{route.channel} to {end.name}")

    def sleeps(self, node: "SimNode", seconds: float) -> None:
        """A limit holds something back."""
        if not 13 <= self._world.clock.now().astimezone(BEIJING).hour < 15:
            self._breach("a limit ends with its window", f"{node.name} waits {seconds:.1f} s")
        if seconds > _LONGEST_WAIT:
            self._breach("a limit holds nothing back for longer than it takes", f"{node.name} waits {seconds:.1f} s")
            return
        self._world.advance(round(seconds * SECOND))

    def check(self) -> None:
        """What came while something was sent has changed nothing of it: its exam is evaluated once more."""
        for exam in self._to_judge:
            if self._facts.rows(f"SELECT id FROM exam WHERE id = {exam} AND check_at IS NULL"):
                self._breach("what was sent is judged again", f"e{exam}")
        self._to_judge.clear()

    def ended(self, frame: "Frame", *, crashed: bool) -> None:
        """A call has ended, in order or with its node."""
        if frame.kind == "correlate":
            self._to_judge.clear()
        from simulation.world import BATCH

        known = {(end.name, name) for end, name in frame.taken if self._is_written(frame.node, end, name)}
        if crashed and len({(end.name, name) for end, name in frame.taken} - known) > BATCH:
            self._breach("a crash sends no more again than a batch", frame.node.name)
        if not crashed:
            for end, name in frame.answered:
                if not self._is_written(frame.node, end, name):
                    self._breach("no answer is lost", f"{frame.node.name}, {name} to {end.name}")

    def _is_written(self, node: "SimNode", end: FarEnd, name: str) -> bool:
        if "/" not in name:
            known = self._facts.rows(f"SELECT id FROM upload WHERE idem = '{name}' AND confirmed IS NOT NULL")
        else:
            sop = name.rpartition("/")[2].removesuffix(".dcm")
            mine = f"i.sop_uid = '{sop}' AND l.state = 'sent' AND l.destination = '{end.name}'"
            known = self._facts.rows(f"{LEDGER} WHERE {mine}")
        key = name if "/" not in name else name.rpartition("/")[2].removesuffix(".dcm")
        return bool(known) or (end.name, key) in self._kept(node)

    def _kept(self, node: "SimNode") -> set[tuple[str, str]]:
        """Answers that the node has and the database has not."""
        found = set()
        for one in node.unwritten._kept:
            if isinstance(one, LateAnswer):
                found.add((one.destination, one.uids.sop))
            elif isinstance(one, LateReceipt):
                found.add(("cloud", one.idem))
        return found

    def _holds(self, delivery: Delivery) -> bool:
        rows = self._facts.rows(f"SELECT state, lease FROM delivery WHERE id = {delivery.id}")
        return rows == [(State.SENDING, delivery.lease)]


def _pauses(place: str) -> str:
    return f"SELECT since FROM pause WHERE until IS NULL AND destination IN ('', '{place}')"
