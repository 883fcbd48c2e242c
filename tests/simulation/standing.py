"""What must hold between two steps, and whenever time has gone by: rows, events, due times, alarms."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from router.alarms import Alarm
from router.model import Channel
from router.policy.states import PENDING, State
from simulation.facts import BUDGET, EVENTS, HOUR, LEDGER, MINUTE, SECOND, move_of

if TYPE_CHECKING:
    from simulation.node import SimNode
    from simulation.watch import Watch

LONGEST_PAUSE, UNPROVED = 5 * MINUTE, HOUR
_TIMES = (Alarm.HALF_TIME, Alarm.AT_RISK, Alarm.MISSED)


class StandingWatch:
    """`seen` is the last move that was looked at; `done_at` has when each delivery moved last."""

    def __init__(self, watch: "Watch") -> None:
        self._breach, self._world, self._facts = watch.breach, watch.world, watch.facts
        self.seen = 0
        self.done_at: dict[int, int] = {}
        self._chains: dict[int, str] = {}
        self._deferred_at: dict[int, int] = {}

    def ticked(self) -> None:
        """Every node that is well has kept its leases."""
        now = self._world.clock.stamp
        if not any(node.well for node in self._world.nodes):
            return
        for one in self._facts.deliveries():
            if one["state"] == State.DEFERRED and one["next_try"] is not None and one["next_try"] <= now:
                self._breach("what is deferred is tried at its time", f"d{one['id']}")
            if one["state"] == State.SENDING and one["lease_until"] is not None and one["lease_until"] < now:
                self._breach("a lease that has ended is taken back", f"d{one['id']} of {one['lease_owner']}")

    def check(self) -> None:
        """What holds between two steps."""
        rows = self._facts.deliveries()
        self._agree(rows)
        self._frozen()
        for one in rows:
            self._goes_on(one)
        self._due_times(rows)
        taken = {end.name: end.names for end in self._world.ends.values() if end is not self._world.ends["reports"]}
        for destination, state, status, _, series, sop, study in self._facts.rows(LEDGER):
            name = f"{study}/{series}/{sop}.dcm"
            if state == "sent" and name not in taken[destination]:
                self._breach("nothing counts as sent that nobody took", f"{name} to {destination}")
            if state == "refused" and status == 0x0111:
                self._breach("what the destination has is not refused", f"{name} to {destination}")
        for (idem,) in self._facts.rows("SELECT idem FROM upload WHERE confirmed IS NOT NULL"):
            if idem not in self._world.ends["reports"].names:
                self._breach("nothing counts as sent that nobody took", idem)
        for position, width, probe_at in self._facts.rows("SELECT position, width, probe_at FROM breaker"):
            stands = probe_at is None if position == "open" else width < 1
            if stands or (probe_at is not None and probe_at > self._world.clock.stamp + MINUTE):
                self._breach("a breaker asks again", f"{position} {width} {probe_at}")

    def _frozen(self) -> None:
        for place, checksum in self._facts.rows("SELECT exam_place, exam_checksum FROM upload"):
            file = self._world.data / place
            if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() != checksum:
                self._breach("what was frozen stays as it was", place)

    def _agree(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Events and rows."""
        for number, at, delivery, text in self._facts.rows(EVENTS.format(self.seen)):
            self.seen = number
            start, to = move_of(text)
            if self._chains.get(delivery, State.WAITING) != start:
                self._breach("events agree with the rows", f"d{delivery} was {self._chains.get(delivery)}: {text}")
            self._chains[delivery] = to
            self.done_at[delivery] = at
            if to == State.DEFERRED:
                self._deferred_at[delivery] = at
        for one in rows:
            if self._chains.get(one["id"], State.WAITING) != one["state"]:
                self._breach("events agree with the rows", f"d{one['id']} is {one['state']}")

    def _goes_on(self, one: Mapping[str, Any]) -> None:
        """Nothing stands still for ever."""
        name, state = f"d{one['id']} is {one['state']}", one["state"]
        if state == State.DEFERRED:
            longest = UNPROVED if one["channel"] == Channel.REPORT else LONGEST_PAUSE
            since = self._deferred_at.get(one["id"], 0)
            if one["next_try"] is None:
                self._breach("a retry has its time", name)
            elif one["next_try"] > since + longest:
                self._breach("a retry has its time", f"{name}, after {(one['next_try'] - since) / SECOND} s")
        if state == State.SENDING and (not one["lease_owner"] or one["lease_until"] is None):
            self._breach("what is being sent is under a lease", name)
        if state == State.HELD and not one["held_by"]:
            self._breach("what is held says why", name)
        if state == State.WAITING and not one["waiting_for"] and not self._looked_at_again(one["exam"]):
            self._breach("what waits has something to wait for", name)
        if state == State.DELIVERED:
            self._is_delivered(one)

    def _looked_at_again(self, exam: int) -> bool:
        return self._facts.rows(f"SELECT check_at FROM exam WHERE id = {exam}") != [(None,)]

    def _is_delivered(self, one: Mapping[str, Any]) -> None:
        if one["channel"] == Channel.IMAGES and not self._looked_at_again(one["exam"]):
            left = f"{LEDGER} WHERE l.state = 'selected' AND l.destination = '{one['destination']}'"
            if self._facts.rows(f"{left} AND s.uid = '{self._facts.exam_of(one['exam']).study}'"):
                self._breach("what is delivered is whole", f"d{one['id']}")

    def _due_times(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Legal due times are the approval's, of what is evaluated."""
        checks = dict(self._facts.rows("SELECT id, check_at FROM exam"))
        now = self._world.clock.stamp
        for one in rows:
            exam = self._facts.exam_of(one["exam"])
            settled = checks[one["exam"]] is None or checks[one["exam"]] > now
            if not settled or one["state"] not in (State.WAITING, State.READY, State.DEFERRED) or not exam.approved:
                continue
            legal = int(exam.approved.timestamp()) * SECOND + BUDGET[one["channel"]]
            if one["legal_due"] != legal:
                self._breach("due times are the approval's", f"d{one['id']}: {one['legal_due']} for {legal}")
            elif one["due"] < legal or (not one["delivered"] and one["due"] != legal):
                self._breach("due times are the approval's", f"d{one['id']}: {one['due']} for {legal}")

    def looked_out(self, node: "SimNode") -> None:
        """The monitor of due times has just looked, with nothing in between."""
        if self._world.stack[-1].disturbed:
            return
        now = self._world.clock.stamp
        standing = set(self._facts.rows("SELECT alarm, delivery FROM open_alarm WHERE delivery IS NOT NULL"))
        failed = {place for (place,) in self._facts.rows("SELECT destination FROM open_alarm WHERE alarm = 'failed'")}
        for one in self._facts.deliveries():
            if one["state"] in PENDING and one["due"] is not None:
                self._alarms_of(one, standing, now)
            elif any((alarm, one["id"]) in standing for alarm in _TIMES):
                self._breach("alarms of due times are right", f"d{one['id']} is {one['state']}")
            if one["state"] == State.FAILED and one["destination"] not in failed:
                self._breach("what failed is a person's", f"d{one['id']}")
        paused = {subject for (subject,) in self._facts.rows("SELECT subject FROM open_alarm WHERE alarm = 'paused'")}
        if len(paused) != len(self._facts.rows("SELECT since FROM pause WHERE until IS NULL")):
            self._breach("a pause has its alarm", paused)

    def _alarms_of(self, one: Mapping[str, Any], standing: set[tuple[Any, ...]], now: int) -> None:
        due, budget = one["due"], BUDGET[one["channel"]]
        has = {alarm: (alarm, one["id"]) in standing for alarm in _TIMES}
        wrong = has[Alarm.MISSED] != (now >= due)
        wrong |= due - budget // 5 <= now < due and not has[Alarm.AT_RISK]
        wrong |= due - budget // 2 <= now < due - budget // 5 and not (has[Alarm.HALF_TIME] or has[Alarm.AT_RISK])
        wrong |= has[Alarm.HALF_TIME] and now < due - budget // 2
        if wrong:
            self._breach("alarms of due times are right", f"d{one['id']}, {(due - now) / SECOND} s left")
