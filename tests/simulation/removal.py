"""What must hold when retention has removed files."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from router.model import Channel
from router.policy.states import CLOSED, State
from simulation.facts import HOUR, KEPT, SECOND, UNMATCHED
from simulation.hospital import SimExam

if TYPE_CHECKING:
    from simulation.watch import Watch


class RemovalWatch:
    """Looks at the files after each retention."""

    def __init__(self, watch: "Watch") -> None:
        self._breach, self._watch, self._world, self._facts = watch.breach, watch, watch.world, watch.facts
        self._purged: set[str] = set()

    def retained(self) -> None:
        """Files have been removed, perhaps."""
        for number, exam in self._by_study():
            gone = {name for name in exam.names() if not (self._world.data / "studies" / name).exists()} - self._purged
            self._purged |= gone
            if gone:
                self._may_go(number, exam, gone)
            if gone and number not in {
                one["exam"] for one in self._facts.deliveries()
            }:  # nobody knows of them any more: they come again as new ones
                exam.images = [one for one in exam.images if exam.name(one) not in gone]
                self._purged -= gone

    def came_again(self, name: str) -> None:
        """An image that was removed has a file again."""
        self._purged.discard(name)

    def _by_study(self) -> Iterator[tuple[int | None, SimExam]]:
        numbers = {exam_id: number for number, exam_id in self._facts.rows("SELECT id, exam_id FROM exam")}
        for exam in self._world.hospital.exams:
            yield numbers.get(exam.exam_id), exam

    def _may_go(self, number: int | None, exam: SimExam, gone: set[str]) -> None:
        now, short = self._world.clock.stamp, self._world.free < 2**31
        mine = [one for one in self._facts.deliveries() if one["exam"] == number]
        least = (HOUR if short else KEPT) if mine else (UNMATCHED // 4 if short else UNMATCHED)
        since = [exam.last_received, *(self._watch.standing.done_at.get(one["id"], 0) for one in mine)]
        if now - max(since) <= least - SECOND:
            self._breach("nothing is removed before its time", f"{exam.study} after {(now - max(since)) / HOUR} h")
        for one in mine:
            has = next(
                e
                for e in self._world.ends.values()
                if e.name == one["destination"] and e is not self._world.ends["reports"]
            )
            images = one["channel"] == Channel.IMAGES
            if one["state"] not in CLOSED or (images and one["state"] == State.DELIVERED and gone - has.names):
                self._breach(
                    "nothing is removed that is not confirmed", f"{exam.study}, d{one['id']} is {one['state']}"
                )
