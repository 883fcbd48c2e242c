"""The other transfer syntaxes of a data set, judged by pydicom."""

import io
import random
import re
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from router.dicom.dataset.decoders import can_decompress
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.scu.transcode import offers, transcoded
from router.dicom.ul.pdata import FileSlice
from router.dicom.ul.status import Verdict
from router.errors import ConfigurationError, InvalidData
from support.dicom_peers import CT, SHIPPED, client, data_set, send, stored, storescp

sys.path.append(str(Path(__file__).parents[2] / "torture"))

from fuzz import mutated

UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


def is_installed() -> bool:
    try:
        can_decompress()
    except ConfigurationError:
        return False
    return True


NEEDS_PLUGINS = pytest.mark.skipif(not is_installed(), reason="the extra `decompress` is not installed")


def shipped(*syntaxes: str) -> list[Path]:
    found = []
    for path in sorted([*SHIPPED.glob("test_files/*.dcm"), *SHIPPED.glob("charset_files/*.dcm")]):
        try:
            syntax = stored(path).transfer_syntax
        except InvalidData:
            continue
        if (syntax in syntaxes) and "truncated" not in path.name:
            found.append(path)
    return found


def in_syntax(path: Path, wanted: str) -> bytes:
    item = stored(path)
    with path.open("rb") as file:
        offset = path.stat().st_size - len(data_set(path))
        with transcoded(path, FileSlice(file, offset, len(data_set(path))), item.transfer_syntax, wanted) as other:
            assert (other.offset, other.size) == (0, other.file.seek(0, 2))
            other.file.seek(0)
            return other.file.read()


def read(data: bytes, syntax: str) -> Dataset:
    return pydicom.filereader.read_dataset(io.BytesIO(data), syntax == ImplicitVRLittleEndian, True)


def values(dataset: Dataset) -> Iterator[tuple[object, ...]]:
    """Every value of every level as encoded; group lengths aside."""
    for tag in sorted(dataset.keys()):
        raw = dataset.get_item(tag)
        if raw is None or tag.element == 0:
            continue
        value = raw.value
        if not tag.is_private and raw.VR in {None, "UN", "SQ"} and dataset[tag].VR == "SQ":
            value = dataset[tag].value
        if isinstance(value, Sequence):
            for number, item in enumerate(value):
                yield from ((int(tag), number, *inner) for inner in values(item))
        else:
            # pydicom has looked at Pixel Representation by itself
            yield int(tag), struct.pack("<H", value) if isinstance(value, int) else value or b""


@pytest.mark.filterwarnings("ignore::UserWarning")  # what is wrong with the shipped files
@pytest.mark.parametrize("path", shipped(*UNCOMPRESSED), ids=lambda path: path.name)
def test_the_other_uncompressed_syntax_has_the_same_values(path: Path) -> None:
    syntax = stored(path).transfer_syntax
    [other] = [one for one in UNCOMPRESSED if one != syntax]
    changed = in_syntax(path, other)
    assert list(values(read(changed, other))) == list(values(read(data_set(path), syntax)))


@pytest.mark.filterwarnings("ignore::UserWarning")  # what is wrong with the shipped files
def test_explicit_vr_names_the_vrs_of_the_dictionary() -> None:
    path = SHIPPED / "test_files" / "MR_small_implicit.dcm"
    dataset = read(in_syntax(path, ExplicitVRLittleEndian), ExplicitVRLittleEndian)
    expected = pydicom.dcmread(path)
    assert [(element.tag, element.VR) for element in dataset] == [
        (element.tag, element.VR) for element in expected if element.tag.element
    ]


def made(folder: Path, elements: bytes, syntax: str = ImplicitVRLittleEndian) -> bytes:
    [other] = [one for one in UNCOMPRESSED if one != syntax]
    path = folder / "made"
    path.write_bytes(elements)
    with path.open("rb") as file, transcoded(path, FileSlice(file, 0, len(elements)), syntax, other) as changed:
        changed.file.seek(0)
        return changed.file.read()


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def test_signed_pixels_make_the_ambiguous_values_signed(tmp_path: Path) -> None:
    for signed, vr in ((b"\0\0", "US"), (b"\1\0", "SS")):
        changed = made(tmp_path, implicit(0x00280103, signed) + implicit(0x00280106, b"\xfe\xff"))
        assert vr == read(changed, ExplicitVRLittleEndian)[0x00280106].VR


def test_what_does_not_fit_a_short_length_becomes_unknown(tmp_path: Path) -> None:
    changed = made(tmp_path, implicit(0x00080103, b"x" * 70000))
    assert changed[4:6] == b"UN"
    assert len(changed) == 12 + 70000


def test_wrong_text_stays_as_it_is(tmp_path: Path) -> None:
    gbk_labelled_as_utf8 = implicit(0x00080005, b"ISO_IR 192") + implicit(0x00100010, "张三".encode("gbk"))
    assert "张三".encode("gbk") in made(tmp_path, gbk_labelled_as_utf8)


@pytest.mark.parametrize(
    "elements",
    [
        implicit(0x00100010, b"x", 100),
        implicit(0x00100010, b"x")[:5],
        implicit(0x00081140, b"", 0xFFFFFFFF) + implicit(0xFFFEE000, b"", 0xFFFFFFFF),
        (implicit(0x00081140, b"", 0xFFFFFFFF) + implicit(0xFFFEE000, b"", 0xFFFFFFFF)) * 40,
    ],
    ids=["value", "head", "no end", "too deep"],
)
def test_broken_data_sets_are_refused(tmp_path: Path, elements: bytes) -> None:
    with pytest.raises(InvalidData):
        made(tmp_path, elements)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_data_set_that_is_not_in_its_syntax_goes_in_the_one_that_it_is_in(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.dcm"
    whole = CT.read_bytes()
    wrong.write_bytes(whole[: -len(data_set(CT))] + data_set(SHIPPED / "test_files" / "MR_small_implicit.dcm"))
    with storescp(tmp_path / "dcmtk", "+xi") as port:
        results = send(port, [replace(stored(CT, 1), path=wrong, checksum=""), stored(CT, 2)])
    assert [(result.key, result.status) for result in results] == [(1, 0), (2, 0)]


def test_offers_prefer_what_is_stored() -> None:
    explicit, implicit_ = UNCOMPRESSED
    assert offers(explicit, decompress=False) == (explicit, implicit_)
    assert offers(implicit_, decompress=False) == (implicit_, explicit)
    assert offers(JPEGBaseline8Bit, decompress=False) == (JPEGBaseline8Bit,)
    for stored_ in ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"):
        assert offers(stored_, decompress=True) == (stored_, explicit, implicit_)
        assert offers(stored_, decompress=False) == (stored_,)
    assert offers("1.2.3.4", decompress=True) == ("1.2.3.4",)


def test_decompression_without_its_libraries_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.dicom.dataset.decoders.get_decoder", lambda _: SimpleNamespace(is_available=False))
    with pytest.raises(ConfigurationError, match=r"nothing here decodes.*JPEG Baseline") as caught:
        client(11112, decompress=True)
    assert "[decompress]" in caught.value.hint


@NEEDS_PLUGINS
@pytest.mark.filterwarnings("ignore::UserWarning")  # what is wrong with the shipped files
@pytest.mark.parametrize(
    "name",
    ["SC_rgb_jpeg_gdcm.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm",
     "rtdose_rle.dcm", "SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_small_odd_jpeg.dcm"],
)  # fmt: skip
@pytest.mark.parametrize("wanted", UNCOMPRESSED)
def test_decoded_pixels_are_those_that_pydicom_decodes(name: str, wanted: str) -> None:
    path = SHIPPED / "test_files" / name
    decoded = read(in_syntax(path, wanted), wanted)
    expected = pydicom.dcmread(path)
    expected.decompress(generate_instance_uid=False)
    assert decoded["PixelData"].value == expected.PixelData
    assert decoded.PhotometricInterpretation == expected.PhotometricInterpretation
    assert decoded.get("PlanarConfiguration") == expected.get("PlanarConfiguration")
    assert decoded.SOPInstanceUID == expected.SOPInstanceUID
    assert str(decoded.get("PatientName")) == str(expected.get("PatientName"))


@NEEDS_PLUGINS
def test_a_compressed_instance_is_decompressed_only_where_it_must_be(tmp_path: Path) -> None:
    item = stored(SHIPPED / "test_files" / "MR_small_RLE.dcm")
    for number, (option, syntax) in enumerate([("+xi", ImplicitVRLittleEndian), ("+xa", item.transfer_syntax)]):
        with storescp(tmp_path / str(number), option) as port:
            [result] = send(port, [item], decompress=True)
        assert result.verdict is Verdict.STORED
        [kept] = (tmp_path / str(number)).iterdir()
        assert stored(kept).transfer_syntax == syntax


@NEEDS_PLUGINS
def test_pixels_that_do_not_decode_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.dcm"
    whole = bytearray((SHIPPED / "test_files" / "MR_small_RLE.dcm").read_bytes())
    whole[-2000:-100] = bytes(1900)
    path.write_bytes(whole)
    with storescp(tmp_path / "dcmtk", "+xi") as port, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [result] = send(port, [stored(path)], decompress=True)
    assert (result.status, result.verdict) == (None, Verdict.REFUSED)
    assert result.why.endswith("to Implicit VR Little Endian: the pixel data cannot be decoded")


# -- what is irregular


CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
CASES = Path(__file__).parents[2] / "cases" / "dicom"
EXPLICIT, IMPLICIT, BIG = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian), "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.mark.parametrize("number", ["30", "32", "33", "34", "40", "41", "401", "56", "302", "501"])
def test_a_case_in_implicit_vr_has_the_values_of_the_case(tmp_path: Path, number: str) -> None:
    changed = read(made(tmp_path, (CASES / f"{number}.dcmds").read_bytes(), EXPLICIT), IMPLICIT)
    assert (changed.PatientID, changed.Rows, len(changed.PixelData)) == (f"P{number}", 4, 32)
    assert changed.StudyInstanceUID == f"1.2.826.0.1.3680043.9.7777.{number}"
    assert changed.get_item(0x00100010).value == "张三".encode("gbk")
    assert changed[0x7FE00010].tag == max(changed.keys())  # the zeros behind it are no element


def test_text_where_the_dictionary_has_a_sequence_is_written_as_unknown(tmp_path: Path) -> None:
    changed = made(tmp_path, (CASES / "306.dcmds").read_bytes())
    assert b"\x12\0\x64\0UN\0\0\x18\0\0\0ACME Header Anonymizer 1" in changed
    assert read(changed, EXPLICIT).PatientID == "P306"


def test_what_is_written_in_the_other_syntax_than_announced_is_converted_from_that(tmp_path: Path) -> None:
    path = tmp_path / "58.dcm"
    meta = preamble_and_meta(CT_IMAGE, "1.2.826.0.1.3680043.9.7777.58.1.1", EXPLICIT, "CT01", "ROUTER")
    path.write_bytes(meta + (CASES / "58.dcmds").read_bytes())
    assert stored(path).transfer_syntax == IMPLICIT
    changed = in_syntax(path, EXPLICIT)
    assert (changed[:6], read(changed, EXPLICIT).PatientID) == (b"\x08\0\x05\0CS", "P58")


@pytest.mark.parametrize(("announced", "written"), [(EXPLICIT, IMPLICIT), (IMPLICIT, EXPLICIT)])
def test_label_and_bytes_of_what_leaves_agree(tmp_path: Path, announced: str, written: str) -> None:
    """Whatever the destination takes, and also where the catalogue still has what was announced."""
    body = data_set(CT) if written == EXPLICIT else made(tmp_path, data_set(CT), EXPLICIT)
    path = tmp_path / "one.dcm"
    path.write_bytes(preamble_and_meta(stored(CT).sop_class, stored(CT).sop_instance, announced, "A", "B") + body)
    for number, (option, known) in enumerate([("+xi", written), ("+xi", announced), ("", written), ("+xe", announced)]):
        folder = tmp_path / str(number)
        with storescp(folder, *([option] if option else [])) as port:
            [result] = send(port, [replace(stored(path), transfer_syntax=known, checksum="")])
        assert result.verdict is Verdict.STORED
        [kept] = folder.iterdir()
        meta = pydicom.dcmread(kept, stop_before_pixels=True)
        explicit = data_set(kept)[4:6] == b"CS" or data_set(kept)[4:6].isalpha()
        assert (meta.file_meta.TransferSyntaxUID == EXPLICIT) is explicit


FIRST = implicit(0x00080016, CT_IMAGE.encode() + b"\0")
LAST = implicit(0x00100020, b"P1") + implicit(0x7FE00010, bytes(8))
ANY = 2**32 - 1
ODD = {
    "a sequence longer than said": implicit(0x00081032, implicit(0xFFFEE000, implicit(0x00080100, b"C-1 ")), 10),
    "an item shorter than said": implicit(0x00081032, implicit(0xFFFEE000, implicit(0x00080100, b"C-1 "), 6)),
    "a delimiter too many": implicit(0x00081032, implicit(0xFFFEE000, implicit(0x00080100, b"C-1 ")))
    + implicit(0xFFFEE0DD, b""),
    "no sequence delimiter": implicit(0x00081032, implicit(0xFFFEE000, implicit(0x00080100, b"C-1 "), ANY), ANY)
    + implicit(0xFFFEE00D, b""),
    "an empty sequence": implicit(0x00081032, b""),
    "group length": implicit(0x00081032, b"") + implicit(0x00090000, b"\4\0\0\0"),
    "group 0000": implicit(0x00000002, b"1.2\0") + implicit(0x00081032, b""),
    "a private sequence": implicit(
        0x00091001, implicit(0xFFFEE000, implicit(0x00080100, b"C-1 "), 2**32 - 1) + implicit(0xFFFEE00D, b"")
        + implicit(0xFFFEE0DD, b""), 2**32 - 1,
    ),
    "text in a number": implicit(0x00081040, b"abc"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ODD)
def test_an_irregular_data_set_without_vrs_is_written_with_them(tmp_path: Path, name: str) -> None:
    changed = read(made(tmp_path, FIRST + ODD[name] + LAST), EXPLICIT)
    assert (changed.PatientID, changed.SOPClassUID, len(changed.PixelData)) == ("P1", CT_IMAGE, 8)
    if b"C-1 " in ODD[name] and 0x00081032 in changed:
        assert [item.CodeValue for item in changed.ProcedureCodeSequence] == ["C-1"]


def test_odd_values_are_padded_as_their_vr_wants(tmp_path: Path) -> None:
    changed = made(tmp_path, implicit(0x00080018, b"1.2") + implicit(0x00080070, b"ACM") + implicit(0x00091001, b"x"))
    assert changed.count(b"UI\4\x001.2\0") == changed.count(b"LO\4\0ACM ") == changed.count(b"UN\0\0\2\0\0\0x\0") == 1


def test_an_icon_that_is_compressed_stays_so(tmp_path: Path) -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 1
    icon.add_new(0x7FE00010, "OB", pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"]))
    icon["PixelData"].is_undefined_length = True
    whole = Dataset()
    whole.PatientID, whole.IconImageSequence = "P1", [icon]
    out = io.BytesIO()
    pydicom.dcmwrite(out, whole, implicit_vr=False, little_endian=True)
    changed = made(tmp_path, out.getvalue(), EXPLICIT)
    assert changed.count(b"\xfe\xff\x00\xe0\x04\0\0\0\xff\xd8\xff\xd9\xfe\xff\xdd\xe0") == 1


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        (implicit(0x00080060, b"CT") + implicit(0x00100010, b"x", 100), r"\(0010,0010\) at byte 10 says 100 bytes"),
        (implicit(0x00080060, b"CT") + b"\x10\0\x10\0\1", r"ends inside the head of an element, at byte 10"),
        (
            implicit(0x00081032, implicit(0xFFFEE000, implicit(0x00080100, b"C", 9))),
            r"item 1 of \(0008,1032\): element \(0008,0100\)",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_says_which_element_it_is(tmp_path: Path, elements: bytes, why: str) -> None:
    with pytest.raises(InvalidData, match=why):
        made(tmp_path, elements)


def test_what_cannot_be_converted_is_the_reason_of_that_instance_only(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.dcm"
    wrong.write_bytes(CT.read_bytes()[: -len(data_set(CT))] + data_set(CT)[:-1000])
    with storescp(tmp_path / "dcmtk", "+xi") as port:
        results = send(port, [replace(stored(CT, 1), path=wrong, checksum=""), stored(CT, 2)])
    first, second = sorted(results, key=lambda result: result.key)
    assert (first.status, first.verdict, second.status) == (None, Verdict.REFUSED, 0)
    assert re.search(r"from Explicit VR Little Endian to Implicit VR Little Endian: .*\(7FE0,0010\) .*says", first.why)


# -- inflated, swapped


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("wanted", UNCOMPRESSED)
@pytest.mark.parametrize("name", ["MR_small_bigendian.dcm", "ExplVR_BigEnd.dcm", "image_dfl.dcm"])
def test_big_endian_and_deflated_data_sets_are_written_in_the_others(name: str, wanted: str) -> None:
    path = SHIPPED / "test_files" / name
    expected, changed = pydicom.dcmread(path), read(in_syntax(path, wanted), wanted)
    for element in expected:
        if element.tag.element and not element.tag.is_private and element.keyword not in {"PixelData", "PaletteColor"}:
            assert changed[element.tag].value == element.value
    if expected.BitsAllocated <= 8:
        assert changed.PixelData == expected.PixelData
    else:
        assert numpy.array_equal(
            numpy.frombuffer(expected.PixelData, ">u2"), numpy.frombuffer(changed.PixelData, "<u2")
        )


def test_numbers_of_every_size_are_swapped(tmp_path: Path) -> None:
    whole = Dataset()
    whole.FrameIncrementPointer, whole.Rows, whole.PixelRepresentation = 0x00181063, 258, 1
    whole.SelectorULValue, whole.SelectorFDValue, whole.SelectorSLValue = [1, 2**31], [1.5, -2.5], -7
    whole.SmallestImagePixelValue = -3
    whole.RequestAttributesSequence = [Dataset()]
    whole.RequestAttributesSequence[0].SelectorUSValue = [1, 256]
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(out, whole, implicit_vr=False, little_endian=False)
    path = tmp_path / "big"
    path.write_bytes(out.getvalue())
    with path.open("rb") as file, transcoded(path, FileSlice(file, 0, len(out.getvalue())), BIG, EXPLICIT) as changed:
        changed.file.seek(0)
        found = read(changed.file.read(), EXPLICIT)
    assert found == whole


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["MR_small_bigendian.dcm", "image_dfl.dcm"])
def test_a_destination_without_them_gets_them_where_it_may(tmp_path: Path, name: str) -> None:
    item = stored(SHIPPED / "test_files" / name)
    with storescp(tmp_path / "dcmtk", "+xi") as port:
        assert [one.status for one in send(port, [item])] != [0]
        assert [one.status for one in send(port, [item], decompress=True)] == [0]


def test_a_deflated_data_set_that_breaks_off_says_so(tmp_path: Path) -> None:
    item = stored(SHIPPED / "test_files" / "image_dfl.dcm")
    body = data_set(item.path)[:-100]
    path = tmp_path / "cut"
    path.write_bytes(body)
    with (
        path.open("rb") as file,
        pytest.raises(InvalidData, match="breaks off"),
        transcoded(path, FileSlice(file, 0, len(body)), DEFLATED, EXPLICIT),
    ):
        pass


@pytest.mark.parametrize("seed", range(3))
def test_any_mutation_is_converted_or_refused(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    whole = [path.read_bytes() for path in sorted(CASES.glob("*.dcmds"))] + [FIRST + odd + LAST for odd in ODD.values()]
    for _ in range(150):
        with suppress(InvalidData):
            made(tmp_path, mutated(dice.choice(whole), dice), dice.choice([EXPLICIT, IMPLICIT]))
