"""Backfills: which stand and stood, how far they have come, and the turn of their next delivery."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from peewee import Expression, Select, fn

from router.catalogue.db.engine import Engine, RecordedRows, portions
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.images import Instance, Study, Tombstone
from router.catalogue.db.tables.queue import BackfillRow as Row
from router.catalogue.db.tables.queue import BackfillTurn, Delivery
from router.events import Event, Kind
from router.policy.backfill import Backfill, standing
from router.policy.states import OPEN, State


class Stage(StrEnum):
    """Stage of an exam of a backfill, that of its delivery which is furthest back; in that order."""

    HELD = "held"
    FAILED = "failed"
    GOING = "going"
    WAITING = "waiting"
    KEPT = "kept"
    DELIVERED = "delivered"
    ASIDE = "aside"


_STAGES = tuple(Stage)
_STAGE_OF = {
    State.HELD: Stage.HELD, State.FAILED: Stage.FAILED, State.READY: Stage.GOING, State.SENDING: Stage.GOING,
    State.DEFERRED: Stage.GOING, State.WAITING: Stage.WAITING, State.NOT_SHARED: Stage.KEPT,
    State.DELIVERED: Stage.DELIVERED,
}  # fmt: skip
_RANK = "".join(f" WHEN state = '{state}' THEN {_STAGES.index(stage)}" for state, stage in _STAGE_OF.items())
# Exams approved in a span, by stage; those of the hospital, or of all where none is given.
_COUNT = Statement(
    f"SELECT stage, COUNT(*) FROM (SELECT MIN(CASE{_RANK} ELSE {_STAGES.index(Stage.ASIDE)} END) AS stage"  # noqa: S608 our own text
    " FROM delivery JOIN exam ON exam.id = delivery.exam_id WHERE exam.approved_at >= ? AND exam.approved_at < ?"
    " AND exam.hospital = COALESCE(?, exam.hospital) GROUP BY delivery.exam_id) AS staged GROUP BY stage",
    Exam.approved_at, Exam.approved_at, Row.hospital,
)  # fmt: skip
_SAMPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Exams of a span that are kept back, those with `purged` images, and the others' `size`, estimated in bytes."""

    exams: int
    purged: int
    size: int


class Backfills(RecordedRows):
    """Backfills, of which at most one stands: was begun and not stopped."""

    def all(self) -> Sequence[Backfill]:
        """The one that stands and those that were stopped, in the order in which they were begun."""
        return [Backfill(**row) for row in self._engine.run(Row.select().order_by(Row.since).dicts())]

    def standing(self) -> Backfill | None:
        """The one that stands."""
        return standing(self.all())

    def begin(self, wanted: Backfill, days: str) -> bool:
        """Begin it, with an event that names its `days`; False where one stands already."""
        with self._engine.lock_names(["backfill"]), self._engine.write():
            if self.standing() is not None:
                return False
            self._engine.run(Row.insert(asdict(wanted)))
            self._engine.run(BackfillTurn.delete())
            self._bus.record(Event(wanted.since, Kind.DECIDED, f"a backfill of {days} is begun", who=wanted.who))
        return True

    def stop(self, who: str, days: str, now: datetime) -> Backfill | None:
        """Stop the one that stands, with an event that names its `days`; None where none does."""
        with self._engine.write():
            found = self.standing()
            if found is None or not self._engine.run(Row.update(until=now).where(Row.until.is_null())):
                return None
            self._bus.record(Event(now, Kind.DECIDED, f"the backfill of {days} is stopped", who=who))
        return found

    # -- its exams

    def kept_back(self, span: Backfill, after: int = 0, limit: int | None = None) -> list[int]:
        """Exams of the span that are not shared, numbered after `after`, in order."""
        # of all hospitals: _in_span asks for the one of the span
        kept = Delivery.select(Delivery.id).where((Delivery.exam == Exam.id) & (Delivery.state == State.NOT_SHARED))
        query = Exam.select(Exam.id).where(_in_span(span, after) & fn.EXISTS(kept)).order_by(Exam.id).limit(limit)
        return self._engine.column(query)

    def still_open(self, span: Backfill, after: int, limit: int) -> list[int]:
        """Exams of the span, numbered after `after`, of which something without a due time is still to go, in order."""
        # of all hospitals: _in_span asks for the one of the span
        going = _in_span(span, after) & Delivery.state.in_(sorted(OPEN)) & Delivery.due.is_null()
        query = Exam.select(Exam.id).join(Delivery, on=Delivery.exam == Exam.id).where(going).distinct()
        return self._engine.column(query.order_by(Exam.id).limit(limit))

    def stages(self, span: Backfill) -> dict[Stage, int]:
        """How many exams approved in the span are at each stage."""
        rows = _COUNT.run(self._engine, span.first, span.last, span.hospital)
        return dict.fromkeys(Stage, 0) | {_STAGES[number]: int(count) for number, count in rows}

    def extent(self, span: Backfill) -> Extent:
        """How much of the span is kept back."""
        exams = self.kept_back(span)
        removed = ExamStudy.select(ExamStudy.exam).where(fn.EXISTS(_gone(Study.uid == ExamStudy.study_uid))).distinct()
        gone = {one for some in portions(exams) for one in self._engine.column(removed.where(ExamStudy.exam.in_(some)))}
        left = [exam for exam in exams if exam not in gone]
        sample = left[:: -(-len(left) // _SAMPLE)] if left else []
        studies = Study.select(Study.id).join(ExamStudy, on=ExamStudy.study_uid == Study.uid)
        newest = Instance.study.in_(studies.where(ExamStudy.exam.in_(sample))) & Instance.newest
        size = int(self._engine.value(Instance.select(fn.COALESCE(fn.SUM(Instance.size), 0)).where(newest)))
        return Extent(exams=len(exams), purged=len(gone), size=size * len(left) // max(len(sample), 1))

    def purged(self, study_uids: Iterable[str]) -> bool:
        """Whether retention has removed images of one of these studies."""
        return any(self._engine.has(_gone(Study.uid.in_(some))) for some in portions(list(study_uids)))


def _in_span(span: Backfill, after: int) -> Expression:
    approved = (Exam.approved_at >= span.first) & (Exam.approved_at < span.last) & (Exam.id > after)
    return approved if span.hospital is None else approved & (Exam.hospital == span.hospital)


def _gone(which: Expression) -> Select:
    # of all hospitals: `which` names the links of an exam
    packed = Tombstone.select(Tombstone.id).where(Tombstone.study == Study.id)
    removed = (Instance.study == Study.id) & Instance.newest & Instance.purged.is_null(False)
    lacking = fn.EXISTS(packed) | fn.EXISTS(Instance.select(Instance.id).where(removed))
    return Study.select(Study.uid).where(which & (Study.purged.is_null(False) | lacking))


def take_turn(engine: Engine, destination: str, channel: str, now: datetime, gap: timedelta) -> bool:
    """Whether the next delivery of a backfill may be claimed there; the one after it then may `gap` later.

    Inside a transaction. A turn further ahead than `gap` was noted by a clock that was put back since.
    """
    row = BackfillTurn.insert(destination=destination, channel=channel, at=now)
    engine.run(row.on_conflict_ignore())
    here = (BackfillTurn.destination == destination) & (BackfillTurn.channel == channel)
    due = (BackfillTurn.at <= now) | (BackfillTurn.at > now + gap)
    return bool(engine.run(BackfillTurn.update(at=now + gap).where(here & due)))
