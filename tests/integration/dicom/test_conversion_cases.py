"""Data sets of the field that a destination takes only with VRs, or only without: what DCMTK gets of each.

Each is 4 x 4 pixels of one patient, odd in one way. What can be read is converted; label and bytes agree; what cannot
be converted says so by its true reason, and costs no other instance.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from router.dicom.dataset.elements import EXPLICIT_LITTLE_ENDIAN as EXPLICIT
from router.dicom.dataset.elements import IMPLICIT_LITTLE_ENDIAN as IMPLICIT
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.ul.status import Verdict
from support.dicom_peers import data_set, send, stored, storescp

CT = "1.2.840.10008.5.1.4.1.1.2"
ANY = 2**32 - 1
LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR"}
PIXELS = bytes(range(32))
Write = Callable[..., bytes]


def with_vr(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    return head + (struct.pack("<HI", 0, size) if vr in LONG else struct.pack("<H", size)) + value


def without_vr(tag: int, _vr: bytes, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(value: bytes, length: int | None = None) -> bytes:
    return without_vr(0xFFFEE000, b"", value, length)


ITEM_END, SEQUENCE_END = without_vr(0xFFFEE00D, b"", b""), without_vr(0xFFFEE0DD, b"", b"")


def written(write: Write, number: int, odd: bytes = b"", *, end: bytes = b"") -> bytes:
    """A data set of a case: what is odd stands where its first tag belongs, or at the end."""
    study = f"1.2.826.0.1.3680043.9.7777.{number}"

    def uid(value: str) -> tuple[bytes, bytes]:
        return b"UI", value.encode() + b"\0" * (len(value) % 2)

    def short(value: int) -> tuple[bytes, bytes]:
        return b"US", struct.pack("<H", value)

    elements = {
        0x00080005: (b"CS", b"GB18030 "), 0x00080016: uid(CT), 0x00080018: uid(f"{study}.1.1"),
        0x00080060: (b"CS", b"CT"), 0x00100010: (b"PN", "张三".encode("gb18030")), 0x00100020: (b"LO", b"P777"),
        0x0020000D: uid(study), 0x0020000E: uid(f"{study}.1"), 0x00280002: short(1),
        0x00280004: (b"CS", b"MONOCHROME2 "), 0x00280010: short(4), 0x00280011: short(4), 0x00280100: short(16),
        0x00280101: short(16), 0x00280102: short(15), 0x00280103: short(0), 0x7FE00010: (b"OW", PIXELS),
    }  # fmt: skip
    parts = {tag: write(tag, *value) for tag, value in elements.items()}
    if odd:
        group, number_in_group = struct.unpack_from("<HH", odd)
        parts[group << 16 | number_in_group] = odd
    return b"".join(parts[tag] for tag in sorted(parts)) + end


def code(write: Write) -> bytes:
    return write(0x00080100, b"SH", b"C-1 ")


def sequence(write: Write, content: bytes, length: int | None = None) -> bytes:
    """ProcedureCodeSequence."""
    return write(0x00081032, b"SQ", content, length)


E, I = with_vr, without_vr  # noqa: E741  # explicit and implicit, as tables of VRs are headed
Case = tuple[int, str, bytes]
"""Number, the syntax that was announced, the bytes."""
CASES: Mapping[str, Case] = {
    "announced without VRs, written with them": (59, IMPLICIT, written(E, 59)),
    "announced with VRs, written without them": (58, EXPLICIT, written(I, 58)),
    "a text of 70,000 bytes": (301, IMPLICIT, written(I, 301, I(0x00104000, b"LT", b"x" * 70_000))),
    "zeros behind the pixels": (302, EXPLICIT, written(E, 302, end=bytes(64))),
    "a private sequence of undefined length": (303, IMPLICIT, written(I, 303, I(0x00090010, b"LO", b"ACME")
        + I(0x00091001, b"SQ", item(code(I), ANY) + ITEM_END + SEQUENCE_END, ANY))),
    "UN of undefined length, its items without VRs (PS3.5 6.2.2)": (304, EXPLICIT, written(E, 304,
        E(0x00090010, b"LO", b"ACME") + E(0x00091001, b"UN", item(code(I), ANY) + ITEM_END + SEQUENCE_END, ANY))),
    "a sequence that says it is longer": (305, IMPLICIT, written(I, 305, sequence(I, item(code(I)), 90))),
    "text where a sequence belongs": (306, IMPLICIT, written(I, 306, I(0x00120064, b"SQ", b"ACME Anonymizer "))),
    "elements of group 0000, and group lengths": (307, EXPLICIT,
        without_vr(0x00000002, b"", b"1.2\0") + written(E, 307, E(0x00080000, b"UL", b"\4\0\0\0"))),
    "a VR that is none, inside a sequence": (308, EXPLICIT, written(E, 308,
        sequence(E, item(struct.pack("<HH", 8, 0x100) + b"??\4\0C-1 "), None))),
    "a delimiter after a sequence of defined length": (309, IMPLICIT,
        written(I, 309, sequence(I, item(code(I))) + SEQUENCE_END)),
    "values of odd lengths": (310, IMPLICIT,
        written(I, 310, I(0x00081030, b"LO", b"CHEST") + I(0x00091001, b"", b"x"))),
    "a number that holds text, and one of no length": (311, IMPLICIT, written(I, 311,
        I(0x00189073, b"FD", b"abc ") + I(0x00181151, b"IS", b""))),
}  # fmt: skip


def kept(path: Path) -> Dataset:
    return pydicom.dcmread(path, force=True)


@contextmanager
def with_vrs_only(folder: Path) -> Iterator[int]:
    """A destination that takes Explicit VR Little Endian alone, as pynetdicom does it."""
    folder.mkdir()

    def keep(event: Any) -> int:
        (folder / f"CT.{event.request.AffectedSOPInstanceUID}").write_bytes(event.encoded_dataset())
        return 0

    entity = AE()
    entity.add_supported_context(CT, EXPLICIT)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom says what is odd
@pytest.mark.parametrize("wanted", [IMPLICIT, EXPLICIT], ids=["DCMTK, without VRs", "pynetdicom, with VRs"])
def test_every_case_arrives_with_its_values_under_a_label_that_its_bytes_agree_with(
    tmp_path: Path, wanted: str
) -> None:
    items = []
    for key, (number, announced, body) in enumerate(CASES.values()):
        path = tmp_path / f"{number}.dcm"
        sop = f"1.2.826.0.1.3680043.9.7777.{number}.1.1"
        path.write_bytes(preamble_and_meta(CT, sop, announced, "CT01", "ROUTER") + body)
        items.append(stored(path, key))
    folder = tmp_path / "there"
    with storescp(folder, "+xi") if wanted == IMPLICIT else with_vrs_only(folder) as port:
        results = send(port, items)
    said = {result.key: (result.verdict, result.why) for result in results}
    assert said == dict.fromkeys(range(len(items)), (Verdict.STORED, "status 0000"))
    for name, (number, _, body) in CASES.items():
        (path,) = folder.glob(f"*.7777.{number}.1.1*")
        if data_set(path) in (body, body + b"\0"):
            continue  # it is taken as it is
        there = kept(path)
        syntax = str(there.file_meta.TransferSyntaxUID)
        assert syntax == wanted, name
        assert data_set(path)[4:6].isalpha() is (syntax == EXPLICIT), name
        assert (there.PatientName, there.Rows, there.PixelData[:32]) == ("张三", 4, PIXELS), name
        if 0x00081032 in there:
            assert [one.CodeValue for one in there.ProcedureCodeSequence] == ["C-1"], name
        if 0x00104000 in there:
            assert there.get_item(0x00104000).value == b"x" * 70_000


def test_a_case_that_cannot_be_converted_says_at_which_element_and_costs_no_other(tmp_path: Path) -> None:
    bodies = {
        1: written(E, 1)[:-10],
        2: written(E, 2),
    }
    items = []
    for number, body in bodies.items():
        path = tmp_path / f"{number}.dcm"
        sop = f"1.2.826.0.1.3680043.9.7777.{number}.1.1"
        path.write_bytes(preamble_and_meta(CT, sop, EXPLICIT, "CT01", "ROUTER") + body)
        items.append(stored(path, number))
    with storescp(tmp_path / "there", "+xi") as port:
        first, second = sorted(send(port, items), key=lambda result: result.key)
    assert (first.verdict, first.status) == (Verdict.REFUSED, None)
    assert "(7FE0,0010)" in first.why
    assert second.verdict is Verdict.STORED
