"""The configuration key by key for people, without secrets, and beside it what the file says by now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from router.config.alarms import Target
from router.config.changes import Changes
from router.config.sections import Config
from router.config.sharing import Exclude
from router.config.types import A_SIZE
from router.config.written import written

HIDDEN = "•••"
_OPEN = frozenset({"branch", "modality", "device", "department"})  # fields of [[destination.accept]] that name nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A key of a table, `destination cloud.http`, as the node uses it; "" where it has none there.

    `wanted` is its value in the file where that is another: `waits` then says whether it waits for a restart.
    """

    table: str
    key: str
    value: str
    default: bool
    wanted: str | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as it may be shown, and as it is."""

    shown: str
    value: object
    default: bool


_Listing = Mapping[tuple[str, str], _Value]


def listed(running: Config, changes: Changes | None = None, wanted: Config | None = None) -> list[Setting]:
    """The keys in the order of their tables; with `changes` from the configuration in use to the `wanted` one."""
    now = dict(_rows("", running))
    taken = now if changes is None else dict(_rows("", changes.config))
    file = now if wanted is None else dict(_rows("", wanted))
    return [_setting(*where, now, taken, file) for where in dict.fromkeys([*now, *file])]


def _setting(table: str, key: str, now: _Listing, taken: _Listing, file: _Listing) -> Setting:
    where = table, key
    here, there = now.get(where), file.get(where)
    differs = here is None or there is None or here.value != there.value
    return Setting(
        table=table, key=key, value=here.shown if here else "", default=here is not None and here.default,
        wanted=None if not differs else there.shown if there else "",
        waits=differs and _raw(taken.get(where)) != _raw(there),
    )  # fmt: skip


def _raw(one: _Value | None) -> object:
    return None if one is None else (one.value,)


def _rows(table: str, section: BaseModel) -> Iterator[tuple[tuple[str, str], _Value]]:
    """The keys of a table, then those of the tables in it."""
    below: list[tuple[str, BaseModel]] = []
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), field.alias or name
        inner = f"{table}.{key}".lstrip(".")
        if isinstance(value, BaseModel):
            below.append((inner, value))
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            below += [(f"{inner} {name}".rstrip(), one) for name, one in zip(_names(value), value, strict=True)]
        else:
            default = not field.is_required() and value == field.default
            yield (table, key), _Value(_shown(key, value, size=A_SIZE in field.metadata), value, default)
    for key, value in (section.model_extra or {}).items():
        hidden = isinstance(section, Exclude) or key not in _OPEN
        yield (table, key), _Value(HIDDEN if hidden else written(value), value, default=False)
    for inner, one in below:
        yield from _rows(inner, one)


def _names(tables: Sequence[BaseModel]) -> list[str]:
    """Names that tell tables of a kind apart: each its own, its number where it has none or another has the same."""
    keys = ("name", "hospital", "ae_title", "station_name", "code")
    found = [
        next((name for key in keys if isinstance(name := getattr(one, key, ""), str) and name), "") for one in tables
    ]
    if len(tables) == 1:
        return found
    return [name if name and found.count(name) == 1 else f"{name} {n}".lstrip() for n, name in enumerate(found, 1)]


def _shown(key: str, value: Any, *, size: bool) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, tuple) and any(isinstance(one, Target) for one in value):
        shown = [
            f"{{ url = {HIDDEN}, hospitals = {written(one.hospitals)} }}" if one.hospitals else HIDDEN for one in value
        ]
        return f"[{', '.join(shown)}]"
    if key == "url":
        return f'"{_address(value)}"'
    if key == "program":  # an argument may be a token
        return written((*value[:1], *(HIDDEN for _ in value[1:])))
    if isinstance(value, dict):
        return ", ".join(f"{name} = {HIDDEN if key == 'settings' else written(one)}" for name, one in value.items())
    return written(value, size=size)


def _address(url: str) -> str:
    """Scheme and host of a URL: user, path and query may be secrets."""
    try:
        found = urlsplit(url)
        host = f"{found.hostname or ''}{f':{found.port}' if found.port else ''}"
    except ValueError:
        return HIDDEN
    if not url:
        return ""
    rest = found.username is not None or found.path.strip("/") or found.query
    return f"{found.scheme}://{host}{f'/{HIDDEN}' if rest else ''}" if found.scheme else HIDDEN
