"""One association as its acceptor serves it: PS3.8 9.2 from Sta2 on, with DIMSE on top.

The node never asks for release, so there is no release collision (Sta9 to Sta12): an A-RELEASE-RP is unexpected.
"""

import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from router.config.sections import Tls
from router.dicom.scp import negotiation
from router.dicom.scp.admission import Ask, Rejection
from router.dicom.scp.services import Serving, serve
from router.dicom.scp.store import Parties, Received, Refused, Sink
from router.dicom.ul import dimse, pdata, pdu
from router.dicom.ul.commitment import Report
from router.dicom.ul.pdu import AbortReason, AbortSource, PduType, Violation
from router.dicom.ul.socket import ConnectionLost, Limits, PeerSocket, TooSlow
from router.dicom.ul.tls import server_context
from router.errors import InvalidData
from router.refusals import Why

_PDU_TOLERANCE = 64  # some devices take the maximum length for that of the PDV


class AssociationEvents(Protocol):
    """Decisions and records that associations need of the server. Called from several threads; must not raise."""

    def admit(self, ask: Ask) -> Rejection | None:
        """None admits the connection as an association, which counts until `ended`."""

    def ended(self, number: int) -> None:
        """The connection of that number is over, whether it became an association or not."""

    def record(self, outcome: Received | Refused) -> None:
        """An instance was stored or refused, or an association or a report was refused."""

    def report(self, report: Report) -> int:
        """A destination's report on storage commitment, as `commitment.TakeReport`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a server, which its workers get, too. `receiving_ae` None: as the peer calls us.

    `reports`: whether the node asks for storage commitment, so that destinations may report on it.
    """

    limits: Limits
    receiving_ae: str | None
    tls: Tls | None
    reports: bool

    def context(self) -> ssl.SSLContext | None:
        """The context of TLS connections, None for plain ones; ConfigurationError when its files cannot be used."""
        return None if self.tls is None else server_context(self.tls)


@dataclass(frozen=True, slots=True)
class Service:
    """Settings and services that all associations of a process share."""

    sink: Sink
    events: AssociationEvents
    settings: Settings
    stopping: threading.Event


class Acceptor:
    """Serves one connection, from its A-ASSOCIATE-RQ to its end."""

    def __init__(
        self, service: Service, peer_socket: PeerSocket, *, number: int, address: str, certificate: tuple[str, ...]
    ) -> None:
        self._service = service
        self._socket = peer_socket
        self._number = number
        self._address = address
        self._certificate = certificate
        self._parties = Parties("", address, "")
        self._contexts: dict[int, tuple[str, str]] = {}
        self._peer_max_pdu = 0
        self._context = 0  # of the message in progress
        self._command = bytearray()
        self._request: dimse.Request | None = None  # whose data set is coming
        self._serving: Serving | None = None
        self._parts: list[memoryview] = []

    @property
    def in_message(self) -> bool:
        """Whether a message has begun to arrive and is not answered yet."""
        return bool(self._command) or self._request is not None

    def serve(self, request_pdu: bytes) -> None:
        """Serve until the association has ended, in whatever way; the connection is then closed."""
        try:
            if self._establish(request_pdu):
                self._established()
        except Violation as error:
            self._abort(AbortSource.SERVICE_PROVIDER, error.reason)
            self._record(f"aborted: {error}", Why.PROTOCOL)
        except TooSlow as error:
            self._abort(AbortSource.SERVICE_PROVIDER)
            self._record(f"aborted: {error}", Why.SLOW if self.in_message else Why.IDLE)
        except ConnectionLost:
            if self._service.stopping.is_set():
                self._abort(AbortSource.SERVICE_USER)
        finally:
            try:
                self._drop()
            finally:  # even if the disk fails: an association that counts for ever locks its sender out
                self._service.events.ended(self._number)
                self._socket.close()

    def _establish(self, request_pdu: bytes) -> bool:
        request = negotiation.read_request(request_pdu)
        settings = self._service.settings
        self._parties = Parties(request.calling, self._address, settings.receiving_ae or request.called)
        ask = Ask(
            number=self._number, called=request.called, calling=request.calling, address=self._address,
            certificate=self._certificate,
        )  # fmt: skip
        rejection = request.rejection or self._service.events.admit(ask)
        if rejection is not None:
            self._socket.send(pdu.reject(rejection.result, rejection.source, rejection.reason))
            self._parties = replace(self._parties, receiving_ae=request.called)
            self._record(rejection.text, rejection.why)
            return False
        answer, self._contexts = negotiation.accept(request, settings.limits.max_pdu, reports=settings.reports)
        self._peer_max_pdu = request.peer_max_pdu
        self._socket.send(answer)
        return True

    def _established(self) -> None:
        while True:
            kind, length = self._next_pdu()
            if kind is PduType.P_DATA_TF:
                self._p_data(length)
            elif kind is PduType.ABORT:
                self._socket.sever()  # here we close first (PS3.8 9.2, AA-3)
                return
            elif kind is PduType.RELEASE_RQ:
                self._service.events.ended(self._number)  # before the answer, since the peer may connect again at once
                self._socket.send(pdu.release_response())
                return
            else:
                raise Violation(AbortReason.UNEXPECTED_PDU, f"PDU of type {kind:02X} in an open association")

    def _next_pdu(self) -> tuple[PduType, int]:
        if not self.in_message:
            if self._service.stopping.is_set():
                raise ConnectionLost("the node is stopping")
            if not self._socket.buffered:
                self._socket.await_more()
            self._socket.allow(self._service.settings.limits.message)
        kind, length = pdu.read_header(self._need(pdu.HEADER_BYTES))
        self._socket.take(pdu.HEADER_BYTES)
        pdu.check_length(kind, length, self._service.settings.limits.max_pdu + _PDU_TOLERANCE)
        return kind, length

    def _p_data(self, left: int) -> None:
        if not left:
            raise Violation(AbortReason.INVALID_PARAMETER, "P-DATA without a PDV")
        while left:
            size, context, control = pdu.read_pdv_header(self._need(pdu.PDV_HEADER_BYTES), 0, left)
            self._socket.take(pdu.PDV_HEADER_BYTES)
            left -= pdu.PDV_HEADER_BYTES + size
            if context not in self._contexts:
                raise Violation(AbortReason.INVALID_PARAMETER, "PDV in a context that was not accepted")
            if self.in_message and context != self._context:
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
            if not self._socket.buffered:
                self._socket.fill()
            part = self._socket.take(size)
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
        self._serving = serve(
            request, *self._contexts[self._context], self._parties, service.sink, service.events.report
        )
        if not request.has_data_set:
            self._complete()

    def _data_fragment(self, size: int, *, last: bool) -> None:
        if self._request is None:
            raise Violation(AbortReason.UNEXPECTED_PARAMETER, "a data set before its command")
        while size:
            if not self._socket.buffered:
                self._flush()
                self._socket.fill()
            part = self._socket.take(size)
            self._parts.append(part)
            size -= len(part)
        if last:
            self._flush()
            self._complete()

    def _need(self, count: int) -> memoryview:
        if self._socket.buffered < count:
            self._flush()  # reading moves what the parts are views of
        return self._socket.need(count)

    def _flush(self) -> None:
        if self._parts and self._serving is not None:
            self._serving.write(self._parts)
        self._parts.clear()

    def _complete(self) -> None:
        """Carry out, record and answer the message, which is whole."""
        request, serving = self._request, self._serving
        if request is not None and serving is not None and request.operation != dimse.Operation.C_CANCEL:
            status, outcome = serving.finish()
            if outcome is not None:
                self._service.events.record(outcome)
            self._socket.send(pdata.message_pdus(self._context, dimse.response(request, status), self._peer_max_pdu))
        self._request = self._serving = None

    def _record(self, reason: str, why: Why) -> None:
        """Record that the association is refused, and with it the instance in progress, whose file is closed."""
        self._flush()
        uids = ("", "") if self._serving is None else self._serving.named()
        self._service.events.record(self._parties.refused(reason, why=why, uids=uids))

    def _drop(self) -> None:
        """Discard the file of a message that is not whole."""
        if self._serving is not None:
            self._serving.drop()

    def _abort(self, source: AbortSource, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> None:
        self._drop()
        with suppress(ConnectionLost, TooSlow):
            self._socket.send(pdu.abort(source, reason))
