"""The page 凌晨两点怎么办: every alarm, by the name that the node gives it, with commands that are there."""

import re
import shlex
from pathlib import Path

import click
import pytest

from router.alarms import Alarm
from router.cli import COMMANDS, module
from router.text.language import Tongue

PAGE = Path(__file__).parents[3] / "router" / "docs" / "two_o_clock.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = {found[1]: found[0] for found in re.finditer(r"### `([\w-]+)` .*?(?=\n##|\Z)", TEXT, re.DOTALL)}
CALLS = sorted({*re.findall(r"`(scripts/[^`]+)`", TEXT), *re.findall(r"^ {4}(scripts/\S.*)$", TEXT, re.MULTILINE)})


def test_it_begins_with_where_to_look_first() -> None:
    assert TEXT.split("\n\n")[1].startswith("先看 `scripts/status` 第一行")


def test_it_has_a_section_for_every_alarm_and_for_nothing_else() -> None:
    assert sorted(SECTIONS) == sorted(Alarm), "what an alarm means at two in the morning belongs into this page"


@pytest.mark.parametrize("alarm", Alarm)
def test_a_section_says_what_it_means_where_to_look_what_to_type_and_whom_to_call(alarm: Alarm) -> None:
    section = SECTIONS[alarm]
    assert section.startswith(f"### `{alarm}` {Tongue('zh_CN').alarm(alarm)[0]}\n"), "the name that the node gives it"
    assert re.findall(r"^- (\w+)：\S", section, re.MULTILINE) == ["含义", "先看", "命令", "找谁"]
    assert "`" in section.partition("- 命令：")[2].splitlines()[0]


@pytest.mark.parametrize("call", CALLS)
def test_every_command_that_it_names_is_there_with_its_options(call: str) -> None:
    program, *words = shlex.split(call)
    name = program.removeprefix("scripts/")
    assert name in COMMANDS
    command = module(name)
    while isinstance(command, click.Group):
        step = command.commands.get(words.pop(0))
        assert step is not None, call
        command = step
    given, rest, _ = command.make_parser(click.Context(command)).parse_args(words)  # an unknown option is an error
    assert rest == [], f"{call}: more than the command takes"
    asked = [each.name for each in command.params if isinstance(each, click.Argument) and each.required]
    assert all(isinstance(given.get(name or ""), str) for name in asked), f"{call}: something is missing"


def test_the_readme_leads_there() -> None:
    readme = (PAGE.parents[2] / "README.md").read_text(encoding="utf-8")
    assert "](router/docs/two_o_clock.md)" in readme


def test_what_can_wait_and_what_cannot_are_alarms() -> None:
    named = re.findall(r"^(?:能等到早上的|不能等的)：(.*)$", TEXT, re.MULTILINE)
    alarms = [name for line in named for name in re.findall(r"`([a-z-]+)`", line)]
    assert len(named) == 2
    assert len(alarms) == len(set(alarms))
    assert set(alarms) <= set(Alarm)
