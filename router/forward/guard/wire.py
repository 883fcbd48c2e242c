"""Frames between the node and the process of a profile: JSON for what is said, and bytes beside it.

Nothing is unpickled: what comes is a value of the known kinds, or InvalidData.
"""

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from router.errors import InvalidData
from router.forward.answer import Answer, Proof
from router.forward.blocks.declaration import Rate
from router.forward.blocks.message import Message
from router.forward.blocks.request import Form, FormPart, Request
from router.forward.blocks.trace import Note
from router.forward.blocks.values import Document, Page, Piece
from router.forward.blocks.verdict import VERDICTS
from router.forward.outline import Outline, Step
from router.policy.comparison import Theirs

_HEAD = struct.Struct(">Q")
_LONGEST = 2**31
_KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Answer, Proof, Rate, Message, Form, FormPart, Request, Note, Document, Page, Piece, Outline, Step, Theirs,
        *VERDICTS,
    )
}  # fmt: skip
_LEFT_OUT = {"keys"}  # a process reads the key files itself


def write(to: BinaryIO, value: object) -> None:
    """Write one frame; TypeError for a value of another kind."""
    beside: list[bytes] = []
    said = json.dumps(_plain(value, beside), allow_nan=False).encode()
    for piece in (said, *beside):
        to.write(_HEAD.pack(len(piece)))
        to.write(piece)
    to.write(_HEAD.pack(0))
    to.flush()


def read(source: BinaryIO) -> Any:
    """Read one frame. EOFError at the end; InvalidData for anything else that is none."""
    pieces = list(iter(lambda: _piece(source), b""))
    try:
        return _value(json.loads(pieces[0]), pieces[1:])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InvalidData("not a frame") from error


def _piece(source: BinaryIO) -> bytes:
    head = source.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    (size,) = _HEAD.unpack(head)
    if size > _LONGEST:
        raise InvalidData("not a frame")
    piece = source.read(size)
    if len(piece) < size:
        raise EOFError
    return piece


def _plain(value: object, beside: list[bytes]) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one, beside) for one in value]
    if isinstance(value, Mapping):
        return {"m": [[_plain(one, beside) for one in pair] for pair in value.items()]}
    if is_dataclass(value) and type(value).__name__ in _KINDS:
        given = {one.name: getattr(value, one.name) for one in fields(value) if one.name not in _LEFT_OUT}
        return {"k": type(value).__name__, "f": {name: _plain(one, beside) for name, one in given.items()}}
    return _leaf(value, beside)


def _leaf(value: object, beside: list[bytes]) -> object:
    if isinstance(value, bytes | bytearray):
        beside.extend([bytes(value)] if value else [])
        return {"b": len(beside) - 1 if value else None}
    if isinstance(value, Path):
        return {"p": str(value)}
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    raise TypeError(f"a {type(value).__name__} has no form on the wire")


def _value(plain: Any, beside: list[bytes]) -> Any:
    if isinstance(plain, list):
        return tuple(_value(one, beside) for one in plain)
    if not isinstance(plain, dict):
        return plain
    if "k" in plain:
        return _KINDS[plain["k"]](**{name: _value(one, beside) for name, one in plain["f"].items()})
    ((kind, said),) = plain.items()
    readers: dict[str, Callable[[], Any]] = {
        "b": lambda: b"" if said is None else beside[said],
        "p": lambda: Path(said),
        "t": lambda: datetime.fromisoformat(said),
        "m": lambda: {_value(name, beside): _value(one, beside) for name, one in said},
    }
    return readers[kind]()
