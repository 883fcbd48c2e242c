"""A small picture of the middle frame of an image, by the window of its header (PS3.3 C.7.6.3, C.11.2).

The program of few rights runs this module; numpy and Pillow come with the extra `preview`.
"""

import struct
from dataclasses import dataclass
from io import BytesIO
from math import isfinite
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import _at_pixel_data, read_dataset
from pydicom.pixels import apply_color_lut, get_decoder  # type: ignore[attr-defined]  # their documented place
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID

from router.dicom import libraries
from router.dicom.dataset.decoders import UNDECODABLE
from router.dicom.dataset.elements import DEFLATED, EXPLICIT_BIG_ENDIAN, IMPLICIT_LITTLE_ENDIAN, inflate
from router.dicom.dataset.part10 import dataset_offset
from router.dicom.preview.syntaxes import lack_of
from router.errors import InvalidData

SIDE = 256  # pixels
_LARGEST_FRAME = 2**25  # bytes; of a larger one every other row is read, or one in so many
_LARGEST_DECODED, _LARGEST_INFLATED = 2**26, 2**28  # bytes
_FINEST = 4 * SIDE  # rows and columns from which the picture is made
_KEYWORDS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_TAGS: list[Any] = [
    *(0x00280000 + number for number in (
        0x0002, 0x0004, 0x0006, 0x0008, 0x0010, 0x0011, 0x0100, 0x0101, 0x0103, 0x0120, 0x1050, 0x1051, 0x1052, 0x1053,
        0x1101, 0x1102, 0x1103, 0x1201, 0x1202, 0x1203, 0x1221, 0x1222, 0x1223,
    )),
    0x7FE00001, 0x7FE00002,
]  # fmt: skip


class UnreadPixels(InvalidData):
    """A decoder failed on the pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """Elements of an image, and the options by which pydicom decodes what begins at this position of the file."""

    elements: Dataset
    file: BinaryIO
    begin: int
    options: dict[str, Any]

    @property
    def frame(self) -> int:
        """The number of the middle frame."""
        return int(self.options["number_of_frames"]) // 2

    @property
    def row_bits(self) -> int:
        """Bits of a decoded row, of one plane where the planes are apart."""
        samples = 1 if self.is_planar else int(self.options["samples_per_pixel"])
        width = int(self.options["columns"]) * samples * int(self.options["bits_allocated"])
        return width * 2 // 3 if "422" in str(self.options["photometric_interpretation"]) else width

    @property
    def is_planar(self) -> bool:
        return int(self.options["samples_per_pixel"]) > 1 and self.options.get("planar_configuration") == 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of a decoded frame."""
        planes = int(self.options["samples_per_pixel"]) if self.is_planar else 1
        return (self.row_bits * int(self.options["rows"]) * planes + 7) // 8


def picture(file: BinaryIO) -> bytes:
    """A JPEG of at most SIDE times SIDE pixels. InvalidData: there is none, and why; may raise MemoryError."""
    try:
        image = _opened(file)
        samples = _decoded(image)
        shown = _coloured(samples, image.elements) if samples.ndim == 3 else _windowed(samples, image.elements)
        rows, columns = int(image.elements.Rows), int(image.elements.Columns)
        scale = SIDE / max(rows, columns)
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        out = BytesIO()
        Image.fromarray(shown).resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC).save(
            out, "JPEG", quality=85
        )
    except (*UNDECODABLE, ArithmeticError, OSError, Image.DecompressionBombError) as error:
        raise UnreadPixels("its pixels do not read") from error
    return out.getvalue()


def _opened(file: BinaryIO) -> _Image:
    libraries.settle()
    meta = dataset_offset(file)
    file.seek(meta.offset)
    if meta.transfer_syntax in DEFLATED:
        file = BytesIO(inflate(file.read(_LARGEST_INFLATED), meta.transfer_syntax, _LARGEST_INFLATED))
    implicit = meta.transfer_syntax == IMPLICIT_LITTLE_ENDIAN
    order = ">" if meta.transfer_syntax == EXPLICIT_BIG_ENDIAN else "<"
    elements = read_dataset(file, implicit, order == "<", stop_when=_at_pixel_data, specific_tags=_TAGS)
    elements.file_meta = FileMetaDataset()
    elements.file_meta.TransferSyntaxUID = UID(meta.transfer_syntax)
    head = file.read(8 if implicit else 12)
    if len(head) < 8 or "Rows" not in elements:
        raise InvalidData("it has no image")
    if lack := lack_of(meta.transfer_syntax):
        raise InvalidData(lack)
    group, number = struct.unpack_from(f"{order}HH", head)
    options = as_pixel_options(elements)
    options |= {"transfer_syntax_uid": UID(meta.transfer_syntax), "pixel_keyword": _KEYWORDS[group << 16 | number]}
    options |= {} if implicit else {"pixel_vr": head[4:6].decode("ascii")}
    options.setdefault("samples_per_pixel", 1)
    return _Image(elements=elements, file=file, begin=file.tell(), options=options)


def _decoded(image: _Image) -> np.ndarray[Any, Any]:
    """The middle frame, by rows and columns, thinned out to about _FINEST of each."""
    syntax, source, frame, options = image.options["transfer_syntax_uid"], image.file, image.frame, image.options
    step = -(-image.frame_bytes // _LARGEST_FRAME)
    if not syntax.is_encapsulated and step > 1:
        source, frame, options = _thinned(image, step), 0, {**options, "number_of_frames": 1}
        options["rows"] = -(-int(options["rows"]) // step)
    elif image.frame_bytes > _LARGEST_DECODED:
        raise InvalidData("its image is too large for a preview")
    samples: np.ndarray[Any, Any] = get_decoder(syntax).as_array(source, index=frame, validate=True, **options)[0]
    rows, columns = (max(1, length // _FINEST) for length in samples.shape[:2])
    return samples[::rows, ::columns]


def _thinned(image: _Image, step: int) -> BinaryIO:
    """One row in `step` of the middle frame, of each of its planes."""
    if image.row_bits % 8:
        raise InvalidData("its image is too large for a preview")
    width, rows = image.row_bits // 8, int(image.options["rows"])
    planes = int(image.options["samples_per_pixel"]) if image.is_planar else 1
    begin, found = image.begin + image.frame * image.frame_bytes, BytesIO()
    for row in (row for plane in range(planes) for row in range(plane * rows, (plane + 1) * rows, step)):
        image.file.seek(begin + row * width)
        found.write(image.file.read(width))
    found.seek(0)
    return found


def _coloured(samples: np.ndarray[Any, Any], elements: Dataset) -> np.ndarray[Any, Any]:
    """Colours in eight bits; pydicom has made them red, green and blue."""
    if samples.shape[2] != 3:
        raise InvalidData("its pixels do not read")
    most = int(elements.BitsStored)
    return (samples >> most - 8 if most > 8 else samples).astype(np.uint8)


def _windowed(samples: np.ndarray[Any, Any], elements: Dataset) -> np.ndarray[Any, Any]:
    """Greys in eight bits by the window of the header, else by what nearly all pixels are; or the palette's colours."""
    photometric = str(elements.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        coloured = apply_color_lut(samples, elements)
        return (coloured >> 8 if coloured.dtype.itemsize > 1 else coloured).astype(np.uint8)
    slope, intercept = (_number(elements, name) for name in ("RescaleSlope", "RescaleIntercept"))
    values = samples.astype(np.float32) * (slope or 1.0) + (intercept or 0.0)
    low, high = _window(elements) or (0.0, 0.0)
    if not np.any((values > low) & (values < high)):  # no window, or one that shows nothing
        low, high = (float(one) for one in np.percentile(values[np.isfinite(values)], (1, 99)))
        low, high = (low, high) if high > low else (float(values.min()), float(values.max()) or 1.0)
    grey = np.clip(np.nan_to_num((values - low) / max(high - low, 1e-6)), 0.0, 1.0) * 255
    found: np.ndarray[Any, Any] = (255 - grey if photometric == "MONOCHROME1" else grey).astype(np.uint8)
    return found


def _window(elements: Dataset) -> tuple[float, float] | None:
    """Lower and upper end of the first window (PS3.3 C.11.2.1.2); None without one."""
    centre, width = _number(elements, "WindowCenter"), _number(elements, "WindowWidth")
    return None if centre is None or not width or width < 1 else (centre - width / 2, centre + width / 2)


def _number(elements: Dataset, name: str) -> float | None:
    """The first value of a number; None where it does not read."""
    value = elements.get(name)
    try:
        first = float(value[0] if isinstance(value, list | tuple) or hasattr(value, "append") else value)
    except (TypeError, ValueError, IndexError):
        return None
    return first if isfinite(first) else None
