"""A data set in another transfer syntax, for a destination that does not take the stored one (PS3.5 A, 7.1).

Between implicit and explicit VR little endian only the elements' heads change; values are copied as they are, so that
wrong text stays as wrong as it was. Compressed pixel data can be decoded, frame by frame, where the configuration
allows it. Memory holds a chunk, or one compressed data set and one decoded frame; the result is an unnamed file.
"""

import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.pixels import get_decoder  # type: ignore[attr-defined]  # its documented place
from pydicom.uid import UID

from router.dicom import quiet
from router.dicom.elements import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from router.dicom.parsed import parsed
from router.dicom.pdata import DataSet
from router.errors import ConfigurationError, InvalidData

_UNCOMPRESSED = (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN)
_NEEDED = {
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
}
_LARGEST_COMPRESSED = 512 * 2**20
_LARGEST_VALUE = 2**32 - 2
_DEEPEST = 32
_one_at_a_time = Lock()  # so that the bound above is the process's, not each association's


def can_decompress() -> None:
    """Raises ConfigurationError that names what is missing when pixel data cannot be decoded here."""
    missing = [name for uid, name in _NEEDED.items() if not get_decoder(uid).is_available]
    if missing or find_spec("numpy") is None:
        raise ConfigurationError(
            f"destination.dicom.decompress is set, but nothing here decodes {', '.join(missing or _NEEDED.values())}",
            hint="pip install 'imaging-cloud-router[decompress]', or set decompress = false",
        )


def offers(stored: str, *, decompress: bool) -> tuple[str, ...]:
    """The transfer syntaxes that a data set stored as `stored` can be sent in, the best first."""
    if stored in _UNCOMPRESSED:
        return (stored, *(other for other in _UNCOMPRESSED if other != stored))
    return (stored, *_UNCOMPRESSED) if decompress and decodable(stored) else (stored,)


@contextmanager
def transcoded(path: Path, source: DataSet, stored: str, wanted: str) -> Iterator[DataSet]:
    """The data set of the stored file in the wanted syntax, one of `offers`; an unnamed file beside it while in use.

    Raises InvalidData when the data set cannot be read so far, OSError when there is no room.
    """
    quiet.settle()
    with tempfile.TemporaryFile(dir=path.parent) as target:
        source.file.seek(source.offset)
        explicit = wanted == EXPLICIT_LITTLE_ENDIAN
        if stored in _UNCOMPRESSED:
            _Rewriting(source.file, target, explicit).data_set(stored == EXPLICIT_LITTLE_ENDIAN)
        else:
            _decompress(path, source, target, explicit=explicit)
        target.flush()
        yield DataSet(target, 0, target.tell())


def decodable(syntax: str) -> bool:
    """Whether compressed pixel data in this transfer syntax can be decoded here."""
    try:
        return bool(UID(syntax).is_encapsulated and get_decoder(UID(syntax)).is_available)
    except (NotImplementedError, ValueError):
        return False


# -- elements' heads

_PIXEL_REPRESENTATION = 0x00280103
_PIXEL_DATA = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class _Head:
    tag: int
    vr: str
    length: int


@dataclass(slots=True)
class _Rewriting:
    """Copies a data set and gives its elements the heads of the wanted syntax.

    Sequences and items end with delimiters, since their length changes; group lengths go away for the same reason.
    `changes` replaces top-level values (None: the element goes).
    """

    source: BinaryIO
    target: BinaryIO
    explicit: bool
    changes: Mapping[int, bytes | None] = field(default_factory=dict)
    signed: bool = False

    def data_set(self, explicit: bool) -> None:
        while (head := self._head(explicit)) is not None:
            if head.tag == _PIXEL_DATA and head.length == _UNDEFINED:
                return  # encapsulated: who asked for decoding goes on from here
            self._element(head, explicit, 0)

    def head(self, tag: int, vr: str, length: int) -> None:
        """Writes an element's head."""
        start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if not self.explicit or tag >> 16 == 0xFFFE:
            self.target.write(start + struct.pack("<L", length))
        elif vr in _LONG:
            self.target.write(start + struct.pack("<2s2xL", vr.encode(), length))
        else:
            self.target.write(start + struct.pack("<2sH", vr.encode(), length))

    def _element(self, head: _Head, explicit: bool, depth: int) -> None:
        if head.vr == "SQ" or head.length == _UNDEFINED:
            # inside a UN of undefined length all is implicit (PS3.5 6.2.2 note 4)
            self._sequence(head, explicit and head.vr == "SQ", depth + 1)
        elif head.tag & 0xFFFF == 0:
            self._skip(head.length)
        elif depth == 0 and head.tag in self.changes:
            self._skip(head.length)
            self._changed(head)
        else:
            self._copy(head)

    def _changed(self, head: _Head) -> None:
        value = self.changes[head.tag]
        if value is not None:
            self.head(head.tag, head.vr, len(value))
            self.target.write(value)

    def _copy(self, head: _Head) -> None:
        vr = head.vr if head.vr in _LONG or head.length <= 0xFFFF else "UN"
        self.head(head.tag, vr, head.length)
        if head.tag == _PIXEL_REPRESENTATION:
            value = self._exactly(head.length)
            self.signed = value[:1] == b"\1"
            self.target.write(value)
            return
        left = head.length
        while left:
            chunk = self.source.read(min(left, _CHUNK))
            if not chunk:
                raise InvalidData("the data set ends inside an element")
            self.target.write(chunk)
            left -= len(chunk)

    def _sequence(self, head: _Head, explicit: bool, depth: int) -> None:
        if depth > _DEEPEST or head.vr not in {"SQ", "UN"}:
            raise InvalidData("sequences nested too deep, or a value without length", tag=f"{head.tag:08X}")
        self.head(head.tag, "SQ", _UNDEFINED)
        end = None if head.length == _UNDEFINED else self.source.tell() + head.length
        while end is None or self.source.tell() < end:
            item = self._head(explicit)
            if item is None or item.tag not in {_ITEM, _SEQUENCE_END}:
                raise InvalidData("a sequence holds something else than items", tag=f"{head.tag:08X}")
            if item.tag == _SEQUENCE_END:
                break
            self._item(item, explicit, depth)
        self.head(_SEQUENCE_END, "", 0)

    def _item(self, item: _Head, explicit: bool, depth: int) -> None:
        self.head(_ITEM, "", _UNDEFINED)
        end = None if item.length == _UNDEFINED else self.source.tell() + item.length
        while end is None or self.source.tell() < end:
            head = self._head(explicit)
            if head is None:
                raise InvalidData("the data set ends inside a sequence")
            if head.tag == _ITEM_END:
                break
            self._element(head, explicit, depth)
        self.head(_ITEM_END, "", 0)

    def _head(self, explicit: bool) -> _Head | None:
        start = self.source.read(8)
        if not start:
            return None
        if len(start) < 8:
            raise InvalidData("the data set ends inside an element")
        group, element, length = struct.unpack("<HHL", start)
        tag = group << 16 | element
        if group == 0xFFFE:
            return _Head(tag, "", length)
        if not explicit:
            return _Head(tag, self._vr(tag, length), length)
        vr = start[4:6].decode("ascii", "replace")
        if not (vr.isascii() and vr.isalpha() and vr.isupper()):
            raise InvalidData("an element has no VR", tag=f"{tag:08X}")
        if vr in _LONG:
            return _Head(tag, vr, struct.unpack("<L", self._exactly(4))[0])
        return _Head(tag, vr, length >> 16)

    def _vr(self, tag: int, length: int) -> str:
        """The VR that implicit little endian leaves out; private elements are unknown (PS3.5 6.2.2)."""
        if tag >> 16 & 1:
            return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            return "UN"
        if " or " not in vr:
            return vr if length != _UNDEFINED else "SQ"
        if "OW" in vr:
            return "OW"  # as implicit VR has it (PS3.5 A.1)
        return "SS" if self.signed else "US"

    def _exactly(self, size: int) -> bytes:
        data = self.source.read(size)
        if len(data) != size:
            raise InvalidData("the data set ends inside an element")
        return data

    def _skip(self, size: int) -> None:
        self.source.seek(size, 1)


# -- pixel data

_PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280004, 0x00280006, 0x00280008
_OFFSETS = {0x7FE00001: None, 0x7FE00002: None}
UNDECODABLE = (
    RuntimeError, ValueError, AttributeError, NotImplementedError, LookupError, TypeError, EOFError, struct.error,
    AssertionError,
)  # fmt: skip  # what pydicom and its plugins raise on broken or unusual pixel data


def _decompress(path: Path, source: DataSet, target: BinaryIO, *, explicit: bool) -> None:
    if source.size > _LARGEST_COMPRESSED:
        raise InvalidData(f"compressed data sets beyond {_LARGEST_COMPRESSED // 2**20} MiB are not decoded")
    with _one_at_a_time, tempfile.TemporaryFile(dir=path.parent) as pixels:
        changes, vr = _decoded(path, pixels)
        size = pixels.tell()
        if size > _LARGEST_VALUE:
            raise InvalidData("the decoded pixel data is longer than a value can be")
        rewriting = _Rewriting(source.file, target, explicit, changes)
        rewriting.data_set(explicit=True)
        rewriting.head(_PIXEL_DATA, vr, size)
        pixels.seek(0)
        shutil.copyfileobj(pixels, target, _CHUNK)


def _decoded(path: Path, pixels: BinaryIO) -> tuple[dict[int, bytes | None], str]:
    """Writes the decoded frames; what changes in the header with them, and the pixel data's VR (PS3.5 8.1.1)."""
    try:
        dataset = parsed(path)
        frames = 0
        properties: dict[str, str | int] = {}
        decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
        for array, properties in decoder.iter_array(dataset):  # noqa: B007  # the last frame's count
            pixels.write(array.tobytes())
            frames += 1
        changes: dict[int, bytes | None] = {
            **_OFFSETS,
            _PHOTOMETRIC: _even(str(properties["photometric_interpretation"])),
            _FRAMES: _even(str(frames)),
        }
        if int(properties["samples_per_pixel"]) > 1:
            changes[_PLANAR] = struct.pack("<H", int(properties["planar_configuration"]))
        vr = "OB" if dataset.BitsAllocated <= 8 else "OW"
    except UNDECODABLE as error:
        raise InvalidData("the pixel data cannot be decoded", kind=type(error).__name__) from error
    if pixels.tell() % 2:
        pixels.write(b"\0")
    return changes, vr


def _even(text: str) -> bytes:
    encoded = text.encode("ascii")
    return encoded + b" " * (len(encoded) % 2)
