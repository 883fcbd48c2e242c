"""Transcoding into another transfer syntax, for a destination that does not accept the stored one (PS3.5 A, 7.1).

Between implicit and explicit VR little endian only the elements' heads change; values are copied unchanged, even wrong
ones. Irregular elements are followed as when they are read. If the configuration allows it, compressed pixel data is
decoded frame by frame, a deflated data set is inflated, and big endian numbers are swapped. Memory holds a chunk, or
one compressed data set and one decoded frame; the result is an unnamed file.
"""

import shutil
import struct
import tempfile
import zlib
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.pixels import get_decoder  # type: ignore[attr-defined]  # its documented place

from router.dicom import libraries
from router.dicom.dataset import tags
from router.dicom.dataset.decoders import UNDECODABLE, decodable
from router.dicom.dataset.elements import EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from router.dicom.dataset.follower import Follower, Head
from router.dicom.dataset.parsed import parsed
from router.dicom.dataset.vr import LONG_VRS, NUMBER_BYTES, TEXT_VRS
from router.dicom.ul.pdata import FileSlice
from router.errors import InvalidData

_UNCOMPRESSED = (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN)
_LARGEST_COMPRESSED = 512 * 2**20
_LARGEST_VALUE = 2**32 - 2
_LARGEST_INFLATED = 2**32
_DEFLATED_EXPLICIT = "1.2.840.10008.1.2.1.99"
_WITHOUT_CODEC = (_DEFLATED_EXPLICIT, EXPLICIT_BIG_ENDIAN)
_DEEPEST = 32
_one_at_a_time = Lock()  # the bound above is for the process, not for each association


def offers(stored: str, *, decompress: bool) -> tuple[str, ...]:
    """The transfer syntaxes in which a data set stored as `stored` can be sent, the best first."""
    if stored in _UNCOMPRESSED:
        return (stored, *(other for other in _UNCOMPRESSED if other != stored))
    can = decompress and (stored in _WITHOUT_CODEC or decodable(stored))
    return (stored, *_UNCOMPRESSED) if can else (stored,)


@contextmanager
def transcoded(path: Path, source: FileSlice, stored: str, wanted: str) -> Iterator[FileSlice]:
    """The data set in the wanted syntax, one of `offers`, as an unnamed file in the same folder while in use.

    Raises InvalidData that says which element cannot be read, OSError when there is no room.
    """
    libraries.settle()
    with tempfile.TemporaryFile(dir=path.parent) as target:
        explicit, order = wanted == EXPLICIT_LITTLE_ENDIAN, ">" if stored == EXPLICIT_BIG_ENDIAN else "<"
        if stored not in (*_UNCOMPRESSED, *_WITHOUT_CODEC):
            _decompress(path, source, target, explicit=explicit)
        elif stored == _DEFLATED_EXPLICIT:
            with tempfile.TemporaryFile(dir=path.parent) as inflated:
                _inflate(source, inflated)
                source = FileSlice(inflated, 0, inflated.tell())
                _Rewriting(source=source, target=target, explicit=explicit).data_set(explicit=True)
        else:
            rewriting = _Rewriting(source=source, target=target, explicit=explicit, order=order)
            rewriting.data_set(stored != IMPLICIT_LITTLE_ENDIAN)
        target.flush()
        yield FileSlice(target, 0, target.tell())


# -- elements' heads

_CHUNK = 2**20
_MOST_ELEMENTS = 2**24


@dataclass(slots=True, kw_only=True)
class _Rewriting:
    """Copies a data set with heads of the wanted syntax, in little endian.

    Sequences and items end with delimiters, since their length changes; group lengths are dropped for the same reason.
    Also dropped are group 0000 and everything behind the pixel data. A value of an odd length is padded. `changes`
    replaces top-level values (None: the element is dropped).
    """

    source: FileSlice
    target: BinaryIO
    explicit: bool
    order: str = "<"
    changes: Mapping[int, bytes | None] = field(default_factory=dict)
    signed: bool = False
    follower: Follower = field(init=False)

    def __post_init__(self) -> None:
        self.follower = Follower(self._window, self.source.size, self.order, _MOST_ELEMENTS)

    def data_set(self, explicit: bool) -> None:
        """Copy up to the end, or to encapsulated pixel data. Raises InvalidData that names the position."""
        position, before = 0, -1
        while position + 8 <= self.source.size:
            head = self.follower.head(position, self.source.size, before, explicit=explicit)
            if head is None:
                break
            if head.tag == tags.PIXEL_DATA and head.length == tags.UNDEFINED:
                return  # the caller decodes it
            if head.length != tags.UNDEFINED and head.stop > self.source.size:
                if before >= tags.PIXEL_DATA:
                    return  # padding that breaks off
                raise InvalidData(self.follower.trouble(position, self.source.size, explicit=explicit))
            position = self._element(head, self.source.size, 0)
            before = before if head.tag >> 16 == tags.DELIMITERS else head.tag
        if before < tags.PIXEL_DATA and self._window(position, _CHUNK).strip(b"\0"):
            raise InvalidData(self.follower.trouble(position, self.source.size, explicit=explicit))

    def head(self, tag: int, vr: bytes, length: int) -> None:
        """Write an element's head."""
        start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if not self.explicit or tag >> 16 == tags.DELIMITERS:
            self.target.write(start + struct.pack("<L", length))
        elif vr in LONG_VRS:
            self.target.write(start + struct.pack("<2s2xL", vr, length))
        else:
            self.target.write(start + struct.pack("<2sH", vr, length))

    def _window(self, position: int, size: int) -> bytes:
        self.source.file.seek(self.source.offset + position)
        return self.source.file.read(min(size, max(self.source.size - position, 0)))

    def _element(self, head: Head, end: int, depth: int) -> int:
        """Write an element; returns the position of the next one."""
        if head.tag >> 16 == tags.DELIMITERS or head.tag & 0xFFFF == 0 or head.tag >> 16 == 0:
            return head.stop
        vr = head.vr or self._vr(head)
        if vr in {b"SQ", b"UN"} and (vr == b"SQ" or head.length == tags.UNDEFINED) and self.follower.is_sequence(head):
            return self._sequence(head, end, depth + 1)
        if head.length == tags.UNDEFINED:
            return self._fragments(head, vr, end)
        if depth or head.tag not in self.changes:
            self._copy(head, b"UN" if vr == b"SQ" else vr)
        elif (value := self.changes[head.tag]) is not None:
            self.head(head.tag, vr, len(value))
            self.target.write(value)
        return head.stop

    def _copy(self, head: Head, vr: bytes) -> None:
        length = head.length + head.length % 2
        self.head(head.tag, vr if vr in LONG_VRS or length <= 0xFFFF else b"UN", length)
        if head.tag == tags.PIXEL_REPRESENTATION:
            self.signed = b"\1" in self._window(head.at, head.length)
        number = NUMBER_BYTES.get(vr) if self.order == ">" else None
        for at in range(head.at, head.stop, _CHUNK):
            chunk = self._window(at, min(_CHUNK, head.stop - at))
            self.target.write(chunk if number is None else _swapped(chunk, number))
        self.target.write((b" " if vr in TEXT_VRS else b"\0") * (length - head.length))

    def _sequence(self, head: Head, end: int, depth: int) -> int:
        if depth > _DEEPEST:
            raise InvalidData(f"in {tags.named(head.tag)} sequences are nested too deep")
        explicit = head.vr == b"SQ"  # inside a UN of undefined length all is implicit (PS3.5 6.2.2 note 4)
        self.head(head.tag, b"SQ", tags.UNDEFINED)
        after = head.stop
        for number, (begin, last, after) in enumerate(self.follower.inside(head, end, explicit=explicit), 1):  # noqa: B007
            if begin >= 0:
                self._item(begin, last, explicit, depth, f"item {number} of {tags.named(head.tag)}")
        self.head(tags.SEQUENCE_END, b"", 0)
        return after

    def _item(self, position: int, end: int, explicit: bool, depth: int, where: str) -> None:
        self.head(tags.ITEM, b"", tags.UNDEFINED)
        before = -1
        while position + 8 <= end:
            head = self.follower.head(position, end, before, explicit=explicit)
            if head is None:
                break
            position, before = self._element(head, end, depth), head.tag
        if position > end:
            raise InvalidData(f"{where} is shorter than what is in it")
        if self._window(position, end - position).strip(b"\0"):
            raise InvalidData(f"{where}: {self.follower.trouble(position, end, explicit=explicit)}")
        self.head(tags.ITEM_END, b"", 0)

    def _fragments(self, head: Head, vr: bytes, end: int) -> int:
        """Copy encapsulated pixel data inside a sequence, such as an icon's."""
        _, after = self.follower.past(head, end, explicit=False)
        if not self.follower.is_sequence(head):
            raise InvalidData(f"element {tags.named(head.tag)} has no length, and no items")
        self.head(head.tag, vr, tags.UNDEFINED)
        for begin, last, _ in self.follower.inside(head, end, explicit=False):
            if begin >= 0:
                self.head(tags.ITEM, b"", last - begin)
                for at in range(begin, last, _CHUNK):
                    self.target.write(self._window(at, min(_CHUNK, last - at)))
        self.head(tags.SEQUENCE_END, b"", 0)
        return after

    def _vr(self, head: Head) -> bytes:
        """The VR of an element without one; UN for private ones (PS3.5 6.2.2)."""
        tag = head.tag
        if tag >> 16 & 1:
            return b"LO" if 0x10 <= tag & 0xFFFF <= 0xFF and head.length != tags.UNDEFINED else b"UN"
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            return b"UN"
        if " or " not in vr:
            return vr.encode() if head.length != tags.UNDEFINED else b"SQ"
        if "OW" in vr:
            return b"OW"  # as implicit VR has it (PS3.5 A.1)
        return b"SS" if self.signed else b"US"


def _swapped(chunk: bytes, size: int) -> bytes:
    """Numbers of that size in the other byte order; the rest behind the last whole number stays."""
    numbers = array({2: "H", 4: "I", 8: "Q"}[size])
    whole = len(chunk) - len(chunk) % numbers.itemsize
    numbers.frombytes(chunk[:whole])
    numbers.byteswap()
    return numbers.tobytes() + chunk[whole:]


def _inflate(source: FileSlice, target: BinaryIO) -> None:
    """Inflate a deflated data set (PS3.5 A.5)."""
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    source.file.seek(source.offset)
    left = source.size
    try:
        while left > 0 and not inflater.eof and (piece := source.file.read(min(_CHUNK, left))):
            left -= len(piece)
            while piece and not inflater.eof:
                found = inflater.decompress(piece, _CHUNK)
                piece = inflater.unconsumed_tail
                size += len(found)
                if size > _LARGEST_INFLATED:
                    raise InvalidData(f"deflated data sets beyond {_LARGEST_INFLATED // 2**30} GiB are not inflated")
                target.write(found)
        target.write(inflater.flush())
    except zlib.error as error:
        raise InvalidData("the deflated data set does not inflate") from error
    if not inflater.eof:
        raise InvalidData("the deflated data set breaks off")


# -- pixel data


def _decompress(path: Path, source: FileSlice, target: BinaryIO, *, explicit: bool) -> None:
    if source.size > _LARGEST_COMPRESSED:
        raise InvalidData(f"compressed data sets beyond {_LARGEST_COMPRESSED // 2**20} MiB are not decoded")
    with _one_at_a_time, tempfile.TemporaryFile(dir=path.parent) as pixels:
        changes, vr = _decoded(path, pixels)
        size = pixels.tell()
        if size > _LARGEST_VALUE:
            raise InvalidData("the decoded pixel data is longer than a value can be")
        rewriting = _Rewriting(source=source, target=target, explicit=explicit, changes=changes)
        rewriting.data_set(explicit=True)
        rewriting.head(tags.PIXEL_DATA, vr, size)
        pixels.seek(0)
        shutil.copyfileobj(pixels, target, _CHUNK)


def _decoded(path: Path, pixels: BinaryIO) -> tuple[dict[int, bytes | None], bytes]:
    """Write the decoded frames; returns the changes in the header, and the pixel data's VR (PS3.5 8.1.1)."""
    try:
        dataset = parsed(path)
        frames = 0
        properties: dict[str, str | int] = {}
        decoded = get_decoder(dataset.file_meta.TransferSyntaxUID).iter_array(dataset)
        for frames, (array, properties) in enumerate(decoded, 1):  # noqa: B007  # the last frame's count
            pixels.write(array.tobytes())
        changes: dict[int, bytes | None] = {
            0x7FE00001: None,  # offset tables
            0x7FE00002: None,
            tags.PHOTOMETRIC: _even(str(properties["photometric_interpretation"])),
            tags.NUMBER_OF_FRAMES: _even(str(frames)),
        }
        if int(properties["samples_per_pixel"]) > 1:
            changes[tags.PLANAR_CONFIGURATION] = struct.pack("<H", int(properties["planar_configuration"]))
        vr = b"OB" if dataset.BitsAllocated <= 8 else b"OW"
    except UNDECODABLE as error:
        raise InvalidData("the pixel data cannot be decoded", kind=type(error).__name__) from error
    if pixels.tell() % 2:
        pixels.write(b"\0")
    return changes, vr


def _even(text: str) -> bytes:
    encoded = text.encode("ascii")
    return encoded + b" " * (len(encoded) % 2)
