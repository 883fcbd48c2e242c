"""A sink for whole data sets only: one that is cut off is refused instead of acknowledged."""

from collections.abc import Sequence
from typing import BinaryIO

from router.dicom.dataset.cut import cut_off
from router.dicom.dataset.dataset import read_elements
from router.dicom.scp.store import IncomingFile, Sink
from router.errors import CutOff
from router.model import InstanceUids


class WholeOnly:
    """Stores whole data sets in `sink`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def has_room(self) -> bool:
        """Whether the sink has room."""
        return self._sink.has_room()

    def create(self) -> IncomingFile:
        """A new file that becomes durable only when it is whole."""
        return _WholeFile(self._sink.create())


class _WholeFile:
    def __init__(self, file: IncomingFile) -> None:
        self._file = file

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        self._file.write(parts)

    def commit(self, uids: InstanceUids) -> None:
        """CutOff when the data set is not whole."""
        with self._file.written() as written:
            if cut := cut_off(read_elements(written), written):
                raise CutOff(f"the data set is cut off: {cut}")
        self._file.commit(uids)

    def written(self) -> BinaryIO:
        return self._file.written()

    def discard(self) -> None:
        self._file.discard()
