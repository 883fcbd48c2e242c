"""Tables for people: aligned, with colour on a terminal, plain when piped."""

import contextlib
import io
import itertools
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TextIO, TypeVar, cast
from zoneinfo import ZoneInfo

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table
from rich.text import Text

from router.cli.speech import say, tongue
from router.policy.states import State
from router.text.decoding import shown

_PIPED_WIDTH = 10_000
_WIDE = 140
_WATCH_SECONDS = 2.0
_SHORT = 20  # a column of a time, a name or a number; it is not folded where the longer ones can be, to _LONG each
_LONG = 12
_COLOURS = {
    State.DELIVERED: "green", State.HELD: "yellow", State.DEFERRED: "yellow", State.FAILED: "red",
    State.CANCELLED: "dim",
}  # fmt: skip
_HOME = "\x1b[H\x1b[2J"
_T = TypeVar("_T")


class _Plain:
    """A stream for text alone: control characters are written out. `raw` is the stream itself."""

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        self.raw.write(shown(text, lines=True))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


@contextlib.contextmanager
def plain_output() -> Iterator[None]:
    """Write out every control character on stdout and stderr, whoever prints it."""
    out, err = sys.stdout, sys.stderr
    for stream in (out, err):
        _write_han(stream)
    sys.stdout, sys.stderr = cast("TextIO", _Plain(out)), cast("TextIO", _Plain(err))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def _write_han(stream: TextIO) -> None:
    """Let a stream write Chinese, as UTF-8 if the terminal's locale cannot, and never fail at a character."""
    if not isinstance(stream, io.TextIOWrapper):
        return
    try:
        "中".encode(stream.encoding)
    except UnicodeEncodeError:
        stream.reconfigure(encoding="utf-8")
    stream.reconfigure(errors="backslashreplace")


def raw(stream: TextIO) -> TextIO:
    """The stream for terminal sequences: colours and progress bars."""
    return stream.raw if isinstance(stream, _Plain) else stream


class _Console(Console):
    """A console that prints texts in the command's language."""

    def print(self, *objects: Any, **options: Any) -> None:
        texts = (shown(say(each), lines=True) if isinstance(each, str) else each for each in objects)
        super().print(*texts, **options)


def console() -> Console:
    """stdout. If it is no terminal: never coloured, and so wide that nothing folds."""
    if sys.stdout.isatty():
        return _Console(highlight=False, file=raw(sys.stdout))
    return _Console(width=_PIPED_WIDTH, highlight=False, force_terminal=False, file=raw(sys.stdout))


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], below: Sequence[str] | None = None) -> None:
    """Print a table below a blank line and its title, if it has one; without rows the title says so.

    Title and columns are translated, rows are shown as they are. `below` has a line for each row, printed under it and
    cut at the screen's edge.
    """
    title, columns = say(title), [say(column) for column in columns]
    colours = {say(state): colour for state, colour in _COLOURS.items()}
    out, cells = console(), [[shown(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    whole = sum(width if width <= _SHORT else _LONG for width in widths) + 2 * len(widths) <= out.width
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, overflow="fold", no_wrap=whole and width <= _SHORT)
    for row in cells:
        table.add_row(*(Text(cell, colours.get(cell, "")) for cell in row))
    if title:
        out.print(Text(f"\n{shown(title)}" if table.rows else f"\n{shown(title)}{tongue().say(': none')}", "bold"))
    if table.rows:
        with out.capture() as printed:
            out.print(table)
        lines = printed.get().splitlines()
        if below is not None:
            lines = [*lines[:1], *itertools.chain(*zip(lines[1:], _cut(below, out.width), strict=True))]
        raw(sys.stdout).writelines(f"{line.rstrip()}\n" for line in lines if line.strip())


def with_hospital(columns: Sequence[str], several: bool) -> Sequence[str]:
    """The columns of a table whose rows name their hospital in the second one, where there are `several`."""
    return (*columns[:1], "Hospital", *columns[1:]) if several else columns


def _cut(lines: Iterable[str], width: int) -> Iterator[str]:
    for line in lines:
        text = Text(f"     {shown(line)}", no_wrap=True)
        text.truncate(width, overflow="ellipsis")
        yield text.plain


def packed(parts: Sequence[str], width: int) -> list[str]:
    """Lines of at most `width` columns, filled with `parts`; a part may have markup. All but the first are indented."""
    lines = list(parts[:1]) or [""]
    for part in parts[1:]:
        longer = f"{lines[-1]}, {part}"
        if Text.from_markup(longer).cell_len + 1 > width:  # a comma follows
            lines[-1] += ","
            lines.append(f"  {part}")
        else:
            lines[-1] = longer
    return lines


def shortened(text: str, width: int) -> str:
    """The text, without its middle if it is wider than so many columns."""
    if cell_len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{chop_cells(text, half)[0]}…{chop_cells(text[::-1], half)[0][::-1]}"


def is_narrow() -> bool:
    """Whether the screen has no room for a table of many columns."""
    return console().width < _WIDE


def lines_here() -> int:
    """How many rows of a table fit on the screen."""
    return max(shutil.get_terminal_size().lines - 3, 5)


def bar(items: Iterable[_T], text: str, total: int | None = None, *, transient: bool = False) -> Iterable[_T]:
    """The items, with a progress bar on a terminal's stderr; `total` is needed where they have no length."""
    from rich.progress import track

    out, quiet = Console(stderr=True), not sys.stderr.isatty()
    return track(items, say(text), total, console=out, disable=quiet, transient=transient)


def watching(tell: Callable[[], None], rest: Callable[[float], None], *, again: bool) -> None:
    """Call `tell` once, or `again` and again until Ctrl-C, on a cleared screen if there is one."""
    if not again:
        tell()
        return
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            if sys.stdout.isatty():
                raw(sys.stdout).write(_HOME)
            tell()
            sys.stdout.flush()
            rest(_WATCH_SECONDS)


def local(instant: datetime | None, zone: ZoneInfo) -> str:
    """An instant as the hospital's clock shows it; "-" for none."""
    return "-" if instant is None else f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def iso(instant: datetime | None) -> str | None:
    """An instant for programs."""
    return None if instant is None else instant.isoformat()


def brief(instant: datetime | None, zone: ZoneInfo) -> str:
    """An instant without year and seconds, for wide tables."""
    return "-" if instant is None else f"{instant.astimezone(zone):%m-%d %H:%M}"


def left(seconds: float | None) -> str:
    """Time left in words: `41 min`, `3.2 h late`."""
    if seconds is None:
        return "-"
    size, our = abs(seconds), tongue()
    if size >= 3600:
        text = our.say("{hours} h", hours=f"{size / 3600:.1f}")
    elif size >= 60:
        text = our.say("{minutes} min", minutes=f"{size / 60:.0f}")
    else:
        text = our.say("{seconds} s", seconds=f"{size:.0f}")
    return text if seconds >= 0 else our.say("{time} late", time=text)
