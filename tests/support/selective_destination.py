"""A destination that accepts only some contexts, and that answers each instance as a test wants, over plain sockets."""

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from support.scripted_acceptors import ABORT, command_of, fixed, pdata, read_instance, read_pdu

Context = tuple[str, str]  # SOP class, transfer syntax


def named(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def proposed(request: bytes) -> dict[int, Context]:
    found, at = {}, 74
    while at < len(request):
        kind, size = struct.unpack_from(">BxH", request, at)
        if kind == 0x20:
            value, inner, names = request[at + 4 : at + 4 + size], 4, []
            while inner < len(value):
                length = int.from_bytes(value[inner + 2 : inner + 4], "big")
                names.append(value[inner + 4 : inner + 4 + length].decode())
                inner += 4 + length
            found[value[0]] = names[0], names[1]
        at += 4 + size
    return found


@dataclass
class Picky:
    """Accepts the contexts that `accepts` picks of a proposal, and does with an instance what `does` says.

    `does` gets the place of the instance in its association and its first data bytes; None ends the association.
    """

    accepts: Callable[[Sequence[Context]], Sequence[Context]] = lambda contexts: contexts
    does: Callable[[int, bytes], int | None] = lambda place, data: 0
    silent: bool = False
    proposals: list[list[Context]] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, connection: socket.socket) -> None:
        request = read_pdu(connection)[1]
        contexts = proposed(request)
        with self.lock:
            self.proposals.append(list(contexts.values()))
        taken = self.accepts(list(contexts.values()))
        answers = b"".join(
            named(0x21, bytes((number, 0, 0 if context in taken else 4, 0)) + named(0x40, context[1].encode()))
            for number, context in contexts.items()
        )
        user = named(0x50, named(0x51, struct.pack(">L", 16384)) + named(0x52, b"1.2.3"))
        body = request[6:74] + named(0x10, b"1.2.840.10008.3.1.1.1") + answers + user
        connection.sendall(struct.pack(">BxL", 2, len(body)) + body)
        place = 0
        while True:
            number, message, data = read_instance(connection)
            place += 1
            with self.lock:
                status = self.does(place, data)
                self.places.append(place)
                self.stored += [data] if status == 0 else []
            if status is None:
                if not self.silent:
                    connection.sendall(fixed(ABORT))
                return
            connection.sendall(pdata(number, 3, command_of(message, status)))
