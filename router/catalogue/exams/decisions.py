"""Decisions of people about exams: doubts they settled, numbers of one patient, studies kept apart."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from router.catalogue.db.engine import Rows
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.exams import Alias as Row
from router.catalogue.db.tables.exams import Disagreement, Exam, SeparatedStudy
from router.catalogue.db.tables.images import Study, StudyIdentity
from router.catalogue.db.tables.queue import Delivery
from router.catalogue.exams.evaluation import exams_of
from router.matching.patient.alias import classes
from router.matching.patient.doubt import Doubt
from router.policy.states import State

_DISAGREEMENTS = Prepared(
    lambda exam: Disagreement.select(Disagreement.digest, Disagreement.who).where(Disagreement.exam == exam)
)
_ALIASES = Prepared(
    lambda hospital: Row.select(Row.old, Row.new).where(Row.hospital == hospital).order_by(Row.old, Row.new)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Two numbers of one patient of a hospital; the person who said so, when and why."""

    hospital: str = ""
    old: str
    new: str
    why: str
    who: str
    at: datetime


class Decisions(Rows):
    """Decisions of people, never removed: no evaluation changes them."""

    # -- doubts

    def unsettled(self, exam: int, found: Mapping[str, Doubt], now: datetime) -> list[Doubt]:
        """Keep the present disagreements, by the digest of what was compared; return those that nobody has settled."""
        mine = Disagreement.exam == exam
        known = dict(self._engine.rows(_DISAGREEMENTS(exam)))
        gone = [digest for digest, who in known.items() if not who and digest not in found]
        new = [
            {"exam": exam, "digest": d, "text": doubt.text, "at": now} for d, doubt in found.items() if d not in known
        ]
        if gone or new:
            with self._engine.write():
                self._engine.run(Disagreement.delete().where(mine & Disagreement.digest.in_(gone)))
                if new:
                    self._engine.run(Disagreement.insert_many(new).on_conflict_ignore())
        return list(dict.fromkeys(doubt for digest, doubt in found.items() if not known.get(digest)))

    def standing(self, exam: int) -> Mapping[str, str]:
        """The disagreements of the exam that nobody has settled: texts by digest."""
        mine = (Disagreement.exam == exam) & (Disagreement.who == "")
        query = Disagreement.select(Disagreement.digest, Disagreement.text).where(mine).order_by(Disagreement.digest)
        return dict(self._engine.rows(query))

    def settle(self, exam: int, digests: Iterable[str], why: str, who: str, now: datetime) -> None:
        """Settle these of them, and no other that came meanwhile."""
        mine = (Disagreement.exam == exam) & (Disagreement.who == "") & Disagreement.digest.in_(list(digests))
        with self._engine.write():
            self._engine.run(Disagreement.update(who=who, why=why, at=now).where(mine))

    # -- numbers of one patient

    def classes(self, hospital: str) -> Mapping[str, str]:
        """Each number of the hospital with an alias, and the number that stands for all of its patient's."""
        return classes(self._engine.rows(_ALIASES(hospital)))

    def aliases(self) -> list[Alias]:
        """Those of all hospitals."""
        return [Alias(**row) for row in self._engine.run(Row.select().order_by(Row.at).dicts())]

    def alias(self, alias: Alias) -> bool:
        """Enter it; False when these two are known as one patient's."""
        known = self.classes(alias.hospital)
        if alias.old in known and known[alias.old] == known.get(alias.new):
            return False
        with self._engine.write():
            self._engine.run(Row.insert(asdict(alias)).on_conflict_ignore())
        return True

    def unalias(self, hospital: str, old: str, new: str) -> bool:
        """Take an alias back; False when there is none of these two."""
        same = ((Row.old == old) & (Row.new == new)) | ((Row.old == new) & (Row.new == old))
        same &= Row.hospital == hospital
        with self._engine.write():
            return bool(self._engine.run(Row.delete().where(same)))

    def affected(self, hospital: str, numbers: Iterable[str]) -> list[int]:
        """Exams of the hospital that patient numbers may decide about: not delivered, or bearing one of these."""
        bearing: Any = Exam.patient_id == ""
        seen: Any = StudyIdentity.patient_id == ""
        for number in numbers:  # prefixes and padding are stripped when numbers are compared
            bearing, seen = bearing | Exam.patient_id.contains(number), seen | StudyIdentity.patient_id.contains(number)
        studies = Study.select(Study.uid).join(StudyIdentity).where(seen)
        open_ = Delivery.select(Delivery.exam).where(Delivery.state.not_in([State.DELIVERED, State.CANCELLED]))
        where = bearing | Exam.id.in_(exams_of(studies)) | Exam.id.in_(open_)
        return self._engine.column(Exam.select(Exam.id).where((Exam.hospital == hospital) & where))

    # -- studies

    def part(self, exam: int, study_uid: str) -> None:
        """Keep a study apart from an exam."""
        with self._engine.write():
            self._engine.run(SeparatedStudy.insert(exam=exam, study_uid=study_uid).on_conflict_ignore())

    def unpart(self, exam: int, study_uid: str) -> None:
        """Let the study join again."""
        same = (SeparatedStudy.exam == exam) & (SeparatedStudy.study_uid == study_uid)
        with self._engine.write():
            self._engine.run(SeparatedStudy.delete().where(same))
