"""A faulty configuration file, read as far as possible: for commands that only look."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from router.config.file import hospital_files
from router.config.sections import Config, Hospital

_HEADER = re.compile(r"^[ \t]*\[[^\]=]+\]+[ \t]*(#.*)?$")
_ROUNDS = 100  # each removes at least one fault
_OF_A_NODE = ("node", "database", "receive", "reports", "admin", "hospital")
_NOBODY = Hospital.model_construct(USCI="", HospitalCode="", HospitalName="", HospitalBranchCode="")


def salvage(path: Path) -> Config:
    """The readable part of the file and of its hospitals' files, with defaults for the rest.

    Not for running a node: a hospital may be empty, or missing.
    """
    base = path.resolve().parent
    try:
        files = hospital_files(base)
    except OSError:
        files = ()
    hospitals = [one for file in files if (one := _hospital(file)) is not None]
    return salvaged(_text(path), base=base, hospitals=hospitals)


def salvaged(text: str, *, base: Path, hospitals: Sequence[Hospital] = ()) -> Config:
    """As `salvage`, of the file's text and these hospitals; relative paths are relative to `base`."""
    raw = _tables(text.removeprefix("\ufeff"))
    if hospitals:
        given = raw.get("hospital")
        raw["hospital"] = [*(given if isinstance(given, list) else ()), *hospitals]
    for _ in range(_ROUNDS):
        try:
            return Config.model_validate(raw, context={"base": base})
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_context=False, include_input=False):
                _take_away(raw, fault["loc"])
    return Config.model_validate({"hospital": (_NOBODY,)}, context={"base": base})


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _hospital(file: Path) -> Hospital | None:
    """The readable part of a hospital's file; None where its constants cannot be read."""
    raw = {"name": file.stem, **_tables(_text(file).removeprefix("\ufeff"))}
    raw.pop("account", None)
    for _ in range(_ROUNDS):
        try:
            return Hospital.model_validate(raw, context={"base": file.parent})
        except ValidationError as error:
            wrong = {fault["loc"][0] for fault in error.errors(include_url=False) if fault["loc"]}
            if not wrong & raw.keys():
                return None
            raw = {key: value for key, value in raw.items() if key not in wrong}
    return None


def _take_away(raw: dict[str, Any], path: Sequence[int | str]) -> None:
    """Remove the faulty value. For a missing value remove its table; an empty hospital replaces a missing one."""
    if not path:  # sections that contradict each other
        others = set(raw) - set(_OF_A_NODE)
        for section in others:
            del raw[section]
        if not others:
            raw["hospital"] = (_NOBODY,)
        return
    holder: Any = raw
    trail: list[tuple[Any, int | str]] = []
    for step in path:
        if not _has(holder, step):
            break
        trail.append((holder, step))
        holder = holder[step]
    if path[:1] == ("hospital",) or not trail:
        raw["hospital"] = (_NOBODY,)
    elif isinstance(trail[-1][0], list):
        del trail[0][0][trail[0][1]]  # the whole list: removing one entry would renumber the others
    else:
        del trail[-1][0][trail[-1][1]]


def _has(holder: Any, step: int | str) -> bool:
    if isinstance(holder, dict):
        return step in holder
    return isinstance(holder, list) and isinstance(step, int) and step < len(holder)


def _tables(text: str) -> dict[str, Any]:
    """The text as TOML; where it has a fault, the tables that read, and of the others the lines that read."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        kept = [part for table in _split(text) for part in _sound(table)]
    while kept:
        try:
            return tomllib.loads("\n".join(kept))
        except tomllib.TOMLDecodeError:  # such as a table that is there twice
            kept.pop()
    return {}


def _split(text: str) -> Iterator[list[str]]:
    table: list[str] = []
    for line in text.splitlines():
        if _HEADER.match(line) and table:
            yield table
            table = []
        table.append(line)
    yield table


def _sound(table: Sequence[str]) -> Iterator[str]:
    if _reads("\n".join(table)):
        yield "\n".join(table)
        return
    header = table[0] if table and _HEADER.match(table[0]) else ""
    if header and not _reads(header):
        return
    kept = [header]
    for line in table[1:] if header else table:
        if _reads("\n".join([*kept, line])):
            kept.append(line)
    yield "\n".join(kept)


def _reads(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
