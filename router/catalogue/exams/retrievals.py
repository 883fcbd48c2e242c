"""Questions to the PACS, per exam: those asked and those to ask; and how many instances it says a study has."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.exams import Exam, PacsCount, Retrieval


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
        return next(iter(self._read(Retrieval.exam == exam)), None)

    def due(self, now: datetime) -> Asked | None:
        """The first question whose time has come."""
        return next(iter(self._read(Retrieval.ask_at <= now)), None)

    def plan(self, exam: int, missing: str, ask_at: datetime | None) -> None:
        """Ask for an exam at this time; None: not any more."""
        row = Retrieval.insert(exam=exam, missing=missing, ask_at=ask_at)
        kept = row.on_conflict(
            conflict_target=[Retrieval.exam], update={Retrieval.missing: missing, Retrieval.ask_at: ask_at}
        )
        with self._engine.write():
            self._engine.run(kept)

    def asked(self, exam: int, said: str, now: datetime) -> None:
        """Keep the answer of the PACS, and have the exam evaluated, which plans the next step."""
        mine = Retrieval.exam == exam
        with self._engine.write():
            changes: dict[Any, Any] = {
                Retrieval.tries: Retrieval.tries + 1, Retrieval.said: said, Retrieval.at: now, Retrieval.ask_at: None,
                Retrieval.down_until: None,
            }  # fmt: skip
            self._engine.run(Retrieval.update(changes).where(mine))
            self._engine.run(Exam.update(touched=Exam.touched + 1, check_at=now).where(Exam.id == exam))

    def put_off(self, exam: int, said: str, until: datetime) -> None:
        """The PACS could not be asked, and is not asked for this exam before."""
        changes: dict[Any, Any] = {Retrieval.said: said, Retrieval.ask_at: until, Retrieval.down_until: until}
        with self._engine.write():
            self._engine.run(
                Retrieval.update(changes).where((Retrieval.exam == exam) & Retrieval.ask_at.is_null(False))
            )

    def count(self, study_uid: str, instances: int) -> None:
        """The PACS says that a study has so many instances."""
        row = PacsCount.insert(study_uid=study_uid, instances=instances)
        kept = row.on_conflict(conflict_target=[PacsCount.study_uid], update={PacsCount.instances: instances})
        with self._engine.write():
            self._engine.run(kept)

    def counts(self, study_uids: Iterable[str]) -> dict[str, int]:
        """Numbers of instances that these studies have, where the PACS says so."""
        columns = (PacsCount.study_uid, PacsCount.instances)
        found: dict[str, int] = {}
        for portion in portions(list(study_uids)):
            found |= dict(self._engine.rows(PacsCount.select(*columns).where(PacsCount.study_uid.in_(portion))))
        return found

    def _read(self, where: Any) -> list[Asked]:
        columns = (Exam.id.alias("exam"), Exam.accession_number, Retrieval.tries, Retrieval.missing, Retrieval.said,
                   Retrieval.at, Retrieval.ask_at, Retrieval.down_until)  # fmt: skip
        query = Retrieval.select(*columns).join(Exam).where(where).order_by(Retrieval.ask_at).limit(1).dicts()
        return [Asked(**row) for row in self._engine.run(query)]
