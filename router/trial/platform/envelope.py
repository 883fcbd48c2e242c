"""The envelope of an upload, read strictly: the meta part by its profile, or a Refusal."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from router.trial.platform.access import is_nonce, is_time
from router.trial.platform.answers import wrong

PARTS: Mapping[str, tuple[str, ...]] = {"": ("exam", "report"), "withdraw": ("notice",)}
"""The encrypted parts of a message by its operation; an upload names none."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Shape:
    """Constants of a profile: its name, its algorithm, the lengths of vectors and tags in bytes."""

    profile: str
    algorithm: str
    iv: int
    tag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Description of an encrypted part in meta; `length` in bytes and `sm3` in hex are the ciphertext's."""

    name: str
    iv: bytes
    tag: bytes
    length: int
    sm3: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """The meta part. `ts` is Unix milliseconds; keys are derived by `key`; an upload's operation is ""."""

    profile: str
    org: str
    app: str
    ts: int
    nonce: str
    idem: str
    revision: int
    key: Mapping[str, Any]
    parts: tuple[Part, ...]
    operation: str = ""

    def bound(self, purpose: str) -> bytes:
        """The text that binds a part, or a key, to its message."""
        return f"{self.profile}|{self.org}|{self.app}|{self.idem}|{purpose}".encode()


def read_object(data: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8; a repeated name is refused. Raises ValueError or RecursionError."""
    document = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - bad data, not a wrong call
    return document


def nonce_in(data: bytes) -> str:
    """The nonce of a meta part that may have other faults; "" when it has none."""
    try:
        nonce = read_object(data).get("nonce")
    except (ValueError, RecursionError):
        return ""
    return nonce if isinstance(nonce, str) and is_nonce(nonce) else ""


def read_meta(data: bytes, shape: Shape) -> Meta:
    """Read the meta part; Refusal 400 names the first wrong field."""
    try:
        document = read_object(data)
    except (ValueError, RecursionError) as error:
        raise wrong("meta: not a JSON object") from error
    if document.get("profile") != shape.profile:
        raise wrong(f"meta: profile is not {shape.profile}")
    key, parts = document.get("key"), document.get("parts")
    if not isinstance(key, Mapping) or key.get("alg") != shape.algorithm:
        raise wrong(f"meta: key.alg is not {shape.algorithm}")
    operation = document.get("operation", "")
    names = PARTS.get(operation) if isinstance(operation, str) else None
    if names is None:
        raise wrong("meta: operation is unknown")
    if not isinstance(parts, list) or len(parts) != len(names):
        raise wrong(f"meta: parts are not {' and '.join(names)}")
    return Meta(
        profile=shape.profile, org=_field(document, "org", is_name), app=_field(document, "app", is_name),
        ts=_field(document, "ts", is_time), nonce=_field(document, "nonce", is_nonce),
        idem=_field(document, "idem", is_name),
        revision=_field(document, "revision", lambda value: type(value) is int and 1 <= value < 2**31), key=key,
        parts=tuple(_read_part(part, name, shape) for part, name in zip(parts, names, strict=True)),
        operation=operation,
    )  # fmt: skip


def read_question(data: bytes, shape: Shape) -> Meta:
    """The body of a request without parts, as a meta part that binds its keys; Refusal 400 names a wrong field."""
    try:
        document = read_object(data)
    except (ValueError, RecursionError) as error:
        raise wrong("body: not a JSON object") from error
    key = document.get("key")
    if not isinstance(key, Mapping) or key.get("alg") != shape.algorithm:
        raise wrong(f"body: key.alg is not {shape.algorithm}")
    return Meta(
        profile=shape.profile, org=_field(document, "org", is_name), app=_field(document, "app", is_name),
        ts=_field(document, "ts", is_time), nonce=_field(document, "nonce", is_nonce), idem="", revision=0, key=key,
        parts=(),
    )  # fmt: skip


def _read_part(part: object, name: str, shape: Shape) -> Part:
    if not isinstance(part, Mapping) or part.get("name") != name:
        raise wrong(f"meta: part {name} is not where it belongs")
    length = _field(part, "length", lambda value: type(value) is int and value >= 0)
    digest = _field(part, "sm3", lambda value: _matches(_DIGEST, value))
    return Part(
        name=name, iv=read_bytes(part, "iv", shape.iv), tag=read_bytes(part, "tag", shape.tag), length=length,
        sm3=digest,
    )  # fmt: skip


def _field(document: Mapping[str, Any], name: str, is_right: Callable[[object], bool]) -> Any:
    value = document.get(name)
    if not is_right(value):
        raise wrong(f"meta: {name} is missing or wrong")
    return value


def read_key_id(document: Mapping[str, Any], name: str) -> str:
    """A key id field of meta; Refusal 400 when it is none."""
    value: str = _field(document, name, lambda value: _matches(_KEY_ID, value))
    return value


def read_bytes(document: Mapping[str, Any], name: str, length: int | None = None) -> bytes:
    """A base64 field of meta, of so many bytes; Refusal 400 when it is not."""
    try:
        value = base64.b64decode(_field(document, name, lambda value: isinstance(value, str)), validate=True)
    except (binascii.Error, ValueError) as error:
        raise wrong(f"meta: {name} is not base64") from error
    if length is not None and len(value) != length:
        raise wrong(f"meta: {name} is not {length} bytes long")
    return value


def is_name(value: object) -> bool:
    """Whether a value can be an app, an organisation or an idem."""
    return _matches(_NAME, value)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name comes twice")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
