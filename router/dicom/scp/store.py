"""One C-STORE as its SCP serves it (PS3.4 B): the data set is written to the sink as it arrives, and kept if sound."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import BinaryIO, Protocol

from router.dicom.dataset.header import irregular_uids, study_of, uids_of
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.dataset.uid import clean, undotted, valid
from router.dicom.ul import dimse
from router.errors import CutOff, InvalidData, TransientError, traceback_of
from router.model import InstanceUids
from router.refusals import Why

_FIRST_LOOK = 2**13  # bytes; the series UID is among the first two thousand of nearly every data set
_LAST_LOOK = 2**20
_LONGEST = 200  # characters of a reason
_ROOM_CHECK = 2**26  # bytes of one data set between two looks at the free space

_second_reading = Lock()  # a worker needs the memory of one second reading only

_log = logging.getLogger(__name__)


class IncomingFile(Protocol):
    """One instance on its way to disk. OSError or TransientError from any method is answered with A700."""

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        """Append the parts in order, the Part 10 header first. They are valid during the call only."""

    def written(self) -> BinaryIO:
        """The bytes written so far, for reading before `commit`; the reader closes it."""

    def commit(self, uids: InstanceUids) -> None:
        """Make bytes and name durable: they survive power loss once this returns."""

    def discard(self) -> None:
        """Remove the file, also after a failed write or commit."""


class Sink(Protocol):
    """The place for received instances. Called from several threads at once."""

    def has_room(self) -> bool:
        """Whether there is room for one more instance (free-space floor)."""

    def create(self) -> IncomingFile:
        """A new file for one instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An instance was made durable and acknowledged. `size` is the data set's, in bytes."""

    uids: InstanceUids
    sop_class: str
    calling_ae: str
    address: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An instance (`status` as in the response) or an association (`status` None) was refused.

    `why` is the cause when the status does not say it. UIDs of the instance are "" when not known.
    """

    calling_ae: str
    address: str
    reason: str
    status: int | None = None
    why: Why | None = None
    called_ae: str = ""
    study: str = ""
    sop: str = ""

    @property
    def code(self) -> str:
        """The cause as it is counted: a Why, or the status in hexadecimal."""
        return self.why or (Why.PROTOCOL if self.status is None else f"{self.status:04X}")


@dataclass(frozen=True, slots=True)
class Parties:
    """The sender, its address, and the receiving AE."""

    calling_ae: str
    address: str
    receiving_ae: str

    def refused(
        self, reason: str, status: int | None = None, why: Why | None = None, uids: tuple[str, str] = ("", "")
    ) -> Refused:
        """A refusal in this association; `uids` of study and instance, "" when not known."""
        return Refused(
            calling_ae=self.calling_ae, address=self.address, called_ae=self.receiving_ae, reason=reason[:_LONGEST],
            status=status, why=why, study=uids[0], sop=uids[1],
        )  # fmt: skip


def named_in(request: dimse.Request) -> str:
    """The Affected SOP Instance UID of a request; "" when it is not valid."""
    try:
        return valid(request.sop_instance.decode("ascii", "replace"))
    except InvalidData:
        return ""


class Storing:
    """Serves one C-STORE request, from its command to its status.

    After a fault the rest of the data is ignored, except for the study's UID, which the refusal names.
    """

    def __init__(self, sink: Sink, request: dimse.Request, transfer_syntax: str, parties: Parties) -> None:
        self._sink = sink
        self._request = request
        self._parties = parties
        self._size = 0
        self._file: IncomingFile | None = None
        self._header: list[bytes] = []  # written with the first bytes of the data set
        self._beginning = _Beginning(transfer_syntax)
        self._fault: tuple[int, str] | None = None
        with self._remembering():
            sop_class, sop_instance = self._announced()
            if not request.has_data_set:
                raise InvalidData("a C-STORE request without a data set")
            self._need_room()
            self._file = sink.create()
            sender, receiver, address = parties.calling_ae, parties.receiving_ae, parties.address
            self._header = [preamble_and_meta(sop_class, sop_instance, transfer_syntax, sender, receiver, address)]

    def write(self, parts: Sequence[memoryview]) -> None:
        """The next bytes of the data set."""
        if self._fault is not None or self._file is None:
            self._beginning.add(parts)
            return
        with self._remembering():
            before, self._size = self._size, self._size + sum(map(len, parts))
            if self._size // _ROOM_CHECK > before // _ROOM_CHECK:
                self._need_room()
            self._beginning.add(parts)
            self._file.write([*self._header, *parts])
            self._header = []

    def finish(self) -> tuple[int, Received | Refused]:
        """The status of the complete data set, which is durable when it is Success, and the outcome to record."""
        with self._remembering():
            if self._fault is None and self._file is not None:
                outcome = self._checked(self._file)
                self._file.commit(outcome.uids)
                self._file = None
                return dimse.SUCCESS, outcome
        status, reason = self._fault or (dimse.OUT_OF_RESOURCES, "no file")
        return status, self._parties.refused(reason, status, uids=self.named())

    def named(self) -> tuple[str, str]:
        """UIDs of the study and the instance, "" while not known."""
        return self._beginning.study(), named_in(self._request)

    def drop(self) -> None:
        """Discard the file: the rest will not come."""
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _need_room(self) -> None:
        if not self._sink.has_room():
            raise TransientError("no room: less than [receive] min_free is left")

    def _announced(self) -> tuple[str, str]:
        words = self._request.sop_class, self._request.sop_instance
        sop_class, sop_instance = (clean(word.decode("ascii", "replace")) for word in words)
        return valid(sop_class), valid(sop_instance)

    def _checked(self, file: IncomingFile) -> Received:
        try:
            uids, sop_class = self._beginning.uids()
        except InvalidData:
            with _second_reading, file.written() as written:
                uids, sop_class = irregular_uids(written)
        if tuple(map(undotted, self._announced())) != (sop_class, undotted(uids.sop)):
            raise InvalidData("the data set's SOP class or instance is not the request's")
        return Received(
            uids=uids,
            sop_class=sop_class,
            calling_ae=self._parties.calling_ae,
            address=self._parties.address,
            size=self._size,
        )

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except CutOff as error:
            self._fail(dimse.CANNOT_UNDERSTAND, str(error))
        except InvalidData as error:
            self._fail(dimse.NOT_THIS_INSTANCE, str(error))
        except TransientError as error:
            self._fail(dimse.OUT_OF_RESOURCES, str(error))
        except OSError as error:
            self._fail(dimse.OUT_OF_RESOURCES, f"cannot write: {error.strerror}")
        except Exception as error:  # noqa: BLE001 a fault of ours is not the instance's: the sender must try again
            _log.error("receiving an instance failed: %s at %s", type(error).__name__, traceback_of(error))
            self._fail(dimse.OUT_OF_RESOURCES, "internal fault, see the log")

    def _fail(self, status: int, reason: str) -> None:
        self._fault = status, reason
        self.drop()


class _Beginning:
    """The data set's first bytes, collected until its UIDs are found in them."""

    def __init__(self, transfer_syntax: str) -> None:
        self._syntax = transfer_syntax
        self._bytes = bytearray()
        self._next_look = _FIRST_LOOK
        self._found: tuple[InstanceUids, str] | None = None

    def add(self, parts: Sequence[memoryview]) -> None:
        for part in parts:
            if self._found is not None or len(self._bytes) >= _LAST_LOOK:
                return
            self._bytes += part[: _LAST_LOOK - len(self._bytes)]
            if len(self._bytes) >= self._next_look:
                self._next_look = 8 * len(self._bytes)
                with suppress(InvalidData):  # more bytes may come; the last look decides
                    self._found = uids_of(bytes(self._bytes), self._syntax)
                    self._bytes.clear()

    def uids(self) -> tuple[InstanceUids, str]:
        """UIDs and SOP class; InvalidData when they are missing or not valid."""
        return self._found or uids_of(bytes(self._bytes), self._syntax)

    def study(self) -> str:
        """The study's UID, even if the rest cannot be read; "" while not known."""
        return self._found[0].study if self._found else study_of(bytes(self._bytes), self._syntax)
