"""Names as the node reads them from a header's bytes, whatever character set the header declares."""

import io

from router.dicom.dataset.header import read_instance
from router.dicom.dataset.part10 import preamble_and_meta

_CT = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT = "1.2.840.10008.1.2.1"


def _element(tag: int, vr: str, value: bytes) -> bytes:
    value += b"" if len(value) % 2 == 0 else b"\0" if vr == "UI" else b" "
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    return head + vr.encode() + len(value).to_bytes(2, "little") + value


def name_as_read(name: bytes, charset: str) -> str:
    """The patient's name of a header that declares `charset` (Specific Character Set, "" for none)."""
    parts = [
        _element(0x00080005, "CS", charset.encode()) if charset else b"",
        _element(0x00080016, "UI", _CT.encode()), _element(0x00080018, "UI", b"1.2.3"),
        _element(0x00100010, "PN", name),
        _element(0x0020000D, "UI", b"1.2.1"), _element(0x0020000E, "UI", b"1.2.2"),
    ]  # fmt: skip
    meta = preamble_and_meta(_CT, "1.2.3", _EXPLICIT, "CT01", "ROUTER")
    header, _ = read_instance(io.BytesIO(meta + b"".join(parts)))
    return header.patient.name
