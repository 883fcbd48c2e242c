"""The glossary: the words of the code, in the Chinese that the program prints, and the words that the code avoids."""

import re
from collections.abc import Iterable
from enum import StrEnum

import pytest
from test_layers import PACKAGE, modules

from router.catalogue.images.ledger import Fate
from router.model import Channel, SeriesClass
from router.policy.breaker import Position
from router.policy.states import Needs, State
from router.text.language import Tongue

TEXT = (PACKAGE / "docs" / "glossary.md").read_text(encoding="utf-8")
SOURCES = {path: path.read_text(encoding="utf-8") for path in modules()}
CLASSES = {name for source in SOURCES.values() for name in re.findall(r"^class (\w+)", source, re.MULTILINE)}
PRINTED: tuple[type[StrEnum], ...] = (State, Needs, Channel, SeriesClass, Fate, Position)


def rows(*titles: str) -> list[list[str]]:
    """The cells of the tables under these headings."""
    parts = [TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0] for title in titles]
    lines = [line for part in parts for line in part.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines if not line.startswith(("| word ", "| value ", "| not "))]


TERMS = rows("Exams and reports", "Deliveries", "The node")
VALUES = {value.strip("`"): chinese for value, chinese, *_ in rows("States and classes")}
AVOIDED = [word for row in rows("Words that we do not use") for word in row[0].split(", ")]


@pytest.mark.parametrize("kind", PRINTED, ids=lambda kind: kind.__name__)
def test_every_value_that_people_read_is_explained_in_the_chinese_that_is_printed(kind: type[StrEnum]) -> None:
    tongue = Tongue("zh_CN")
    assert {one.value: VALUES.get(one.value) for one in kind} == {one.value: tongue.say(one.value) for one in kind}


def test_no_value_is_explained_that_the_code_does_not_have() -> None:
    assert set(VALUES) == {one.value for kind in PRINTED for one in kind}


def test_every_word_has_its_chinese_and_a_class_or_module_that_is_there() -> None:
    assert len(TERMS) > 50
    for word, chinese, _, code in TERMS:
        assert re.search(r"[\u4e00-\u9fff]", chinese), word
        name = code.strip("`")
        there = (PACKAGE / name).is_file() if name.endswith(".py") else name in CLASSES
        assert there, f"{word}: {name} is not in the code"


def test_no_class_and_no_module_has_a_word_that_the_glossary_avoids() -> None:
    assert len(AVOIDED) > 10
    public = (name for name in CLASSES if not name.startswith("_"))
    assert sorted(avoided([*public, *(path.stem for path in SOURCES)])) == []


def avoided(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        words = re.findall(r"[A-Z]?[a-z]+", name)
        if {word.lower() for word in words} & set(AVOIDED):
            yield name


def test_the_check_of_avoided_words_finds_them() -> None:
    assert list(avoided(["AlarmHerald", "task_manager", "Deskew", "Exam"])) == ["AlarmHerald", "task_manager"]
