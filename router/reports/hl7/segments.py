"""The segments of an HL7 v2 message: its bytes as text, cut into lines and fields. Chapters are those of HL7 v2.5.1."""

import re
from dataclasses import dataclass

from router.errors import InvalidData
from router.text.decoding import reading

_MOST_MARKS = 20_000  # separators of a message; the largest reports have some hundreds
_MOST_TEXT = 2**20  # bytes that are not ASCII
_MOST_TRAILERS = 100
_ASCII = bytes(range(0x80))
_AROUND = "\ufeff\x0b\x1c \r\n\0"
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_UTF_8, _CHINESE = "utf-8", "gb18030"
_NAMES = {"GB": "gb18030", "BIG5": "big5hkscs", "UTF8": "utf-8", "UNICODEUTF8": "utf-8"}
_SINGLE = re.compile(r"(?:ISO)?8859([1-9]|1[013-6])|ISOIR100|LATIN1|(?:CP|WINDOWS)1252")  # one byte a character
# The segments of HL7 v2.3 to v2.8; a line of text may begin with any other three letters: MRA, DWI, DSA.
_NAMES_OF_SEGMENTS = """
    ABS ACC ADD ADJ AFF AIG AIL AIP AIS AL1 APR ARQ ARV AUT BHS BLC BLG BPO BPX BTS BTX BUI CDM CDO CER CM0 CM1
    CM2 CNS CON CSP CSR CSS CTD CTI DB1 DEV DG1 DMI DON DPS DRG DSC DSP ECD ECR EDU EQL EQP EQU ERQ ERR EVN FAC
    FHS FT1 FTS GOL GP1 GP2 GT1 IAM IAR IIM ILT IN1 IN2 IN3 INV IPC IPR ISD ITM IVC IVT LAN LCC LCH LDP LOC LRL
    MCP MFA MFE MFI MRG MSA MSH NCK NDS NK1 NPU NSC NST NTE OBR OBX ODS ODT OH1 OH2 OH3 OH4 OM1 OM2 OM3 OM4 OM5
    OM6 OM7 ORC ORG OVR PAC PCE PCR PD1 PDA PDC PEO PES PID PKG PM1 PMT PR1 PRA PRB PRC PRD PRT PSG PSH PSL PSS
    PTH PV1 PV2 PYE QAK QID QPD QRD QRF QRI RCP RDF RDT REL RF1 RFI RGS RMI ROL RQ1 RQD RXA RXC RXD RXE RXG RXO
    RXR RXV SAC SCD SCH SCP SDD SFT SGH SGT SHP SID SLT SPM STF STZ TCC TCD TQ1 TQ2 TXA UAC UB1 UB2 URD URS VAR
    VND VTQ
"""
_KNOWN = frozenset(_NAMES_OF_SEGMENTS.split())
_NUMBERED = "OBX NTE OBR PID PV1 NK1 DG1 AL1 PR1 GT1 IN1 SPM FT1 TQ1 TQ2 ARV"
_BEGUN_EMPTY = "PD1 PV2 CTD CTI PRT DEV SAC ROL IN2 IN3 ACC DRG UB1 UB2 BLG DSC"
# The segments of ORU^R01 (7.3.1) and of the patient's, by their first field after a text: most number
# themselves, and the others do not fill it.
_FIRST_FIELD = {
    **dict.fromkeys(_NUMBERED.split(), "[0-9.]*"),
    **dict.fromkeys(_BEGUN_EMPTY.split(), ""),
    "ORC": "(?:[A-Z]{2})?",
    "IPC": "[ -~]*",
}
# The first field that is certainly after the text: of OBX-5, NTE-3, OBR-13.
_TEXT_UNTIL = {"OBX": 11, "NTE": 4, "OBR": 14}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The delimiters of a message (2.5.4); "" where MSH-2 has none."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str


@dataclass(frozen=True, slots=True)
class Segments:
    """A message, cut: `rows` are its segments, each a list of fields as written, the name first; MSH-1 is a field."""

    encoding: str
    marks: Marks
    rows: tuple[list[str], ...]


def cut(data: bytes) -> Segments:
    """The segments of one message without wrappers, its cost counted before. InvalidData: it is none, or not whole."""
    if len(data.translate(None, _ASCII)) > _MOST_TEXT:
        raise InvalidData("an HL7 message with more text than any report has")
    encoding, text = decoded(data)
    begin = re.search(r"(?:\A|[\r\n])MSH([^A-Za-z0-9\s])", text)
    before = re.finditer(r"([^\r\n]{1,3})[^\r\n]*", text[: begin.start()] if begin else "")
    if begin is None or any(line[1] not in ("FHS", "BHS") for line in before):  # headers of a file or batch (2.10.3)
        raise InvalidData("not an HL7 v2 message")
    between = begin[1]
    text = text[begin.start() :].strip(_AROUND)
    given = text[4:9].partition(between)[0]
    marks = {between, *given[:2], *given[3:4]} - set(_AROUND)  # Base64 may have as many escapes as lines
    if sum(map(text.count, marks)) > _MOST_MARKS:
        raise InvalidData(f"an HL7 message with more than {_MOST_MARKS} separators")
    rows = tuple(line.split(between) for line in _lines(text, between))
    rows = tuple(["MSH", between, *row[1:]] if row[0] == "MSH" else row for row in rows)
    if any(row[0] == "DSC" and any(field.strip() for field in row[1:2]) for row in rows):
        raise InvalidData("an HL7 message that goes on in another one (DSC)", hint="send it whole")
    return Segments(encoding, _marks(rows[0]), rows)


def _marks(msh: list[str]) -> Marks:
    if len(msh) < 3 or not msh[2].strip():
        raise InvalidData("not an HL7 v2 message")
    component, repetition, escape, subcomponent = [*msh[2], "", "", ""][:4]
    return Marks(
        field=msh[1], component=component, repetition=repetition, escape=escape, subcomponent=subcomponent
    )  # fmt: skip


def _lines(text: str, between: str) -> list[str]:
    """The segments. A line that does not begin as one, of text or Base64, goes on with the one before; so does ADD.

    InvalidData where text follows an observation that is complete, and so belongs to none for certain.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    end = _end(text, between)
    starts = _starts(text, between, end)
    found: list[list[str]] = []
    for start, after in zip(starts, [*starts[1:], end + 1], strict=True):
        if found and text.startswith("ADD", start):
            found[-1].append(text[start + 4 : after - 1])
        else:
            found.append([text[start : after - 1]])
    rows = ["".join(parts) for parts in found]
    if any(row.startswith("OBX") and _goes_on_after(row, between) for row in rows):
        raise InvalidData("an HL7 message with text behind an observation", hint="write a line break as \\.br\\")
    return rows


def _end(text: str, between: str) -> int:
    """The end of the text without blank lines and the trailers of a batch or file (2.10.3)."""
    trailer = re.compile(rf"[BF]TS(?:{re.escape(between)}.*)?|\s*")
    end = len(text)
    for _ in range(_MOST_TRAILERS):
        start = text.rfind("\n", 0, end) + 1
        if not start or trailer.fullmatch(text, start, end) is None:
            break
        end = start - 1
    return end


def _starts(text: str, between: str, end: int) -> list[int]:
    """The positions at which segments begin, in text that ends there; each character is looked at once."""
    begins = re.compile(rf"^([A-Z][A-Z0-9]{{2}}){re.escape(between)}([^{re.escape(between)}\n]*)", re.MULTILINE)
    found: list[int] = []
    before, fields, counted = "", 0, 0
    for match in begins.finditer(text, 0, end):
        name, start = match[1], match.start()
        fields += text.count(between, counted, start)
        counted = start
        if found and not _begins(name, match[2].strip(), before, ended=fields >= _TEXT_UNTIL.get(before, 0)):
            continue
        found.append(start)
        if name != "ADD":
            before, fields = name, 0
    return found


def _begins(name: str, first: str, before: str, *, ended: bool) -> bool:
    """Whether a line begins a segment, and is not text that goes on in a segment whose text may not have ended yet.

    `first` is its first field, `before` the segment before it, `ended` whether the fields of that have gone beyond its
    text. There it must be one that ORU^R01 has in this place, and begin as that does: IVC is a vessel, too.
    """
    if not (name in _KNOWN or name.startswith("Z")):
        return False
    if name.startswith("Z") or name in ("ADD", "MSH") or before not in _TEXT_UNTIL:
        return True
    if ended:
        return name in _FIRST_FIELD or before != "OBX"
    return name in _FIRST_FIELD and re.fullmatch(_FIRST_FIELD[name], first) is not None


def _goes_on_after(row: str, between: str) -> bool:
    """Whether lines of text follow the one in which an observation is complete."""
    at = -1
    for _ in range(_TEXT_UNTIL[row[:3]]):
        at = row.find(between, at + 1)
        if at < 0:
            return False
    line_end = row.find("\n", at)
    return line_end >= 0 and bool(row[line_end:].strip())


# -- the character set


def decoded(data: bytes) -> tuple[str, str]:
    """Encoding and text by the bytes, whatever MSH-18 says (2.15.9.18, table 0211). InvalidData: none is certain."""
    declared = _declared(data)
    spoken = b"\n".join(line for line in re.split(rb"[\r\n]", data) if not line.isascii())
    text = reading(spoken, declared)
    if text is None or "\x1b" in text:  # which changes its character set on the way (ISO 2022)
        raise InvalidData("neither UTF-8 nor GB18030 text for certain", hint="name the character set in MSH-18")
    encoding = next(each for each in (_UTF_8, declared, _CHINESE) if each and _is(text, spoken, each))
    return encoding, data.decode(encoding).removeprefix("\ufeff")


def _is(text: str, data: bytes, encoding: str) -> bool:
    try:
        return data.decode(encoding) == text
    except UnicodeDecodeError:
        return False


def _declared(data: bytes) -> str:
    """The Python codec that MSH-18 names, "" for one that is not known."""
    found = re.search(rb"(?:\A|[\r\n\x0b]|\xef\xbb\xbf)[ ]*MSH([^\r\n])([^\r\n]*)", data)
    fields = found[2].split(found[1], 17) if found else []
    written = fields[16].split(b"~", 1)[0] if len(fields) > 16 else b""  # the first of found[2] is MSH-2
    declared = re.sub(r"[^A-Z0-9]", "", written.decode("ascii", "replace").upper())
    if single := _SINGLE.fullmatch(declared):
        return f"iso8859-{single[1] or 1}"
    return next((encoding for name, encoding in _NAMES.items() if declared.startswith(name)), "")
