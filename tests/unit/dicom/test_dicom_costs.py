"""What a hostile data set costs: memory and time stay within a few times its size, and within a bound."""

import zlib
from pathlib import Path

import pytest
from test_dicom_elements import CT_CLASS, DEFLATED, encoded, header_of, instance

from router.dicom.dataset.cut import cut_off
from router.dicom.dataset.dataset import read_elements
from router.dicom.dataset.elements import inflated_through
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.dataset.sameness import Likeness, likeness
from router.errors import InvalidData
from support.dicom_peers import read_header
from support.resource_costs import cost

_READ = """
    import struct, zlib
    sys.path.insert(0, "tests/unit/dicom")
    from io import BytesIO
    from router.dicom.dataset.header import read_instance
    from router.dicom.dataset.part10 import preamble_and_meta
    from test_dicom_elements import encoded, instance
    IMPLICIT, EXPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
    ENDLESS, PIXELS = b"\\x41\\0\\x10\\0\\xff\\xff\\xff\\xff", b"\\xe0\\x7f\\x10\\0OW\\0\\0"
    KOS = "1.2.840.10008.5.1.4.1.1.88.59"
    def item(data): return struct.pack("<HHL", 0xFFFE, 0xE000, len(data)) + data
    def sequence(tag, data): return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(data)) + data
    def deflated(data):
        deflate = zlib.compressobj(1, wbits=-15)
        return deflate.compress(data) + deflate.flush()
    image = encoded(instance(), IMPLICIT)
    note = encoded(instance(SOPClassUID=KOS), IMPLICIT)
    LONG_NAME = encoded(instance(PatientName="x "), IMPLICIT).replace(
        bytes([0x10, 0, 0x10, 0, 2, 0, 0, 0]) + b"x ",
        bytes([0x10, 0, 0x10, 0]) + struct.pack("<L", 2**24) + "张".encode("gbk") * 2**23,
    )
    syntax, data = {data}
    file = BytesIO(preamble_and_meta("1.2", "1.2.3.5", syntax, "CT01", "ROUTER") + data)
    del data
    def work():
        read_instance(file)
"""
_ELEMENTS = "image + b''.join(struct.pack('<HHL', 0x21 + (n >> 16), n & 0xffff, 0) for n in range(1_000_000))"


@pytest.mark.parametrize(
    "data",
    [
        f"IMPLICIT, {_ELEMENTS}",
        f"DEFLATED, deflated({_ELEMENTS})",
        "IMPLICIT, note + sequence(0x0040A730, item(b'') * 1_000_000)",
        "IMPLICIT, note + sequence(0x0040A730, item(sequence(0x00081199, item(b'') * 60_000)) * 50)",
        "IMPLICIT, note + sequence(0x0040A730, (item(b'')[:4] + b'\\xff' * 4) * 1_000_000)",
        "IMPLICIT, image + sequence(0x00400275, item(sequence(0x00080050, b'A ')) * 1_000_000)",
        "IMPLICIT, image + sequence(0x52009230, item(b'') * 1_000_000)",
        "IMPLICIT, image + (ENDLESS + b'\\xfe\\xff\\x00\\xe0' + b'\\xff' * 4) * 400_000",
        "IMPLICIT, image + struct.pack('<HHL', 0x10, 0x1030, 2**24) + bytes(2**24)",
        "IMPLICIT, LONG_NAME",
        "DEFLATED, deflated(encoded(instance()) + PIXELS + struct.pack('<L', 2**27) + bytes(2**27))",
        "DEFLATED, deflated(bytes(2**26))",
    ],
)
def test_a_data_set_costs_a_few_times_its_size(data: str) -> None:
    found = cost(_READ.format(data=data))
    assert (found.memory < 260, found.seconds < 30) == (True, True), found
    assert found.said == "done" or found.said.startswith("InvalidData"), found


def test_a_text_longer_than_any_is_absent(tmp_path: Path) -> None:
    dataset = instance(PatientID="P1")
    dataset.add_new(0x00081030, "UT", "x" * 70_000)
    header = header_of(tmp_path, encoded(dataset))
    assert (header.patient.patient_id, header.study_description) == ("P1", "")


def _deflated(folder: Path, data: bytes, name: str = "one.dcm") -> Path:
    path = folder / name
    path.write_bytes(preamble_and_meta(CT_CLASS, "1.2.3.5", DEFLATED, "CT01", "ROUTER") + data)
    return path


def test_a_large_deflated_data_set_that_breaks_off_is_known_as_cut(tmp_path: Path) -> None:
    dataset = instance()
    dataset.add_new(0x7FE00010, "OW", bytes(2**27))
    whole = encoded(dataset, DEFLATED)
    for data, said in ((whole, ""), (whole[:-20], "the deflated data set breaks off")):
        with _deflated(tmp_path, data).open("rb") as file:
            assert cut_off(read_elements(file), file) == said


def test_a_deflated_data_set_that_is_no_such_thing_is_another_version_beside_the_first(tmp_path: Path) -> None:
    sound = encoded(instance(Rows=4, Columns=4), DEFLATED)
    broken = sound[:-12] + b"\xff" * 12
    one, other = _deflated(tmp_path, sound, "one.dcm"), _deflated(tmp_path, broken, "two.dcm")
    assert likeness(one, other) is Likeness.OTHER


def test_sequences_nested_without_end_are_compared_without_end_of_the_stack(tmp_path: Path) -> None:
    paths, pixels = [], b"\xe0\x7f\x10\x00OB\0\0\2\0\0\0"
    for name in (b"a", b"b"):
        nested = b""
        for _ in range(3000):
            item = b"\xfe\xff\x00\xe0" + len(nested).to_bytes(4, "little") + nested
            nested = b"\x41\x00\x10\x00SQ\0\0" + len(item).to_bytes(4, "little") + item
        data = encoded(instance(Rows=4, Columns=4, PatientID="x")) + nested + pixels + name * 2
        paths.append(tmp_path / name.decode())
        paths[-1].write_bytes(preamble_and_meta(CT_CLASS, "1.2", "1.2.840.10008.1.2.1", "A", "B") + data)
    assert likeness(*paths) in set(Likeness)
    assert read_header(paths[0]).uids.sop == "1.2.3.5"


def test_what_is_no_deflated_stream_is_refused(tmp_path: Path) -> None:
    path = _deflated(tmp_path, b"\xff" * 100)
    with pytest.raises(InvalidData), path.open("rb") as file:
        read_elements(file)


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 7, 3 * 2**20, 2**26 + 5])
def test_a_deflated_stream_is_whole_to_its_last_byte_and_cut_without_it(size: int) -> None:
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    data = deflate.compress(bytes(size)) + deflate.flush()
    kept = bytes(min(size, 2**26))
    assert inflated_through(data, 2**26) == (kept, False)
    assert inflated_through(data + b"\0", 2**26) == (kept, False)
    assert inflated_through(data[:-1], 2**26)[1]
