"""The configuration file: TOML in, one frozen Config out, or every fault. Relative paths are relative to the file."""

import functools
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from router.config.sections import Config
from router.errors import ConfigurationError
from router.text.spelling import did_you_mean

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file as it was read: `digest` of its bytes, SHA-256 in hex digits."""

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> "ConfigFile":
        """The file as it is; the digest is "" where it cannot be read."""
        try:
            data = path.read_bytes()
        except OSError:
            return cls(path.absolute(), "")
        return cls(path.absolute(), hashlib.sha256(data).hexdigest())


Stamp = tuple[int, int, int]


def stamp_of(file: Path) -> Stamp | None:
    """Modification time, size and inode, by which a changed file is known; None where it cannot be looked at."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def shipped(name: str) -> Path:
    """A file or folder of conf/: beside the package in a checkout, inside it once installed."""
    inside = _PACKAGE / "conf" / name
    return inside if inside.exists() else _PACKAGE.parent / "conf" / name


def load(path: Path) -> Config:
    """Read and check the file; ConfigurationError names every fault with its key, value and what is expected."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", hint="name it with --config FILE") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8") from error
    return parse(text, base=path.resolve().parent, source=str(path))


def parse(text: str, *, base: Path, source: str = "configuration") -> Config:
    """Check a configuration given as TOML text; relative paths are relative to `base`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{source} is not TOML: {error}") from error
    try:
        return Config.model_validate(raw, context={"base": base})
    except ValidationError as error:
        faults = tuple(_fault(e) for e in error.errors(include_url=False, include_context=False))
        raise ConfigurationError(f"{source} has {len(faults)} fault(s):", faults=faults) from error


def _hint(path: Sequence[str | int]) -> str:
    """A hint about an unknown key: one of the same table that is spelled alike, else the table that has this key."""
    *outer, name = (part for part in path if isinstance(part, str))
    if meant := did_you_mean(name, _tables().get(".".join(outer), ())):
        return meant
    elsewhere = [table for table, keys in _tables().items() if name in keys and table]
    return f"; it belongs to [{elsewhere[0]}]" if len(elsewhere) == 1 else ""


@functools.cache
def _tables() -> Mapping[str, frozenset[str]]:
    """The keys of every table of the file by its name, `destination.http`; "" for the names of the tables."""
    found: dict[str, frozenset[str]] = {}
    waiting: list[tuple[str, type[BaseModel]]] = [("", Config)]
    for name, section in waiting:
        fields = {field.alias or key: field for key, field in section.model_fields.items()}
        found[name] = frozenset(fields)
        waiting += [
            (f"{name}.{key}".lstrip("."), below)
            for key, field in fields.items()
            if (below := _section_in(field.annotation)) is not None
        ]
    return found


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The kind of table that a key holds, alone, in a list or as one choice of several; None when it holds a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _section_in(each)) is not None), None)


def _fault(error: Any) -> str:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key}: missing; it has no default"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key{_hint(error['loc'])}"
    # The addresses that alarms go to may hold a secret.
    secret = error["loc"][:1] == ("alarms",) and not {"url", "targets"}.isdisjoint(error["loc"])
    if isinstance(error["input"], dict) or not key or secret:
        return f"{key}: {message}" if key else message
    return f"{key} = {error['input']!r}: {message}"
