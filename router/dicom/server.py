"""Storage SCP and Verification SCP (PS3.4 B and A): acknowledged only when the sink has made the instance durable."""

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from socketserver import BaseServer
from typing import Protocol, cast

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time
from pynetdicom.transport import ThreadedAssociationServer

from router.clock import SystemClock
from router.dicom import quiet
from router.dicom.admission import Admission, judge
from router.dicom.header import uids_of
from router.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, preamble_and_meta
from router.dicom.uid import clean
from router.errors import InvalidData, TransientError
from router.model import InstanceUids

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700  # PS3.4 Table B.2-1: the sender tries again
NOT_THIS_INSTANCE = 0xA900  # PS3.4 Table B.2-1: data set does not match SOP class

_log = logging.getLogger(__name__)


class IncomingFile(Protocol):
    """One instance on its way to disk. OSError or TransientError from any method is answered with A700."""

    def write(self, data: bytes) -> None:
        """Append; the Part 10 header comes first."""

    def commit(self, uids: InstanceUids) -> None:
        """Bytes and name survive power loss once this returns."""

    def discard(self) -> None:
        """Leave no trace; also after a failed write or commit."""


class Sink(Protocol):
    """Where instances go. Called from several threads at once."""

    def has_room(self) -> bool:
        """Whether one more instance is welcome (free-space floor)."""

    def create(self) -> IncomingFile:
        """A new file for one instance."""


@dataclass(frozen=True, slots=True)
class Received:
    """An instance was made durable and acknowledged. `size` is the data set's, in bytes."""

    uids: InstanceUids
    sop_class: str
    calling_ae: str
    address: str
    size: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An instance (`status` as in the response) or an association (`status` None) was refused."""

    calling_ae: str
    address: str
    reason: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that the server waits for a peer, and the longest P-DATA PDU it asks for, in bytes."""

    association_request: float = 10.0
    idle: float = 60.0
    max_pdu: int = 131072


class StorageServer:
    """Listens until stopped. `record` is told what happened, from several threads; it must not raise."""

    def __init__(
        self,
        sink: Sink,
        *,
        admission: Admission,
        record: Callable[[Received | Refused], None],
        limits: Limits | None = None,
    ) -> None:
        self._sink = sink
        self._admission = admission
        self._record = record
        self._limits = limits or Limits()
        self._clock = SystemClock()
        self._changed = threading.Condition()
        self._open: dict[Association, tuple[str, str]] = {}
        self._busy: set[Association] = set()
        self._stopping = False
        self._server: ThreadedAssociationServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int) -> int:
        """Listen; returns the real port once connections are answered. Raises OSError when the port is taken."""
        quiet.settle()
        _config.UNRESTRICTED_STORAGE_SERVICE = True
        self._server = self._entity().make_server(
            (host, port),
            evt_handlers=[
                (evt.EVT_CONN_OPEN, self._opened),
                (evt.EVT_REQUESTED, self._requested),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_C_ECHO, self._echo),
                (evt.EVT_DIMSE_SENT, self._answered),
            ],
            server_class=ThreadedAssociationServer,
        )
        # pynetdicom's backlog of 5 makes the seventh of a burst wait a second
        cast(socket.socket, self._server.socket).listen(128)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="dicom-listener", daemon=True
        )
        self._thread.start()
        return int(self._server.server_address[1])

    def stop(self, grace_seconds: float) -> None:
        """Stop listening, let instances at hand be finished within the grace, then abort what is open."""
        if self._server is None or self._thread is None:
            return
        self._stopping = True
        BaseServer.shutdown(self._server)  # pynetdicom's own is only for servers that it started itself
        self._server.server_close()
        self._thread.join()
        associations = self._server.active_associations
        with self._changed:
            self._changed.wait_for(self._nothing_at_hand, timeout=grace_seconds)
        for association in associations:
            if association.is_established:  # the others end by themselves: they wait for a request, within its limit
                association.abort(block=False)
        end = self._clock.monotonic() + grace_seconds
        for association in associations:
            association.join(timeout=max(0.0, end - self._clock.monotonic()))
        self._server = self._thread = None

    def _entity(self) -> AE:
        entity = AE(ae_title=self._admission.ae_title or "ROUTER")
        entity.add_supported_context(Verification)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION
        entity.maximum_pdu_size = self._limits.max_pdu
        entity.maximum_associations = 2**31  # ours are counted by admission, which leaves half-open sockets out
        entity.acse_timeout = self._limits.association_request
        entity.network_timeout = self._limits.idle
        entity.dimse_timeout = self._limits.idle
        return entity

    def _opened(self, event: evt.Event) -> None:
        quiet.prepare(event.assoc, self._limits.idle)

    def _requested(self, event: evt.Event) -> None:
        association = event.assoc
        request = cast(A_ASSOCIATE, association.requestor.primitive)
        sender = (request.calling_ae_title.strip(), association.requestor.address)
        with self._changed:
            self._open = {one: who for one, who in self._open.items() if not _ended(one)}
            others = list(self._open.values())
            rejection = judge(
                self._admission,
                called=request.called_ae_title.strip(),
                calling=sender[0],
                address=sender[1],
                in_all=len(others),
                from_sender=others.count(sender),
            )
            if rejection is None:
                self._open[association] = sender
        if rejection is not None:
            association.acse.send_reject(rejection.result, rejection.source, rejection.reason)
            association.kill()
            self._record(Refused(*sender, rejection.text))

    def _echo(self, _event: evt.Event) -> int:
        return SUCCESS

    def _store(self, event: evt.Event) -> int:
        with self._changed:
            self._busy.add(event.assoc)
        sender = self._open.get(event.assoc, ("", ""))
        status, outcome = self._received(event, *sender)
        self._record(outcome)
        return status

    def _received(self, event: evt.Event, calling: str, address: str) -> tuple[int, Received | Refused]:
        try:
            return SUCCESS, self._take(event, calling, address)
        except InvalidData as error:
            status, reason = NOT_THIS_INSTANCE, str(error)
        except TransientError as error:
            status, reason = OUT_OF_RESOURCES, str(error)
        except OSError as error:
            status, reason = OUT_OF_RESOURCES, f"cannot write: {error.strerror}"
        except Exception:  # noqa: BLE001 a fault of ours is not the instance's, yet pynetdicom would answer C211
            _log.exception("receiving an instance failed")
            status, reason = OUT_OF_RESOURCES, "internal fault, see the log"
        return status, Refused(calling, address, reason, status)

    def _take(self, event: evt.Event, calling: str, address: str) -> Received:
        if event.assoc not in self._open:
            raise TransientError("the association was not admitted")
        if self._stopping:
            raise TransientError("the node is stopping")
        if not self._sink.has_room():
            raise TransientError("free space is below the floor")
        dataset = event.encoded_dataset(include_meta=False)
        syntax = str(event.context.transfer_syntax)
        uids, sop_class = uids_of(dataset, syntax)
        request = cast(C_STORE, event.request)
        announced = clean(request.AffectedSOPClassUID or ""), clean(request.AffectedSOPInstanceUID or "")
        if announced != (sop_class, uids.sop):
            raise InvalidData("the data set's SOP class or instance is not the request's")
        self._keep(uids, preamble_and_meta(sop_class, uids.sop, syntax, calling, self._called(event)), dataset)
        return Received(uids, sop_class, calling, address, len(dataset))

    def _called(self, event: evt.Event) -> str:
        return self._admission.ae_title or cast(A_ASSOCIATE, event.assoc.requestor.primitive).called_ae_title.strip()

    def _keep(self, uids: InstanceUids, header: bytes, dataset: bytes) -> None:
        file = self._sink.create()
        try:
            file.write(header)
            file.write(dataset)
            file.commit(uids)
        except BaseException:
            file.discard()
            raise

    def _answered(self, event: evt.Event) -> None:
        with self._changed:
            self._busy.discard(event.assoc)
            self._changed.notify_all()

    def _nothing_at_hand(self) -> bool:
        return not any(association.is_established for association in self._busy)


def _ended(association: Association) -> bool:
    return association.is_released or association.is_aborted or not association.is_alive()
