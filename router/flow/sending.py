"""Carrying out one claimed delivery: freeze and upload a report, or send the images that are selected."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from router.catalogue import Catalogue
from router.catalogue.ledger import Accounts, Fate, Outcome, Tally, ToSend
from router.catalogue.queue import Delivery
from router.catalogue.uploads import Frozen
from router.clock import Clock
from router.config import Config
from router.crypto.envelope import idem
from router.crypto.symmetric import sm3
from router.dicom.client import Outgoing, Result, StorageClient
from router.dicom.session import Session
from router.dicom.status import Verdict
from router.errors import IntegrityError, PermanentError, TransientError
from router.exam.read import read
from router.exam.write import dump
from router.flow.correlator import images_of
from router.flow.document import fill_for
from router.forward.credentials import Credentials
from router.forward.report import ReportAgent, Upload
from router.states import State
from router.storage import Storage

# A crash re-sends what the ledger does not know yet: so many, and up to 32 that the associations have under way or
# hand in meanwhile.
LEDGER_BATCH = 32
_READ_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a delivery goes from `sending`, and why."""

    to: State
    why: str
    changes: Mapping[str, object] = field(default_factory=dict)


class Sender(Protocol):
    """What carries out a delivery; raises what the peer's answer means."""

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> Ending:
        """Send until done, or until `stop` says so."""


@dataclass(frozen=True, slots=True)
class ReportSender:
    """Report and exam JSON to one destination by HTTP."""

    config: Config
    catalogue: Catalogue
    storage: Storage
    agent: ReportAgent
    credentials: Callable[[], Credentials]
    clock: Clock

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> Ending:
        """Upload what the delivery wants; done when the receipt is verified and kept. An upload is never stopped."""
        upload = self._frozen(delivery)
        if upload.confirmed is None:
            self._upload(delivery, upload)
        return Ending(State.DELIVERED, f"receipt for revision {upload.n}", {"delivered": upload.wanted})

    def _frozen(self, delivery: Delivery) -> Frozen:
        """The upload of what is wanted: the one that was begun, or a new one, frozen before its first attempt.

        After a refusal a person may have mended the configuration, so the document is filled anew.
        """
        for upload in self.catalogue.uploads.of(delivery.id)[-1:]:
            if upload.wanted == delivery.wanted and not upload.refused:
                return upload
        self._freeze(delivery, len(self.catalogue.uploads.of(delivery.id)) + 1)
        return self.catalogue.uploads.of(delivery.id)[-1]

    def _freeze(self, delivery: Delivery, n: int) -> None:
        wanted = dict(part.split("=") for part in delivery.wanted.split())
        case = self.catalogue.exams.case(delivery.exam)
        count = None if wanted["images"] == "-" else int(wanted["images"])
        pdf_place = case.places[int(wanted["pdf"])]
        given = read(self.storage.reports.read(case.places[int(wanted["json"])]))
        filled = fill_for(self.config, case, given, count).document
        exam, pdf = dump(filled), self.storage.reports.read(pdf_place)
        place = self.storage.reports.sent_place(delivery.exam, delivery.destination, n, "exam.json")
        self.storage.reports.write(place, exam)
        name = idem(self.credentials().api_key, delivery.destination, case.exam_id, sm3(exam), sm3(pdf))
        self.catalogue.uploads.freeze(
            delivery.id, n, name, delivery.wanted, exam_place=place, pdf_place=pdf_place, now=self.clock.now()
        )

    def _upload(self, delivery: Delivery, upload: Frozen) -> None:
        path = self.storage.reports.path
        try:
            receipt = self.agent.send(Upload(upload.idem, upload.n, path(upload.exam_place), path(upload.pdf_place)))
        except PermanentError:
            self.catalogue.uploads.refuse(upload.id)
            raise
        place = self.storage.reports.sent_place(delivery.exam, delivery.destination, upload.n, "receipt.json")
        sent = {
            "exam_sm3": sm3(path(upload.exam_place).read_bytes()).hex(),
            "report_sm3": sm3(path(upload.pdf_place).read_bytes()).hex(),
        }
        document = json.dumps({**receipt.to_document(), **sent}, ensure_ascii=False, indent=2)
        self.storage.reports.write(place, document.encode())
        self.catalogue.uploads.confirm(upload.id, receipt.receipt, place, self.clock.now())


@dataclass(frozen=True, slots=True)
class ImagesSender:
    """Selected instances to one destination by C-STORE."""

    config: Config
    catalogue: Catalogue
    storage: Storage
    client: StorageClient
    clock: Clock

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> Ending:
        """Send every selected instance once; what the destination takes later makes the whole delivery wait."""
        later: dict[int, int] = {}
        with self.client.session() as session:
            while not stop() and (batch := self._batch(delivery, later)):
                self._send_batch(session, batch, later, stop)
        if stop():
            return Ending(State.READY, "given back")
        if later:
            status = next(iter(later.values()))
            raise TransientError(f"{len(later)} instance(s) to be tried again, status {status:04X}")
        return self._ending(delivery)

    def _batch(self, delivery: Delivery, later: Mapping[int, int]) -> list[ToSend]:
        waiting = self.catalogue.accounts.to_send(delivery.exam, delivery.destination, _READ_AT_ONCE + len(later))
        return [one for one in waiting if one.key not in later]

    def _send_batch(
        self, session: Session, batch: list[ToSend], later: dict[int, int], stop: Callable[[], bool]
    ) -> None:
        outgoing = [
            Outgoing(one.key, self.storage.studies.path(one.uids, one.version), one.sop_class, one.uids.sop,
                     one.transfer_syntax)
            for one in batch
        ]  # fmt: skip
        book = _Book(self.catalogue.accounts, self.clock)
        try:
            for result in session.send(outgoing, stop):
                if result.verdict == Verdict.LATER:
                    later[result.key] = result.status
                else:
                    book.add(result)
        except IntegrityError as error:
            # The file of this one is gone or damaged: shown as refused without a status, the rest goes on.
            self.catalogue.accounts.record([Outcome(_key(error), Fate.REFUSED, None, "")], self.clock.now())
        finally:
            book.close()

    def _ending(self, delivery: Delivery) -> Ending:
        tallies = self.catalogue.accounts.tallies([delivery.exam])
        tally = tallies.get((delivery.exam, delivery.destination), Tally())
        behind = self.storage.incoming.oldest()
        case = self.catalogue.exams.case(delivery.exam)
        if images_of(case, behind).needs(self.config.study.stable_after, self.clock.now()):
            return Ending(State.WAITING, f"{tally.sent} of {tally.selected} sent; more may come", {"attempts": 0})
        if tally.refused:
            refused = f"{tally.refused} of {tally.selected} refused"
            return Ending(State.FAILED, refused, {"error": refused})
        return Ending(State.DELIVERED, f"{tally.sent} instances sent", {"delivered": f"instances={tally.sent}"})


def _key(error: IntegrityError) -> int:
    key = error.fields.get("key")
    if not isinstance(key, int):
        raise error
    return key


class _Book:
    """Writes results into the ledger in batches."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock
        self._open: list[Outcome] = []

    def add(self, result: Result) -> None:
        fate = Fate.SENT if result.verdict == Verdict.STORED else Fate.REFUSED
        self._open.append(Outcome(result.key, fate, result.status, result.association))
        if len(self._open) >= LEDGER_BATCH:
            self.close()

    def close(self) -> None:
        if self._open:
            self._accounts.record(self._open, self._clock.now())
            self._open = []
