"""Tables for people: aligned, with colour on a terminal, plain when piped."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

_PIPED_WIDTH = 200


def console() -> Console:
    """stdout; wide when it is no terminal, so that nothing is folded."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def local(instant: datetime | None, zone: ZoneInfo) -> str:
    """An instant as the hospital's clock shows it; "-" for none."""
    return "-" if instant is None else f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def left(seconds: float | None) -> str:
    """Time left in words: `41 min`, `3.2 h late`."""
    if seconds is None:
        return "-"
    size = abs(seconds)
    text = f"{size / 3600:.1f} h" if size >= 3600 else f"{size / 60:.0f} min" if size >= 60 else f"{size:.0f} s"
    return text if seconds >= 0 else f"{text} late"
