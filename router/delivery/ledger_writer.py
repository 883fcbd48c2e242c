"""Results of sending on their way into the ledger, a batch at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.catalogue.images.ledger import Fate, Ledger, Outcome, ToSend
from router.catalogue.queue.late import LateAnswer
from router.clock import Clock
from router.delivery.unwritten import Unwritten
from router.dicom.scu.client import Result
from router.dicom.ul.status import Verdict
from router.errors import RouterError

# A crash re-sends what the ledger does not know yet: so many, and up to 32 that the associations have under way or
# hand in meanwhile. An outage of the database re-sends nothing: what it does not take is kept (`unwritten`).
LEDGER_BATCH = 32


@dataclass(frozen=True, slots=True)
class LedgerWriter:
    """Writes results of a batch into the ledger; those that it does not take are kept."""

    ledger: Ledger
    unwritten: Unwritten
    destination: str
    batch: Sequence[ToSend]

    def __call__(self, outcomes: Sequence[Outcome], now: datetime) -> bool:
        """Whether the ledger has them."""
        try:
            self.ledger.record(outcomes, now)
        except RouterError:
            sent = {one.key: one for one in self.batch}
            self.unwritten.keep([self._late(sent[outcome.key], outcome, now) for outcome in outcomes])
            return False
        return True

    def _late(self, sent: ToSend, outcome: Outcome, now: datetime) -> LateAnswer:
        return LateAnswer(
            destination=self.destination, uids=sent.uids, version=sent.version, checksum=sent.checksum,
            fate=outcome.fate, status=outcome.status, association=outcome.association, reason=outcome.reason,
            ask_at=outcome.ask_at, at=now,
        )  # fmt: skip


class ResultBatches:
    """Writes results into the ledger in batches, and tells each batch."""

    def __init__(
        self, write: LedgerWriter, clock: Clock, taken: Fate, tell: Callable[[Sequence[Outcome]], None]
    ) -> None:
        self._write = write
        self._clock = clock
        self._taken = taken
        self._tell = tell
        self._open: list[Outcome] = []

    def add(self, result: Result) -> None:
        """A result: stored or refused."""
        fate = self._taken if result.verdict == Verdict.STORED else Fate.REFUSED
        ask_at = self._clock.now() if fate == Fate.STORED else None
        outcome = Outcome(
            key=result.key, fate=fate, status=result.status, association=result.association, reason=result.trouble,
            ask_at=ask_at,
        )  # fmt: skip
        self._open.append(outcome)
        if len(self._open) >= LEDGER_BATCH:
            self.close()

    def close(self) -> None:
        """Write what is open."""
        if self._open:
            written, self._open = self._open, []
            if self._write(written, self._clock.now()):
                self._tell(written)
