"""The pipe between the main process and a receive worker: messages of one packet, some with a connection attached.

A worker ends when its pipe closes, so it dies with the main process.
"""

import array
import json
import socket
from dataclasses import asdict, dataclass
from typing import Any, get_args

from router.config.sections import Tls
from router.dicom.scp.acceptor import Settings
from router.dicom.scp.admission import Ask, Rejection
from router.dicom.scp.store import Received, Refused
from router.dicom.ul.commitment import Report
from router.dicom.ul.socket import Limits
from router.model import InstanceUids
from router.refusals import Why

_LARGEST = 2**16


@dataclass(frozen=True, slots=True)
class Take:
    """To a worker, with the connection attached."""

    number: int
    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """To a worker, for its Ask: whether the connection may be an association."""

    number: int
    rejection: Rejection | None


@dataclass(frozen=True, slots=True)
class Ended:
    """From a worker: the connection of that number is no association any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Reported:
    """From a worker: a report on storage commitment, under a number of the worker's, which waits for the answer."""

    number: int
    report: Report


@dataclass(frozen=True, slots=True)
class Taken:
    """To a worker, for its Reported: the status to answer with."""

    number: int
    status: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """From a worker: the latest outcomes, in order."""

    happened: tuple[Received | Refused, ...]


@dataclass(frozen=True, slots=True)
class Beat:
    """To a worker every few seconds, and back from it as a sign of life. The first from a worker: it serves."""


@dataclass(frozen=True, slots=True)
class Stop:
    """To a worker: finish messages in progress within the grace, then end."""

    grace_seconds: float


# A worker gets Settings first of all; again when its certificate or `reports` change.
Message = Settings | Take | Ask | Answer | Ended | Reported | Taken | Outcomes | Beat | Stop
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}


class WorkerPipe:
    """One end. `send` may be called from several threads, `receive` from one."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._buffer = bytearray(_LARGEST)  # one for all messages: one for each would leave holes in the heap

    @classmethod
    def pair(cls, send_seconds: float) -> tuple["WorkerPipe", socket.socket]:
        """Our end, which waits at most so long to send, and the end for the other process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(send_seconds)
        return cls(ours), theirs

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._socket.fileno()

    def send(self, message: Message, connection: socket.socket | None = None) -> None:
        """Send a message; OSError when the other process is gone, or takes nothing."""
        data = json.dumps(
            [type(message).__name__, asdict(message)], default=lambda tls: tls.model_dump(mode="json")
        ).encode()
        handles = array.array("i", [] if connection is None else [connection.fileno()])
        attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles.tobytes())] if handles else []
        self._socket.sendmsg([data], attached)

    def receive(self) -> tuple[Message, socket.socket | None] | None:
        """The next message and its connection; None when the other process is gone."""
        room = socket.CMSG_LEN(array.array("i").itemsize)
        try:
            size, attached, _, _ = self._socket.recvmsg_into([self._buffer], room)
        except ConnectionResetError:  # it was killed before it had read all of our messages
            return None
        if not size:
            return None
        name, values = json.loads(self._buffer[:size])
        handles = array.array("i", attached[0][2] if attached else b"")
        return _KINDS[name](**_parts(values)), socket.socket(fileno=handles[0]) if handles else None

    def close(self) -> None:
        """Close this end; the other one sees it."""
        self._socket.close()


def _parts(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a message, with its records restored."""
    if "limits" in values:
        tls = values["tls"]
        limits = values["limits"] | {"proxies": tuple(values["limits"]["proxies"])}
        return values | {"limits": Limits(**limits), "tls": Tls(**tls) if tls else None}
    if values.get("rejection"):
        rejection = values["rejection"]
        return values | {"rejection": Rejection(**rejection | {"why": Why(rejection["why"])})}
    if "report" in values:
        report = values["report"]
        failed = tuple((uid, reason) for uid, reason in report["failed"])
        return values | {"report": Report(report["transaction"], tuple(report["committed"]), failed)}
    if "certificate" in values:
        return values | {"certificate": tuple(values["certificate"])}
    if "happened" in values:
        return {"happened": tuple(_outcome(**each) for each in values["happened"])}
    return values


def _outcome(*, uids: dict[str, str] | None = None, **values: Any) -> Received | Refused:
    if uids is not None:
        return Received(uids=InstanceUids(**uids), **values)
    return Refused(**values | {"why": None if values["why"] is None else Why(values["why"])})
