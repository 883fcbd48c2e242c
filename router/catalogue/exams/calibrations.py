"""Calibrations of the sources of report PDFs: how far their PDFs can be told apart by text, time and labels."""

import json
from collections.abc import Iterable

from router.catalogue.db.engine import Rows
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Document, PdfSource
from router.matching.report_pdf.calibration import Calibration, learnt

# Sources of the only hospital of before get the name that they have where there are several.
_ADOPT = Statement("UPDATE pdf_source SET name = ? || name WHERE SUBSTR(name, 1, 1) <> '@'", PdfSource.name)
_OF_ORIGIN = Prepared(
    lambda origin: PdfSource.select(PdfSource.agreed, PdfSource.offsets, PdfSource.labels).where(
        PdfSource.name == origin
    )
)


class Calibrations(Rows):
    """The calibrations, by the name of the source."""

    def of(self, origin: str) -> Calibration:
        """Calibration of a source."""
        for agreed, offsets, labels in self._engine.rows(_OF_ORIGIN(origin)):
            return Calibration(agreed=agreed, offsets=tuple(json.loads(offsets)), labels=json.loads(labels))
        return Calibration()

    def adopt(self, prefix: str) -> None:
        """Let the sources of the only hospital of before be those of the hospital whose names begin so."""
        with self._engine.write():
            _ADOPT.run(self._engine, prefix)

    def learn(self, document: int, origin: str, *, agreed: bool, offset: int | None, labels: Iterable[str]) -> None:
        """Count a PDF that was paired with its JSON; each once. `offset` is in seconds from approval to making."""
        with self._engine.write():
            mine = (Document.id == document) & Document.learnt.is_null()
            if not self._engine.run(Document.update(learnt=1).where(mine)):
                return
            known = learnt(self.of(origin), agreed=agreed, offset=offset, labels=labels)
            row = {"agreed": known.agreed, "offsets": json.dumps(known.offsets), "labels": json.dumps(known.labels)}
            kept = PdfSource.insert(name=origin, **row)
            fresh = {getattr(PdfSource, column): value for column, value in row.items()}
            self._engine.run(kept.on_conflict(conflict_target=[PdfSource.name], update=fresh))
