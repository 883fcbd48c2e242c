"""Data sets that are not written as PS3.5 7 has it: read where it is certain what they say, refused where it is not."""

import io
import random
import struct
import sys
import time
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from router.dicom.dataset.cut import cut_off
from router.dicom.dataset.dataset import DataSet, read_elements
from router.dicom.dataset.header import irregular_uids, read_instance, uids_of
from router.dicom.dataset.part10 import preamble_and_meta
from router.errors import InvalidData
from router.model import InstanceUids

sys.path.append(str(Path(__file__).parents[2] / "torture"))

from fuzz import mutated

CASES = Path(__file__).parents[2] / "cases" / "dicom"
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
CT = b"1.2.840.10008.5.1.4.1.1.2\0"
LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT"}
UIDS = InstanceUids("1.2.3", "1.2.3.4", "1.2.3.5")
ANY = 0xFFFFFFFF


def tag(number: int, order: str = "<") -> bytes:
    return struct.pack(order + "HH", number >> 16, number & 0xFFFF)


def element(number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    if vr in LONG:
        return tag(number) + vr + struct.pack("<2xL", size) + value
    return tag(number) + vr + struct.pack("<H", size) + value


def implicit(number: int, value: bytes, length: int | None = None) -> bytes:
    return tag(number) + struct.pack("<L", len(value) if length is None else length) + value


def item(value: bytes, length: int | None = None) -> bytes:
    return implicit(0xFFFEE000, value, length)


ITEM_END, SEQUENCE_END = implicit(0xFFFEE00D, b""), implicit(0xFFFEE0DD, b"")
CODE = element(0x00080100, b"SH", b"C-1 ") + element(0x00080102, b"SH", b"99X ")
CLASS = element(0x00080016, b"UI", CT)
SOP = element(0x00080018, b"UI", b"1.2.3.5\0")
DESCRIPTION = element(0x0008103E, b"LO", b"Chest ")
PATIENT = element(0x00100010, b"PN", b"Li") + element(0x00100020, b"LO", b"P1")
STUDY = element(0x0020000D, b"UI", b"1.2.3\0")
SERIES = element(0x0020000E, b"UI", b"1.2.3.4\0")
SHAPE = (
    element(0x00280010, b"US", b"\4\0") + element(0x00280011, b"US", b"\4\0") + element(0x00280100, b"US", b"\x10\0")
)
PIXELS = element(0x7FE00010, b"OW", bytes(range(32)))
IDS = STUDY + SERIES
REST = SHAPE + PIXELS
RELATED = element(
    0x00081250, b"SQ", item(element(0x0020000D, b"UI", b"9.9\0") + element(0x0020000E, b"UI", b"9.9.9\0"))
)


def whole(data: bytes, syntax: str = EXPLICIT) -> io.BytesIO:
    return io.BytesIO(preamble_and_meta("1.2.840.10008.5.1.4.1.1.2", "1.2.3.5", syntax, "CT01", "ROUTER") + data)


def read(data: bytes, syntax: str = EXPLICIT) -> DataSet:
    return read_elements(whole(data, syntax))


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("30", "tags out of order"), ("32", "VRs that do not exist"), ("33", "VRs that do not exist"),
        ("34", "VRs that do not exist"), ("40", "a sequence of another length than its items"),
        ("41", "delimiters outside any sequence"), ("401", "elements of group 0000"),
        ("56", "a UID with a dot at its end"), ("58", ""), ("302", ""), ("501", ""),
    ],
)  # fmt: skip
def test_the_cases_are_read_as_they_are_meant(number: str, fault: str) -> None:
    file = whole((CASES / f"{number}.dcmds").read_bytes())
    uids, sop_class = irregular_uids(file)
    study = f"1.2.826.0.1.3680043.9.7777.{number}"
    assert uids == InstanceUids(study, f"{study}.1", f"{study}.1." if number == "56" else f"{study}.1.1")
    assert sop_class == "1.2.840.10008.5.1.4.1.1.2"
    found, _ = read_instance(file)
    assert (found.uids, found.patient.patient_id, found.patient.name) == (uids, f"P{number}", "张三")
    assert (found.facts.image_rows, found.cut) == (4, "")
    assert found.irregular == ((fault,) if fault else ())


FRONT, BACK = CLASS + SOP, PATIENT + IDS + REST
VARIANTS = {
    "series before study": FRONT + PATIENT + SERIES + STUDY + REST,
    "patient behind the UIDs": FRONT + IDS + PATIENT + REST,
    "instance last": PATIENT + IDS + SHAPE + FRONT + PIXELS,
    "UIDs behind the pixels": PATIENT + SHAPE + PIXELS + FRONT + IDS,
    "a VR of NUL": FRONT + PATIENT + tag(0x00110010) + b"\0\0\4\0abcd" + IDS + REST,
    "a VR of NUL, long": FRONT + PATIENT + tag(0x00110010) + b"\0\0\0\0\4\0\0\0abcd" + IDS + REST,
    "small letters": FRONT + tag(0x00080060) + b"cs\2\0CT" + BACK,
    "odd VRs one after the other": FRONT + b"".join(
        tag(0x00091001 + n) + vr + b"\4\0abcd" for n, vr in enumerate((b"  ", b"??", b"XX", b"\0\0", b"zz"))
    ) + BACK,
    "an odd VR first": tag(0x00080005) + b"??\x0a\0ISO_IR 100" + FRONT + BACK,
    "an odd VR behind the UIDs": FRONT + PATIENT + IDS + tag(0x00211001) + b"  \4\0abcd" + REST,
    "the UIDs' own VRs": tag(0x00080016) + b"??\x1a\0" + CT + SOP + PATIENT
        + tag(0x0020000D) + b"  \6\0" + b"1.2.3\0" + tag(0x0020000E) + b"  \x08\0" + b"1.2.3.4\0" + REST,
    "one element without VR": FRONT + implicit(0x00080060, b"CT") + BACK,
    "UN with a short length": FRONT + tag(0x00091001) + b"UN\4\0abcd" + BACK,
    "LO with a long length": FRONT + tag(0x00091001) + b"LO\0\0\4\0\0\0abcd" + BACK,
    "content longer than the sequence": FRONT + element(0x00081032, b"SQ", item(CODE), 18) + BACK,
    "content shorter than the sequence":
        FRONT + element(0x00081032, b"SQ", item(CODE), 50) + DESCRIPTION + BACK,
    "a sequence of no length with content": FRONT + element(0x00081032, b"SQ", item(CODE), 0) + BACK,
    "a sequence longer than everything": FRONT + element(0x00081032, b"SQ", item(CODE), 9999) + BACK,
    "an item shorter than its content": FRONT + element(0x00081032, b"SQ", item(CODE, 10)) + BACK,
    "an item longer than the sequence": FRONT + element(0x00081032, b"SQ", item(CODE, 90)) + BACK,
    "a delimiter too many": FRONT + element(0x00081032, b"SQ", item(CODE)) + SEQUENCE_END + BACK,
    "two delimiters too many":
        FRONT + element(0x00081032, b"SQ", item(CODE)) + ITEM_END + SEQUENCE_END + BACK,
    "a delimiter before everything": SEQUENCE_END + FRONT + BACK,
    "no sequence delimiter":
        FRONT + element(0x00081032, b"SQ", item(CODE + element(0x00080104, b"LO", b"ab"), ANY) + ITEM_END, ANY)
        + BACK,
    "no item delimiter":
        FRONT + element(0x00081032, b"SQ", item(CODE, ANY) + SEQUENCE_END, ANY) + BACK,
    "an odd VR inside an open item":
        FRONT + element(0x00081032, b"SQ", item(tag(0x00080100) + b"??\4\0C-1 ", ANY) + ITEM_END + SEQUENCE_END, ANY)
        + BACK,
    "group 0000 with VRs": element(0, b"UL", b"\1\0\0\0") + element(0x2, b"UI", CT) + FRONT + BACK,
    "group 0000 without VRs": implicit(0, b"\1\0\0\0") + implicit(0x1000, b"1.2.3.5\0") + FRONT + BACK,
    "group 0000 in the middle": FRONT + implicit(0x100, b"\1\0") + BACK,
    "group 0000 at the end": FRONT + PATIENT + IDS + SHAPE + implicit(0x110, b"\1\0") + PIXELS,
    "an element twice": FRONT + PATIENT + BACK,
    "a long element before the UIDs": FRONT + element(0x00091010, b"OB", bytes(2**21)) + BACK,
    "other UIDs in a sequence": FRONT + tag(0x00080060) + b"??\2\0CT" + RELATED + BACK,
    "an element that lies": FRONT + element(0x00081030, b"LO", b"abcd", 7) + DESCRIPTION + BACK,
    "blanks and line ends": CLASS + SOP.replace(b"1.2.3.5\0", b"1.2.3.5\n") + PATIENT
        + element(0x0020000D, b"UI", b" 1.2.3\0\0 ") + SERIES + REST,
}  # fmt: skip


# Nothing of these concerns the elements outside sequences.
UNSEEN = {
    "a long element before the UIDs", "blanks and line ends", "an item shorter than its content",
    "an item longer than the sequence",
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_uids_patient_and_pixels_are_found_whatever_is_odd(name: str) -> None:
    data = VARIANTS[name]
    file = whole(data)
    assert irregular_uids(file)[0] == UIDS
    found = read_elements(file)
    assert (found.text(0x00100020), found.unsigned(0x00280010)) == ("P1", 4)
    assert found.pixels_at - found.meta.offset == data.rindex(PIXELS)
    assert found.faults or name in UNSEEN
    assert not cut_off(found, file) or name in {"a sequence longer than everything", "an item longer than the sequence"}


@pytest.mark.parametrize("name", ["series before study", "a VR of NUL", "content longer than the sequence"])
def test_a_deflated_one_is_read_the_same(name: str) -> None:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflate.compress(VARIANTS[name]) + deflate.flush()
    assert irregular_uids(whole(data, DEFLATED))[0] == UIDS


def without_vrs(*more: bytes) -> bytes:
    return (
        implicit(0x00080016, CT) + implicit(0x00080018, b"1.2.3.5\0") + b"".join(more) + implicit(0x00100020, b"P1")
        + implicit(0x0020000D, b"1.2.3\0") + implicit(0x0020000E, b"1.2.3.4\0") + implicit(0x00280010, b"\4\0")
        + implicit(0x7FE00010, bytes(32))
    )  # fmt: skip


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize(
    "odd",
    [
        implicit(0x00081032, item(implicit(0x00080100, b"C-1 ")), 10), implicit(0x00081032, item(b""), 30),
        implicit(0x00081032, item(b"")) + SEQUENCE_END, implicit(0x100, b"\1\0"),
        implicit(0x00200010, b"1 "), element(0x00090010, b"LO", b"ACME"),
    ],
    ids=["longer content", "shorter content", "delimiter", "group 0000", "order", "an element with VR"],
)  # fmt: skip
def test_without_vrs_it_is_the_same(syntax: str, odd: bytes) -> None:
    found = read(without_vrs(odd), syntax)
    assert irregular_uids(whole(without_vrs(odd), syntax))[0] == UIDS
    assert (found.text(0x00100020), found.unsigned(0x00280010)) == ("P1", 4)


@pytest.mark.parametrize(
    "data",
    [
        CLASS + SOP + STUDY + element(0x0020000D, b"UI", b"1.2.9\0") + SERIES + REST,
        CLASS + SOP + IDS + element(0x0020000E, b"UI", b"1.2.9\0") + REST,
        CLASS + SOP + SERIES + STUDY + SHAPE + element(0x0020000D, b"UI", b"1.2.9\0") + PIXELS,
        CLASS + SOP + element(0x00080018, b"UI", b"1.2.9\0") + IDS + REST,
    ],
    ids=["study", "series", "far away", "instance"],
)
def test_two_values_of_one_uid_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidData, match="two different values"):
        irregular_uids(whole(data))
    with pytest.raises(InvalidData):
        uids_of(data, EXPLICIT)


def test_two_values_of_an_identifier_count_as_none() -> None:
    data = CLASS + SOP + PATIENT + element(0x00100020, b"LO", b"P2") + IDS + REST
    assert read(data).text(0x00100020) == ""
    assert read(data).text(0x00100010) == "Li"


@pytest.mark.parametrize(
    "data",
    [
        CLASS + SOP + RELATED + PATIENT + SERIES + REST,  # only another study's
        # The reading is lost before it, so that nothing says whether they are nested.
        CLASS + SOP + element(0x00081250, b"SQ", item(CODE + IDS + DESCRIPTION, 9), 11) + PATIENT + SHAPE + PIXELS,
        CLASS + SOP + PATIENT + SHAPE + PIXELS,
        CLASS + SOP + PATIENT + STUDY + SHAPE + PIXELS,
        CLASS + SOP + PATIENT + element(0x0020000D, b"UI", b"study\0") + SERIES + REST,
        CLASS + SOP + PATIENT + element(0x0020000D, b"UI", b"1.2.3\x001.2") + SERIES + REST,
    ],
    ids=["nested", "lost", "none", "no series", "no UID", "two in one"],
)
def test_what_is_not_certain_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData):
        irregular_uids(whole(data))


def test_an_element_longer_than_the_rest_is_read_past_and_counts_as_cut_off() -> None:
    data = CLASS + SOP + element(0x00091010, b"OB", b"abcd", 99999) + PATIENT + IDS + REST
    file = whole(data)
    assert irregular_uids(file)[0] == UIDS
    assert "(0009,1010) says 99999 bytes" in read_instance(file)[0].cut


def test_a_dot_at_the_end_belongs_to_the_instance_uid_only() -> None:
    data = CLASS + element(0x00080018, b"UI", b"1.2.3.5.") + PATIENT + element(0x0020000D, b"UI", b"1.2.3.\0")
    data += element(0x0020000E, b"UI", b"1.2.3.4.") + REST
    assert uids_of(data, EXPLICIT)[0] == irregular_uids(whole(data))[0] == InstanceUids("1.2.3", "1.2.3.4", "1.2.3.5.")
    assert read_instance(whole(data))[0].irregular == ("a UID with a dot at its end",)


@pytest.mark.parametrize("seed", range(4))
def test_any_mutation_is_read_or_refused_in_time(seed: int) -> None:
    dice = random.Random(seed)
    made = [*VARIANTS.values(), *(path.read_bytes() for path in CASES.glob("*.dcmds"))]
    for _ in range(100):
        data = mutated(dice.choice([one for one in made if len(one) < 4096]), dice)
        began = time.process_time()
        with suppress(InvalidData):
            read_instance(whole(data, dice.choice([EXPLICIT, IMPLICIT, BIG])))
        assert time.process_time() - began < 3


@pytest.mark.parametrize(
    "data",
    [
        SERIES * 2 + element(0x00081032, b"SQ", item(b"") * 2**19) + IDS,
        SERIES * 2 + element(0x00081032, b"SQ", item(b"", ANY) * 2**18, ANY),
        SERIES + b"CS" * 2**20,
        SERIES + tag(0x00091001) + b"??\4\0" + (tag(0x00091002) + b"??\4\0") * 2**18,
        SERIES * 2 + bytes(2**21),
        SERIES * 2 + element(0x00091001, b"OB", b"", 99) * 2**18,
    ],
    ids=["items", "open items", "heads", "odd VRs", "zeros", "lies"],
)
def test_reading_costs_no_more_than_some_seconds(data: bytes) -> None:
    began = time.process_time()
    with suppress(InvalidData):
        read(CLASS + data)
    assert time.process_time() - began < 5


ORDINARY = FRONT + BACK


def big(data: bytes) -> bytes:
    """Regular elements in explicit VR big endian; numbers inside values stay."""
    out, position = b"", 0
    while position < len(data):
        group, number, vr, length = struct.unpack_from("<HH2sH", data, position)
        size = 8
        if vr in LONG:
            (length,), size = struct.unpack_from("<L", data, position + 8), 12
        head = struct.pack(">HH2s", group, number, vr)
        out += head + (struct.pack(">H", length) if size == 8 else struct.pack(">2xL", length))
        out += data[position + size : position + size + length]
        position += size + length
    return out


@pytest.mark.parametrize("announced", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize(
    ("written", "data"),
    [(EXPLICIT, ORDINARY), (IMPLICIT, without_vrs()), (BIG, big(ORDINARY))],
    ids="abc",
)
def test_the_syntax_that_it_is_written_in_counts(announced: str, written: str, data: bytes) -> None:
    file = whole(data, announced)
    assert irregular_uids(file)[0] == UIDS
    found, _ = read_instance(file)
    assert (found.transfer_syntax, found.patient.patient_id, found.irregular) == (written, "P1", ())


@pytest.mark.parametrize("announced", [EXPLICIT, IMPLICIT])
def test_what_begins_in_an_odd_way_is_in_no_other_syntax(announced: str) -> None:
    odd = tag(0x00080005) + b"??\x0a\0ISO_IR 100" + ORDINARY
    assert read_instance(whole(odd, EXPLICIT))[0].transfer_syntax == EXPLICIT
    commands = implicit(0, b"\1\0\0\0") + implicit(2, CT) + implicit(0x100, b"\1\0")
    assert read_instance(whole(commands + ORDINARY, announced))[0].transfer_syntax == EXPLICIT
    assert read_instance(whole(commands + without_vrs(), announced))[0].transfer_syntax == IMPLICIT
