"""Storage, Verification and Storage Commitment SCU (PS3.4 B, A, J): stored instances are sent byte for byte.

A destination that accepts only the other uncompressed little endian syntax gets that one (`transcode`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
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

    Together they have at most `destination.associations` associations open: one for each sender, and for large batches
    those that no other sender waits for.
    """

    def __init__(
        self, destination: DicomDestination, waits: Waits | None = None, paced: Paced = unbounded,
        shared: Shared | None = None,
    ) -> None:  # fmt: skip
        """`paced` waits until the next piece of a data set may go; other nodes take associations of `shared`, too.

        Raises ConfigurationError when a file of `tls`, or a decoder that `decompress` needs, is missing.
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

    def session(self) -> AbstractContextManager[Session]:
        """A session for instances that belong together: associations stay open from one `send` to the next."""
        return closing(Session(self._associate, self._limit, self._offers))

    def send(self, items: Sequence[Outgoing], stop: Callable[[], bool]) -> Iterator[Result]:
        """Send in a session of its own, as `Session.send` does."""
        with self.session() as session:
            yield from session.send(items, stop)

    @contextmanager
    def asking(self, take: TakeReport, stop: Callable[[], bool]) -> Iterator[CommitmentScu | None]:
        """An association for storage commitment requests; None when `stop()` was true before there was room for one.

        Raises as `Session.send` does, and DestinationDown when the destination does not accept storage commitment.
        """
        if not self._limit.take(stop):
            yield None
            return
        try:
            with self._associate(commitment.CONTEXTS) as association:
                yield CommitmentScu(association, take, self._waits.response)
        finally:
            self._limit.give()

    def narrow(self, associations: int) -> None:
        """Open at most so many associations from now on, and never more than configured."""
        self._limit.narrow(associations)

    def room(self) -> bool:
        """Whether other nodes leave an association free."""
        return self._limit.room()

    def probe(self) -> None:
        """Check that the destination accepts associations, and answers C-ECHO if it accepts that. Raises as `echo`."""
        with self._associate((VERIFY,)) as association:
            if VERIFY in association.accepted:
                association.echo()

    def echo(self) -> None:
        """C-ECHO. Raises as `Session.send` does."""
        with self._associate((VERIFY,)) as association:
            association.verify()

    def _associate(self, contexts: Sequence[Context]) -> Requestor:
        association = Requestor(
            connect(self._destination, self._tls, self._waits.connect), self._destination, self._waits, self._paced
        )
        association.request(contexts)
        return association
