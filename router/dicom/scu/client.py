"""Storage, Verification and Storage Commitment SCU (PS3.4 B, A, J): sends stored instances byte for byte as they came.

A destination that takes only the other uncompressed little endian syntax gets that one (`transcode`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from router.config.sections import DicomDestination
from router.dicom import libraries
from router.dicom.dataset.decoders import can_decompress
from router.dicom.scu.association_limit import AssociationLimit, Shared
from router.dicom.scu.commitment import CommitmentScu
from router.dicom.scu.requestor import VERIFY, Requestor, Waits
from router.dicom.scu.session import Session
from router.dicom.scu.store import Outgoing, Result
from router.dicom.scu.transcode import offers
from router.dicom.ul import commitment
from router.dicom.ul.commitment import TakeReport
from router.dicom.ul.connection import connect
from router.dicom.ul.contexts import Context
from router.dicom.ul.tls import client_context
from router.policy.bandwidth import Paced, unbounded

__all__ = ["Outgoing", "Result", "StorageClient", "Waits"]


class StorageClient:
    """Sends to one destination, for several threads at once.

    Together they have at most `destination.associations` associations open; each sender has one, and large batches
    use those that nobody else wants.
    """

    def __init__(
        self, destination: DicomDestination, waits: Waits | None = None, paced: Paced = unbounded,
        shared: Shared | None = None,
    ) -> None:  # fmt: skip
        """`paced` waits before each piece of a data set until it may go; associations are `shared` with other nodes.

        Raises ConfigurationError when the files of `tls` or what `decompress` needs are not there.
        """
        libraries.settle()
        if destination.decompress:
            can_decompress()
        self._destination = destination
        self._waits = waits or Waits()
        self._paced = paced
        self._tls = None if destination.tls is None else client_context(destination.tls)
        self._limit = AssociationLimit(destination.associations, shared)
        self._offers = partial(offers, decompress=destination.decompress)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """For what belongs together, such as a study: associations stay open from one `send` to the next."""
        session = Session(self._associate, self._limit, self._offers)
        try:
            yield session
        finally:
            session.close()

    def send(self, items: Sequence[Outgoing], stop: Callable[[], bool]) -> Iterator[Result]:
        """A session of one `Session.send`."""
        with self.session() as session:
            yield from session.send(items, stop)

    @contextmanager
    def asking(self, take: TakeReport, stop: Callable[[], bool]) -> Iterator[CommitmentScu | None]:
        """An association to ask for storage commitment; None when `stop()` came before there was room for one.

        Raises as `Session.send` does, also when the destination does not do storage commitment.
        """
        if not self._limit.take(stop):
            yield None
            return
        try:
            association = self._associate(commitment.CONTEXTS)
            try:
                yield CommitmentScu(association, take, self._waits.response)
            finally:
                association.release()
        finally:
            self._limit.give()

    def narrow(self, associations: int) -> None:
        """Open only so many associations from now on, never more than the configuration says."""
        self._limit.narrow(associations)

    def room(self) -> bool:
        """Whether other nodes leave any association."""
        return self._limit.room()

    def probe(self) -> None:
        """Whether the destination is there and takes our associations: C-ECHO where it does that. Raises as `echo`."""
        association = self._associate((VERIFY,))
        try:
            if VERIFY in association.accepted:
                association.echo(VERIFY)
        finally:
            association.release()

    def echo(self) -> None:
        """C-ECHO. Raises as `Session.send` does."""
        association = self._associate((VERIFY,))
        try:
            association.verify()
        finally:
            association.release()

    def _associate(self, contexts: Sequence[Context]) -> Requestor:
        association = Requestor(
            connect(self._destination, self._tls, self._waits.connect), self._destination, self._waits, self._paced
        )
        association.request(contexts)
        return association
