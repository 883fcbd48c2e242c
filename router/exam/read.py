"""Reading of a `NAME.json`: bytes to a document, or InvalidData that never quotes them."""

import codecs
import json
import math

from router.errors import InvalidData
from router.exam.fields import BY_PATH, SECTION_NAMES
from router.text.decoding import reading

MAX_BYTES = 8 * 2**20
_MOST_MARKS = 100_000  # commas, colons and opening brackets, within text too
_MOST_TEXT = 2**20  # bytes that are not ASCII
_ASCII = bytes(range(0x80))
_LONGEST_LIST = 20_000  # the largest study has 10,000 instances, which an export may list one by one
_DEEPEST = 32

_KEYS = {field.key for field in BY_PATH.values()} | set(SECTION_NAMES)


def read(data: bytes) -> dict[str, object]:
    """The JSON object in `data`: UTF-8 with or without BOM, or GB18030; at most MAX_BYTES.

    InvalidData for anything that is not a JSON object (NaN, endless nesting, half a surrogate pair), and for more
    values than an exam has, which are counted before they are read. It is also raised for a key that comes twice in one
    object with different values: a guess may name the wrong patient (RFC 8259 4). The same value twice does no harm.
    """
    if len(data) > MAX_BYTES:
        raise InvalidData(f"larger than {MAX_BYTES} bytes", size=len(data))
    if len(data.translate(None, _ASCII)) > _MOST_TEXT:
        raise InvalidData("more text than an exam JSON has")
    text = reading(data, "utf-8" if data.startswith(codecs.BOM_UTF8) else "")
    if text is None:
        raise InvalidData("text that is neither UTF-8 nor GB18030 for certain", hint="export the JSON in UTF-8")
    given = text.removeprefix("\ufeff")
    if sum(map(given.count, ",:[{")) > _MOST_MARKS:
        raise InvalidData("more values than an exam JSON has")
    document = _parsed(given)
    if not isinstance(document, dict):
        raise InvalidData("JSON, but not an object")
    _require_bounds(document)
    return document


def _parsed(given: str) -> object:
    try:
        document = json.loads(given, object_pairs_hook=_object, parse_constant=_finite, parse_float=_finite)
        if "\\u" in given:  # only an escape can name half a surrogate pair
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        text = f"not JSON: {error.msg}, line {error.lineno} column {error.colno}"
        hint = "let the RIS export it again"
        raise InvalidData(text, hint=hint, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise InvalidData("nested too deeply for an exam JSON") from None
    except ValueError:
        raise InvalidData("holds a number or text that JSON does not allow") from None
    return document


def _require_bounds(document: object) -> None:
    """InvalidData where it is nested too deeply, or a list is too long, for the readers that follow."""
    level = [document]
    for _ in range(_DEEPEST):
        if any(isinstance(one, list) and len(one) > _LONGEST_LIST for one in level):
            raise InvalidData(f"a list of more than {_LONGEST_LIST} values")
        level = [
            inner
            for one in level if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]  # fmt: skip
        if not level:
            return
    raise InvalidData("nested too deeply for an exam JSON")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        for key, value in pairs:
            if result[key] != value:
                raise InvalidData(f"the key {key if key in _KEYS else '?'} is given twice with different values")
    return result


def _finite(written: str) -> float:
    """ValueError for NaN and Infinity, however they are written."""
    number = float(written)
    if not math.isfinite(number):
        raise ValueError
    return number
