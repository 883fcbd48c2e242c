"""Writing and reading text: canonical strings, JSON with its keys in order, hex, Base64, gzip, times."""

import base64
import binascii
import gzip as gzip_format
import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any
from urllib.parse import quote

from router.errors import InvalidData
from router.forward.answer import Answer
from router.forward.blocks.trace import asked

Bytes = bytes | str
_LONG = 64 * 1024
_PLACE = "\ue0a5 long Base64 \ue0a5"


class _Base64(str):
    """Long Base64: JSON writes it as it is, so that nobody searches tens of megabytes for what to escape."""

    __slots__ = ()


def raw(value: Bytes) -> bytes:
    """Bytes as they are, text in UTF-8."""
    return value.encode() if isinstance(value, str) else value


def canonical(
    fields: Mapping[str, object], *, joint: str = "&", pair: str = "=", empty: bool = False, quoted: bool = False
) -> str:  # fmt: skip
    """`a=1&b=2`: the fields in the order of their names' code points, as most signatures want them.

    Fields that are None or "" are left out unless `empty`. A value that is no text is written as compact JSON with its
    own keys in order. `quoted`: values are percent-encoded (RFC 3986 2.3).
    """
    given = {name: _plain(value) for name, value in sorted(fields.items())}
    kept = {name: value for name, value in given.items() if empty or value}
    return joint.join(f"{name}{pair}{quote(value, safe='') if quoted else value}" for name, value in kept.items())


def lines(*parts: object, end: str = "") -> str:
    """The parts, one a line, joined by LF; `end` behind the last one."""
    return "\n".join(str(part) for part in parts) + end


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else write_json(value, ordered=True)


def write_json(value: object, *, ordered: bool = False, ascii_only: bool = False) -> str:
    """Compact JSON; keys as they come, or `ordered` by code point at every depth; Chinese as it is or as \\uXXXX."""
    dumps = partial(json.dumps, ensure_ascii=ascii_only, sort_keys=ordered, separators=(",", ":"), allow_nan=False)
    held: list[str] = []
    between = dumps(_held_back(value, held, ordered)).split(dumps(_PLACE))
    if len(between) != len(held) + 1:  # the text of the place stands in the value itself
        return dumps(value)
    return between[0] + "".join(
        piece for long, rest in zip(held, between[1:], strict=True) for piece in ('"', long, '"', rest)
    )


def _held_back(value: object, held: list[str], ordered: bool) -> object:
    """The value with a place for each long Base64, which are added to `held` in the order of writing."""
    if isinstance(value, _Base64):
        held.append(value)
        return _PLACE
    if isinstance(value, dict):
        return {name: _held_back(value[name], held, ordered) for name in (sorted(value) if ordered else value)}
    return [_held_back(one, held, ordered) for one in value] if isinstance(value, list | tuple) else value


def read_json(data: Bytes | Answer) -> dict[str, Any]:
    """The JSON object; {} when it is none, so that a judge need not fear a gateway's page."""
    try:
        found = json.loads(data.body if isinstance(data, Answer) else data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def field(document: object, path: str) -> Any:
    """The value under "data.token", "" when a name on the way is missing, or the value is null."""
    asked(path=path)
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return "" if document is None else document


def hexed(data: bytes, *, upper: bool = False) -> str:
    """Hex digits."""
    return data.hex().upper() if upper else data.hex()


def unhexed(text: Bytes) -> bytes:
    """The bytes of hex digits; InvalidData when they are none."""
    try:
        return binascii.unhexlify(raw(text))
    except (ValueError, TypeError):
        raise InvalidData("no hex digits") from None


def base64ed(data: bytes, *, url: bool = False) -> str:
    """Base64 with padding; `url`: with - and _ in place of + and /, without padding."""
    written = base64.urlsafe_b64encode(data).rstrip(b"=") if url else base64.b64encode(data)
    return _Base64(written, "ascii") if len(written) >= _LONG else written.decode()


def unbase64ed(text: Bytes) -> bytes:
    """The bytes of Base64 with padding; InvalidData when it is none."""
    try:
        return base64.b64decode(raw(text), validate=True)
    except (ValueError, TypeError):
        raise InvalidData("no Base64") from None


def gzipped(data: bytes) -> bytes:
    """gzip (RFC 1952), the same bytes for the same data: it holds no time."""
    return gzip_format.compress(data, mtime=0)


def milliseconds(at: datetime) -> int:
    """Unix milliseconds."""
    return int(at.timestamp() * 1000)


_CHINA = timezone(timedelta(hours=8))


def read_china_time(text: object, form: str = "%Y%m%d%H%M%S") -> datetime | None:
    """The time that a text in this form of strptime means at the hospital (UTC+8); None when it is none."""
    asked(form=form)
    try:
        return datetime.strptime(str(text), form).replace(tzinfo=_CHINA)
    except ValueError:
        return None


def china_time(at: datetime, form: str = "%Y%m%d%H%M%S") -> str:
    """The time at the hospital (UTC+8) in a form of strftime."""
    return at.astimezone(_CHINA).strftime(form)
