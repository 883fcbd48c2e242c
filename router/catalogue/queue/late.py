"""Results of sending that are written late: the database did not take them when the destination gave them.

No lease fences them, as none fences a result that is written at once: that a destination has taken a version of an
instance, or a report, stays true whoever has the delivery by then, and whatever became of it. Left out, it would be
sent once more. A lease fences the delivery's moves alone, and no move is ever kept: the delivery is given back under
the number of its claim, and evaluated by the ledger as it is then.

A result finds its row by what was sent, not by the row's number: the database may have been put back, or made from the
files, since. A decision newer than the result stands: a person may have asked for the instance to be sent again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.images import Instance, LedgerRow, Study
from router.catalogue.db.tables.queue import Upload
from router.catalogue.images.ledger import Fate
from router.model import InstanceUids

# What an answer may still replace: an instance that was taken is never taken back by an older answer.
_REPLACES = {
    Fate.SENT: LedgerRow.state != Fate.SENT,
    Fate.STORED: LedgerRow.state.not_in([Fate.SENT, Fate.STORED]),
    Fate.REFUSED: LedgerRow.state == Fate.SELECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LateAnswer:
    """A destination's answer for a version of an instance; `fate`, `status` and the rest as of an Outcome.

    `checksum` is the data set's, as the version has it in the catalogue.
    """

    destination: str
    uids: InstanceUids
    version: int
    checksum: str
    fate: Fate
    status: int | None
    association: str
    reason: str
    ask_at: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LateReceipt:
    """A receipt, durable at `place`, for the `n`-th upload of a delivery; `idem` names its content and destination."""

    delivery: int
    n: int
    idem: str
    receipt: str
    place: str
    at: datetime


Late = LateAnswer | LateReceipt


class LateResults(Rows):
    """Writes them into the ledger and the uploads."""

    def write(self, results: Sequence[Late]) -> list[Late]:
        """Write all in one transaction; those that changed something. To write one again changes nothing."""
        with self._engine.write():
            return [
                one for one in results if (self._answer(one) if isinstance(one, LateAnswer) else self._receipt(one))
            ]

    def _answer(self, one: LateAnswer) -> bool:
        named = (Study.uid == one.uids.study) & (Instance.sop_uid == one.uids.sop) & (Instance.version == one.version)
        same = (Instance.checksum == one.checksum) | (Instance.digest == one.checksum)
        sent = Instance.select(Instance.id).join(Study).where(named & same)
        mine = (LedgerRow.destination == one.destination) & LedgerRow.instance.in_(sent) & (LedgerRow.at <= one.at)
        changes = {"state": one.fate, "status": one.status, "association": one.association, "reason": one.reason,
                   "ask_at": one.ask_at, "at": one.at}  # fmt: skip
        return bool(self._engine.run(LedgerRow.update(**changes).where(mine & _REPLACES[one.fate])))

    def _receipt(self, one: LateReceipt) -> bool:
        mine = (Upload.delivery == one.delivery) & (Upload.n == one.n) & (Upload.idem == one.idem)
        changes = {"receipt": one.receipt, "receipt_place": one.place, "confirmed": one.at}
        return bool(self._engine.run(Upload.update(**changes).where(mine & Upload.confirmed.is_null())))
