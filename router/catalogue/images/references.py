"""References of key objects and rejection notes, in any order of arrival, and their effect on the ledger."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.exams import ExamStudy
from router.catalogue.db.tables.images import Instance, LedgerRow, Reference, Study
from router.catalogue.images.ledger import Fate
from router.series.study import REJECTION, Marks, marks_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A ledger row of the newest version of an instance; `key` is the row's, `purged`: its file was removed."""

    key: int
    sop_uid: str
    fate: Fate
    rule: str
    purged: bool


_REFERRED = Prepared(lambda uids: Study.select(Study.id).where(Study.uid.in_(uids) & Study.referred))


class References(Rows):
    """References of the newest versions of documents."""

    def marks(self, study_uids: Iterable[str]) -> Marks:
        """Marks of the instances of these studies that documents refer to."""
        found: set[tuple[Any, ...]] = set()
        document = Instance.alias()
        for study in self._engine.column(_REFERRED(list(study_uids))):
            query = (
                Reference.select(Reference.purpose, Reference.sop_uid)
                .join(document, on=(Reference.instance == document.id) & document.newest)
                .join(Instance, on=(Instance.sop_uid == Reference.sop_uid) & (Instance.study == study))
                .distinct()
            )
            found.update(self._engine.rows(query))
        return marks_of(found)

    def decided(self, exam: int, destination: str, sop_uids: Sequence[str]) -> list[Decided]:
        """The exam's ledger rows at the destination of these instances' newest versions."""
        studies = ExamStudy.select(ExamStudy.study_uid).where(ExamStudy.exam == exam)
        query = (
            LedgerRow.select(LedgerRow.id, Instance.sop_uid, LedgerRow.state, LedgerRow.rule, Instance.purged)
            .join(Instance)
            .join(Study)
            .where(Study.uid.in_(studies) & (LedgerRow.destination == destination) & Instance.newest)
        )
        return [
            Decided(key=key, sop_uid=uid, fate=Fate(state), rule=rule, purged=purged is not None)
            for some in portions(sop_uids)
            for key, uid, state, rule, purged in self._engine.rows(query.where(Instance.sop_uid.in_(some)))
        ]

    def notes_about_sent(self, exam: int, destination: str) -> frozenset[str]:
        """SOP instance UIDs of the exam's rejection notes that refer to instances which the destination has."""
        studies = ExamStudy.select(ExamStudy.study_uid).where(ExamStudy.exam == exam)
        rejected = Instance.alias()
        there = (LedgerRow.destination == destination) & LedgerRow.state.in_([Fate.SENT, Fate.STORED])
        notes = (
            Reference.select(Reference.instance)
            .join(rejected, on=rejected.sop_uid == Reference.sop_uid)
            .join(LedgerRow, on=LedgerRow.instance == rejected.id)
            .where((Reference.purpose == REJECTION) & there)
        )
        mine = Study.uid.in_(studies) & Instance.newest & Instance.purged.is_null() & Instance.id.in_(notes)
        return frozenset(self._engine.column(Instance.select(Instance.sop_uid).join(Study).where(mine)))

    def leave_out(self, keys: Sequence[int], rule: str, now: datetime) -> None:
        """Leave out those of the instances that were to be sent, or set aside."""
        with self._engine.write():
            for portion in portions(keys):
                unsent = LedgerRow.id.in_(portion) & LedgerRow.state.in_(
                    [Fate.SELECTED, Fate.HELD, Fate.LATE, Fate.CUT, Fate.GONE]
                )
                self._engine.run(LedgerRow.update(state=Fate.FILTERED, rule=rule, at=now).where(unsent))

    def reopen(self, keys: Sequence[int]) -> None:
        """Have instances that were left out decided again: their rows go, if they are still as they were read."""
        with self._engine.write():
            for portion in portions(keys):
                left_out = LedgerRow.id.in_(portion) & (LedgerRow.state == Fate.FILTERED)
                self._engine.run(LedgerRow.delete().where(left_out))

    def remark(self, keys: Sequence[int], rule: str) -> None:
        """Change the rule that ledger rows show, and nothing else."""
        with self._engine.write():
            for portion in portions(keys):
                self._engine.run(LedgerRow.update(rule=rule).where(LedgerRow.id.in_(portion)))
