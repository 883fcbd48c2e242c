"""An HL7 v2 ORU^R01 message (chapters of v2.5.1): fields that the mapping asks for, report PDF, acknowledgement."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.errors import InvalidData
from router.exam.hl7_paths import Path, parse
from router.reports.hl7 import narrative, segments
from router.reports.hl7.attachment import Part, joined, without_breaks
from router.reports.hl7.narrative import Repeat, unescaped

_START = re.compile(rb"(?:\xef\xbb\xbf)?[\s\x0b]*(?:MSH|FHS|BHS)")
_TAKEN_BACK = frozenset({"D", "W", "X"})  # OBX-11, table 0085: deleted, wrong patient, no result to be had
_SETTLED = frozenset({"F", "C", "U", "V", "N", "O", ""})  # final, corrected, verified; or no result at all
_STATUSES = _TAKEN_BACK | _SETTLED | frozenset({"A", "B", "I", "P", "R", "S"})
_TEXT_TYPES = frozenset({"ST", "TX", "FT", ""})
_CODED = frozenset({"CE", "CF", "CNE", "CWE"})
_OF_COMPONENTS = """
    AD CK CN CP CX DLN DR ED EI FN HD JCC MO MOC NA NR PL PN PPN PT RI RP SN TN TQ TS XAD XCN XON XPN
    XTN
"""
_COMPOSITE = _CODED | frozenset(_OF_COMPONENTS.split())
# Fields that are text, beside OBX-5 of a type without components: comments, clinical information, a diagnosis.
_TEXT_FIELDS = frozenset({("NTE", 3), ("OBR", 13), ("DG1", 4), ("PID", 19)})
_UID = re.compile(r"[0-2](?:\.\d+)+")
_HEAD = 20_000  # bytes
_NULL = '""'
_CODE = parse("OBX-3.1")
_FACILITY, _FACILITY_ID = parse("MSH-4.1"), parse("MSH-4.2")


class Unsupported(InvalidData):
    """A message of another kind than the node takes (AR, 2.9.2.2)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a message: the code of MSA-1, the error of table 0357, and words without patient data."""

    code: str
    error: int = 0
    text: str = ""


def is_message(data: bytes) -> bool:
    """Whether these bytes are HL7 v2, alone or in a batch's wrappers, not an exam JSON."""
    return _START.match(data) is not None


class Message:
    """One ORU^R01 message, opened. `repeat` says what the repetition mark is within text."""

    def __init__(self, data: bytes, repeat: Repeat = "auto") -> None:
        """InvalidData unless it is one message of one exam of one patient; Unsupported for another kind."""
        self._repeat = repeat
        found = segments.cut(data)
        self.encoding, self._marks = found.encoding, found.marks
        self._segments = list(_with_codes(found.rows))
        kind = self.value(parse("MSH-9.1")), self.value(parse("MSH-9.2"))
        count = [segment[0] for segment in self._segments].count
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
        """The text at the path, a line for each of several; "" without one. InvalidData where it is not whole."""
        return _lines(self._found(path, notes=True))

    def document(self, paths: Iterable[Path]) -> dict[str, object]:
        """The values of the paths, by the path as it is written; empty ones are left out. A list where it says [].

        Notes (NTE) after an observation belong to its text, unless a path asks for them. InvalidData as `value`.
        """
        paths = list(paths)
        notes = all(path.segment != "NTE" for path in paths)
        found: dict[str, object] = {}
        for path in paths:
            values = list(self._found(path, notes=notes))
            if path.every and any(values):
                found[path.written] = values
            elif text := _lines(values):
                found[path.written] = text
        return found

    def _found(self, path: Path, *, notes: bool = False) -> Iterator[str]:
        """One text for each segment that fits: all where there is a choice or the text goes on, else the first."""
        places = [i for i, s in enumerate(self._segments) if s[0] == path.segment and self._fits(s, path.codes)]
        if path.segment == "OBX":
            places = [i for i in places if not self._taken_back(self._segments[i])]
        for place in places if path.every or path.codes else self._first(places, path):
            segment = self._segments[place]
            text = self._text(segment, path)
            yield text
            observed = path.segment == "OBX" and _type(segment) in _TEXT_TYPES and self._is_text(segment, path)
            if notes and text and observed and not _UID.match(text):
                after = (self._segments[number] for number in range(place + 1, len(self._segments)))
                for note in itertools.takewhile(lambda row: row[0] == "NTE", after):
                    _require_whole(note)
                    yield self._read(_field(note, 3))

    def _first(self, places: Sequence[int], path: Path) -> Sequence[int]:
        """The first of the segments; with text that goes on over several, those too."""
        rows = [self._segments[place] for place in places[:1]]
        if rows and path.segment == "OBX" and self._is_text(rows[0], path):
            code = self._text(rows[0], _CODE)
            return [place for place in places if self._text(self._segments[place], _CODE) == code]
        return places if rows and path.segment == "NTE" and self._is_text(rows[0], path) else places[:1]

    def _fits(self, segment: list[str], codes: frozenset[str]) -> bool:
        """Whether OBX-3 holds one of the codes, as code, text or suffix."""
        repetitions = self._repetitions(_field(segment, _CODE.field)) if codes else ()
        parts = (part for repetition in repetitions for component in repetition for part in component)
        return not codes or bool(codes & {self._plain(part) for part in parts})

    @property
    def is_final(self) -> bool:
        """Whether no result but those taken back is preliminary (OBX-11, table 0085) and OBR-25 (0123) agree."""
        results = {self._text(s, parse("OBX-11")) for s in self._segments if s[0] == "OBX"}
        orders = {self._text(s, parse("OBR-25")) for s in self._segments if s[0] == "OBR"} - {""}
        return results <= _SETTLED | _TAKEN_BACK and (len(orders) < 2 or orders <= {"F", "C"})

    @property
    def facility(self) -> tuple[str, ...]:
        """The sending facility (MSH-4): its name or code, and its universal id; "" where absent."""
        return self.value(_FACILITY), self.value(_FACILITY_ID)

    def _taken_back(self, segment: list[str]) -> bool:
        return self._text(segment, parse("OBX-11")) in _TAKEN_BACK

    def _text(self, segment: list[str], path: Path) -> str:
        if self._is_text(segment, path):
            _require_whole(segment)
            return self._read(_field(segment, path.field))
        repetitions = list(self._repetitions(_field(segment, path.field)))
        if path.types:
            repetitions = [r for r in repetitions if path.types & {self._plain(c[0]) for c in r[1:] if c}]
        lines = (path.segment, path.field) == ("OBX", 5)
        coded = lines and path.whole and _type(segment) in _CODED
        read = self._name if coded else lambda components: self._component(components, path)
        texts = map(read, repetitions if lines else repetitions[:1])
        return "\n".join(filter(None, texts))

    def _is_text(self, segment: list[str], path: Path) -> bool:
        """Whether the path leads to text, which has no components whatever marks are in it (2.A)."""
        if (path.segment, path.field) == ("OBX", 5):
            first = (path.first, path.last, path.sub) == (1, 1, 0)
            return first and not path.types and _type(segment) not in _COMPOSITE
        own = path.segment.startswith("Z") and path.segment != "ZDS"
        return path.whole and (own or (path.segment, path.field) in _TEXT_FIELDS)

    def _read(self, written: str) -> str:
        if written.strip() == _NULL:
            return ""
        return narrative.read(written, self._marks, self._repeat, self.encoding).strip()

    def _name(self, components: Sequence[Sequence[str]]) -> str:
        """Text of a coded value (2.A.13): its text, else the original text, else the code."""
        for place in (1, 8, 0):
            text = self._marks.subcomponent.join(components[place]) if len(components) > place else ""
            if text not in ("", _NULL):
                return self._plain(text).strip()
        return ""

    def _component(self, components: Sequence[Sequence[str]], path: Path) -> str:
        chosen = components[path.first - 1 : path.last]
        if path.sub:
            texts = [component[path.sub - 1] for component in chosen if len(component) >= path.sub]
        else:
            texts = [component[0] for component in chosen if component]
        read = [plain for text in texts if text != _NULL and (plain := self._plain(text).strip())]
        return (" " if all(text.isascii() for text in read) else "").join(read)

    def _plain(self, text: str) -> str:
        return unescaped(text, self._marks, self.encoding)

    def _repetitions(self, written: str) -> Iterator[list[list[str]]]:
        """The repetitions of a field, each as components, each a list of subcomponents."""
        marks = self._marks
        for repetition in _split(written, marks.repetition):
            components = _split(repetition, marks.component)
            yield [_split(component, marks.subcomponent) for component in components]

    # -- the report

    def pdf(self) -> bytes | None:
        """The PDF in OBX-5, over one or several; None without one. InvalidData: it is broken, or several differ."""
        results = [s for s in self._segments if s[0] == "OBX" and not self._taken_back(s)]
        found = set(joined([part for result in results for part in self._parts(result)]))
        if len(found) > 1:
            raise InvalidData("an HL7 message with several PDFs")
        return next(iter(found), None)

    def _parts(self, segment: list[str]) -> Iterator[Part]:
        kind, code, number = _type(segment), _field(segment, 3), _field(segment, 4).strip()
        if kind != "ED" and kind not in _TEXT_TYPES:
            return
        for repetition in self._repetitions(_field(segment, 5)):
            texts = ["".join(component) for component in repetition]
            words = " ".join(texts[:-1]).upper().replace("/", " ").split() if kind == "ED" else ()
            data = without_breaks(texts[-1])
            yield Part(kind=kind, code=code, number=number, described=frozenset(words), data=data)


def _with_codes(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """The segments; text without a code of its own (OBX-3) goes on with the one before."""
    last: list[str] = []
    for given in rows:
        row = given
        if row[0] == "OBX" and len(row) > 5:
            texts = {_type(row), _type(last)} <= _TEXT_TYPES
            row = [*row[:3], last[3], *row[4:]] if texts and last and not row[3].strip() else row
            last = row
        elif row[0] in ("OBX", "OBR"):
            last = []
        yield row


def _require_whole(segment: list[str]) -> None:
    """InvalidData where text that holds an unescaped field separator has moved the fields after it."""
    moved = _is_moved(segment) if segment[0] == "OBX" else segment[0] == "NTE" and not "".join(segment[4:]).isascii()
    if moved:
        raise InvalidData(
            f"an {segment[0]} whose text holds a field separator", hint="the sender must write it as \\F\\"
        )


def _is_moved(segment: list[str]) -> bool:
    """Whether the status (OBX-11) stands in a later field, or what is before it is not what the standard says."""
    status, units = _field(segment, 11).strip(), _field(segment, 6).strip()
    if any(field.strip() in ("F", "C", "P", "R") for field in segment[12:]):
        return True
    if status and status not in _STATUSES:
        return not _field(segment, 5).strip() or any(field.strip() for field in segment[6:11])
    kind, broken = _type(segment), "\n" in _field(segment, 5).strip()
    return bool(units and not status and kind in _TEXT_TYPES and (kind != "ST" or not units.isascii() or broken))


def _field(segment: list[str], number: int) -> str:
    return segment[number] if len(segment) > number else ""


def _type(segment: list[str]) -> str:
    return _field(segment, 2).strip().upper()


def _split(written: str, mark: str) -> list[str]:
    return written.split(mark) if mark else [written]


def _lines(texts: Iterable[str]) -> str:
    """The texts as lines; empty ones part paragraphs."""
    return "\n".join(texts).strip("\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """MSH of a message, whatever it is: its encoding, field separator, MSH-2, and the fields from MSH-1 on."""

    encoding: str
    between: str
    marks: str
    fields: tuple[str, ...]

    @property
    def component(self) -> str:
        """The component separator."""
        return self.marks[0]

    def field(self, number: int) -> str:
        """MSH-number; "" where it ends before."""
        return self.fields[number - 1] if len(self.fields) >= number else ""


def header(data: bytes) -> Header:
    """The MSH of a message; without fields when it has none."""
    try:
        whole = re.match(rb"[\s\S]*[\r\n]", data[:_HEAD]) if len(data) > _HEAD else None
        encoding, text = segments.decoded(whole[0] if whole else data[:_HEAD])  # its first lines: enough to answer it
    except InvalidData:
        encoding, text = "latin-1", data[:_HEAD].decode("latin-1")
    lines = re.split(r"[\r\n]", text.strip("\x0b \r\n"))
    head = next((line for line in lines if line.startswith("MSH")), lines[0])[:2000]
    between = head[3:4] if head.startswith("MSH") and head[3:4] else "|"
    fields = tuple(head.split(between)) if head.startswith("MSH") else ()
    marks = fields[1] if len(fields) > 1 and len(fields[1]) >= 4 else "^~\\&"
    return Header(encoding=encoding, between=between, marks=marks, fields=(between, *fields[1:]) if fields else ())


def acknowledgement(data: bytes, reply: Reply, now: datetime) -> bytes:
    """The ACK for a message, whatever it is: MSH, MSA, and ERR unless all is well (2.9.2, 2.15.1, 2.15.5)."""
    head = header(data)
    part = head.component
    at = now.strftime("%Y%m%d%H%M%S%z")
    msh = ["MSH", head.marks, head.field(5), head.field(6), head.field(3), head.field(4), at, "",
           part.join(("ACK", "R01", "ACK")), f"ACK{now:%Y%m%d%H%M%S%f}", head.field(11) or "P",
           head.field(12) or "2.5.1", "", "", "", "", "", head.field(18)]  # fmt: skip
    said = re.sub(f"[{re.escape(head.between + head.marks)}\\r\\n]", " ", reply.text)
    rows = [msh, ["MSA", reply.code, head.field(10), said]]
    if reply.code not in ("AA", "CA"):
        rows.append(["ERR", "", "", f"{reply.error}{part}{part}HL70357", "E", "", "", "", said])
    return "".join(head.between.join(row).rstrip(head.between) + "\r" for row in rows).encode(head.encoding, "replace")
