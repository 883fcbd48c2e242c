"""What tells versions of an instance apart: every change that matters to a destination shows, and no other."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from router.dicom.dataset import header
from router.dicom.dataset.header import digest, pixels_as, read_instance
from router.dicom.dataset.part10 import preamble_and_meta
from router.errors import InvalidData
from router.model import Digests
from support.dicom_peers import CT, SHIPPED, data_set

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
CT_CLASS, SR_CLASS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.22"


def image(**values: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT_CLASS, "1.2.3.5"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.PatientID, dataset.SeriesDescription, dataset.Laterality = "P1", "thin", "L"
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.Rows, dataset.PhotometricInterpretation = 2, "MONOCHROME2"
    dataset.add_new("PixelData", "OW", b"pixels")
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def digests(dataset: Dataset, syntax: str = EXPLICIT, more: bytes = b"") -> Digests:
    out = io.BytesIO(preamble_and_meta(CT_CLASS, "1.2.3.5", syntax, "CT01", "ROUTER"))
    start = out.seek(0, io.SEEK_END)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a data set without its own file meta information
        pydicom.dcmwrite(out, dataset, implicit_vr=syntax == IMPLICIT, little_endian=syntax != BIG)
    if syntax == DEFLATED:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = out.getvalue()
        out = io.BytesIO(data[:start] + deflate.compress(data[start:]) + deflate.flush())
    out.seek(0, io.SEEK_END)
    out.write(more)
    return read_instance(out)[1]


def _written(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, implicit_vr=False, little_endian=True)
    return out.getvalue()


def differences(one: Digests, other: Digests) -> set[str]:
    return {name for name in ("data_set", "orientation", "pixels") if getattr(one, name) != getattr(other, name)}


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize(
    "change",
    [
        {"SeriesDescription": "thick"}, {"InstitutionName": "somewhere else"}, {"StudyDate": "20260101"},
        {"PatientID": "P2"},  # patient and order are compared as texts
    ],
)  # fmt: skip
def test_what_does_not_matter_changes_the_data_set_alone(change: dict[str, str], syntax: str) -> None:
    assert differences(digests(image(), syntax), digests(image(**change), syntax)) == {"data_set"}


@pytest.mark.parametrize(
    "change",
    [
        {"Laterality": "R"}, {"ImageLaterality": "R"}, {"PatientOrientation": ["R", "F"]},
        {"ImageOrientationPatient": [1, 0, 0, 0, 0, 1]}, {"ImagePositionPatient": [1, 2, 3]}, {"ViewPosition": "AP"},
        {"PatientPosition": "FFS"},
    ],
)  # fmt: skip
def test_laterality_orientation_and_position_show(change: dict[str, object]) -> None:
    assert differences(digests(image()), digests(image(**change))) == {"data_set", "orientation"}


def test_a_value_that_moves_to_another_field_shows() -> None:
    assert "orientation" in differences(
        digests(image(Laterality="", ImageLaterality="L")), digests(image(Laterality="L", ImageLaterality=""))
    )


@pytest.mark.parametrize(
    "change",
    [
        {"PixelData": b"PIXELS"}, {"PixelData": b"pixels" * 100_000}, {"PhotometricInterpretation": "MONOCHROME1"},
        {"RescaleIntercept": "-1024"}, {"Rows": 3},
    ],
)  # fmt: skip
def test_the_pixel_data_and_how_they_are_read_show(change: dict[str, object]) -> None:
    assert differences(digests(image()), digests(image(**change))) == {"data_set", "pixels"}


@pytest.mark.parametrize(("keyword", "vr"), [("FloatPixelData", "OF"), ("DoubleFloatPixelData", "OD")])
def test_float_pixels_are_pixels(keyword: str, vr: str) -> None:
    def of(data: bytes, description: str = "thin") -> Digests:
        dataset = image(SeriesDescription=description)
        del dataset.PixelData
        dataset.add_new(keyword, vr, data)
        return digests(dataset)

    assert differences(of(bytes(8)), of(bytes(8), "thick")) == {"data_set"}
    assert differences(of(bytes(8)), of(bytes(7) + b"\1")) == {"data_set", "pixels"}


def test_an_overlay_is_seen_with_the_pixels() -> None:
    def of(data: bytes) -> Digests:
        dataset = image()
        dataset.add_new(0x60003000, "OW", data)
        return digests(dataset)

    assert differences(of(b"R "), of(b"L ")) == {"data_set", "pixels"}


def test_encapsulated_pixels_are_compared_as_they_are_encoded() -> None:
    def of(frame: bytes, description: str = "thin") -> Digests:
        dataset = image(PixelData=encapsulate([frame]), SeriesDescription=description)
        dataset["PixelData"].is_undefined_length = True
        return digests(dataset, JPEG)

    assert differences(of(b"\xff\xd8 one"), of(b"\xff\xd8 one", "thick")) == {"data_set"}
    assert differences(of(b"\xff\xd8 one"), of(b"\xff\xd8 two")) == {"data_set", "pixels"}


def test_another_encoding_of_the_same_pixels_counts_as_different() -> None:
    assert "pixels" in differences(digests(image()), digests(image(), IMPLICIT))


def test_of_an_object_without_pixels_every_difference_counts() -> None:
    def of(**change: str) -> Digests:
        dataset = image(SOPClassUID=SR_CLASS, **change)
        del dataset.PixelData
        return digests(dataset)

    assert of() == of()
    assert differences(of(), of(SeriesDescription="thick")) == {"data_set", "pixels"}
    assert differences(of(), of(CompletionFlag="COMPLETE")) == {"data_set", "pixels"}


def test_of_a_deflated_data_set_every_difference_counts() -> None:
    assert differences(digests(image(), DEFLATED), digests(image(SeriesDescription="x"), DEFLATED)) == {
        "data_set", "pixels"
    }  # fmt: skip


def _groups(orientation: str, *, undefined: bool) -> Dataset:
    plane, frame = Dataset(), Dataset()
    plane.ImageOrientationPatient = [orientation, "0", "0", "0", "1", "0"]
    frame.PlaneOrientationSequence = Sequence([plane])
    dataset = image(PerFrameFunctionalGroupsSequence=Sequence([frame, Dataset()]))
    for holder, keyword in ((dataset, "PerFrameFunctionalGroupsSequence"), (frame, "PlaneOrientationSequence")):
        holder[keyword].is_undefined_length = undefined
        for item in holder[keyword].value:
            item.is_undefined_length_sequence_item = undefined
    return dataset


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_the_functional_groups_of_an_enhanced_object_are_orientation(undefined: bool, syntax: str) -> None:
    one, other = _groups("1", undefined=undefined), _groups("-1", undefined=undefined)
    assert digests(one, syntax) == digests(one, syntax)
    assert differences(digests(one, syntax), digests(other, syntax)) == {"data_set", "orientation"}


def test_an_element_that_moves_from_one_item_to_the_next_shows() -> None:
    def of(*items: dict[str, str]) -> Digests:
        frames = []
        for values in items:
            frames.append(Dataset())
            for keyword, value in values.items():
                setattr(frames[-1], keyword, value)
        dataset = image(PerFrameFunctionalGroupsSequence=Sequence(frames))
        dataset["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
        return digests(dataset)

    assert "orientation" in differences(of({"FrameType": "A"}, {}), of({}, {"FrameType": "A"}))


def test_pixels_are_known_again_by_the_sha_256_of_an_older_row(tmp_path: Path) -> None:
    path, known = tmp_path / "image.dcm", "225e270f8f5c0a97d79950a7f3a33622"  # as version 0.2.0 recorded it

    def of(pixels: bytes) -> tuple[str, str]:
        dataset = image(Columns=8, PixelData=pixels, Rows=8, BitsAllocated=16, BitsStored=16, HighBit=15)
        dataset.PixelRepresentation, dataset.SamplesPerPixel = 0, 1
        meta = preamble_and_meta(CT_CLASS, "1.2.3.5", EXPLICIT, "CT01", "ROUTER")
        path.write_bytes(meta + _written(dataset))
        own = digests(dataset).pixels
        return own, pixels_as(known, path, own)

    ramp, other = of(struct.pack("<64H", *range(64))), of(bytes(128))
    assert ramp[1] == known != other[1]
    assert len({*ramp, *other}) == 4
    assert pixels_as(ramp[0], path, other[0]) == other[0]


def test_what_follows_the_pixel_data_counts_as_theirs() -> None:
    assert differences(digests(image()), digests(image(), more=b"\xfc\xff\xfc\xffOB\0\0\0\0\0\0")) == {
        "data_set", "pixels"
    }  # fmt: skip


def test_the_file_around_the_data_set_does_not_matter() -> None:
    meta = preamble_and_meta(CT_CLASS, "1.2.3.5", EXPLICIT, "SOMEBODY", "ELSE")
    _, shipped = read_instance(io.BytesIO(CT.read_bytes()))
    _, other = read_instance(io.BytesIO(meta + data_set(CT)))
    assert shipped == other


@pytest.mark.filterwarnings("ignore:Expected .* VR, but found:UserWarning")  # a shipped file is written so
def test_a_large_file_is_read_in_pieces_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    for path in sorted(SHIPPED.glob("test_files/*.dcm")):
        with path.open("rb") as file:
            try:
                small = read_instance(file)
            except InvalidData:
                continue
            with monkeypatch.context() as patch:
                patch.setattr(header, "_PIECE", 1000)
                assert read_instance(file) == small, path.name
        assert small[1].data_set == digest(path), path.name
        compared += 1
    assert compared > 50


def test_a_data_set_cut_off_inside_a_sequence_is_read_as_far_as_it_goes_and_is_no_fault_of_the_disk() -> None:
    data = _written(_groups("1", undefined=True))
    meta = preamble_and_meta(CT_CLASS, "1.2.3.5", EXPLICIT, "CT01", "ROUTER")
    found, _ = read_instance(io.BytesIO(meta + data[: data.rindex(b"\xfe\xff\x00\xe0") + 4]))
    assert found.uids.sop
    assert found.cut


def test_a_disk_that_does_not_read_is_told_as_such() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        read_instance(Broken(CT.read_bytes()))
