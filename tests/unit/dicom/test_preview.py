"""Small pictures of images: how they look, and what broken and hostile files cost."""

import io
import os
import signal
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.preview import pictures, syntaxes
from router.dicom.preview.picture import SIDE, picture
from router.dicom.preview.pictures import Pictures
from router.errors import InvalidData, TransientError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # the program ignores them, too
ROWS, COLUMNS = 64, 128


def written(elements: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    write_dataset(out, elements)
    data = out.getvalue()
    if syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
    return preamble_and_meta("1.2", "1.2.3", syntax, "CT", "NODE") + data


def image(pixels: np.ndarray[Any, Any], photometric: str = "MONOCHROME2", **changes: Any) -> Dataset:
    """An image of these pixels: a grey frame of rows and columns, or with the samples of a pixel behind these."""
    made = Dataset()
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = pixels.shape[2] if pixels.ndim == 3 else 1
    if made.SamplesPerPixel > 1:
        made.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PhotometricInterpretation = photometric
    made.add_new("PixelData", "OB" if bits == 8 else "OW", pixels.tobytes() + b"\0" * (pixels.nbytes % 2))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def halves(left: Any, right: Any, kind: str = "u2") -> np.ndarray[Any, Any]:
    """Pixels of which the left half has one value and the right half another."""
    return np.array([[left] * (COLUMNS // 2) + [right] * (COLUMNS // 2)] * ROWS, kind)


def seen(file: bytes) -> tuple[tuple[int, int], Any, Any]:
    """Size of the picture, and what is in the middle of its left and of its right half."""
    shown = Image.open(io.BytesIO(picture(io.BytesIO(file))))
    width, height = shown.size
    return shown.size, shown.getpixel((width // 4, height // 2)), shown.getpixel((width * 3 // 4, height // 2))


def looks(file: bytes) -> tuple[str, str]:
    """Both halves in words."""
    _, left, right = seen(file)
    return word(left), word(right)


def word(value: Any) -> str:
    if isinstance(value, tuple):
        red, green, blue = (one > 128 for one in value)
        named = {(1, 0, 0): "red", (0, 0, 1): "blue", (0, 1, 0): "green"}
        return named.get((red, green, blue)) or word(sum(value) // 3)
    return "black" if value < 30 else "white" if value > 225 else "grey"


WINDOW: dict[str, Any] = {"WindowCenter": 50, "WindowWidth": 100}
CT = halves(1000, 1100)  # 0 and 100 after rescaling
HU: dict[str, Any] = {"RescaleSlope": 1, "RescaleIntercept": -1000}


@pytest.mark.parametrize("syntax", [
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian
])  # fmt: skip
def test_an_image_is_shown_in_every_syntax_that_is_not_compressed(syntax: str) -> None:
    pixels = CT.byteswap() if syntax == ExplicitVRBigEndian else CT
    file = written(image(pixels, **HU, **WINDOW), syntax)
    assert seen(file)[0] == (SIDE, SIDE // 2)
    assert looks(file) == ("black", "white")


@pytest.mark.parametrize(("made", "expected"), [
    (image(CT, **HU, WindowCenter=50, WindowWidth=10_000), ("grey", "grey")),
    (image(CT, **HU, WindowCenter=[100, 0], WindowWidth=[200, 1]), ("black", "grey")),
    (image(CT, **HU), ("black", "white")),
    (image(CT, **HU, WindowCenter=-5000, WindowWidth=10), ("black", "white")),
    (image(CT, "MONOCHROME1", **HU, **WINDOW), ("white", "black")),
    (image(halves(-1000, 1000, "i2")), ("black", "white")),
    (image(halves(0, 2**31, "u4")), ("black", "white")),
    (image(halves(7, 7)), ("black", "black")),
    (image(halves((255, 0, 0), (0, 0, 255), "u1"), "RGB"), ("red", "blue")),
    (image(halves((65535, 0, 0), (0, 0, 65535), "u2"), "RGB"), ("red", "blue")),
    (image(halves((76, 85, 255), (29, 255, 107), "u1"), "YBR_FULL"), ("red", "blue")),
], ids=["wide window", "first of two", "no window", "window beside", "MONOCHROME1", "signed", "32 bits", "even", "RGB",
        "RGB of 16 bits", "YBR_FULL"])  # fmt: skip
def test_pixels_are_shown_by_what_the_header_says_of_them(made: Dataset, expected: tuple[str, str]) -> None:
    assert looks(written(made)) == expected


def test_planes_that_are_apart_are_shown_together() -> None:
    pixels = halves((255, 0, 0), (0, 0, 255), "u1")
    made = image(pixels, "RGB", PlanarConfiguration=1, PixelData=pixels.transpose(2, 0, 1).tobytes())
    assert looks(written(made)) == ("red", "blue")


def test_two_pixels_that_share_their_colours_are_shown() -> None:
    red, blue = bytes((76, 76, 85, 255)), bytes((29, 29, 255, 107))
    made = image(halves((0, 0, 0), (0, 0, 0), "u1"), "YBR_FULL_422")
    made.PixelData = (red * (COLUMNS // 4) + blue * (COLUMNS // 4)) * ROWS
    assert looks(written(made)) == ("red", "blue")


def test_a_palette_gives_its_colours() -> None:
    made = image(halves(0, 1, "u1"), "PALETTE COLOR")
    for name, values in (("Red", (65535, 0)), ("Green", (0, 0)), ("Blue", (0, 65535))):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [2, 0, 16])
        setattr(made, f"{name}PaletteColorLookupTableData", struct.pack("<HH", *values))
    assert looks(written(made)) == ("red", "blue")


def test_pixels_of_one_bit_are_shown() -> None:
    bits = np.packbits(halves(0, 1, "u1").ravel(), bitorder="little")
    made = image(halves(0, 1, "u1"), BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=bits.tobytes())
    assert looks(written(made)) == ("black", "white")


def test_of_several_frames_the_middle_one_is_shown() -> None:
    frames = [halves(one, 500) for one in (500, 500, 0, 500, 500)]
    made = image(frames[0], NumberOfFrames=5, PixelData=b"".join(one.tobytes() for one in frames))
    assert looks(written(made)) == ("black", "white")


def test_of_a_huge_image_so_many_rows_are_read_as_the_picture_needs() -> None:
    rows, width = 40_000, 30_000
    made = image(np.zeros((2, 2), "u1"), Rows=rows, Columns=width, PixelData=b"")
    head = written(made)[:-4] + struct.pack("<L", rows * width)
    asked = 0

    class Sparse(io.RawIOBase):
        """The head, then rows whose right half is white, made as they are read."""

        at = 0

        def seek(self, to: int, whence: int = 0) -> int:
            self.at = to
            return to

        def tell(self) -> int:
            return self.at

        def read(self, count: int = -1) -> bytes:
            nonlocal asked
            if self.at < len(head):
                found = head[self.at :][:count]
            else:
                assert (self.at - len(head)) % width == 0
                found = b"\0" * (width // 2) + b"\xff" * (width // 2)
                asked += len(found)
            self.at += len(found)
            return found

    shown = Image.open(io.BytesIO(picture(cast("BinaryIO", Sparse()))))
    assert shown.size == (192, 256)
    assert (word(shown.getpixel((48, 128))), word(shown.getpixel((144, 128)))) == ("black", "white")
    assert asked < 2**26


def compressed(frame: bytes, syntax: str, photometric: str = "RGB", **changes: Any) -> bytes:
    made = image(halves((0, 0, 0), (0, 0, 0), "u1"), photometric, PixelData=encapsulate([frame]), **changes)
    made["PixelData"].is_undefined_length = True
    return written(made, syntax)


def jpeg(pixels: np.ndarray[Any, Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


def test_what_numpy_and_pillow_decode_is_shown_also_when_it_is_compressed() -> None:
    pixels = halves((255, 0, 0), (0, 0, 255), "u1")
    assert looks(compressed(jpeg(pixels), JPEGBaseline8Bit, "YBR_FULL_422")) == ("red", "blue")
    made = image(pixels, "RGB")
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = "1.2", "1.2.3"
    made.compress(RLELossless)
    assert looks(written(made, RLELossless)) == ("red", "blue")


def why(file: bytes) -> str:
    with pytest.raises(InvalidData) as caught:
        picture(io.BytesIO(file))
    return caught.value.message


def test_a_syntax_that_nothing_here_decodes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntaxes, "decodable", lambda _: False)
    assert why(compressed(b"x", JPEGLSLossless)) == "no preview for JPEG-LS Lossless"
    assert why(compressed(b"x", MPEG4HP41)).startswith("no preview for MPEG-4")
    names = [syntaxes.lack_of(f"1.2.840.10008.1.2.4.{end}") for end in ("50", "70", "90", "91", "201")]
    assert names == [f"no preview for {name}" for name in (
        "JPEG Baseline", "JPEG Lossless", "JPEG 2000", "JPEG 2000", "High-Throughput JPEG 2000",
    )]  # fmt: skip
    assert syntaxes.lack_of(ExplicitVRLittleEndian) == syntaxes.lack_of("1.2.3") == ""


def test_what_is_no_image_or_does_not_read_is_told_in_words() -> None:
    text = Dataset()
    text.PatientName = "A"
    assert why(written(text)) == "it has no image"
    assert why(b"no DICOM")
    whole = image(CT)
    for broken in (
        written(whole)[: -CT.nbytes // 2], written(image(CT, Rows=0)), written(image(CT, BitsAllocated=12)),
        written(image(CT, PhotometricInterpretation="?")), written(image(CT, NumberOfFrames=10**9)),
        written(image(CT, SamplesPerPixel=2, PlanarConfiguration=0, Columns=COLUMNS // 2)),
        written(image(halves(0, 1, "u1"), "PALETTE COLOR")), compressed(b"no JPEG", JPEGBaseline8Bit),
        compressed(jpeg(halves(0, 0, "u1")[:3]), JPEGBaseline8Bit),
    ):  # fmt: skip
        assert why(broken) == "its pixels do not read"


def test_an_image_that_grows_too_large_when_it_is_decoded_is_not_decoded() -> None:
    large: dict[str, Any] = {"Rows": 65535, "Columns": 65535}
    assert why(compressed(b"x" * 100, RLELossless, **large)) == "its image is too large for a preview"
    odd = image(halves(0, 1, "u1"), BitsAllocated=1, BitsStored=1, HighBit=0, Rows=65535, Columns=65535)
    assert why(written(odd)) == "its image is too large for a preview"


# -- the program


@pytest.fixture
def made() -> Iterator[Pictures]:
    found = Pictures(seconds=3.0, memory=300 * 2**20)
    yield found
    found.close()


def test_the_program_shows_one_file_after_the_other_and_hostile_ones_cost_that_one_only(
    tmp_path: Path, made: Pictures
) -> None:
    good, gone = tmp_path / "good.dcm", tmp_path / "gone.dcm"
    good.write_bytes(written(image(CT, **HU, **WINDOW)))
    bomb = tmp_path / "bomb.dcm"
    bomb.write_bytes(compressed(_bomb(), JPEGBaseline8Bit))
    for path in (good, bomb, good, gone, good):
        if path == good:
            assert Image.open(io.BytesIO(made.of(path))).size == (SIDE, SIDE // 2)
            continue
        with pytest.raises(InvalidData):
            made.of(path)
    assert made._program._running is not None
    os.kill(made._program._running[0].pid, signal.SIGKILL)
    assert made.of(good), "what ended the program was not this file"


def _bomb() -> bytes:
    """A JPEG of few bytes whose head says that it is 60,000 by 60,000 pixels."""
    small = jpeg(np.zeros((8, 8, 3), "u1"))
    at = small.index(b"\xff\xc0")
    return small[: at + 5] + struct.pack(">HH", 60_000, 60_000) + small[at + 9 :]


def test_a_file_that_takes_more_than_its_processor_time_or_memory_is_told_and_the_next_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = (
        "from router.dicom.preview import program\nkept = program.picture\n"
        "program.picture = lambda file: kept(file) if len(file.peek(999)) > 9 else [0 for _ in iter(int, 1)]\nmain("
    )
    monkeypatch.setattr(pictures, "_PROGRAM", pictures._PROGRAM.replace("main(", slow, 1))
    made, endless, good = Pictures(seconds=0.3), tmp_path / "endless", tmp_path / "good"
    endless.write_bytes(b"x")
    good.write_bytes(written(image(CT)))
    try:
        with pytest.raises(InvalidData, match="limits of time and memory"):
            made.of(endless)
        assert made.of(good)
    finally:
        made.close()


def test_no_more_wait_for_the_program_than_leave_the_pages_their_threads(made: Pictures, tmp_path: Path) -> None:
    for _ in range(pictures._MOST_WAITING):
        made._places.acquire()
    with pytest.raises(TransientError):
        made.of(tmp_path)
