"""One association as its requestor runs it (PS3.8 7, 9.2): request, P-DATA, release, abort.

Every wait has a limit, and no answer of an acceptor makes memory grow beyond the lengths below.
"""

import select
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, TypeVar

from router.config.sections import DicomDestination
from router.dicom.dataset.elements import IMPLICIT_LITTLE_ENDIAN
from router.dicom.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from router.dicom.ul import dimse, items, pdata, pdu
from router.dicom.ul.contexts import MOST, Context
from router.dicom.ul.dimse import Operation
from router.dicom.ul.pdata import FileSlice
from router.dicom.ul.pdu import AbortSource, PduType, Violation
from router.dicom.ul.status import DESTINATION, Peer, hint, is_for_good
from router.errors import DestinationDown, IntegrityError, InvalidData, Outage, TransientError
from router.policy.bandwidth import Paced, unbounded
from router.policy.breadth import Exchange

_OUR_LONGEST = 16384  # little comes back
_ITEMS_AT = items.ITEMS_AT - pdu.HEADER_BYTES  # in the variable field
_LENGTHS = {
    PduType.ASSOCIATE_AC: (68, 65536),
    PduType.ASSOCIATE_RJ: (4, 4),
    PduType.P_DATA_TF: (6, _OUR_LONGEST),
    PduType.RELEASE_RQ: (4, 4),
    PduType.RELEASE_RP: (4, 4),
    PduType.ABORT: (4, 4),
}
_LONGEST_COMMAND = 16384
VERIFY: Context = (dimse.VERIFICATION, IMPLICIT_LITTLE_ENDIAN)
# The longest PDU that is sent: also to a peer without a limit (0) or with a higher one.
_LONGEST_PDU = 262144
_SHORTEST_PDU = 128
_Fragment = tuple[int, int, bytes, int]  # context, message control header, value, bytes that follow it in its PDU
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Seconds to wait for the connection, the answer to a request, room to write, a response, the end by release."""

    connect: float = 10.0
    association: float = 30.0
    write: float = 60.0
    response: float = 300.0
    release: float = 5.0


@dataclass(frozen=True, slots=True)
class Message:
    """A request or response from the acceptor; `data_set` is b"" when there is none."""

    context_id: int
    command: bytes
    data_set: bytes


class Requestor:
    """One association, perhaps without any accepted context. Not for several threads at once.

    Every method raises TransientError when the association is lost or aborted, when no answer comes in time, or when
    the acceptor breaks the protocol; the association is then closed. `with` releases it at the end.
    """

    def __init__(
        self, connection: socket.socket, destination: DicomDestination, waits: Waits, paced: Paced = unbounded,
        peer: Peer = DESTINATION,
    ) -> None:  # fmt: skip
        self.name = f"{destination.ae_title} from port {connection.getsockname()[1]}"
        self.proposed: frozenset[Context] = frozenset()
        self.accepted: Mapping[Context, int] = {}
        self._connection = connection
        self._destination = destination
        self.peer = peer
        self._waits = waits
        self._paced = paced
        self._longest = _SHORTEST_PDU
        self._read = bytearray()
        self._room = bytearray(pdata.ROOM)
        self.last_message = 0  # id of the last request
        self.exchange = Exchange(0, 0.0, 0.0)  # the last C-STORE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def request(self, contexts: Sequence[Context]) -> None:
        """A-ASSOCIATE. Raises DestinationDown when it is rejected for configuration or answered with anything else."""
        where = f"{self._destination.host}:{self._destination.port}"
        proposal = {2 * number + 1: context for number, context in enumerate(contexts[:MOST])}
        try:
            self._write(_association_request(self._destination, proposal))
            kind, body = self._pdu(time.monotonic() + self._waits.association)
        except TransientError as error:
            text = f"{where} connects but does not answer as DICOM"
            raise DestinationDown(text, outage=Outage.PROTOCOL, hint="check the port") from error
        if kind is PduType.ASSOCIATE_RJ:
            self._connection.close()
            raise self._rejected(where, *body[1:4])
        if kind is not PduType.ASSOCIATE_AC:
            self.abort()
            text, where_to_look = f"{where} does not take the association", f"see the log of {self.peer.name}"
            raise DestinationDown(text, outage=Outage.ASSOCIATION, hint=where_to_look)
        self._longest, self.accepted = self._understood(body, proposal)
        self.proposed = frozenset(contexts)

    def store(self, context: Context, sop_instance: str, data_set: FileSlice) -> int:
        """C-STORE (PS3.7 9.1.1); the response's status. IntegrityError, and an abort, when the file is another one."""
        context_id = self.accepted[context]
        command = dimse.composite_rq(Operation.C_STORE, self.next_message(), context[0], instance=sop_instance)
        began = time.monotonic()
        try:
            self._connection.settimeout(self._waits.write)
            pdata.write_message(self._connection, context_id, command, data_set, self._longest, self._room, self._paced)
        except (IntegrityError, TransientError):
            self.abort()
            raise
        except OSError as error:
            raise self._lost(error) from error
        written = time.monotonic()
        status = self._response(context_id, Operation.C_STORE)
        answered = time.monotonic()
        self.exchange = Exchange(data_set.size, answered - began, answered - written)
        return status

    def echo(self) -> int:
        """C-ECHO (PS3.7 9.1.5) over the context VERIFY, which is accepted; the response's status."""
        context_id = self.accepted[VERIFY]
        self.send(context_id, dimse.c_echo_rq(self.next_message()))
        return self._response(context_id, Operation.C_ECHO)

    def verify(self) -> None:
        """C-ECHO; DestinationDown when it is not accepted or not answered with success."""
        text = f"{self.peer.name} does not accept C-ECHO"
        if VERIFY in self.accepted:
            if not (status := self.echo()):
                return
            text = f"C-ECHO answered {status:04X}"
        raise DestinationDown(text, outage=Outage.SERVICE, association=self.name)

    def send(self, context_id: int, command: bytes, data_set: bytes = b"") -> None:
        """Send a message from memory."""
        self._write(pdata.message_pdus(context_id, command, self._longest, data_set))

    def receive(self, until: float, largest: int) -> Message:
        """The next message, whole before `until` (monotonic clock), with a data set of at most `largest` bytes."""
        fragments = self._fragments(until)
        context_id, command, left = self._gather(fragments, pdu.COMMAND, _LONGEST_COMMAND, self.accepted.values())
        data_set = b""
        if self.understand(dimse.has_data_set, command):
            _, data_set, left = self._gather(fragments, 0, largest, (context_id,))
        if left:
            raise self.broken("more follows the last fragment of its message")
        return Message(context_id, command, data_set)

    def speaks(self, seconds: float) -> bool:
        """Whether anything arrives from the acceptor within the time, be it the end of the association."""
        if not self.is_open or self._read:
            return True
        waiting = select.poll()
        waiting.register(self._connection, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))

    @property
    def is_open(self) -> bool:
        """Whether the association is open as far as is known."""
        return self._connection.fileno() >= 0

    @property
    def is_quiet(self) -> bool:
        """Whether it is open and nothing unasked has arrived: an abort, a release, the connection's end."""
        return not self.speaks(0)

    def next_message(self) -> int:
        """A message id for the next request."""
        self.last_message = self.last_message % 0xFFFF + 1
        return self.last_message

    def broken(self, what: str) -> TransientError:
        """Abort the association, and return the error to raise when the acceptor breaks the protocol."""
        self.abort()
        return TransientError(f"{self.peer.name} breaks the protocol: {what}", association=self.name)

    def release(self) -> None:
        """A-RELEASE, orderly if the acceptor cooperates. Raises nothing, since everything was answered before."""
        if not self.is_open:
            return
        until = time.monotonic() + self._waits.release
        with suppress(TransientError):
            self._write(pdu.release_request())
            while (kind := self._pdu(until)[0]) not in {PduType.RELEASE_RP, PduType.ABORT}:
                if (
                    kind is PduType.RELEASE_RQ
                ):  # collision: answer, then wait for our own answer (PS3.8 9.2, AR-8, AR-9)
                    self._write(pdu.release_response())
        self._connection.close()

    def abort(self) -> None:
        """A-ABORT as service user, without waiting."""
        if self.is_open:
            with suppress(OSError):  # the connection's end says the same
                self._connection.settimeout(0)
                self._connection.send(pdu.abort(AbortSource.SERVICE_USER))
            self._connection.close()

    def _understood(self, body: bytes, proposal: Mapping[int, Context]) -> tuple[int, dict[Context, int]]:
        """The longest PDU to send, and the ids of the contexts that are accepted in the syntax they offer."""
        try:
            found = list(items.items(body[_ITEMS_AT:]))
        except InvalidData as error:
            raise self.broken("it accepts the association with a PDU that cannot be read") from error
        limit = items.maximum_length(b"".join(value for kind, value in found if kind == items.USER))
        longest = items.CAUTIOUS_LENGTH if limit is None else min(limit or _LONGEST_PDU, _LONGEST_PDU)
        if longest < _SHORTEST_PDU:
            raise self.broken(f"it takes no PDU longer than {longest} bytes")
        answers = {}
        for kind, value in found:
            if kind == items.ANSWERED and len(value) >= 4:  # id, result and transfer syntax (PS3.8 9.3.3.2)
                names = (items.uid(name) for one, name in items.readable(value[4:])[0] if one == items.TRANSFER)
                answers[value[0]] = value[2], next(names, "")
        return longest, {one: number for number, one in proposal.items() if answers.get(number) == (0, one[1])}

    def _rejected(self, where: str, result: int, source: int, reason: int) -> TransientError:
        if is_for_good(result, source, reason):
            remedy = hint(source, reason, self.peer, self._destination.calling_ae_title)
            return DestinationDown(f"{where} rejected the association", outage=Outage.ASSOCIATION, hint=remedy)
        return TransientError(f"{where} is too busy for another association", source=source, reason=reason)

    def _response(self, context_id: int, operation: Operation) -> int:
        fragments = self._fragments(time.monotonic() + self._waits.response)
        _, command, left = self._gather(fragments, pdu.COMMAND, _LONGEST_COMMAND, (context_id,))
        if left:
            raise self.broken("more follows the last fragment of its answer")
        answer = self.understand(dimse.read_response, command)
        if (answer.operation, answer.message_id) != (operation, self.last_message):
            raise self.broken("it answers what was not asked")
        return answer.status

    def understand(self, read: Callable[[bytes], _Read], command: bytes) -> _Read:
        """The command set as read by `read`; when it cannot be read the acceptor breaks the protocol."""
        try:
            return read(command)
        except InvalidData as error:
            raise self.broken(error.message) from error

    def _gather(
        self, fragments: Iterator[_Fragment], kind: int, largest: int, contexts: Collection[int]
    ) -> tuple[int, bytes, int]:
        """A command set (kind COMMAND) or data set (0) of fragments: context, bytes, and bytes left in the PDU."""
        gathered = bytearray()
        while True:
            number, control, value, left = next(fragments)
            if number not in contexts:
                raise self.broken("a presentation data value of another context")
            if control & pdu.COMMAND != kind or len(gathered) + len(value) > largest:
                raise self.broken("it answers with a data set, or without end")
            gathered += value
            if control & pdu.LAST:
                return number, bytes(gathered), left

    def _fragments(self, until: float) -> Iterator[_Fragment]:
        """Presentation data values as they arrive (PS3.8 9.3.5.1)."""
        while True:
            kind, body = self._pdu(until)
            if kind is not PduType.P_DATA_TF:
                if kind is PduType.RELEASE_RQ:
                    self._write(pdu.release_response())
                self._connection.close()
                how = {PduType.ABORT: "aborted", PduType.RELEASE_RQ: "released"}.get(kind, "left")
                raise TransientError(f"the association was {how} by {self.peer.name}", association=self.name)
            end = 0
            while end < len(body):
                try:
                    size, number, control = pdu.read_pdv_header(body, end, len(body) - end)
                except Violation as error:
                    raise self.broken("a presentation data value lies about its length") from error
                start = end + pdu.PDV_HEADER_BYTES
                end = start + size
                yield number, control, body[start:end], len(body) - end

    def _pdu(self, until: float) -> tuple[PduType, bytes]:
        kind, length = pdu.HEADER.unpack(self._bytes(pdu.HEADER_BYTES, until))
        least, most = _LENGTHS.get(kind, (0, -1))
        if not least <= length <= most:
            raise self.broken(f"it sends a PDU of type {kind:02X}h and length {length}")
        return PduType(kind), self._bytes(length, until)

    def _bytes(self, size: int, until: float) -> bytes:
        while len(self._read) < size:
            try:
                self._connection.settimeout(max(until - time.monotonic(), 0.001))
                # An acceptor with Nagle's algorithm holds the rest of its response until we acknowledge the first part.
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                received = self._connection.recv(16384)
            except OSError as error:
                raise self._lost(error) from error
            if not received:
                raise self._lost(None)
            self._read += received
            if time.monotonic() > until:
                raise self._lost(TimeoutError())
        data = bytes(self._read[:size])
        del self._read[:size]
        return data

    def _write(self, data: bytes) -> None:
        try:
            self._connection.settimeout(self._waits.write)
            self._connection.sendall(data)
        except OSError as error:
            raise self._lost(error) from error

    def _lost(self, error: OSError | None) -> TransientError:
        if isinstance(error, TimeoutError):
            self.abort()
            return TransientError(f"{self.peer.name} does not answer or read in time", association=self.name)
        self._connection.close()
        return TransientError("the association was lost", association=self.name)


def _association_request(destination: DicomDestination, proposal: Mapping[int, Context]) -> bytes:
    called, calling = (name.encode().ljust(16) for name in (destination.ae_title, destination.calling_ae_title))
    user = items.item(items.MAXIMUM_LENGTH, struct.pack(">L", _OUR_LONGEST))
    user += items.item(items.CLASS_UID, IMPLEMENTATION_CLASS_UID.encode())
    user += items.item(items.VERSION_NAME, IMPLEMENTATION_VERSION.encode())
    body = b"\0\1\0\0" + called + calling + bytes(32)
    body += items.item(items.APPLICATION, items.APPLICATION_CONTEXT.encode())
    for number, (sop_class, syntax) in proposal.items():
        names = items.item(items.ABSTRACT, sop_class.encode()) + items.item(items.TRANSFER, syntax.encode())
        body += items.item(items.PROPOSED, bytes((number, 0, 0, 0)) + names)
    body += items.item(items.USER, user)
    return pdu.pdu(PduType.ASSOCIATE_RQ, body)
