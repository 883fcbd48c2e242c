"""Questions to the PACS, per exam: those asked and those to ask; and how many instances it says a study has."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from peewee import Expression

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.exams import Exam, PacsCount, Retrieval
from router.catalogue.exams.evaluation import evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The questions about an exam: how often the PACS was asked, last when, and its answer; `ask_at`: the next time.

    `missing` is what is missing in words, "" where only the number of images is asked for. `down_until` is not to be
    asked before: the PACS was down.
    """

    exam: int
    accession_number: str
    tries: int
    missing: str
    said: str
    at: datetime | None
    ask_at: datetime | None
    down_until: datetime | None = None


class Retrievals(Rows):
    """Questions to the PACS."""

    def of(self, exam: int) -> Asked | None:
        """The questions about an exam; None when none was ever meant to be asked."""
        return self._read(Retrieval.exam == exam)

    def due(self, now: datetime) -> Asked | None:
        """The first question whose time has come."""
        return self._read(Retrieval.ask_at <= now)

    def plan(self, exam: int, missing: str, ask_at: datetime | None) -> None:
        """Ask for an exam at this time; None: not any more."""
        row = Retrieval.insert(exam=exam, missing=missing, ask_at=ask_at)
        changes = [Retrieval.missing, Retrieval.ask_at]
        with self._engine.write():
            self._engine.run(row.on_conflict(conflict_target=[Retrieval.exam], preserve=changes))

    def asked(self, exam: int, said: str, now: datetime) -> None:
        """Keep the answer of the PACS, and have the exam evaluated, which plans the next step."""
        kept = Retrieval.update(tries=Retrieval.tries + 1, said=said, at=now, ask_at=None, down_until=None)
        with self._engine.write():
            self._engine.run(kept.where(Retrieval.exam == exam))
            evaluate(self._engine, Exam.id == exam, now)

    def put_off(self, exam: int, said: str, until: datetime) -> None:
        """The PACS could not be asked, and is not asked for this exam before."""
        kept = Retrieval.update(said=said, ask_at=until, down_until=until)
        with self._engine.write():
            self._engine.run(kept.where((Retrieval.exam == exam) & Retrieval.ask_at.is_null(False)))

    def count(self, study_uid: str, instances: int) -> None:
        """The PACS says that a study has so many instances."""
        row = PacsCount.insert(study_uid=study_uid, instances=instances)
        with self._engine.write():
            self._engine.run(row.on_conflict(conflict_target=[PacsCount.study_uid], preserve=[PacsCount.instances]))

    def counts(self, study_uids: Iterable[str]) -> dict[str, int]:
        """Numbers of instances that these studies have, where the PACS says so."""
        query = PacsCount.select(PacsCount.study_uid, PacsCount.instances)
        found: dict[str, int] = {}
        for portion in portions(list(study_uids)):
            found |= dict(self._engine.rows(query.where(PacsCount.study_uid.in_(portion))))
        return found

    def _read(self, where: Expression) -> Asked | None:
        # of all hospitals: each exam is asked for by itself
        columns = (Exam.id.alias("exam"), Exam.accession_number, Retrieval.tries, Retrieval.missing, Retrieval.said,
                   Retrieval.at, Retrieval.ask_at, Retrieval.down_until)  # fmt: skip
        query = Retrieval.select(*columns).join(Exam).where(where).order_by(Retrieval.ask_at).limit(1).dicts()
        return next((Asked(**row) for row in self._engine.run(query)), None)
