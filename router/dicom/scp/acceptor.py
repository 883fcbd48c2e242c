"""The acceptor's part of one association: PS3.8 9.2 from Sta2 on, with DIMSE on top of it.

We never ask for release, so a release collision (Sta9 to Sta12) cannot be: an A-RELEASE-RP is unexpected at any time.
"""

import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from router.dicom.scp import negotiation
from router.dicom.scp.admission import Rejection
from router.dicom.scp.services import Serving, serve
from router.dicom.scp.store import Parties, Received, Refused, Sink
from router.dicom.ul import dimse, pdata, pdu
from router.dicom.ul.commitment import Report
from router.dicom.ul.pdu import AbortReason, AbortSource, PduType, Violation
from router.dicom.ul.socket import ConnectionLost, Limits, PeerSocket, TooSlow
from router.errors import InvalidData
from router.refusals import Why

_PDU_TOLERANCE = 64  # some devices take the maximum length for that of the PDV


class AssociationEvents(Protocol):
    """Who may enter, and who is told what happened. Called from several threads; must not raise."""

    def admit(
        self, number: int, called: str, calling: str, address: str, certificate: tuple[str, ...]
    ) -> Rejection | None:
        """May the connection, which comes from `address`, be an association? Counted until `ended` when it may.

        `certificate` are the names in the peer's TLS certificate.
        """

    def ended(self, number: int) -> None:
        """The association of that number is over; also for one that never was."""

    def record(self, outcome: Received | Refused) -> None:
        """An instance was taken or refused, or an association or a report refused."""

    def report(self, report: Report) -> int:
        """A destination's report on storage commitment, as `commitment.TakeReport`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What all associations of a server share. `receiving_ae` None: whatever the peer calls us.

    `reports`: whether storage commitment is asked for, so that destinations may report on it.
    """

    sink: Sink
    desk: AssociationEvents
    limits: Limits
    receiving_ae: str | None
    reports: bool
    stopping: threading.Event


class Acceptor:
    """Serves one connection whose A-ASSOCIATE-RQ has come, until it is over."""

    def __init__(
        self, service: Service, wire: PeerSocket, number: int, address: str, certificate: tuple[str, ...] = ()
    ) -> None:
        self._service = service
        self._wire = wire
        self._number = number
        self._address = address
        self._certificate = certificate
        self._parties = Parties("", address, "")
        self._contexts: dict[int, tuple[str, str]] = {}
        self._peer_max_pdu = 0
        self._context = 0  # of the message at hand
        self._command = bytearray()
        self._request: dimse.Request | None = None  # whose data set is coming
        self._serving: Serving | None = None
        self._parts: list[memoryview] = []

    @property
    def at_hand(self) -> bool:
        """Whether a message has begun to come and is not answered yet."""
        return bool(self._command) or self._request is not None

    def serve(self, request_pdu: bytes) -> None:
        """Returns when the association has ended, in whatever way; the connection is closed."""
        try:
            if self._establish(request_pdu):
                self._established()
        except Violation as error:
            self._abort(AbortSource.SERVICE_PROVIDER, error.reason)
            self._record(f"aborted: {error}", Why.PROTOCOL)
        except TooSlow as error:
            self._abort(AbortSource.SERVICE_PROVIDER)
            self._record(f"aborted: {error}", Why.SLOW if self.at_hand else Why.IDLE)
        except ConnectionLost:
            if self._service.stopping.is_set():
                self._abort(AbortSource.SERVICE_USER)
        finally:
            try:
                self._drop()
            finally:  # whatever the disk says: an association that is counted for ever locks its sender out
                self._service.desk.ended(self._number)
                self._wire.close()

    def _establish(self, request_pdu: bytes) -> bool:
        request = negotiation.read_request(request_pdu)
        self._parties = Parties(request.calling, self._address, self._service.receiving_ae or request.called)
        rejection = request.rejection or self._service.desk.admit(
            self._number, request.called, request.calling, self._address, self._certificate
        )
        if rejection is not None:
            self._wire.send(pdu.reject(rejection.result, rejection.source, rejection.reason))
            self._parties = replace(self._parties, receiving_ae=request.called)
            self._record(rejection.text, rejection.why)
            return False
        accepted = negotiation.accept(request, self._service.limits.max_pdu, reports=self._service.reports)
        self._contexts, self._peer_max_pdu = accepted.contexts, request.peer_max_pdu
        self._wire.send(accepted.pdu)
        return True

    def _established(self) -> None:
        while True:
            kind, length = self._next_pdu()
            if kind is PduType.P_DATA_TF:
                self._p_data(length)
            elif kind is PduType.ABORT:
                self._wire.sever()  # here it is we who close first (PS3.8 9.2, AA-3)
                return
            elif kind is PduType.RELEASE_RQ:
                self._service.desk.ended(self._number)  # before the answer: the peer may come back at once
                self._wire.send(pdu.release_response())
                return
            else:
                raise Violation(AbortReason.UNEXPECTED_PDU, f"PDU of type {kind:02X} in an open association")

    def _next_pdu(self) -> tuple[PduType, int]:
        if not self.at_hand:
            if self._service.stopping.is_set():
                raise ConnectionLost("the node is stopping")
            if not self._wire.buffered:
                self._wire.await_more()
            self._wire.allow(self._service.limits.message)
        kind, length = pdu.read_header(self._need(pdu.HEADER_BYTES))
        self._wire.take(pdu.HEADER_BYTES)
        pdu.check_length(kind, length, self._service.limits.max_pdu + _PDU_TOLERANCE)
        return kind, length

    def _p_data(self, left: int) -> None:
        if not left:
            raise Violation(AbortReason.INVALID_PARAMETER, "P-DATA without a PDV")
        while left:
            size, context, control = pdu.read_pdv_header(self._need(pdu.PDV_HEADER_BYTES), 0, left)
            self._wire.take(pdu.PDV_HEADER_BYTES)
            left -= pdu.PDV_HEADER_BYTES + size
            if context not in self._contexts:
                raise Violation(AbortReason.INVALID_PARAMETER, "PDV in a context that was not accepted")
            if self.at_hand and context != self._context:
                raise Violation(AbortReason.UNEXPECTED_PARAMETER, "PDV of another context inside a message")
            self._context = context
            if control & pdu.COMMAND:
                self._command_fragment(size, last=bool(control & pdu.LAST))
            else:
                self._data_fragment(size, last=bool(control & pdu.LAST))

    def _command_fragment(self, size: int, *, last: bool) -> None:
        if self._request is not None:
            raise Violation(AbortReason.UNEXPECTED_PARAMETER, "a command inside a data set")
        if len(self._command) + size > dimse.LARGEST:
            raise Violation(AbortReason.INVALID_PARAMETER, "a command set longer than any real one")
        while size:
            if not self._wire.buffered:
                self._wire.fill()
            part = self._wire.take(size)
            self._command += part
            size -= len(part)
        if last:
            self._begin()

    def _begin(self) -> None:
        try:
            request = dimse.read_request(self._command)
        except InvalidData as error:
            raise Violation(AbortReason.INVALID_PARAMETER, str(error)) from error
        self._command.clear()
        self._request = request
        service = self._service
        self._serving = serve(request, *self._contexts[self._context], self._parties, service.sink, service.desk.report)
        if not request.has_data_set:
            self._complete()

    def _data_fragment(self, size: int, *, last: bool) -> None:
        if self._request is None:
            raise Violation(AbortReason.UNEXPECTED_PARAMETER, "a data set before its command")
        while size:
            if not self._wire.buffered:
                self._flush()
                self._wire.fill()
            part = self._wire.take(size)
            self._parts.append(part)
            size -= len(part)
        if last:
            self._flush()
            self._complete()

    def _need(self, count: int) -> memoryview:
        if self._wire.buffered < count:
            self._flush()  # reading moves what the parts are views of
        return self._wire.need(count)

    def _flush(self) -> None:
        if self._parts and self._serving is not None:
            self._serving.write(self._parts)
        self._parts.clear()

    def _complete(self) -> None:
        """The message is whole: do it, record it, answer it."""
        request, serving = self._request, self._serving
        if request is not None and serving is not None and request.operation != dimse.Operation.C_CANCEL:
            status, outcome = serving.finish()
            if outcome is not None:
                self._service.desk.record(outcome)
            self._wire.send(pdata.command_pdus(self._context, dimse.response(request, status), self._peer_max_pdu))
        self._request = self._serving = None

    def _record(self, reason: str, why: Why) -> None:
        """Tell the desk that the association, and the instance at hand, is refused; no file of it is open any more."""
        self._flush()
        uids = ("", "") if self._serving is None else self._serving.named()
        self._service.desk.record(self._parties.refused(reason, why=why, uids=uids))

    def _drop(self) -> None:
        """No file of a message that is not whole."""
        if self._serving is not None:
            self._serving.drop()

    def _abort(self, source: AbortSource, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> None:
        self._drop()
        with suppress(ConnectionLost, TooSlow):
            self._wire.send(pdu.abort(source, reason))
