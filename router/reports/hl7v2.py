"""An HL7 v2 ORU^R01 message: what its mapping file asks for, the report PDF in it, and its acknowledgement.

The only door to python-hl7. Chapters are those of HL7 v2.5.1.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import hl7

from router.errors import InvalidData
from router.exam.hl7_paths import Path, parse

_START = re.compile(rb"(?:\xef\xbb\xbf)?[\s\x0b]*MSH")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}(?![A-Za-z0-9])")
_BREAKS = re.compile(r"\\(?:\.br|X[0-9A-Fa-f]+)\\|\s")
_ESCAPE = re.compile(r"\\([^\\\n]{0,200})\\")
_ENCODINGS = (
    ("GB", "gb18030"),
    ("BIG5", "big5hkscs"),
    ("88591", "latin-1"),
    ("UTF8", "utf-8"),
    ("UNICODEUTF8", "utf-8"),
)
_TRUST = frozenset({"gb18030", "big5hkscs", "latin-1"})
_TAKEN_BACK = frozenset({"D", "W", "X"})  # OBX-11, table 0085: deleted, wrong patient, no result to be had
_SETTLED = frozenset({"F", "C", "U", "V", "N", "O", ""})  # final, corrected, verified; or no result at all
_TEXT_TYPES = frozenset({"ST", "TX", "FT"})
_NULL = '""'


class Unsupported(InvalidData):
    """A message of another kind than the node takes (AR, 2.9.2.2)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a message is answered: the code of MSA-1, the error of table 0357, and words without patient data."""

    code: str
    error: int = 0
    text: str = ""


def is_message(data: bytes) -> bool:
    """Whether these bytes are HL7 v2, not an exam JSON."""
    return _START.match(data) is not None


class Message:
    """One ORU^R01 message, opened."""

    def __init__(self, data: bytes) -> None:
        """InvalidData unless it is one message of one exam of one patient; Unsupported for another kind."""
        self.encoding, text = _decoded(data)
        lines = _lines(text)
        try:
            parsed: Any = hl7.parse("\r".join(lines))
            self._segments = [[list(field) for field in segment] for segment in parsed]
            kind = self.value(parse("MSH-9.1")), self.value(parse("MSH-9.2"))
        except (hl7.HL7Exception, LookupError, ValueError) as error:
            raise InvalidData("not an HL7 v2 message") from error
        self._require_one(kind)

    def _require_one(self, kind: tuple[str, str]) -> None:
        count = [self._name(segment) for segment in self._segments].count
        if count("MSH") != 1:
            raise InvalidData("holds several HL7 messages", hint="one file for each")
        if kind[0] != "ORU" or kind[1] not in ("", "R01"):
            raise Unsupported("an HL7 message of another kind than ORU^R01")
        if count("PID") != 1:
            raise InvalidData("an HL7 message of no patient or of several (PID)")
        if not count("OBR"):
            raise InvalidData("an HL7 message without a result (OBR)")
        if len(set(filter(None, self._found(parse("OBR[]-3.1"))))) > 1:
            raise InvalidData("an HL7 message of several exams (OBR-3)", hint="one message for each exam")

    # -- values

    def value(self, path: Path) -> str:
        """The text that the path leads to, one line for each where there are several; "" where there is none."""
        return "\n".join(filter(None, self._found(path)))

    def document(self, paths: Iterable[Path]) -> dict[str, object]:
        """What the paths lead to, by the path as it is written; empty ones are left out. A list where it says []."""
        found: dict[str, object] = {}
        for path in paths:
            values = list(self._found(path))
            if path.every and any(values):
                found[path.written] = values
            elif text := "\n".join(filter(None, values)):
                found[path.written] = text
        return found

    def _found(self, path: Path) -> Iterator[str]:
        """One text for each segment that fits: all where there is a choice, else the first."""
        fitting = [s for s in self._segments if self._name(s) == path.segment and self._fits(s, path.codes)]
        if path.segment == "OBX":
            fitting = [s for s in fitting if not self._taken_back(s)]
        for segment in fitting if path.every or path.codes else fitting[:1]:
            yield self._text(segment, path)

    def _fits(self, segment: list[Any], codes: frozenset[str]) -> bool:
        """Whether OBX-3 holds one of the codes, as code, text or suffix."""
        said = {part for repetition in _field(segment, 3) for component in _parts(repetition) for part in component}
        return not codes or bool(codes & set(map(self._plain, said)))

    @property
    def is_final(self) -> bool:
        """Whether no result in it is preliminary: by OBX-11 (table 0085), and its OBR-25 (0123) speak with one voice.

        Results that are taken back do not count.
        """
        results = {self._text(s, parse("OBX-11")) for s in self._segments if self._name(s) == "OBX"}
        orders = {self._text(s, parse("OBR-25")) for s in self._segments if self._name(s) == "OBR"} - {""}
        return results <= _SETTLED | _TAKEN_BACK and (len(orders) < 2 or orders <= {"F", "C"})

    def _taken_back(self, segment: list[Any]) -> bool:
        return self._text(segment, parse("OBX-11")) in _TAKEN_BACK

    def _text(self, segment: list[Any], path: Path) -> str:
        repetitions = [_parts(repetition) for repetition in _field(segment, path.field)]
        if path.types:
            repetitions = [r for r in repetitions if path.types & {self._plain(c[0]) for c in r[1:] if c}]
        lines = (path.segment, path.field) == ("OBX", 5)
        texts = [self._component(repetition, path) for repetition in (repetitions if lines else repetitions[:1])]
        return "\n".join(filter(None, texts))

    def _component(self, components: Sequence[Sequence[str]], path: Path) -> str:
        chosen = components[path.first - 1 : path.last]
        if path.sub:
            texts = [component[path.sub - 1] for component in chosen if len(component) >= path.sub]
        else:
            texts = [component[0] for component in chosen if component]
        read = [plain for text in texts if text != _NULL and (plain := self._plain(text).strip())]
        return (" " if all(text.isascii() for text in read) else "").join(read)

    def _plain(self, text: str) -> str:
        return _ESCAPE.sub(lambda match: self._unescaped(match[1]), text) if "\\" in text else text

    def _unescaped(self, sequence: str) -> str:
        """An escape sequence (2.7) as text; what only asks for another print goes."""
        if sequence in _DELIMITERS:
            return _DELIMITERS[sequence]
        if sequence.startswith("X"):
            try:
                return bytes.fromhex(sequence[1:]).decode(self.encoding, "replace")
            except ValueError:
                return ""
        return "\n" if re.fullmatch(r"\.(?:br|sp\d*|ce)", sequence) else ""

    @staticmethod
    def _name(segment: list[Any]) -> str:
        return str(segment[0][0])

    # -- the report

    def pdf(self) -> bytes | None:
        """The PDF in an OBX-5; None when there is none. InvalidData when it does not decode or several differ."""
        results = [s for s in self._segments if self._name(s) == "OBX" and not self._taken_back(s)]
        found = {data for segment in results for data in _pdfs(segment)}
        if len(found) > 1:
            raise InvalidData("an HL7 message with several PDFs")
        return next(iter(found), None)


_DELIMITERS = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}


def _decoded(data: bytes) -> tuple[str, str]:
    """The encoding and the text: by MSH-18 (2.15.9.18, table 0211); undeclared: UTF-8, else GB18030."""
    head = re.split(rb"[\r\n]", data.strip(b"\xef\xbb\xbf\x0b \r\n"), maxsplit=1)[0]
    fields = head.split(head[3:4] or b"|")
    declared = re.sub(r"[^A-Z0-9]", "", fields[17].split(b"~")[0].decode("ascii", "replace").upper()) if len(
        fields) > 17 else ""  # fmt: skip
    named = next((encoding for name, encoding in _ENCODINGS if declared.startswith(name)), "")
    for encoding in ([named] if named in _TRUST else []) + ["utf-8", "gb18030"]:
        try:
            return encoding, data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
    raise InvalidData("neither UTF-8 nor GB18030 text", hint="name the character set in MSH-18")


def _lines(text: str) -> list[str]:
    """The segments. What does not begin as one, such as Base64 in lines, goes on with the one before."""
    lines: list[str] = []
    for line in re.split(r"\r\n|\r|\n", text.strip("\x0b\x1c \r\n\0")):
        if _SEGMENT.match(line) or not lines:
            lines.append(line)
        else:
            lines[-1] += f"\n{line}"
    return [line for line in lines if not line.startswith(("FHS", "BHS", "BTS", "FTS"))]


def _field(segment: list[Any], number: int) -> list[Any]:
    return segment[number] if len(segment) > number else []


def _parts(repetition: Any) -> list[list[str]]:
    """Its components, each a list of subcomponents."""
    if isinstance(repetition, str):
        return [[repetition]]
    return [[str(component)] if isinstance(component, str) else [str(s) for s in component] for component in repetition]


def _pdfs(segment: list[Any]) -> Iterator[bytes]:
    """PDFs of an OBX: of type ED (2.A.24) with type, subtype, encoding and data; or Base64 as plain text."""
    kind = "".join("".join(c) for r in _field(segment, 2) for c in _parts(r))
    for repetition in _field(segment, 5):
        texts = ["".join(component) for component in _parts(repetition)]
        # Lines within Base64 come as \.br\, \X0D\ or as they are.
        data = _BREAKS.sub("", "".join(texts[-1:]))
        if kind == "ED":
            told = " ".join(texts[:-1]).upper()
            if "PDF" in told or data.startswith("JVBERi"):
                yield _decode(data, hexadecimal="HEX" in told.split())
        elif kind in _TEXT_TYPES and data.startswith("JVBERi0"):
            yield _decode(data, hexadecimal=False)


def _decode(data: str, *, hexadecimal: bool) -> bytes:
    try:
        return bytes.fromhex(data) if hexadecimal else base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidData("the PDF in OBX-5 is not Base64") from error


def acknowledgement(data: bytes, reply: Reply, now: datetime) -> bytes:
    """The ACK for a message, whatever it is: MSH, MSA, and ERR unless the code is AA (2.9.2, 2.15.1, 2.15.5)."""
    try:
        encoding, text = _decoded(data)
    except InvalidData:
        encoding, text = "latin-1", data.decode("latin-1")
    head = re.split(r"[\r\n]", text.strip("\x0b \r\n"), maxsplit=1)[0][:2000]
    between = head[3:4] if head.startswith("MSH") and head[3:4] else "|"
    given = (head.split(between) if head.startswith("MSH") else []) + [""] * 18
    marks = given[1] if len(given[1]) >= 4 else "^~\\&"
    part = marks[0]
    at = now.strftime("%Y%m%d%H%M%S%z")
    msh = ["MSH", marks, given[4], given[5], given[2], given[3], at, "", part.join(("ACK", "R01", "ACK")),
           f"ACK{now:%Y%m%d%H%M%S%f}", given[10] or "P", given[11] or "2.5.1",
           "", "", "", "", "", given[17]]  # fmt: skip
    said = re.sub(f"[{re.escape(between + marks)}\\r\\n]", " ", reply.text)
    segments = [msh, ["MSA", reply.code, given[9], said]]
    if reply.code != "AA":
        segments.append(["ERR", "", "", f"{reply.error}{part}{part}HL70357", "E", "", "", "", said])
    return "".join(between.join(segment).rstrip(between) + "\r" for segment in segments).encode(encoding, "replace")
