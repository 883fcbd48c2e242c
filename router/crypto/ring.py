"""Key rings: several keys for one purpose, so that one can follow another during operation.

A key ring is a TOML file beside the keys; a key file by itself is a ring of one active key:

    [[key]]
    file = "hospital-sign-2026.pem"       # relative to the ring
    state = "active"                      # or "next", "retiring"
    until = 2027-01-31T00:00:00+08:00     # optional, as `since`; with its offset from UTC
    id = "0f1e2d3c4b5a6978"               # optional: refused when the file's key has another

Its file may hold a certificate, outside of whose time it is neither used nor accepted.

An `active` key is used and accepted; a `next` one is accepted, and used from its `since` on; a `retiring` one is
accepted only.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

from router.crypto.sm2_certificates import Validity
from router.errors import ConfigurationError, DestinationDown, Outage

_FIELDS = {"file", "state", "since", "until", "id"}
_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
Key = TypeVar("Key")


class State(StrEnum):
    """State of a key, which decides what it may be used for."""

    ACTIVE = "active"
    NEXT = "next"
    RETIRING = "retiring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[Key]):
    """A key, its id and its time: from `since` (a `next` key earlier, too), before `until`. It never prints the key.

    `validity` is its certificate's, None without one.
    """

    id: str
    key: Key
    file: Path
    state: State = State.ACTIVE
    since: datetime = _EVER[0]
    until: datetime = _EVER[1]
    validity: Validity | None = None

    def __repr__(self) -> str:
        return f"Entry({self.id}, {self.state})"

    def is_good(self, at: datetime) -> bool:
        """Whether its messages are accepted: a `next` key's also before `since`, for the peer's clock may be ahead."""
        return self._holds(at) and (self.state == State.NEXT or self.since <= at) and at < self.until

    def makes(self, at: datetime) -> bool:
        """Whether this key may be used at this time; a `next` key without `since` waits until it is made active."""
        return self._holds(at) and self.since <= at < self.until and (self.state == State.ACTIVE or self.follows)

    @property
    def follows(self) -> bool:
        """Whether it takes over by itself."""
        return self.state == State.NEXT and self.since > _EVER[0]

    def _holds(self, at: datetime) -> bool:
        return self.validity is None or self.validity.holds(at)


@dataclass(frozen=True, slots=True)
class Ring(Generic[Key]):
    """The keys of one purpose. `files` are all that were read for it."""

    purpose: str
    entries: tuple[Entry[Key], ...]
    files: tuple[Path, ...]

    def active(self, at: datetime) -> Entry[Key]:
        """The key to use now, of several the one with the latest `since`; DestinationDown when none is in force."""
        able = [entry for entry in self.entries if entry.makes(at)]
        if not able:
            text, hint = f"no {self.purpose} is in force now", f"see the dates in {self.files[0]}, and `keys show`"
            raise DestinationDown(text, outage=Outage.KEYS, hint=hint)
        return max(able, key=lambda entry: (entry.since, entry.state == State.NEXT))

    def good(self, key_id: str, at: datetime) -> Entry[Key] | None:
        """The key of this id, if its messages are accepted at this time."""
        return next((entry for entry in self.entries if entry.id == key_id and entry.is_good(at)), None)

    def ends(self) -> datetime | None:
        """When the last certificate of the keys ends that are used, or take over by themselves; None without one."""
        used = [one for one in self.entries if one.state == State.ACTIVE or one.follows]
        ends = [one.validity.ends for one in used if one.validity is not None]
        return max(ends) if len(ends) == len(used) else None

    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, sorted."""
        return tuple(sorted(entry.id for entry in self.entries))


def load_ring(
    path: Path, purpose: str, load: Callable[[Path], Key], key_id: Callable[[Key], str],
    valid: Callable[[Path], Validity | None] = lambda _: None,
) -> Ring[Key]:  # fmt: skip
    """The ring in a `.toml` file, or a key file alone as a ring of one. ConfigurationError names a fault.

    `valid` checks the certificate of a key file, where it has one. A key whose id is "" is not compared by it.
    """
    if path.suffix != ".toml":
        key = load(path)
        return Ring(purpose, (Entry(id=key_id(key), key=key, file=path, validity=valid(path)),), (path,))
    entries = tuple(_entry(path, table, load, key_id, valid) for table in _tables(path))
    if sum(entry.state == State.ACTIVE for entry in entries) != 1:
        raise ConfigurationError(f"key ring {path}: exactly one key is active")
    ids = [entry.id for entry in entries if entry.id]
    if len(set(ids)) < len(ids):
        raise ConfigurationError(f"key ring {path}: one key comes twice")
    if backwards := next((entry for entry in entries if entry.since >= entry.until), None):
        raise ConfigurationError(f"key ring {path}: {backwards.file} ends before it begins")
    return Ring(purpose, entries, (path, *(entry.file for entry in entries)))


def _tables(path: Path) -> list[dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read key ring {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"key ring {path} is not TOML: {error}") from error
    tables = document.get("key")
    if set(document) != {"key"} or not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise ConfigurationError(f"key ring {path} does not hold [[key]] tables and nothing else")
    return tables


def _entry(
    path: Path, table: dict[str, Any], load: Callable[[Path], Key], key_id: Callable[[Key], str],
    valid: Callable[[Path], Validity | None],
) -> Entry[Key]:  # fmt: skip
    if unknown := set(table) - _FIELDS:
        raise ConfigurationError(f"key ring {path}: unknown {', '.join(sorted(unknown))}")
    if not isinstance(table.get("file"), str) or table.get("state") not in list(State):
        raise ConfigurationError(f"key ring {path}: each key has a file and a state, one of {', '.join(State)}")
    file = path.parent / table["file"]
    key = load(file)
    found = key_id(key)
    if found and table.get("id", found) != found:
        raise ConfigurationError(f"key ring {path}: {file} holds key {found}, not {table['id']}")
    return Entry(
        id=found,
        key=key,
        file=file,
        state=State(table["state"]),
        since=_at(path, table, "since"),
        until=_at(path, table, "until"),
        validity=valid(file),
    )


def _at(path: Path, table: dict[str, Any], name: str) -> datetime:
    value = table.get(name, _EVER[name == "until"])
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigurationError(f"key ring {path}: {name} is no time with an offset, like 2027-01-31T00:00:00+08:00")
    return value
