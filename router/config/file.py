"""The configuration file: TOML in, one frozen Config out, or every fault. Relative paths are relative to the file."""

import functools
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from router.config.destinations import Account
from router.config.sections import Config, Hospital
from router.errors import ConfigurationError
from router.text.spelling import did_you_mean

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file as it was read: `digest` of its bytes and its hospitals' files', SHA-256 in hex digits."""

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> "ConfigFile":
        """The file as it is; the digest is "" where it cannot be read."""
        try:
            data = b"".join(each.read_bytes() for each in (path, *hospital_files(path.resolve().parent)))
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
    base = path.resolve().parent
    return _checked(_toml(_text(path), str(path)), base, str(path), hospital_files(base))


def parse(text: str, *, base: Path, source: str = "configuration") -> Config:
    """Check a configuration given as TOML text; relative paths are relative to `base`."""
    return _checked(_toml(text, source), base, source, ())


def hospital_files(base: Path) -> Sequence[Path]:
    """Files of a hospital each, hospitals/NAME.toml beside the configuration."""
    return sorted((base / "hospitals").glob("*.toml"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", hint="name it with --config FILE") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8") from error


def _toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{source} is not TOML: {error}") from error


def _checked(raw: dict[str, Any], base: Path, source: str, files: Sequence[Path]) -> Config:
    """The configuration with a hospital of each file; ConfigurationError names the faults of all of them."""
    faults: list[str] = []
    if isinstance(raw.get("hospital"), dict) and files:
        faults.append(f"hospital: [hospital] is the only one, and {files[0].parent} has more: use [[hospital]]")
    for file in files:
        faults += _take_hospital(raw, file)
    try:
        config = Config.model_validate(raw, context={"base": base})
    except ValidationError as error:
        faults += [_fault(e) for e in error.errors(include_url=False, include_context=False)]
    alone = [raw, raw["alarms"]] if isinstance(raw.get("alarms"), dict) else [raw]
    for name in (
        name for table in alone for name in ("hospital", "webhook", "mail") if isinstance(table.get(name), dict)
    ):
        faults = [fault.replace(f"{name}[0]", name, 1) for fault in faults]
    if faults:
        raise ConfigurationError(f"{source} has {len(faults)} fault(s):", faults=tuple(faults))
    return config


def _take_hospital(raw: dict[str, Any], file: Path) -> list[str]:
    """Add the hospital of a file to the raw configuration, its accounts to their destinations; the file's faults."""
    try:
        given = {"name": file.stem, **_toml(_text(file), str(file))}
        accounts = given.pop("account", [])
        hospital = Hospital.model_validate(given, context={"base": file.parent})
        for account in accounts:
            _take_account(raw, dict(account), hospital.name, file)
    except ConfigurationError as error:
        return [f"{file.name}: {fault}" for fault in error.faults or (str(error),)]
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        return [f"{file.name}: {_fault(e, 'hospital')}" for e in faults]
    if isinstance(several := raw.setdefault("hospital", []), list):
        several.append(hospital)
    return []


def _take_account(raw: dict[str, Any], account: dict[str, Any], hospital: str, file: Path) -> None:
    name = account.pop("destination", "")
    owner = next((one for one in raw.get("destination", []) if one.get("name") == name), None)
    if owner is None:
        raise ConfigurationError(f"account.destination = {name!r}: no [[destination]] has this name")
    own = Account.model_validate({"hospital": hospital, **account}, context={"base": file.parent})
    owner.setdefault("account", []).append(own)


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


def _fault(error: Any, table: str = "") -> str:
    """The fault for people; `table` is that of the whole file whose keys were checked."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key}: missing; it has no default"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key" + _hint((table, *error["loc"]) if table else error["loc"])
    # The addresses that alarms go to may hold a secret.
    secret = error["loc"][:1] == ("alarms",) and not {"url", "targets"}.isdisjoint(error["loc"])
    if isinstance(error["input"], dict) or not key or secret:
        return f"{key}: {message}" if key else message
    return f"{key} = {error['input']!r}: {message}"
