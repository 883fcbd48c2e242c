"""Values of the configuration as its file would have them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def written(value: Any, *, size: bool = False) -> str:
    """A value as the file would have it; `size`: a number of bytes."""
    if isinstance(value, timedelta):
        if value % timedelta(seconds=1):
            return f'"{value / timedelta(milliseconds=1):g} ms"'
        return _quantity(int(value.total_seconds()), _UNITS)
    if size and isinstance(value, int):
        return _quantity(value, _SIZES)
    if isinstance(value, tuple):
        return f"[{', '.join(written(each, size=size) for each in value)}]"
    if value is None or isinstance(value, int | float | dict):
        return "not set" if value is None else str(value).lower()
    return f'"{value.as_posix() if isinstance(value, Path) else value}"'


def _quantity(value: int, units: tuple[tuple[int, str], ...]) -> str:
    """In the largest unit that divides it."""
    size, unit = next((size, unit) for size, unit in units if value % size == 0)
    return f'"{value // size} {unit}"'
