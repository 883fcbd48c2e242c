"""What must hold: while things happen, after each step, and at the end. It reads rows by SQL of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router.alarms import Alarm
from router.catalogue.queue.late import LateAnswer, LateReceipt
from router.catalogue.queue.queue import STOPPED, Delivery
from router.delivery.breaker_gate import Route
from router.events import Event, Kind
from router.model import Channel
from router.policy.states import CLOSED, PENDING, State
from simulation.far_ends import FarEnd, Weather
from simulation.hospital import BEIJING, SimExam

if TYPE_CHECKING:
    from simulation.node import SimNode
    from simulation.world import Frame, World

SECOND, MINUTE, HOUR = 10**6, 60 * 10**6, 3600 * 10**6
BUDGET = {Channel.REPORT: HOUR, Channel.IMAGES: 6 * HOUR}
KEPT, UNMATCHED = 48 * HOUR, 192 * HOUR
LONGEST_PAUSE, UNPROVED = 5 * MINUTE, HOUR
_LOOKED = 2 * SECOND  # a sender looks once a second, at a pause that it knows for a second
_LONGEST_WAIT = 60.0  # seconds for which a limit may hold an instance back, with two nodes and two lanes each
_DELIVERIES = (
    "SELECT id, exam_id, destination, channel, state, waiting_for, legal_due, due, next_try, lease, lease_owner,"
    " lease_until, delivered, held_by, changed FROM delivery ORDER BY id"
)
_COLUMNS = (
    "id", "exam", "destination", "channel", "state", "waiting_for", "legal_due", "due", "next_try", "lease",
    "lease_owner", "lease_until", "delivered", "held_by", "changed",
)  # fmt: skip
_EVENTS = "SELECT id, at, delivery, text FROM event WHERE kind = 'moved' AND id > {} ORDER BY id"
_LEDGER = (
    "SELECT l.destination, l.state, l.status, l.at, i.series_uid, i.sop_uid, s.uid FROM ledger l"
    " JOIN instance i ON i.id = l.instance_id JOIN study s ON s.id = i.study_id"
)


@dataclass(frozen=True, slots=True)
class Breach:
    """What did not hold, by its name, and about what."""

    name: str
    about: str


@dataclass
class Watch:
    """Of one world. `found` is the first breach; `seen` the last move that was looked at."""

    world: "World"
    found: Breach | None = None
    seen: int = 0

    def __post_init__(self) -> None:
        self._holders: dict[int, Frame] = {}
        self._chains: dict[int, str] = {}
        self._lost_at: dict[int, int] = {}
        self._deferred_at: dict[int, int] = {}
        self._exams: dict[int, str] = {}
        self._probe_began: dict[int, int] = {}
        self._purged: set[str] = set()
        self._done_at: dict[int, int] = {}

    def breach(self, name: str, about: object) -> None:
        """Note the first."""
        if self.found is None:
            self.found = Breach(name, str(about))

    # -- rows

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.world.desk.engine.execute(sql, [])

    def deliveries(self) -> list[dict[str, Any]]:
        return [dict(zip(_COLUMNS, row, strict=True)) for row in self.rows(_DELIVERIES)]

    def exam_of(self, number: int) -> SimExam:
        if number not in self._exams:
            self._exams = dict(self.rows("SELECT id, exam_id FROM exam"))
        return self.world.hospital.by_id(self._exams[number])

    def instants(self) -> Iterator[int]:
        """Instants at which something becomes due, to be met exactly."""
        for one in self.deliveries():
            if one["due"] is not None:
                budget = BUDGET[one["channel"]]
                yield from (one["due"], one["due"] - budget // 2, one["due"] - budget // 5)
            if one["next_try"] is not None:
                yield one["next_try"]
            if one["state"] in CLOSED:
                yield one["changed"] + KEPT
        for sql in ("SELECT check_at FROM exam", "SELECT probe_at FROM breaker"):
            yield from (at for (at,) in self.rows(sql) if at is not None)
        yield from (at + UNMATCHED for (at,) in self.rows("SELECT last_received FROM study WHERE purged IS NULL"))

    def work(self) -> list[str]:
        """Kinds of calls that have something to do now."""
        due = self.rows(f"SELECT id FROM exam WHERE check_at <= {self.world.clock.stamp}")
        ready = {*self.rows("SELECT destination, channel FROM delivery WHERE state = 'ready'")}
        places = {"reports": ("cloud", "report"), "images": ("cloud", "images"), "region": ("region", "images")}
        return (["correlate"] if due else []) + [kind for kind, place in places.items() if place in ready]

    # -- while things happen

    def heard(self, node: "SimNode | None", event: Event) -> None:
        """An event, within its transaction; `node` records it, or a command."""
        if event.alarm in (Alarm.DEFECT, Alarm.INTEGRITY) and event.kind is Kind.ALARM:
            self.breach("a part fails", event.text)
        if event.kind is not Kind.MOVED or event.delivery is None:
            return
        start, to = _move(event.text)
        if to == State.SENDING and node is not None:
            self._claimed(node, event)
        elif start == State.SENDING:
            self._ended(node, event, to)

    def _claimed(self, node: "SimNode", event: Event) -> None:
        frame, run = self.world.stack[-1], node.catalogue.engine.execute
        assert event.delivery is not None
        self._holders[event.delivery] = frame
        place, channel = event.fields["destination"], event.fields["channel"]
        if run(f"SELECT since FROM pause WHERE until IS NULL AND destination IN ('', '{place}')", []):
            self.breach("a paused route sends nothing", f"{node.name} claims d{event.delivery}: {event.text}")
        if frame.disturbed:
            return
        here = f"destination = '{place}' AND channel = '{channel}'"
        ((going,),) = run(f"SELECT COUNT(*) FROM delivery WHERE state = 'sending' AND {here}", [])
        for position, width in run(f"SELECT position, width FROM breaker WHERE {here}", []):
            if position == "open" or going > width:
                self.breach("a breaker lets through no more than it says", f"{position} {width}, {going} under way")
        ((due,),) = run(f"SELECT due FROM delivery WHERE id = {event.delivery}", [])
        if due is not None and due > self.world.clock.stamp:
            between = f"due > {self.world.clock.stamp} AND due < {due}"
            if run(f"SELECT id FROM delivery WHERE state = 'ready' AND {here} AND {between}", []):
                self.breach("what is due first goes first", f"d{event.delivery}")

    def _ended(self, node: "SimNode | None", event: Event, to: str) -> None:
        assert event.delivery is not None
        holder = self._holders.get(event.delivery)
        self._lost_at[event.delivery] = self.world.clock.stamp
        if holder is None or to in (State.HELD, State.CANCELLED):
            return
        if to == State.DELIVERED and node is not None and holder.kind == "reports":
            exam_id = self.exam_of(event.exam or 0).exam_id
            has = [one.version for one in self.world.ends["reports"].taken if one.exam == exam_id]
            if max(has, default=0) < node.counted.get(event.delivery, 0):
                self.breach(
                    "a version gives way to the next", f"{exam_id}: {has}, {node.counted[event.delivery]} counted"
                )
        if to == State.DELIVERED and node is not None and holder.kind in ("images", "region"):
            here = (
                f"l.destination = '{event.fields['destination']}' AND s.uid = '{self.exam_of(event.exam or 0).study}'"
            )
            before = f"{_LEDGER} WHERE l.state = 'selected' AND l.at < {holder.began} AND {here}"
            if node.catalogue.engine.execute(before, []):
                self.breach("what is delivered is whole", f"d{event.delivery}")
        if event.text.endswith(STOPPED):
            if holder in self.world.stack and holder.node.well and not holder.excused:
                self.breach("the lease of a node that works does not end", f"{holder.node.name} d{event.delivery}")
        elif holder is not self.world.stack[-1] and not (node is holder.node and self.world.stack[-1].kind == "other"):
            self.breach("only who holds a delivery ends it", f"{node.name if node else 'a command'}: {event.text}")

    def judges(self, node: "SimNode", delivery: Delivery) -> None:
        """The node finds nothing against the delivery."""
        exam = self.exam_of(delivery.exam)
        if exam.approved is None:
            self.breach("nothing goes before approval", f"d{delivery.id}")
        node.judged[delivery.id] = node.counted[delivery.id] = exam.version

    def begins(self, node: "SimNode", end: FarEnd) -> None:
        """A batch of images begins."""
        if node.judged.pop(node.sending[-1].id, None) is None:
            self.breach("nothing goes that nobody has judged", f"d{node.sending[-1].id} to {end.name}")

    def sends_image(self, node: "SimNode", end: FarEnd, name: str, file: Path) -> None:
        """Just asked whether to stop, the node goes on with this."""
        delivery, now = node.sending[-1], self.world.clock.stamp
        if not self._holds(delivery) and now - self._lost_at.get(delivery.id, now) > SECOND:
            self.breach("at most one node sends a delivery", f"{node.name} has lost d{delivery.id}")
        sop = name.rpartition("/")[2].removesuffix(".dcm")
        for destination, state, _, at, _, uid, _ in self.rows(f"{_LEDGER} WHERE i.sop_uid = '{sop}'"):
            if (destination, state, uid) == (end.name, "sent", sop) and now - at > SECOND:
                self.breach("what is confirmed is not sent again", f"{name} to {end.name} by {node.name}")
        if (end.name, sop) in self._kept(node):
            self.breach("what is confirmed is not sent again", f"{name} is still to be written down")
        if not file.exists():
            self.breach("nothing is removed that is still to be sent", name)
        since = [at for (at,) in self.rows(_pauses(end.name)) if now - at > _LOOKED]
        if since:
            self.breach("a paused route sends nothing", f"{node.name}, {name} to {end.name}")

    def sends_report(self, node: "SimNode", end: FarEnd, idem: str, exam: str, version: int) -> None:
        """The node uploads this."""
        delivery = node.sending[-1]
        judged = node.judged.pop(delivery.id, None)
        if judged is None:
            self.breach("nothing goes that nobody has judged", f"d{delivery.id} to {end.name}")
        elif version < judged:
            self.breach("a version gives way to the next", f"{exam}: {version} goes, {judged} has come")
        confirmed = self.rows(f"SELECT id FROM upload WHERE idem = '{idem}' AND confirmed IS NOT NULL")
        if self._holds(delivery) and (confirmed or (end.name, idem) in self._kept(node)):
            self.breach("what is confirmed is not sent again", f"{exam} version {version} by {node.name}")

    def took(self, node: "SimNode", end: FarEnd) -> None:
        """The destination has it, and the node does not know yet."""
        self.world.stack[-1].taken.append((end, end.taken[-1].name))

    def answered(self, node: "SimNode", end: FarEnd, name: str, stored: bool) -> None:
        """The node knows."""
        if stored:
            self.world.stack[-1].answered.append((end, name))

    def probed(self, end: FarEnd) -> None:
        """Somebody asks whether the destination is there."""
        now = self.world.clock.stamp
        if end.probing > 1 and now - self._probe_began[id(end)] < MINUTE:
            self.breach("of several nodes one asks", end.name)
        self._probe_began[id(end)] = now

    def ran(self, node: "SimNode", end: FarEnd, route: Route, before: int) -> None:
        """A route's step has ended in order."""
        if end.answered > before and end.weather is not Weather.DOWN and not self.world.stack[-1].disturbed:
            here = f"destination = '{route.destination}' AND channel = '{route.channel}'"
            if self.rows(f"SELECT since FROM breaker WHERE position = 'open' AND {here}"):
                self.breach("a breaker is half-open once the destination answers", f"{route.channel} to {end.name}")

    def sleeps(self, node: "SimNode", seconds: float) -> None:
        """A limit holds something back."""
        if not 13 <= self.world.clock.now().astimezone(BEIJING).hour < 15:
            self.breach("a limit ends with its window", f"{node.name} waits {seconds:.1f} s")
        if seconds > _LONGEST_WAIT:
            self.breach("a limit holds nothing back for longer than it takes", f"{node.name} waits {seconds:.1f} s")
            return
        self.world.advance(round(seconds * SECOND))

    def ended(self, frame: "Frame", *, crashed: bool) -> None:
        """A call has ended, in order or with its node."""
        from simulation.world import BATCH

        known = {(end.name, name) for end, name in frame.taken if self._is_written(frame.node, end, name)}
        if crashed and len({(end.name, name) for end, name in frame.taken} - known) > BATCH:
            self.breach("a crash sends no more again than a batch", frame.node.name)
        if not crashed:
            for end, name in frame.answered:
                if not self._is_written(frame.node, end, name):
                    self.breach("no answer is lost", f"{frame.node.name}, {name} to {end.name}")

    def _is_written(self, node: "SimNode", end: FarEnd, name: str) -> bool:
        if "/" not in name:
            known = self.rows(f"SELECT id FROM upload WHERE idem = '{name}' AND confirmed IS NOT NULL")
        else:
            sop = name.rpartition("/")[2].removesuffix(".dcm")
            mine = f"i.sop_uid = '{sop}' AND l.state = 'sent' AND l.destination = '{end.name}'"
            known = self.rows(f"{_LEDGER} WHERE {mine}")
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
        rows = self.rows(f"SELECT state, lease FROM delivery WHERE id = {delivery.id}")
        return rows == [(State.SENDING, delivery.lease)]

    def ticked(self) -> None:
        """Every node that is well has kept its leases."""
        now = self.world.clock.stamp
        if not any(node.well for node in self.world.nodes):
            return
        for one in self.deliveries():
            if one["state"] == State.DEFERRED and one["next_try"] is not None and one["next_try"] <= now:
                self.breach("what is deferred is tried at its time", f"d{one['id']}")
            if one["state"] == State.SENDING and one["lease_until"] is not None and one["lease_until"] < now:
                self.breach("a lease that has ended is taken back", f"d{one['id']} of {one['lease_owner']}")

    # -- after each step

    def check(self) -> None:
        """What holds between two steps."""
        rows = self.deliveries()
        self._agree(rows)
        for one in rows:
            self._goes_on(one)
        self._due_times(rows)
        taken = {end.name: end.names for end in self.world.ends.values() if end is not self.world.ends["reports"]}
        for destination, state, status, _, series, sop, study in self.rows(_LEDGER):
            name = f"{study}/{series}/{sop}.dcm"
            if state == "sent" and name not in taken[destination]:
                self.breach("nothing counts as sent that nobody took", f"{name} to {destination}")
            if state == "refused" and status == 0x0111:
                self.breach("what the destination has is not refused", f"{name} to {destination}")
        for (idem,) in self.rows("SELECT idem FROM upload WHERE confirmed IS NOT NULL"):
            if idem not in self.world.ends["reports"].names:
                self.breach("nothing counts as sent that nobody took", idem)
        for position, width, probe_at in self.rows("SELECT position, width, probe_at FROM breaker"):
            stands = probe_at is None if position == "open" else width < 1
            if stands or (probe_at is not None and probe_at > self.world.clock.stamp + MINUTE):
                self.breach("a breaker asks again", f"{position} {width} {probe_at}")

    def _agree(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Events and rows."""
        for number, at, delivery, text in self.rows(_EVENTS.format(self.seen)):
            self.seen = number
            start, to = _move(text)
            if self._chains.get(delivery, State.WAITING) != start:
                self.breach("events agree with the rows", f"d{delivery} was {self._chains.get(delivery)}: {text}")
            self._chains[delivery] = to
            self._done_at[delivery] = at
            if to == State.DEFERRED:
                self._deferred_at[delivery] = at
        for one in rows:
            if self._chains.get(one["id"], State.WAITING) != one["state"]:
                self.breach("events agree with the rows", f"d{one['id']} is {one['state']}")

    def _goes_on(self, one: Mapping[str, Any]) -> None:
        """Nothing stands still for ever."""
        name, state = f"d{one['id']} is {one['state']}", one["state"]
        if state == State.DEFERRED:
            longest = UNPROVED if one["channel"] == Channel.REPORT else LONGEST_PAUSE
            since = self._deferred_at.get(one["id"], 0)
            if one["next_try"] is None:
                self.breach("a retry has its time", name)
            elif one["next_try"] > since + longest or one["next_try"] < since:
                self.breach("a retry has its time", f"{name}, after {(one['next_try'] - since) / SECOND} s")
        if state == State.SENDING and (not one["lease_owner"] or one["lease_until"] is None):
            self.breach("what is being sent is under a lease", name)
        if state == State.HELD and not one["held_by"]:
            self.breach("what is held says why", name)
        if state == State.WAITING and not one["waiting_for"] and not self._looked_at_again(one["exam"]):
            self.breach("what waits has something to wait for", name)
        if state == State.DELIVERED:
            self._is_delivered(one)

    def _looked_at_again(self, exam: int) -> bool:
        return self.rows(f"SELECT check_at FROM exam WHERE id = {exam}") != [(None,)]

    def _is_delivered(self, one: Mapping[str, Any]) -> None:
        if one["channel"] == Channel.IMAGES and not self._looked_at_again(one["exam"]):
            left = f"{_LEDGER} WHERE l.state = 'selected' AND l.destination = '{one['destination']}'"
            if self.rows(f"{left} AND s.uid = '{self.exam_of(one['exam']).study}'"):
                self.breach("what is delivered is whole", f"d{one['id']}")

    def _due_times(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Legal due times are the approval's, of what is evaluated."""
        checks = dict(self.rows("SELECT id, check_at FROM exam"))
        now = self.world.clock.stamp
        for one in rows:
            exam = self.exam_of(one["exam"])
            settled = checks[one["exam"]] is None or checks[one["exam"]] > now
            if not settled or one["state"] not in (State.WAITING, State.READY, State.DEFERRED) or not exam.approved:
                continue
            legal = int(exam.approved.timestamp()) * SECOND + BUDGET[one["channel"]]
            if one["legal_due"] != legal:
                self.breach("due times are the approval's", f"d{one['id']}: {one['legal_due']} for {legal}")
            elif one["due"] < legal or (not one["delivered"] and one["due"] != legal):
                self.breach("due times are the approval's", f"d{one['id']}: {one['due']} for {legal}")

    def looked_out(self, node: "SimNode") -> None:
        """The monitor of due times has just looked, with nothing in between."""
        if self.world.stack[-1].disturbed:
            return
        now = self.world.clock.stamp
        standing = set(self.rows("SELECT alarm, delivery FROM open_alarm WHERE delivery IS NOT NULL"))
        failed = {place for (place,) in self.rows("SELECT destination FROM open_alarm WHERE alarm = 'failed'")}
        for one in self.deliveries():
            if one["state"] in PENDING and one["due"] is not None:
                self._alarms_of(one, standing, now)
            elif any((alarm, one["id"]) in standing for alarm in _TIMES):
                self.breach("alarms of due times are right", f"d{one['id']} is {one['state']}")
            if one["state"] == State.FAILED and one["destination"] not in failed:
                self.breach("what failed is a person's", f"d{one['id']}")
        paused = {subject for (subject,) in self.rows("SELECT subject FROM open_alarm WHERE alarm = 'paused'")}
        if len(paused) != len(self.rows("SELECT since FROM pause WHERE until IS NULL")):
            self.breach("a pause has its alarm", paused)

    def _alarms_of(self, one: Mapping[str, Any], standing: set[tuple[Any, ...]], now: int) -> None:
        due, budget = one["due"], BUDGET[one["channel"]]
        has = {alarm: (alarm, one["id"]) in standing for alarm in _TIMES}
        wrong = has[Alarm.MISSED] != (now >= due)
        wrong |= due - budget // 5 <= now < due and not has[Alarm.AT_RISK]
        wrong |= due - budget // 2 <= now < due - budget // 5 and not (has[Alarm.HALF_TIME] or has[Alarm.AT_RISK])
        wrong |= has[Alarm.HALF_TIME] and now < due - budget // 2
        if wrong:
            self.breach("alarms of due times are right", f"d{one['id']}, {(due - now) / SECOND} s left")

    def retained(self) -> None:
        """Files have been removed, perhaps."""
        for number, exam in self._by_study():
            gone = {name for name in exam.names() if not (self.world.data / "studies" / name).exists()} - self._purged
            self._purged |= gone
            if gone:
                self._may_go(number, exam, gone)
            if gone and number not in {
                one["exam"] for one in self.deliveries()
            }:  # nobody knows of them any more: they come again as new ones
                exam.images = [one for one in exam.images if exam.name(one) not in gone]
                self._purged -= gone

    def _by_study(self) -> Iterator[tuple[int | None, SimExam]]:
        numbers = {exam_id: number for number, exam_id in self.rows("SELECT id, exam_id FROM exam")}
        for exam in self.world.hospital.exams:
            yield numbers.get(exam.exam_id), exam

    def _may_go(self, number: int | None, exam: SimExam, gone: set[str]) -> None:
        now, short = self.world.clock.stamp, self.world.free < 2**31
        mine = [one for one in self.deliveries() if one["exam"] == number]
        least = (HOUR if short else KEPT) if mine else (UNMATCHED // 4 if short else UNMATCHED)
        since = [exam.last_received, *(self._done_at.get(one["id"], 0) for one in mine)]
        if now - max(since) <= least - SECOND:
            self.breach("nothing is removed before its time", f"{exam.study} after {(now - max(since)) / HOUR} h")
        for one in mine:
            has = next(
                e for e in self.world.ends.values() if e.name == one["destination"] and _is_images(e, self.world)
            )
            if one["state"] not in CLOSED or (one["state"] == State.DELIVERED and gone - has.names):
                self.breach("nothing is removed that is not confirmed", f"{exam.study}, d{one['id']} is {one['state']}")

    # -- at the end

    def all_delivered(self) -> bool:
        rows = self.deliveries()
        return all(one["state"] == State.DELIVERED for one in rows) and len(rows) == 3 * len(self.world.hospital.exams)

    def at_end(self) -> None:
        """Everything was well for long enough."""
        if not self.all_delivered():
            left = [f"d{one['id']} {one['state']} {one['waiting_for']}" for one in self.deliveries()
                    if one["state"] != State.DELIVERED]  # fmt: skip
            self.breach("each exam is delivered when the faults stop", "; ".join(left))
        for exam in self.world.hospital.exams:
            last = [one.version for one in self.world.ends["reports"].taken if one.exam == exam.exam_id]
            if max(last, default=0) != exam.version:
                self.breach("the last version is delivered", f"{exam.exam_id}: {last} of {exam.version}")
            for kind in ("images", "region"):
                if lacks := exam.names() - self.world.ends[kind].names:
                    self.breach("every image is delivered", f"{sorted(lacks)} to {kind}")


_TIMES = (Alarm.HALF_TIME, Alarm.AT_RISK, Alarm.MISSED)


def _is_images(end: FarEnd, world: "World") -> bool:
    return end is not world.ends["reports"]


def _pauses(place: str) -> str:
    return f"SELECT since FROM pause WHERE until IS NULL AND destination IN ('', '{place}')"


def _move(text: str) -> tuple[str, str]:
    start, _, rest = text.partition(" -> ")
    return start, rest.partition(":")[0]
