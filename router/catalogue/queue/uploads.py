"""Uploads: each frozen revision of an exam for a destination, and the receipt it earned."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from router.catalogue.db.engine import Rows
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.queue import Upload as Row
from router.errors import TransientError

_NUMBER = re.compile(r"/receipt-(\d+)\.json$")
_OF_DELIVERY = Prepared(lambda delivery: Row.select().where(Row.delivery == delivery).order_by(Row.n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """An upload of a delivery, the `n`-th, the same at every retry; checksums are SHA-256, "" where not taken yet."""

    id: int
    n: int
    idem: str
    wanted: str
    exam_place: str
    pdf_place: str
    refused: bool
    receipt: str
    receipt_place: str
    frozen: datetime
    confirmed: datetime | None
    exam_checksum: str = ""
    pdf_checksum: str = ""

    @property
    def next_receipt(self) -> str:
        """The name of the next receipt's file: those of a platform that lost what it confirmed are kept, too."""
        number = _NUMBER.search(self.receipt_place)
        if not self.receipt_place:
            return "receipt.json"
        return f"receipt-{int(number[1]) + 1 if number else 2}.json"

    @property
    def withdrawn(self) -> bool:
        """Whether the destination had it, and it is not to go again: what comes later is another revision."""
        return self.refused and self.confirmed is not None


class Uploads(Rows):
    """The uploads of report deliveries."""

    def of(self, delivery: int) -> list[Frozen]:
        """All uploads of a delivery, the first one first."""
        rows: Any = self._engine.run(_OF_DELIVERY(delivery))
        return [
            Frozen(
                id=row.id, n=row.n, idem=row.idem, wanted=row.wanted, exam_place=row.exam_place,
                pdf_place=row.pdf_place, refused=row.refused, receipt=row.receipt, receipt_place=row.receipt_place,
                frozen=row.frozen, confirmed=row.confirmed, exam_checksum=row.exam_checksum or "",
                pdf_checksum=row.pdf_checksum or "",
            )
            for row in rows
        ]  # fmt: skip

    def freeze(
        self, delivery: int, n: int, idem: str, wanted: str, *, exam_place: str, pdf_place: str, now: datetime,
        exam_checksum: str = "", pdf_checksum: str = "",
    ) -> None:  # fmt: skip
        """Enter an upload whose exam JSON is durable at `exam_place`; TransientError where another node was first."""
        places = {"exam_place": exam_place, "pdf_place": pdf_place, "exam_checksum": exam_checksum or None,
                  "pdf_checksum": pdf_checksum or None}  # fmt: skip
        with self._engine.write():
            if self._engine.run(Row.select(Row.id).where((Row.delivery == delivery) & (Row.n == n)).tuples()):
                raise TransientError("another node has taken the delivery over and frozen what goes")
            self._engine.run(Row.insert(delivery=delivery, n=n, idem=idem, wanted=wanted, frozen=now, **places))

    def refuse(self, upload: int) -> None:
        """Note that this upload is not to be sent (again): the next one is filled again."""
        with self._engine.write():
            self._engine.run(Row.update(refused=True).where(Row.id == upload))

    def confirm(self, upload: int, receipt: str, receipt_place: str, now: datetime) -> None:
        """Enter the receipt, which is durable at `receipt_place`."""
        confirmed = Row.update(receipt=receipt, receipt_place=receipt_place, confirmed=now)
        with self._engine.write():
            self._engine.run(confirmed.where(Row.id == upload))
