"""Text from outside is shown, never obeyed: on terminals, in JSON, on the console's pages, in spreadsheets."""

import json
import re
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from router.admin.console.pages import LoginPage
from router.admin.console.view import TEMPLATES, View, render
from router.cli import launched
from router.cli.options import print_json
from router.cli.tables import console, plain_output, show
from router.text.decoding import shown
from router.text.language import tongue_of
from router.upkeep.daily import table_of

OBEYED = [
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "\x9b31m",
    "\r",
    "\x08",
    "\x7f",
    "\x00",
    "\u202e",
    "\u2066",
    "\u2028",
    "\udc1b",
]


@pytest.mark.parametrize("text", OBEYED, ids=ascii)
def test_what_a_terminal_would_obey_is_written_out_wherever_it_is_printed(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with plain_output():
        show(f"T{text}", ("A", "B"), [(f"张三{text}[red]x", "-")])
        console().print(f"said {text}")
        print_json({"said": text})
        sys.stderr.write(f"error: {text}\n")
        print(text)  # noqa: T201 as any library may
    printed = capsys.readouterr()
    for out in (printed.out, printed.err):
        assert not set(text) & set(out) - set("]0;owned[2J31m")
    assert "张三" in printed.out
    assert "[red]x" in printed.out


def test_json_is_the_same_document_however_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    for text in OBEYED:
        print_json({"张三": text})
        assert json.loads(capsys.readouterr().out) == {"张三": text}


def test_a_fault_that_repeats_what_was_typed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        launched(["queue", "\x1b[2Jlist"])
    assert "\x1b" not in capsys.readouterr().err


def test_a_page_shows_what_a_browser_would_obey() -> None:
    view = View(
        node="<n>", tongue=tongue_of("en"), zone=ZoneInfo("UTC"), session=None, path='/"<', now=datetime.now(UTC)
    )
    page = render(view, "login.html", LoginPage("a\u202eb\x1b<", "/", wrong=False)).decode()
    assert "a\\u202eb\\x1b&lt;" in page
    assert "&lt;n&gt;" in page
    assert 'href="/&#34;&lt;?lang' in page


def test_no_template_and_no_module_of_the_console_calls_text_html() -> None:
    for path in (*TEMPLATES.iterdir(), *TEMPLATES.parent.glob("*.py")):
        assert not re.search(r"\| *safe|autoescape (?!=True)|Markup", path.read_text(encoding="utf-8")), path


def test_a_table_cell_is_one_line_and_ordinary_text_stays_as_it_is() -> None:
    assert shown("一行\n二行") == "一行\\x0a二行"
    assert shown("一行\n二行", lines=True) == "一行\n二行"
    assert shown("张三 Zhang^San é 😀") == "张三 Zhang^San é 😀"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "=cmd|'/c calc'!A0"])
def test_a_cell_that_a_spreadsheet_would_calculate_is_marked_as_text(text: str) -> None:
    [_, row] = table_of(["exam_id"], [{"exam_id": text}]).decode("utf-8-sig").split("\r\n", 1)
    assert row.lstrip('"').startswith("'")


def test_numbers_and_ordinary_cells_of_a_spreadsheet_are_left_alone() -> None:
    assert table_of(["a", "b", "c"], [{"a": -5, "b": "E-1", "c": None}]).decode("utf-8-sig") == "a,b,c\r\n-5,E-1,\r\n"
