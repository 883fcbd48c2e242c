"""The other transfer syntaxes of a data set, judged by pydicom."""

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from peers import CT, SHIPPED, client, data_set, send, stored, storescp
from router.dicom.pdata import DataSet
from router.dicom.status import Verdict
from router.dicom.transcode import can_decompress, offers, transcoded
from router.errors import ConfigurationError, InvalidData

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
        with transcoded(path, DataSet(file, offset, len(data_set(path))), item.transfer_syntax, wanted) as other:
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
    with path.open("rb") as file, transcoded(path, DataSet(file, 0, len(elements)), syntax, other) as changed:
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
    monkeypatch.setattr("router.dicom.transcode.get_decoder", lambda _: SimpleNamespace(is_available=False))
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
