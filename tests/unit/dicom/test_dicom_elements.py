"""UIDs, the element reader, the Part 10 header, header facts and character sets, on built and shipped data."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from router.dicom.dataset.charset import decode
from router.dicom.dataset.header import digest, uids_of
from router.dicom.dataset.parsed import parsed
from router.dicom.dataset.part10 import FileMeta, dataset_offset, preamble_and_meta
from router.dicom.dataset.uid import clean, valid
from router.errors import InvalidData
from router.model import Header, InstanceUids
from support.dicom_peers import read_header

SHIPPED = Path(pydicom.data.__file__).parent
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def instance(**values: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT_CLASS, "1.2.3.5"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def encoded(dataset: Dataset, transfer_syntax: str = EXPLICIT) -> bytes:
    out = io.BytesIO()
    implicit, little = transfer_syntax == IMPLICIT, transfer_syntax != BIG
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wrong values are written on purpose
        pydicom.dcmwrite(out, dataset, implicit_vr=implicit, little_endian=little)
    if transfer_syntax != DEFLATED:
        return out.getvalue()
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(out.getvalue()) + deflate.flush()


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def header_of(folder: Path, data: bytes, transfer_syntax: str = EXPLICIT) -> Header:
    path = folder / "one.dcm"
    path.write_bytes(preamble_and_meta(CT_CLASS, "1.2.3.5", transfer_syntax, "CT01", "ROUTER") + data)
    return read_header(path)


@pytest.mark.parametrize("value", ["1.2.3", "1", "1.2.03", "1.2.3\0", "1.2.3 \0", " 1.2.3", "1" * 64])
def test_a_uid_is_cleaned_and_taken(value: str) -> None:
    assert valid(value) == clean(value) == value.strip("\0 ")


@pytest.mark.parametrize(
    "value", ["", "\0", ".", "..", "1..2", ".1", "1..", "1.2/3", "../../x", "1.a", "1" * 65, "1.２"]
)
def test_what_is_no_uid_is_refused(value: str) -> None:
    with pytest.raises(InvalidData) as caught:
        valid(value)
    assert len(value) < 3 or value not in str(caught.value)


@given(st.text(max_size=70))
def test_a_valid_uid_is_a_plain_file_name(value: str) -> None:
    try:
        name = valid(value)
    except InvalidData:
        return
    assert Path(name).name == name
    assert name not in {".", ".."}
    assert set(name) <= set("0123456789.")


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
def test_uids_are_read_in_every_encoding_past_nested_sequences(transfer_syntax: str) -> None:
    inner = Dataset()
    inner.StudyInstanceUID = "9.9"
    outer = Dataset()
    outer.ReferencedSOPSequence = Sequence([inner])
    outer.ReferencedSOPSequence.is_undefined_length = True
    dataset = instance(ReferencedStudySequence=Sequence([outer, inner]), PatientName="Zhang^San")
    dataset["ReferencedStudySequence"].is_undefined_length = True
    dataset.ReferencedStudySequence[0].is_undefined_length_sequence_item = True
    uids, sop_class = uids_of(encoded(dataset, transfer_syntax), transfer_syntax)
    assert uids == InstanceUids("1.2.3", "1.2.3.4", "1.2.3.5")
    assert sop_class == CT_CLASS


def test_an_announced_encoding_that_is_not_the_written_one_is_seen_through() -> None:
    assert uids_of(encoded(instance(), EXPLICIT), IMPLICIT) == uids_of(encoded(instance(), IMPLICIT), EXPLICIT)


def test_the_beginning_of_a_data_set_is_enough() -> None:
    data = encoded(instance(Rows=1, Columns=1))
    upto = data.index(b"1.2.3.4\0") + 8
    assert uids_of(data[:upto], EXPLICIT)[0].series == "1.2.3.4"


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_missing_uid_is_refused_by_its_tag(keyword: str) -> None:
    dataset = instance()
    tag = dataset[keyword].tag
    del dataset[keyword]
    with pytest.raises(InvalidData, match=rf"lacks \({tag.group:04X},{tag.element:04X}\)"):
        uids_of(encoded(dataset), EXPLICIT)


def test_a_truncated_element_is_refused() -> None:
    data = encoded(instance())
    with pytest.raises(InvalidData, match="ends inside an element"):
        uids_of(data[: data.index(b"1.2.3.4\0") + 3], EXPLICIT)


def test_a_data_set_that_does_not_inflate_is_refused() -> None:
    with pytest.raises(InvalidData, match="does not inflate"):
        uids_of(b"\xff" * 100, DEFLATED)


def test_nesting_without_end_is_refused_quickly() -> None:
    opened = struct.pack("<HH2sHL", 8, 0x1115, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    with pytest.raises(InvalidData, match="lacks"):
        uids_of(opened * 20_000, EXPLICIT)


@given(st.binary(max_size=200), st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED]))
def test_any_bytes_are_read_or_refused(data: bytes, transfer_syntax: str) -> None:
    try:
        uids, _ = uids_of(data, transfer_syntax)
    except InvalidData:
        return
    assert valid(uids.sop) == uids.sop


def test_the_part_10_header_is_what_pydicom_reads() -> None:
    header = preamble_and_meta(CT_CLASS, "1.2.3.5", EXPLICIT, "CT01", "ROUTER")
    meta = pydicom.dcmread(io.BytesIO(header)).file_meta
    assert meta.FileMetaInformationGroupLength == len(header) - 144
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (CT_CLASS, "1.2.3.5")
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta["SourceApplicationEntityTitle"].value == meta["SendingApplicationEntityTitle"].value == "CT01"
    assert meta["ReceivingApplicationEntityTitle"].value == "ROUTER"
    read = dataset_offset(io.BytesIO(header + b"rest"))
    assert read == FileMeta(
        offset=len(header), transfer_syntax=EXPLICIT, sop_class=CT_CLASS, sop_instance="1.2.3.5", sending_ae="CT01"
    )


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.1.10", "2001:db8::1"])
def test_the_address_of_the_sender_stands_in_the_file_and_is_read_from_it(address: str) -> None:
    header = preamble_and_meta(CT_CLASS, "1.2.3.5", EXPLICIT, "CT01", "ROUTER", address)
    meta = pydicom.dcmread(io.BytesIO(header)).file_meta
    assert meta.FileMetaInformationGroupLength == len(header) - 144
    assert meta["SendingPresentationAddress"].value == address
    read = dataset_offset(io.BytesIO(header + b"rest"))
    assert (read.offset, read.sending_ae, read.sending_address) == (len(header), "CT01", address)


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, BIG])
def test_a_bare_data_set_is_understood(transfer_syntax: str) -> None:
    meta = dataset_offset(io.BytesIO(encoded(instance(), transfer_syntax)))
    assert meta == FileMeta(offset=0, transfer_syntax=transfer_syntax)


def test_group_0002_without_preamble_is_understood() -> None:
    header = preamble_and_meta(CT_CLASS, "1.2.3.5", BIG, "CT01", "ROUTER")[132:]
    assert dataset_offset(io.BytesIO(header)) == FileMeta(
        offset=len(header), transfer_syntax=BIG, sop_class=CT_CLASS, sop_instance="1.2.3.5", sending_ae="CT01"
    )


def strays(syntax: str) -> bytes:
    """Elements of group 0002 that say other things than the file's own, as a data set in that syntax would begin."""
    order, values = "<>"[syntax == BIG], ((0x0003, b"UI", b"1.9\0"), (0x0010, b"UI", b"1.2.840.10008.1.2\0"))
    if syntax == IMPLICIT:
        return b"".join(struct.pack("<HHL", 2, number, len(value)) + value for number, _, value in values)
    return b"".join(struct.pack(order + "HH2sH", 2, number, vr, len(value)) + value for number, vr, value in values)


@pytest.mark.parametrize(("syntax", "written"), [
    (EXPLICIT, EXPLICIT), (IMPLICIT, IMPLICIT), (BIG, BIG), (IMPLICIT, EXPLICIT), (BIG, EXPLICIT),
    ("1.2.840.10008.1.2.4.50", EXPLICIT),
])  # fmt: skip
def test_group_0002_inside_a_data_set_overrides_nothing(syntax: str, written: str, tmp_path: Path) -> None:
    header = preamble_and_meta(CT_CLASS, "1.2.3.5", syntax, "CT01", "ROUTER")
    plain = encoded(instance(PatientID="P1"), syntax)
    data = strays(written) + plain
    meta = dataset_offset(io.BytesIO(header + data))
    assert meta == FileMeta(
        offset=len(header) + len(strays(written)),
        transfer_syntax=syntax,
        sop_class=CT_CLASS,
        sop_instance="1.2.3.5",
        sending_ae="CT01",
        strays=(0x0003, 0x0010),
    )
    assert uids_of(data, syntax) == uids_of(plain, syntax)
    read = header_of(tmp_path, data, syntax)
    assert (read.transfer_syntax, read.sending_ae, read.patient.patient_id) == (syntax, "CT01", "P1")
    assert read.strays == (0x0003, 0x0010)
    (tmp_path / "plain").write_bytes(header + plain)
    assert digest(tmp_path / "one.dcm") == digest(tmp_path / "plain")
    assert parsed(tmp_path / "one.dcm").PatientID == "P1"


def test_a_deflated_data_set_that_happens_to_begin_like_group_0002_is_left_alone() -> None:
    header = preamble_and_meta(CT_CLASS, "1.2.3.5", DEFLATED, "CT01", "ROUTER")
    meta = dataset_offset(io.BytesIO(header + b"\2\0\x10\0UI\2\0" + bytes(50)))
    assert (meta.offset, meta.strays) == (len(header), ())


def test_a_group_length_that_is_wrong_is_passed_over() -> None:
    """Some writers count it wrongly; then the group ends where another one begins."""
    header = bytearray(preamble_and_meta(CT_CLASS, "1.2.3.5", EXPLICIT, "CT01", "ROUTER"))
    for wrong in (0, 7, 90, 5000):
        header[140:144] = struct.pack("<L", wrong)
        meta = dataset_offset(io.BytesIO(bytes(header) + encoded(instance())))
        assert meta == FileMeta(
            offset=len(header), transfer_syntax=EXPLICIT, sop_class=CT_CLASS, sop_instance="1.2.3.5", sending_ae="CT01"
        )


@pytest.mark.parametrize("case", ["45", "46", "404", "461"])
def test_the_cases_with_group_0002_inside_are_read_by_what_was_negotiated(case: str, tmp_path: Path) -> None:
    data = (Path(__file__).parents[2] / "cases" / "dicom" / f"{case}.dcmds").read_bytes()
    read = header_of(tmp_path, data)
    assert read.uids.sop == f"1.2.826.0.1.3680043.9.7777.{case}.1.1"
    assert (read.transfer_syntax, read.sending_ae, read.accession_number) == (EXPLICIT, "CT01", f"A{case}")
    assert read.strays
    assert parsed(tmp_path / "one.dcm").PatientID == f"P{case}"


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 and so on", b"\0" * 200])
def test_what_is_no_dicom_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidData):
        dataset_offset(io.BytesIO(data))
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InvalidData):
        read_header(tmp_path / "x")


def test_the_digest_leaves_preamble_and_group_0002_out(tmp_path: Path) -> None:
    data = encoded(instance())
    digests = set()
    for name, head in (("a", b""), ("b", preamble_and_meta(CT_CLASS, "1.2.3.5", EXPLICIT, "A", "B"))):
        (tmp_path / name).write_bytes(head + data)
        digests.add(digest(tmp_path / name))
    (tmp_path / "c").write_bytes(data + b"\0")
    assert len(digests) == 1
    assert digest(tmp_path / "c") not in digests


def test_every_field_of_the_header_is_read(tmp_path: Path) -> None:
    request, other = Dataset(), Dataset()
    request.AccessionNumber, other.AccessionNumber = "A2", "A1"
    dataset = instance(
        PatientID="P1 ", PatientName="Zhang^San", PatientBirthDate="19700102", PatientSex="M", AccessionNumber="A1",
        RequestAttributesSequence=Sequence([request, other, request]), StudyDate="20260102", StudyTime="101112.5",
        StudyDescription="Chest", StationName="CT-1", DeviceSerialNumber="77", Modality="CT", Manufacturer="UIH",
        ManufacturerModelName="uCT", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], SeriesDescription="1.0 x 0.8",
        ProtocolName="Lung", SeriesNumber=401, BodyPartExamined="CHEST", NumberOfFrames=3, Rows=512,
        SliceThickness="1.00", ScanOptions="HELICAL", ConvolutionKernel=["B", "C"],
    )  # fmt: skip
    header = header_of(tmp_path, encoded(dataset))
    assert header.uids == InstanceUids("1.2.3", "1.2.3.4", "1.2.3.5")
    assert (header.patient.patient_id, header.patient.name) == ("P1", "Zhang^San")
    assert (header.patient.birth_date, header.patient.sex) == ("19700102", "M")
    assert (header.accession_number, header.other_accession_numbers) == ("A1", ("A2", "A1"))
    assert (header.study_date, header.study_time, header.study_description) == ("20260102", "101112.5", "Chest")
    assert (header.station_name, header.device_serial_number, header.sending_ae) == ("CT-1", "77", "CT01")
    facts = header.facts
    assert (facts.modality, facts.sop_class_uid, facts.manufacturer) == ("CT", CT_CLASS, "UIH")
    assert (facts.manufacturer_model, facts.image_type) == ("uCT", ("ORIGINAL", "PRIMARY", "AXIAL"))
    assert (facts.series_description, facts.protocol_name, facts.series_number) == ("1.0 x 0.8", "Lung", 401)
    assert (facts.body_part, facts.number_of_frames, facts.image_rows) == ("CHEST", 3, 512)
    assert (facts.slice_thickness, facts.scan_options, facts.kernel) == (1.0, "HELICAL", "B\\C")
    assert facts.study_description == "Chest"


def test_rows_are_read_in_big_endian(tmp_path: Path) -> None:
    assert header_of(tmp_path, encoded(instance(Rows=512), BIG), BIG).facts.image_rows == 512


def test_wrong_values_are_read_as_absent(tmp_path: Path) -> None:
    wrong = b"".join(
        (
            element(8, 0x16, b"UI", CT_CLASS.encode() + b"\0"),
            element(8, 0x18, b"UI", b"1.2.3.5\0"),
            element(8, 0x20, b"DA", b"yesterday!"),
            element(8, 0x30, b"TM", b"25 past "),
            element(0x10, 0x30, b"DA", b"1970-1-2"),
            element(0x18, 0x50, b"DS", b"1 mm"),
            element(0x20, 0x0D, b"UI", b"1.2.3\0"),
            element(0x20, 0x0E, b"UI", b"1.2.3.4\0"),
            element(0x20, 0x11, b"IS", b"1e99"),
        )
    )
    header = header_of(tmp_path, wrong)
    assert (header.study_date, header.study_time, header.patient.birth_date) == ("", "", "")
    assert (header.facts.slice_thickness, header.facts.series_number) == (None, None)


def test_dates_and_times_of_the_old_form_are_read(tmp_path: Path) -> None:
    old = element(8, 0x20, b"DA", b"1997.04.24") + element(8, 0x30, b"TM", b"10:11:12")
    data = encoded(instance())
    header = header_of(tmp_path, data[: data.index(b"\x20\0\x0d\0")] + old + data[data.index(b"\x20\0\x0d\0") :])
    assert (header.study_date, header.study_time) == ("19970424", "101112")


def test_a_header_without_a_uid_is_refused(tmp_path: Path) -> None:
    dataset = instance()
    del dataset.StudyInstanceUID
    with pytest.raises(InvalidData):
        header_of(tmp_path, encoded(dataset))


def test_the_thickness_of_an_enhanced_image_is_in_its_functional_groups(tmp_path: Path) -> None:
    measures, groups = Dataset(), Dataset()
    measures.SliceThickness = "0.625"
    groups.PixelMeasuresSequence = Sequence([measures])
    for place in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        header = header_of(tmp_path, encoded(instance(**{place: Sequence([groups])})))
        assert header.facts.slice_thickness == 0.625


def test_the_title_of_a_document_is_its_code(tmp_path: Path) -> None:
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = "113000", "DCM", "Of Interest"
    header = header_of(tmp_path, encoded(instance(ConceptNameCodeSequence=Sequence([title]))))
    assert header.facts.concept_name == "113000|DCM|Of Interest"


@pytest.mark.parametrize(
    ("charsets", "codec"),
    [
        ("", "gb18030"),
        ("", "utf-8"),
        ("ISO_IR 6", "gb18030"),
        ("ISO_IR 192", "utf-8"),
        ("GB18030", "gb18030"),
        ("GBK", "gbk"),
        ("nonsense", "gbk"),
        ("ISO_IR 192", "gb18030"),
    ],
)
@pytest.mark.filterwarnings("ignore:Unknown encoding:UserWarning")  # pydicom's, which production leaves unprinted
def test_a_chinese_name_is_read(tmp_path: Path, charsets: str, codec: str) -> None:
    name = "张三^测试".encode(codec)
    name += b" " * (len(name) % 2)
    data = element(8, 5, b"CS", charsets.encode().ljust(10)) + encoded(instance())
    position = data.index(b"\x20\0\x0d\0")
    header = header_of(tmp_path, data[:position] + element(0x10, 0x10, b"PN", name) + data[position:])
    assert header.patient.name == "张三^测试"


_IR_58 = b"\x1b$)A"


@pytest.mark.parametrize(
    ("charsets", "written"),
    [
        ("GB18030", "欧阳^娜𠮷".encode("gb18030")),
        ("GBK", "欧阳^娜".encode("gbk")),
        ("", "欧阳^娜".encode("gbk")),
        ("ISO_IR 192", "欧阳^娜𠮷".encode()),
        ("ISO 2022 IR 6\\ISO 2022 IR 58", _IR_58 + "欧阳".encode("gb2312") + b"^" + _IR_58 + "娜".encode("gb2312")),
        ("\\ISO 2022 IR 58", _IR_58 + "欧阳".encode("gb2312") + b"^" + _IR_58 + "娜".encode("gb2312")),
        ("ISO 2022 IR 58", _IR_58 + "欧阳^娜".encode("gb2312")),
    ],
    ids=["GB18030", "GBK", "GBK undeclared", "UTF-8", "IR 58", "IR 58 after nothing", "IR 58, escaped once"],
)
@pytest.mark.filterwarnings("ignore:Unknown encoding:UserWarning")  # pydicom's, which production leaves unprinted
def test_names_and_descriptions_come_out_as_they_were_meant(tmp_path: Path, charsets: str, written: bytes) -> None:
    text = written + b" " * (len(written) % 2)
    declared = charsets.encode().ljust(len(charsets) + len(charsets) % 2)
    data = element(8, 5, b"CS", declared) + encoded(instance())
    position = data.index(b"\x20\0\x0d\0")
    described, named = element(8, 0x1030, b"LO", text), element(0x10, 0x10, b"PN", text)
    header = header_of(tmp_path, data[:position] + described + named + data[position:])
    meant = "欧阳^娜𠮷" if charsets in {"GB18030", "ISO_IR 192"} else "欧阳^娜"
    assert (header.patient.name, header.study_description) == (meant, meant)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chrX1", "Wang^XiaoDong=王^小東="),
        ("chrX2", "Wang^XiaoDong=王^小东="),
        ("chrH31", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("chrH32", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("chrI2", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("chrFrenMulti", "Buc^Jérôme"),
        ("chrRuss", "Люкceмбypг"),
    ],
)
def test_the_shipped_names_of_many_scripts_are_read(name: str, expected: str) -> None:
    assert read_header(SHIPPED / "charset_files" / f"{name}.dcm").patient.name == expected


def test_code_extension_to_gb2312_is_read() -> None:
    value = b"Zhang^San=\x1b$)A" + "张".encode("gb2312") + b"^\x1b$)A" + "三".encode("gb2312")
    assert decode(value, ("", "ISO 2022 IR 58")) == "Zhang^San=张^三"


@given(
    st.binary(max_size=60), st.lists(st.sampled_from(["", "ISO_IR 100", "GB18030", "ISO 2022 IR 87", "x"]), max_size=2)
)
def test_any_text_is_decoded_somehow(value: bytes, charsets: list[str]) -> None:
    assert isinstance(decode(value, charsets), str)


@pytest.mark.filterwarnings("ignore:Expected .* VR, but found:UserWarning")  # a shipped file is written so
def test_the_quick_reader_and_pydicom_agree_on_every_shipped_file() -> None:
    agreed = 0
    for path in sorted([*SHIPPED.glob("test_files/*.dcm"), *SHIPPED.glob("charset_files/*.dcm")]):
        data = path.read_bytes()
        try:
            meta = dataset_offset(io.BytesIO(data))
            uids, _ = uids_of(data[meta.offset :], meta.transfer_syntax)
        except InvalidData:
            continue
        assert read_header(path).uids == uids, path.name
        agreed += 1
    assert agreed > 60
