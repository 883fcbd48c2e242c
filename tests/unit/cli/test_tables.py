"""Tables for people: aligned with wide characters, plain and without padding when piped, coloured on a terminal."""

import io
import re
import sys

import pytest
from rich.cells import cell_len

from router.cli.tables import console, packed, show

ROWS = [("1", "检查甲", "delivered", ""), ("22", "exam", "failed", "x" * 300)]
COLUMNS = ("ID", "ExamId 检查记录ID", "State", "Trouble")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(sys, "stdout", out)
    show("Deliveries", COLUMNS, ROWS)
    console().print("[red]late[/red]")
    return out.getvalue().splitlines()


def test_a_piped_table_has_no_colour_no_padding_and_no_folded_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = shown(io.StringIO(), monkeypatch)
    assert lines[:2] == ["", "Deliveries"]
    assert lines[5:] == ["late"]
    assert "\x1b" not in "".join(lines)
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[4].endswith("x" * 300)


def test_columns_are_aligned_by_what_characters_take_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    head, *rows = shown(io.StringIO(), monkeypatch)[2:5]
    named = zip((head, *rows), ("State", "deliv", "fail"), strict=True)
    places = [cell_len(line[: line.index(word)]) for line, word in named]
    assert len(set(places)) == 1


def test_a_terminal_gets_colour_unless_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search("\x1b\\[31m *failed", "\n".join(shown(Terminal(), monkeypatch)))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in "\n".join(shown(Terminal(), monkeypatch))


def test_parts_of_a_line_are_broken_between_them_and_by_what_they_take_on_the_screen() -> None:
    assert packed(["one", "two"], 80) == ["one, two"]
    assert packed(["[red]12345[/red]", "67890", "三四五"], 13) == ["[red]12345[/red], 67890,", "  三四五"]
    assert packed(["x" * 30], 10) == ["x" * 30], "what is too long by itself stays whole"
    assert packed([], 10) == [""]
