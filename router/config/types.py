"""Types of values in the configuration file: durations "2 s", "30 min", "6 h", "7 d"; sizes "5 GiB"; paths, names.

Each type reads and checks a value; its fault says what is expected.
"""

import ipaddress
import os
import re
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

_DURATION_UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _quantity(value: object, units: dict[str, float] | dict[str, int], example: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(f'expected a number and one of {", ".join(units)}, like "{example}"')
    return float(match[1]) * units[match[2]]


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        return timedelta(seconds=_quantity(value, _DURATION_UNITS, "30 min"))
    except OverflowError as error:
        raise ValueError("expected a duration that a person can wait for") from error


def _duration_or_off(value: object) -> timedelta | str:
    try:
        return "off" if value == "off" else _duration(value)
    except ValueError as error:
        raise ValueError(f'{error}, or "off"') from error


def _size(value: object) -> int:
    try:
        return value if type(value) is int else int(_quantity(value, _SIZE_UNITS, "5 GiB"))
    except OverflowError as error:
        raise ValueError("expected a size that a disk can have") from error


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("expected a path")
    if re.match(r"\\\\|//|smb:|[A-Za-z]:[\\/]", str(value)):
        raise ValueError("expected a path of this machine: mount the Windows share and name the folder that it is at")
    base: Path = (info.context or {}).get("base", Path.cwd())
    return Path(os.path.normpath(base / value))


def _existing(value: Path) -> Path:
    if not value.exists():
        raise ValueError("no such file")
    return value


def _zone(value: object) -> ZoneInfo:
    try:
        return value if isinstance(value, ZoneInfo) else ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError('expected a time zone name like "Asia/Shanghai"') from error


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    return value


def _network(value: str) -> str:
    ipaddress.ip_network(value, strict=False)
    return value


def check_ae_title(value: str) -> str:
    stripped = value.strip(" ")
    if not re.fullmatch(r"[ -\[\]-~]{1,16}", stripped):
        raise ValueError("expected an AE title: 1 to 16 ASCII characters without backslash (PS3.5 6.2)")
    return stripped


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("expected more than nothing")
    return value


def _of_the_hospital(value: time) -> time:
    if value.tzinfo:
        raise ValueError("expected a time of the hospital's clock, like 08:00")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
DurationOrOff = Annotated[timedelta | Literal["off"], BeforeValidator(_duration_or_off)]
Budget = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
A_SIZE = BeforeValidator(_size)  # in the metadata of every field that holds a size
Size = Annotated[int, A_SIZE, Field(ge=0)]
ConfigPath = Annotated[Path, BeforeValidator(_path)]
WrittenPath = Annotated[Path, BeforeValidator(_path), AfterValidator(_existing)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Network = Annotated[str, AfterValidator(_network)]
AeTitle = Annotated[str, AfterValidator(check_ae_title)]
Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
TimeOfDay = Annotated[time, AfterValidator(_of_the_hospital)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]


def ago(text: str, now: datetime) -> datetime:
    """The instant that lies the duration `text` ("30 d", "30d") before `now`. ValueError when it is no duration."""
    try:
        return now - _duration(text)
    except OverflowError as error:
        raise ValueError("expected a time that a calendar goes back") from error


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine's own loopback, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Whether an IP address lies in one of the networks, or there are none.

    An IPv4 address written as IPv6 (::ffff:10.0.0.1) counts as itself, and a scope (%eth0) is left out.
    """
    if not networks:
        return True
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any((mapped or ip) in ipaddress.ip_network(each, strict=False) for each in networks)
