"""A sink that takes whole data sets only: what is cut off is refused before it is acknowledged."""

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from router.dicom.cut import cut_off
from router.dicom.dataset import read_elements
from router.dicom.store import IncomingFile
from router.errors import CutOff
from router.model import InstanceUids


class LegibleFile(IncomingFile, Protocol):
    """One whose bytes can be read before it is durable."""

    def written(self) -> BinaryIO:
        """Bytes written so far, to be read before `commit`; the reader closes it."""


class LegibleSink(Protocol):
    """A Sink of such files."""

    def has_room(self) -> bool:
        """As a Sink has it."""

    def create(self) -> LegibleFile:
        """A new file for one instance."""


class WholeOnly:
    """What comes goes to `sink`."""

    def __init__(self, sink: LegibleSink) -> None:
        self._sink = sink

    def has_room(self) -> bool:
        """As the sink has it."""
        return self._sink.has_room()

    def create(self) -> IncomingFile:
        """A new file that becomes durable only when it is whole."""
        return _WholeFile(self._sink.create())


class _WholeFile:
    def __init__(self, file: LegibleFile) -> None:
        self._file = file

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        self._file.write(parts)

    def commit(self, uids: InstanceUids) -> None:
        """CutOff when the data set is not whole."""
        with self._file.written() as written:
            if cut := cut_off(read_elements(written), written):
                raise CutOff(f"the data set is cut off: {cut}")
        self._file.commit(uids)

    def discard(self) -> None:
        self._file.discard()
