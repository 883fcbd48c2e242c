"""Storage SCU and Verification SCU (PS3.4 B and A): sends stored instances byte for byte as they came."""

import ipaddress
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time

from router.config import DicomDestination
from router.dicom import quiet
from router.dicom.contexts import Context, Proposal, propose
from router.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from router.dicom.status import SOP_CLASS_NOT_SUPPORTED, Cause, Verdict, classify, hint, rejection
from router.errors import ConfigurationError, DestinationDown, IntegrityError, TransientError


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One stored instance to send; `key` is the ledger's."""

    key: int
    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Result:
    """What the destination answered for one instance, over which association."""

    key: int
    status: int
    verdict: Verdict
    association: str


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds: for the connection, for an association to be answered, for a response, without any traffic."""

    connect: float = 10.0
    association: float = 30.0
    response: float = 300.0
    idle: float = 60.0


class StorageClient:
    """Sends to one destination. One association at a time; use several clients for several associations."""

    def __init__(self, destination: DicomDestination, waits: Waits | None = None) -> None:
        if destination.tls is not None:
            raise ConfigurationError(
                "destination.dicom.tls is set, but this version sends DICOM without TLS only",
                hint="use a secured line with allow_plain = true, and remove tls",
            )
        self._destination = destination
        self._waits = waits or Waits()
        quiet.settle()
        _config.STORE_SEND_CHUNKED_DATASET = True  # the stored bytes, not decoded and encoded again

    def send(self, items: Sequence[Outgoing], stop: Callable[[], bool]) -> Iterator[Result]:
        """Yields each instance's result as soon as it is known; ends early, between instances, when `stop()` is true.

        An instance whose context is not accepted is refused (0122) and does not stop the others.
        Raises DestinationDown (no association can be had, or it is rejected for configuration), TransientError
        (congestion, aborted or timed out in the middle), IntegrityError (a stored file is missing or is not what the
        ledger says; its `key` is in the fields).
        """
        for proposal in propose(items):
            if stop():
                return
            yield from self._over_one_association(proposal, stop)

    def echo(self) -> None:
        """C-ECHO. Raises as `send` does."""
        with self._association(((str(Verification), ""),)) as (association, name):
            if not association.accepted_contexts:
                raise DestinationDown("the destination does not accept C-ECHO", association=name)
            status = association.send_c_echo()
            if "Status" not in status:
                raise TransientError("no response to C-ECHO", association=name)
            if status.Status != 0:
                raise DestinationDown(f"C-ECHO answered {status.Status:04X}", association=name)

    def _over_one_association(self, proposal: Proposal[Outgoing], stop: Callable[[], bool]) -> Iterator[Result]:
        with self._association(proposal.contexts) as (association, name):
            accepted = {(str(cx.abstract_syntax), str(cx.transfer_syntax[0])) for cx in association.accepted_contexts}
            for item in proposal.items:
                if stop():
                    return
                if (item.sop_class, item.transfer_syntax) in accepted:
                    status = _store(association, item, name)
                else:
                    status = SOP_CLASS_NOT_SUPPORTED
                yield Result(item.key, status, classify(status), name)

    @contextmanager
    def _association(self, contexts: Sequence[Context]) -> Iterator[tuple[Association, str]]:
        """An association that was answered: established, or without a single accepted context."""
        association, name = self._request(contexts)
        try:
            yield association, name
        finally:
            if association.is_established:
                association.release()

    def _request(self, contexts: Sequence[Context]) -> tuple[Association, str]:
        names: list[str] = []
        made: list[socket.socket] = []

        def requested(event: evt.Event) -> None:
            if event.assoc.dul.socket and event.assoc.dul.socket.socket:
                made.append(event.assoc.dul.socket.socket)

        def opened(event: evt.Event) -> None:
            port = quiet.prepare(event.assoc, self._waits.response)
            names.append(f"{self._destination.ae_title} from port {port}")

        association = self._entity().associate(
            self._address(),
            self._destination.port,
            contexts=[build_context(sop_class, syntax or None) for sop_class, syntax in contexts],
            ae_title=self._destination.ae_title,
            evt_handlers=[(evt.EVT_ACSE_SENT, requested), (evt.EVT_CONN_OPEN, opened)],
            bind_address=(self._destination.source_address, 0),
        )
        if not association.is_established and not association.rejected_contexts:
            for connection in made:
                connection.close()  # pynetdicom leaves a socket that could not connect to the garbage collector
            raise self._trouble(association, connected=bool(names))
        return association, names[0]

    def _entity(self) -> AE:
        entity = AE(ae_title=self._destination.calling_ae_title)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION
        entity.connection_timeout = self._waits.connect
        entity.acse_timeout = self._waits.association
        entity.dimse_timeout = self._waits.response
        entity.network_timeout = self._waits.idle
        return entity

    def _address(self) -> str:
        """The destination's address; refused when it resolves outside the allowed networks."""
        host = self._destination.host
        try:
            address = str(socket.getaddrinfo(host, self._destination.port, type=socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            raise DestinationDown(f"cannot resolve {host}", hint="check the name and the DNS server") from error
        allowed = self._destination.allowed_networks
        inside = any(ipaddress.ip_address(address) in ipaddress.ip_network(one, strict=False) for one in allowed)
        if allowed and not inside:
            raise DestinationDown(
                f"{host} resolves to {address}, outside allowed_networks", hint="check the DNS server"
            )
        return address

    def _trouble(self, association: Association, *, connected: bool) -> TransientError:
        where = f"{self._destination.host}:{self._destination.port}"
        if not connected:
            return DestinationDown(f"cannot connect to {where}", hint="check the address, the line and the firewall")
        answer = association.acceptor.primitive
        if not association.is_rejected or answer is None:
            return DestinationDown(f"{where} connects but does not answer as DICOM", hint="check the port")
        result, source, reason = answer.result or 0, answer.result_source or 0, answer.diagnostic or 0
        if rejection(result, source, reason) is Cause.CONFIGURATION:
            return DestinationDown(f"{where} rejected the association", hint=hint(source, reason))
        return TransientError(f"{where} is too busy for another association", source=source, reason=reason)


def _store(association: Association, item: Outgoing, name: str) -> int:
    if not association.is_established:
        raise TransientError("the association was lost", association=name)
    try:
        answer = association.send_c_store(item.path)
    except RuntimeError as error:
        raise TransientError("the association was lost", association=name) from error
    except (OSError, ValueError, AttributeError) as error:
        raise IntegrityError("a stored file is missing or is not what the ledger says", key=item.key) from error
    if "Status" not in answer:
        raise TransientError("no response: the association was aborted or timed out", association=name)
    return int(answer.Status)
