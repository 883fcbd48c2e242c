"""Where a data set breaks off: what is shorter than it must be is told, and nothing else is."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import pydicom
import pynetdicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from router.dicom.dataset import cut
from router.dicom.dataset.cut import cut_off
from router.dicom.dataset.dataset import read_elements
from router.dicom.dataset.header import read_instance
from router.dicom.dataset.part10 import dataset_offset, preamble_and_meta
from router.errors import InvalidData

CASES = Path(__file__).parents[2] / "cases" / "dicom"
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG, MPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.102"
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
# Shipped or given to be broken: without their end, or without any pixel.
BROKEN = {
    "rtplan_truncated.dcm", "MR_truncated.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm", "DICOMDIR-nooffset",
    "GH1339.dcm", "GH1146.dcm",
}  # fmt: skip


def image(pixels: bytes = b"", **values: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT_CLASS, "1.2.3.5"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.SamplesPerPixel = 4, 4, 16, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    if pixels:
        dataset.add_new("PixelData", "OW" if dataset.BitsAllocated > 8 else "OB", pixels)
    return dataset


def encoded(dataset: Dataset, syntax: str = EXPLICIT) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(out, dataset, implicit_vr=syntax == IMPLICIT, little_endian=syntax != BIG)
    return out.getvalue()


def deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


def said(data: bytes, syntax: str = EXPLICIT) -> str:
    """Where a data set breaks off, as it is read for the catalogue."""
    meta = preamble_and_meta(CT_CLASS, "1.2.3.5", syntax, "CT01", "ROUTER")
    return read_instance(io.BytesIO(meta + data))[0].cut


def sequences(*, undefined: bool) -> Sequence:
    inner = Dataset()
    inner.CodeValue = "1"
    item = Dataset()
    item.ConceptNameCodeSequence = Sequence([inner])
    item["ConceptNameCodeSequence"].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = undefined
    return Sequence([item, item])


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("undefined", [True, False], ids=["undefined lengths", "lengths"])
def test_every_beginning_of_an_image_is_cut_off_but_where_an_element_has_just_ended(
    syntax: str, undefined: bool
) -> None:
    dataset = image(bytes(range(1, 33)), RequestAttributesSequence=sequences(undefined=undefined))
    dataset["RequestAttributesSequence"].is_undefined_length = undefined
    data = encoded(dataset, syntax)
    assert said(data, syntax) == ""
    after_uids = data.index(b"1.2.3.4\0") + 8
    quiet = [size for size in range(after_uids, len(data)) if not said(data[:size], syntax)]
    ends = [len(encoded(_up_to(dataset, one.tag), syntax)) for one in dataset if one.tag >= 0x0020000E]
    # In big endian a tag may begin with a zero, which alone could fill the data set up to an even length.
    filled = {end + 1 for end in ends if data[end : end + 1] == b"\0"}
    assert set(quiet) == {*ends, *filled} - {len(data)}


def _up_to(dataset: Dataset, last: int) -> Dataset:
    return Dataset({one.tag: one for one in dataset if one.tag <= last})


@pytest.mark.parametrize("values", [
    {"Rows": 3, "Columns": 3, "BitsAllocated": 8, "pixels": 9},
    {"Rows": 5, "Columns": 5, "BitsAllocated": 1, "pixels": 4},
    {"NumberOfFrames": 3, "pixels": 96},
    {"SamplesPerPixel": 3, "BitsAllocated": 8, "PhotometricInterpretation": "RGB", "pixels": 48},
    {"SamplesPerPixel": 3, "BitsAllocated": 8, "PhotometricInterpretation": "YBR_FULL_422", "pixels": 32},
    {"SamplesPerPixel": 3, "BitsAllocated": 8, "PhotometricInterpretation": "YBR_PARTIAL_420", "pixels": 24},
    {"BitsAllocated": 12, "pixels": 24},
    {"NumberOfFrames": 2, "Rows": 3, "Columns": 3, "BitsAllocated": 1, "pixels": 3},
])  # fmt: skip
def test_pixel_data_has_at_least_what_the_header_asks_for(values: dict[str, object]) -> None:
    needed = int(str(values["pixels"]))
    rest = {name: value for name, value in values.items() if name != "pixels"}
    for size, reason in (
        (needed, ""),
        (needed + 7, ""),
        (needed - 1, f"the pixel data has {needed - 1} of {needed} bytes"),
    ):
        data = encoded(image(b"", **rest)) + _pixels(b"\1" * size)
        assert said(data) == reason


def _pixels(value: bytes, said: int | None = None, tag: int = 0x0010, vr: bytes = b"OB") -> bytes:
    return struct.pack("<HH2sHL", 0x7FE0, tag, vr, 0, len(value) if said is None else said) + value


def test_one_missing_byte_that_would_make_the_length_even_is_forgiven() -> None:
    head = encoded(image(Rows=3, Columns=3, BitsAllocated=8))
    assert said(head + _pixels(b"\1" * 9, said=10)) == ""
    assert said(head + _pixels(b"\1" * 8, said=10)) == "the pixel data has 8 of 9 bytes"
    assert said(head + _pixels(b"\1" * 20, said=30)) == "the pixel data says 30 bytes, and 20 are there"


@pytest.mark.parametrize(("tag", "vr", "size"), [(0x0008, b"OF", 64), (0x0009, b"OD", 128)])
def test_float_pixels_are_counted_by_their_own_size(tag: int, vr: bytes, size: int) -> None:
    head = encoded(image())
    assert said(head + _pixels(b"\1" * size, tag=tag, vr=vr)) == ""
    assert "bytes" in said(head + _pixels(b"\1" * (size - 4), tag=tag, vr=vr))


@pytest.mark.parametrize("padding", [
    b"\0", bytes(500), b"\xff" * 9, b" " * 30, struct.pack("<HH2sHL", 0xFFFC, 0xFFFC, b"OB", 0, 500) + bytes(20),
], ids=["a zero", "zeros", "ones", "blanks", "data set trailing padding, short itself"])  # fmt: skip
def test_what_follows_the_pixels_to_fill_up_is_no_fault(padding: bytes) -> None:
    assert said(encoded(image(bytes(32))) + padding) == ""
    assert said(encoded(image(bytes(32)), IMPLICIT) + padding, IMPLICIT) == ""


def test_an_element_behind_the_pixels_that_breaks_off_is_told() -> None:
    private = struct.pack("<HH2sHL", 0x7FE1, 0x1010, b"OB", 0, 500) + bytes(20)
    assert said(encoded(image(bytes(32))) + private) == "element (7FE1,1010) says 500 bytes, and 20 are there"
    signatures = struct.pack("<HH2sHL", 0xFFFA, 0xFFFA, b"SQ", 0, 0xFFFFFFFF) + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    assert said(encoded(image(bytes(32))) + signatures) == "the sequence (FFFA,FFFA) does not end"
    assert said(encoded(image(bytes(32))) + signatures + b"\xfe\xff\x0d\xe0\0\0\0\0" + DELIMITER) == ""


def test_icons_and_pixels_that_are_elsewhere_are_left_out() -> None:
    icon = image(b"\1\2", BitsAllocated=8)
    assert said(encoded(image(bytes(32), IconImageSequence=Sequence([icon])))) == ""
    assert said(encoded(image(b"\1\2", PixelDataProviderURL="https://pacs.example/1"))) == ""


def test_a_header_that_does_not_say_how_long_the_pixels_are_accuses_nobody() -> None:
    for keyword in ("Rows", "Columns", "BitsAllocated"):
        dataset = image(b"\1\2")
        delattr(dataset, keyword)
        assert said(encoded(dataset)) == ""
    dataset = image(b"\1\2")
    dataset.add_new("NumberOfFrames", "IS", "")
    dataset["NumberOfFrames"]._value = "many"
    assert said(encoded(dataset)) == ""


# -- encapsulated


def compressed(*fragments: bytes, frames: int = 2, end: bytes = DELIMITER) -> bytes:
    items = b"".join(struct.pack("<LL", 0xE000FFFE, len(one)) + one for one in (b"", *fragments))
    return encoded(image(NumberOfFrames=frames)) + _pixels(items + end, said=0xFFFFFFFF)


def test_encapsulated_pixels_are_ended_by_their_delimiter() -> None:
    whole = compressed(b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xd9")
    assert said(whole, JPEG) == ""
    assert said(whole + bytes(8), JPEG) == ""
    start = whole.index(b"\xe0\x7f\x10\0")
    for size in range(start + 1, len(whole)):
        assert said(whole[:size], JPEG), size
    assert said(compressed(b"\1\2", b"\3\4", end=b""), JPEG) == "the pixel data does not end: its delimiter is missing"
    assert "longer than the rest" in said(whole[:-10], JPEG)


def test_fewer_fragments_than_frames_are_told_unless_a_fragment_holds_several_frames() -> None:
    assert said(compressed(b"\1\2", frames=2), JPEG) == "the pixel data has 1 of 2 frames"
    assert said(compressed(frames=1), JPEG) == "the pixel data has 0 of 1 frames"
    assert said(compressed(b"\1\2", b"\1\2", b"\1\2", frames=2), JPEG) == ""
    assert said(compressed(b"\1\2", frames=200), MPEG) == ""


def test_fragments_that_cannot_be_followed_are_believed_where_the_delimiter_is_at_the_end() -> None:
    odd = struct.pack("<LL", 0xE000FFFE, 3) + b"\1\2\3\0"  # padded, and the length does not say so
    assert said(compressed(odd, end=b"xx" + DELIMITER), JPEG) == ""
    assert "delimiter" in said(compressed(b"\1\2", end=b"xxxxxxxxxx"), JPEG)


def test_what_pydicom_encapsulates_is_whole() -> None:
    dataset = image(NumberOfFrames=3)
    dataset.add_new("PixelData", "OB", encapsulate([b"\1\2" * 50, b"\3\4" * 30, b"\5\6"], has_bot=True))
    dataset["PixelData"].is_undefined_length = True
    assert said(encoded(dataset), JPEG) == ""


# -- deflated


def test_a_deflated_data_set_is_inflated_to_its_end() -> None:
    data = encoded(image(bytes(range(32))))
    whole = deflated(data)
    assert said(whole, DEFLATED) == ""
    assert said(whole + b"\0", DEFLATED) == ""
    assert said(whole[:-6], DEFLATED) == "the deflated data set breaks off"
    assert said(deflated(data[:-10]), DEFLATED) == "the pixel data has 22 of 32 bytes"


# -- elements and sequences


def test_an_item_longer_than_the_rest_is_told_in_a_sequence_whose_own_length_is_right() -> None:
    item = struct.pack("<LL", 0xE000FFFE, 100_000) + b"\x08\0\0\1SH\2\x001 "
    sequence = struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, len(item)) + item
    data = encoded(image()) + sequence
    assert (
        said(data + _pixels(bytes(32))) == "an item of the sequence (0040,0275) is longer than the rest of the data set"
    )
    implicit = struct.pack("<HHL", 0x0040, 0x0275, len(item)) + item
    head = encoded(image(), IMPLICIT)
    assert "item" in said(head + implicit + struct.pack("<HHL", 0x7FE0, 0x10, 32) + bytes(32), IMPLICIT)


def test_an_item_longer_than_its_sequence_alone_is_not_cut_off() -> None:
    item = struct.pack("<LL", 0xE000FFFE, 20) + b"\x08\0\0\1SH\2\x001 "
    sequence = struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, len(item)) + item
    assert said(encoded(image()) + sequence + _pixels(bytes(32))) == ""


# Elements that nobody can follow: a VR that is none, a group that is none, one of before again, an item outside.
STRANGE = {
    **{f"VR {vr!r}": struct.pack("<HH2sH", 0x0040, 0x0244, vr, 8) + b"20261129" for vr in (b"  ", b"??", b"RE", b"lo")},
    "group FFFF": struct.pack("<HH2sH", 0xFFFF, 0x0010, b"LO", 2) + b"ab",
    "descending": struct.pack("<HH2sH", 0x0008, 0x1030, b"LO", 2) + b"ab",
    "zeros": bytes(12),
    "in a sequence": struct.pack("<HH2sHLLL", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF, 0xE000FFFE, 0xFFFFFFFF)
    + struct.pack("<HH2sH", 0x0040, 0x0007, b"??", 2) + b"ab" + struct.pack("<LLLL", 0xE00DFFFE, 0, 0xE0DDFFFE, 0),
}  # fmt: skip


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_pixels_behind_an_element_that_cannot_be_followed_are_found_by_their_head(strange: bytes) -> None:
    head = encoded(image()) + strange
    assert said(head) == ""
    assert said(head + _pixels(bytes(32))) == ""
    assert said(head + _pixels(bytes(32)) + bytes(500)) == ""
    assert said(head + _pixels(bytes(30))) == "the pixel data has 30 of 32 bytes"
    assert said(head + _pixels(bytes(16), said=32)) == "the pixel data has 16 of 32 bytes"
    assert said(head + _pixels(bytes(40), said=60)) == "the pixel data says 60 bytes, and 40 are there"


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_fragments_behind_an_element_that_cannot_be_followed_end_at_their_delimiter(strange: bytes) -> None:
    whole = compressed(b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xd9")
    start = whole.index(b"\xe0\x7f\x10\0")
    whole = whole[:start] + strange + whole[start:]
    assert said(whole, JPEG) == ""
    assert said(whole + bytes(8), JPEG) == ""
    for size in range(start + len(strange) + 12, len(whole)):
        assert said(whole[:size], JPEG), size


def test_an_icon_behind_an_element_that_cannot_be_followed_is_not_the_image() -> None:
    head = encoded(image()) + STRANGE["group FFFF"] + _pixels(b"\1\2")
    assert said(head + _pixels(bytes(32))) == ""
    assert said(head + _pixels(bytes(9))) == "the pixel data has 9 of 32 bytes"


def test_pixels_without_vr_behind_an_element_that_cannot_be_followed_are_found_too() -> None:
    data = encoded(image(), IMPLICIT) + struct.pack("<HHL", 0xFFFF, 0x10, 2) + b"ab"
    pixels = struct.pack("<HHL", 0x7FE0, 0x10, 32) + bytes(32)
    assert said(data + pixels, IMPLICIT) == ""
    assert said(data + pixels[:-9], IMPLICIT) == "the pixel data has 23 of 32 bytes"
    big = encoded(image(), BIG) + struct.pack(">HH2sH", 0xFFFF, 0x10, b"LO", 2) + b"ab"
    pixels = struct.pack(">HH2sHL", 0x7FE0, 0x10, b"OW", 0, 32) + bytes(32)
    assert said(big + pixels, BIG) == ""
    assert said(big + pixels[:-9], BIG) == "the pixel data has 23 of 32 bytes"


def test_a_head_of_pixels_on_the_border_of_what_is_searched_at_a_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(image()) + STRANGE["group FFFF"] + _pixels(bytes(32))
    for size in (1, 5, 11, 12, 13):
        monkeypatch.setattr(cut, "_SEARCHED", size)
        assert said(data) == ""
        assert said(data[:-1])


@pytest.mark.parametrize(("case", "reason"), [
    ("420", "the pixel data has 16 of 32 bytes"),
    ("422", "element (0029,1010) says 99999 bytes, and 46 are there"),
    ("45", ""), ("46", ""), ("404", ""), ("461", ""),
])  # fmt: skip
def test_the_cases_from_the_field(case: str, reason: str) -> None:
    assert said((CASES / f"{case}.dcmds").read_bytes()) == reason


def test_a_file_that_is_not_in_memory_is_judged_alike(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    for data in (encoded(image(bytes(32))), encoded(image(bytes(32)))[:-3], compressed(b"\1\2", end=b"")):
        syntax = JPEG if DELIMITER[:4] not in data and b"\xff\xff\xff\xff" in data else EXPLICIT
        path.write_bytes(preamble_and_meta(CT_CLASS, "1.2.3.5", syntax, "CT01", "ROUTER") + data)
        with path.open("rb") as file:
            assert read_instance(file)[0].cut == said(data, syntax)


def test_no_real_file_at_hand_is_called_cut_off_but_those_that_are() -> None:
    places = [Path(pydicom.__file__).parent, Path(pynetdicom.__file__).parent]
    seen, told = 0, set()
    for path in sorted(path for place in places for path in place.rglob("*") if path.is_file()):
        data = io.BytesIO(path.read_bytes())
        try:
            dataset_offset(data)
        except InvalidData:
            continue
        seen += 1
        if cut_off(read_elements(data), data):
            told.add(path.name.rpartition("__")[2])
    assert seen > 150
    assert told <= BROKEN
    assert {"rtplan_truncated.dcm", "MR_truncated.dcm"} <= told
