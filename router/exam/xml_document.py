"""Reading of a `NAME.xml`: bytes to a document of the form that a JSON has, or InvalidData that never quotes them.

The root element is the document, whatever its name. A child is a key by its name without namespace; children of one
name are an array. An element without children or attributes is its text. Attributes are keys with @ before them, and
text beside them is the key #text. Elements within text are text themselves, <br/> is a line break:

    <exam><no>7</no><pid type="MR">P1</pid></exam>   ->   {"no": "7", "pid": {"@type": "MR", "#text": "P1"}}
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from router.errors import InvalidData
from router.exam.fields import FIELDS, FIELDS_OF, PROCEDURE, Field
from router.exam.mapping import TEXT
from router.exam.read import MAX_BYTES
from router.exam.values import boolean, integer, is_empty
from router.text.decoding import reading

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:[?!A-Za-z_:]|[\x80-\xff])")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_START_16 = re.compile(rb"\xff\xfe(?:\s\0)*<\0|\xfe\xff(?:\0\s)*\0<")
_DECLARATION = re.compile(r"\s*<\?xml\b([^>]*)\?>")
_MOST_MARKS = 100_000  # elements and attributes, within text too
_MOST_TEXT = 2**20  # bytes that are not ASCII
_ASCII = bytes(range(0x80))
_DEEPEST = 32
_LINES = frozenset({"br", "p", "div", "li", "line", "paragraph"})
_PROCEDURE_KEYS = frozenset(one.key for one in FIELDS_OF[PROCEDURE])


def is_xml(data: bytes) -> bool:
    """Whether these bytes are XML, not a JSON or an HL7 message."""
    return (_START.match(data) or _START_16.match(data)) is not None


def read(data: bytes) -> dict[str, object]:
    """The document in `data`: UTF-8, UTF-16 with its mark, or GB18030, whatever it declares; at most MAX_BYTES.

    InvalidData for anything that is not one XML element, for a document type (entities make a file of any size out of a
    small one, and read others), for endless nesting, and for more values than an exam has.
    """
    if len(data) > MAX_BYTES:
        raise InvalidData(f"larger than {MAX_BYTES} bytes", size=len(data))
    text = _text(data)
    if text.count("<") + text.count("=") > _MOST_MARKS:
        raise InvalidData("more values than an exam XML has")
    try:
        root = fromstring(_DECLARATION.sub("", text, count=1), forbid_dtd=True)
    except ParseError as error:
        line, column = error.position
        text = f"not XML: line {line} column {column}"
        raise InvalidData(text, hint="let the RIS export it again", line=line, column=column) from None
    except DefusedXmlException:
        raise InvalidData("XML with a document type or entities", hint="export it without DOCTYPE") from None
    except (RecursionError, ValueError):
        raise InvalidData("XML that cannot be read") from None
    document = _value(root, 1)
    if not isinstance(document, dict):
        raise InvalidData("XML, but without elements below its root")
    found: dict[str, object] = document
    return found


def standard(document: Mapping[str, object]) -> dict[str, object]:
    """The document with the fields of appendix B in their types: text of XML as numbers, true or false, and arrays."""
    result: dict[str, object] = _without_attributes(document)
    for one in FIELDS:
        holder: Any = result.get(one.parent) if one.parent else result
        if isinstance(holder, dict) and one.key in holder:
            holder[one.key] = _typed(one, holder[one.key])
    return result


def _text(data: bytes) -> str:
    if data.startswith(_UTF_16):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise InvalidData("text that is not UTF-16 as it begins") from None
    if len(data.translate(None, _ASCII)) > _MOST_TEXT:
        raise InvalidData("more text than an exam XML has")
    text = reading(data)
    if text is None:
        raise InvalidData("text that is neither UTF-8 nor GB18030 for certain", hint="export the XML in UTF-8")
    return text.removeprefix("\ufeff")


def _value(element: "Element", depth: int) -> object:
    if depth > _DEEPEST:
        raise InvalidData("nested too deeply for an exam XML")
    found: dict[str, Any] = {f"@{_name(key)}": value for key, value in element.attrib.items()}
    text, mixed = _written(element)
    for child in () if mixed else element:
        key, value = _name(child.tag), _value(child, depth + 1)
        if key not in found:
            found[key] = value
        elif isinstance(found[key], list):
            found[key].append(value)
        else:
            found[key] = [found[key], value]
    if not found:
        return text if text.strip() else ""
    return {**found, TEXT: text.strip()} if text.strip() else found


def _written(element: "Element") -> tuple[str, bool]:
    """The text of an element, and whether others stand within it: <br/> and its like are line breaks of it."""
    if not any((child.tail or "").strip() for child in element) and not ((element.text or "").strip() and len(element)):
        return element.text or "", False
    parts = [element.text or ""]
    for child in element:
        parts += ["\n" if _name(child.tag).lower() in _LINES else "", *child.itertext(), child.tail or ""]
    return "".join(parts), True


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _without_attributes(value: Any) -> Any:
    if isinstance(value, Mapping):
        if TEXT in value:
            return value[TEXT]
        return {key: _without_attributes(inner) for key, inner in value.items() if not key.startswith("@")}
    return [_without_attributes(inner) for inner in value] if isinstance(value, list) else value


def _typed(one: Field, value: Any) -> object:
    if one.kind == "array":
        return _array(one, value)
    if not isinstance(value, str) or is_empty(value):
        return value
    typed = integer(value) if one.kind == "integer" else boolean(value) if one.kind == "boolean" else None
    return value if typed is None else typed


def _array(one: Field, value: Any) -> list[Any]:
    """The elements of an array: repeated ones, or those of one wrapper around them (Procedures/Procedure)."""
    if isinstance(value, dict) and len(value) == 1 and not value.keys() & _PROCEDURE_KEYS:
        value = next(iter(value.values()))
    if one.path == "Order.Procedures" or isinstance(value, list):
        return value if isinstance(value, list) else [] if is_empty(value) else [value]
    return [] if is_empty(value) else [value]
