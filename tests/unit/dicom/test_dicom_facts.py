"""Facts, position and references of instances built with pydicom, as devices write them."""

import io
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from router.dicom.dataset.dataset import read_elements
from router.dicom.dataset.header import Glimpse, read_glimpse
from router.dicom.dataset.part10 import preamble_and_meta
from router.errors import InvalidData

SHIPPED = Path(pydicom.data.__file__).parent / "test_files"
EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
CT, ENHANCED_CT, KOS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.88.59"
GSPS, PDF, SC = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.7"


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, Sequence(value) if keyword.endswith("Sequence") else value)
    return dataset


def glimpse(folder: Path, sop_class: str, syntax: str = EXPLICIT, **values: Any) -> Glimpse:
    out = io.BytesIO()
    dataset = item(SOPClassUID=sop_class, SOPInstanceUID="1.2.3.5", StudyInstanceUID="1.2.3", **values)
    dcmwrite(out, dataset, implicit_vr=syntax == IMPLICIT, little_endian=syntax != BIG)
    path = folder / "one.dcm"
    path.write_bytes(preamble_and_meta(sop_class, "1.2.3.5", syntax, "A", "B") + out.getvalue())
    return read_glimpse(path)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_a_slice_has_its_place_along_the_normal(tmp_path: Path, syntax: str) -> None:
    seen = glimpse(
        tmp_path, CT, syntax, Rows=512, Modality="CT", ImageOrientationPatient=["1", "0", "0", "0", "0.98", "-0.199"],
        ImagePositionPatient=["-250", "-250", "100"], SpacingBetweenSlices="-2.5", SliceThickness="0.0",
    )  # fmt: skip
    assert seen.position == pytest.approx(48.25, abs=0.01)
    assert (seen.facts.orientation, seen.facts.image_orientation) == ("AX", "1\\0\\0\\0\\0.98\\-0.2")
    assert (seen.facts.spacing_between_slices, seen.facts.slice_thickness) == (2.5, None)


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [
        (["1", "0", "0", "0", "1", "0"], "AX"), (["0", "1", "0", "0", "0", "-1"], "SAG"),
        (["1", "0", "0", "0", "0", "-1"], "COR"), (["1", "0", "0", "0", "0.8", "-0.6"], "AX-obl"),
        (["1", "0", "0", "1", "0", "0"], ""), (["1", "x"], ""),
    ],
)  # fmt: skip
def test_the_plane_is_named_by_the_nearest_axis(tmp_path: Path, orientation: list[str], plane: str) -> None:
    data = "\\".join(orientation).encode()
    seen = glimpse(tmp_path, CT, Modality="CT", Rows=1)
    path = tmp_path / "one.dcm"
    element = (
        b"\x20\0\x37\0DS" + len(data + b" " * (len(data) % 2)).to_bytes(2, "little") + data + b" " * (len(data) % 2)
    )
    path.write_bytes(path.read_bytes()[: -len(b"\x28\0\x10\0US\2\0\1\0")] + element)
    assert seen.facts.orientation == ""
    assert read_glimpse(path).facts.orientation == plane


def test_an_enhanced_instance_tells_in_its_functional_groups(tmp_path: Path) -> None:
    shared = item(
        PixelMeasuresSequence=[item(SliceThickness="1.0", SpacingBetweenSlices="0.8")],
        PlaneOrientationSequence=[item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
    )
    frames = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=["0", "0", f"{n * 0.8:.1f}"])],
            CTImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])],
        )
        for n in range(12)
    ]
    seen = glimpse(
        tmp_path, ENHANCED_CT, Modality="CT", Rows=512, NumberOfFrames=12,
        SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=frames,
    )  # fmt: skip
    facts = seen.facts
    assert (facts.slice_thickness, facts.spacing_between_slices, facts.orientation) == (1.0, 0.8, "AX")
    assert (facts.frame_type, facts.slice_count, facts.slice_distance) == (
        ("ORIGINAL", "PRIMARY", "VOLUME", "NONE"), 12, 0.8,
    )  # fmt: skip
    assert seen.position is None


def test_a_key_object_names_what_its_content_refers_to(tmp_path: Path) -> None:
    def image(uid: str) -> Dataset:
        return item(ValueType="IMAGE", ReferencedSOPSequence=[item(ReferencedSOPInstanceUID=uid)])

    evidence = item(
        ReferencedSeriesSequence=[
            item(ReferencedSOPSequence=[item(ReferencedSOPInstanceUID=u) for u in ("9.1", "9.2")])
        ]
    )
    title = item(CodeValue="113000", CodingSchemeDesignator="DCM", CodeMeaning="Of Interest")
    more: dict[str, Any] = {"ConceptNameCodeSequence": [title], "CurrentRequestedProcedureEvidenceSequence": [evidence]}
    content = [image("9.1"), item(ValueType="CONTAINER", ContentSequence=[image("9.3")]), image("9.1")]
    seen = glimpse(tmp_path, KOS, Modality="KO", ContentSequence=content, **more)
    assert (seen.references, seen.facts.concept_name) == (("9.1", "9.3"), "113000|DCM|Of Interest")
    assert glimpse(tmp_path, KOS, Modality="KO", **more).references == ("9.1", "9.2")
    assert glimpse(tmp_path, CT, Modality="CT", ContentSequence=content).references == ()


def test_a_presentation_state_names_its_images_and_its_label(tmp_path: Path) -> None:
    images = [
        item(ReferencedImageSequence=[item(ReferencedSOPInstanceUID="9.1"), item(ReferencedSOPInstanceUID="9.2")])
    ]
    seen = glimpse(tmp_path, GSPS, Modality="PR", ContentLabel="KEY", ReferencedSeriesSequence=images)
    assert (seen.references, seen.facts.content_label) == (("9.1", "9.2"), "KEY")


def test_documents_and_captures_tell_their_own(tmp_path: Path) -> None:
    assert (
        glimpse(
            tmp_path, PDF, Modality="DOC", DocumentTitle="剂量报告", SpecificCharacterSet="GB18030"
        ).facts.document_title
        == "剂量报告"
    )
    capture = glimpse(
        tmp_path, SC, Modality="CT", Rows=512, WindowCenter="0", WindowWidth="1", BurnedInAnnotation="YES"
    ).facts
    assert (capture.window_center, capture.window_width, capture.burned_in_annotation) == (0.0, 1.0, "YES")
    assert glimpse(tmp_path, CT, Modality="CT", Rows=512, WindowWidth="1").facts.window_width is None


def test_a_file_without_uids_is_still_looked_at(tmp_path: Path) -> None:
    seen = glimpse(tmp_path, CT, Modality="CT")
    assert (seen.study, seen.series, seen.sop) == ("1.2.3", "", "1.2.3.5")


def test_a_long_header_is_read_to_its_end_and_pixels_are_not(tmp_path: Path) -> None:
    private = item(Modality="CT", Rows=7)
    private.add_new(0x00090010, "LO", "MAKER")
    private.add_new(0x00091001, "OB", bytes(200_000))
    private.PixelData = bytes(300_000)
    private["PixelData"].VR = "OW"
    path = tmp_path / "long.dcm"
    out = io.BytesIO()
    dcmwrite(out, private, implicit_vr=False, little_endian=True)
    path.write_bytes(preamble_and_meta(CT, "1.2", EXPLICIT, "A", "B") + out.getvalue())
    assert read_glimpse(path).facts.image_rows == 7


@pytest.mark.filterwarnings("ignore:Expected .* VR, but found:UserWarning")  # a shipped file is written so
def test_the_reader_and_pydicom_agree_on_the_texts_of_every_shipped_file() -> None:
    compared = 0
    for path in sorted(SHIPPED.glob("*.dcm")):
        try:
            with path.open("rb") as file:
                ours = read_elements(file)
            theirs = dcmread(path, stop_before_pixels=True, force=True)
        except (InvalidData, NotImplementedError):
            continue
        for tag in (0x00080016, 0x00080060, 0x0020000D, 0x0020000E, 0x00080018):
            value = theirs.get_item(tag)
            raw = b"" if value is None or value.value is None else value.value
            text = raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)
            assert ours.text(tag) == text.strip("\0 "), (path.name, hex(tag))
        compared += 1
    assert compared > 60


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT, IMPLICIT, BIG]))
def test_any_bytes_are_looked_at_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, syntax: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.dcm"
    path.write_bytes(preamble_and_meta(CT, "1.2", syntax, "A", "B") + b"\x08\0\x05\0CS\2\0GB" + data)
    try:
        read_glimpse(path)
    except InvalidData:
        return


def test_nesting_without_end_is_looked_at_quickly(tmp_path: Path) -> None:
    opened = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    path = tmp_path / "deep.dcm"
    path.write_bytes(preamble_and_meta(CT, "1.2", EXPLICIT, "A", "B") + opened * 20_000)
    assert read_glimpse(path).facts.modality == ""
