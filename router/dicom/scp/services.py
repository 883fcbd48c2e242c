"""The DIMSE services of the acceptor: how it serves each message of a peer."""

from collections.abc import Sequence

from router.dicom.scp.store import Parties, Refused, Sink, Storing, named_in
from router.dicom.ul import commitment, dimse
from router.dicom.ul.commitment import TakeReport
from router.dicom.ul.dimse import VERIFICATION, Operation
from router.refusals import Why

_NOT_STORAGE = frozenset({VERIFICATION, commitment.SOP_CLASS})


class Answering:
    """Answers a message whose status does not depend on its data set."""

    def __init__(self, status: int, outcome: Refused | None = None) -> None:
        self._status = status
        self._outcome = outcome

    def write(self, parts: Sequence[memoryview]) -> None:
        """Ignore the data set."""

    def finish(self) -> tuple[int, Refused | None]:
        return self._status, self._outcome

    def named(self) -> tuple[str, str]:
        return "", "" if self._outcome is None else self._outcome.sop

    def drop(self) -> None:
        """Nothing is kept."""


class Reporting:
    """Takes an N-EVENT-REPORT on storage commitment (PS3.4 J.3.3), in memory and so with a limit of its size."""

    def __init__(self, request: dimse.Request, transfer_syntax: str, parties: Parties, take: TakeReport) -> None:
        self._request = request
        self._syntax = transfer_syntax
        self._parties = parties
        self._take = take
        self._data = bytearray()
        self._too_long = False

    def write(self, parts: Sequence[memoryview]) -> None:
        for part in parts:
            self._too_long = self._too_long or len(self._data) + len(part) > commitment.LARGEST
            if not self._too_long:
                self._data += part

    def finish(self) -> tuple[int, Refused | None]:
        if self._too_long:
            status, wrong = dimse.RESOURCE_LIMITATION, "a storage commitment report longer than any real one"
        else:
            status, wrong = commitment.answer(self._request, bytes(self._data), self._syntax, self._take)
        return status, self._parties.refused(wrong, status, Why.COMMITMENT) if wrong else None

    def named(self) -> tuple[str, str]:
        return "", ""

    def drop(self) -> None:
        self._data.clear()


# Each serves one message, from its command on, and raises nothing: a fault is in the status that `finish` returns.
Serving = Answering | Reporting | Storing


def serve(
    request: dimse.Request, sop_class: str, transfer_syntax: str, parties: Parties, sink: Sink, take: TakeReport
) -> Serving:
    """The service for a request that came over a context of that SOP class and transfer syntax."""
    if request.operation == Operation.C_STORE:
        if sop_class in _NOT_STORAGE:
            status = dimse.NO_SUCH_SOP_CLASS
            wrong = "the instance is sent over a context that is not one of storage"
            return Answering(status, parties.refused(wrong, status, uids=("", named_in(request))))
        return Storing(sink, request, transfer_syntax, parties)
    if request.operation == Operation.N_EVENT_REPORT and sop_class == commitment.SOP_CLASS:
        return Reporting(request, transfer_syntax, parties, take)
    echo = request.operation == Operation.C_ECHO
    return Answering(dimse.SUCCESS if echo else dimse.UNRECOGNIZED_OPERATION)
