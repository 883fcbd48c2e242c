"""Images that come again after retention removed their files: those that somebody may still have to get are taken."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from peewee import Expression, Function, Select, fn

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.images import Instance, LedgerRow, Study
from router.catalogue.db.tables.queue import Delivery
from router.catalogue.exams.evaluation import evaluate, exams_of
from router.catalogue.images.fate import Fate
from router.catalogue.images.ledger import Tally
from router.catalogue.images.tombstones import revive
from router.model import Channel
from router.policy.states import State


class Returns(Rows):
    """Versions of instances whose rows stayed when their files were removed."""

    def awaited(self, keys: Collection[int]) -> frozenset[int]:
        """Those of these instances that may still have to go: by a delivery, or since no destination has them.

        A delivery that ended as delivered has done with what it sent and with what it left out. Any other one may be
        taken up again, by a person or by new facts.
        """
        # of all hospitals: each by the exams of its own study
        asked = _asked() | (~fn.EXISTS(_deliveries()) & ~fn.EXISTS(_entries().where(_there())))
        query = Instance.select(Instance.id).join(Study)
        return frozenset(
            key
            for some in portions(list(keys))
            for key in self._engine.column(query.where(Instance.id.in_(some) & asked))
        )

    def take(self, keys: Sequence[int], received: datetime) -> None:
        """Note that their files are here again since `received`: they go where they were to go, and stay their time."""
        with self._engine.write():
            for some in portions(list(keys)):
                mine = Instance.id.in_(some)
                studies = self._engine.column(Instance.select(Instance.study).where(mine).distinct())
                here = Study.id.in_(studies)
                later = Study.update(last_received=received).where(here & (Study.last_received < received))
                waiting = LedgerRow.instance.in_(some) & LedgerRow.state.in_([Fate.GONE, Fate.DAMAGED])
                self._engine.run(later)
                self._engine.run(Instance.update(purged=None, damaged=None).where(mine))
                self._engine.run(LedgerRow.update(state=Fate.SELECTED, tries=0, reason="").where(waiting))
                evaluate(self._engine, Exam.id.in_(exams_of(Study.select(Study.uid).where(here))), received)

    def counted(self, tally: Tally, exam: int, destination: str) -> Tally:
        """The exam's tally with the instances that were removed before anything was decided about them there."""
        named = Study.uid.in_(ExamStudy.select(ExamStudy.study_uid).where(ExamStudy.exam == exam))
        studies = self._engine.column(Study.select(Study.id).where(named))
        revive(self._engine, studies)
        decided = _entries().where(LedgerRow.destination == destination)
        gone = Instance.study.in_(studies) & Instance.newest & Instance.purged.is_null(False) & ~fn.EXISTS(decided)
        missed = int(self._engine.value(Instance.select(fn.COUNT(Instance.id)).where(gone)))
        return replace(tally, selected=tally.selected + missed, gone=tally.gone + missed)


def _asked() -> Function:
    """Whether a delivery of its images is not done with the outer query's instance."""
    ended = Delivery.state == State.DELIVERED
    mine = _entries().where(LedgerRow.destination == Delivery.destination)
    done = mine.where(_there() | (ended & (LedgerRow.state == Fate.FILTERED)))
    return fn.EXISTS(_deliveries().where((~ended | Instance.newest) & ~fn.EXISTS(done)))


def _deliveries() -> Select:
    mine = (ExamStudy.study_uid == Study.uid) & (Delivery.channel == Channel.IMAGES)
    return Delivery.select(Delivery.id).join(ExamStudy, on=ExamStudy.exam == Delivery.exam).where(mine)


def _entries() -> Select:
    return LedgerRow.select(LedgerRow.id).where(LedgerRow.instance == Instance.id)


def _there() -> Expression:
    return LedgerRow.state.in_([Fate.SENT, Fate.STORED])
