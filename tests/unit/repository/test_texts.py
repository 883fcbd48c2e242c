"""Texts and their catalogues: every text that people read is translated, with the same values, and compiled."""

import copy
import re
from io import BytesIO
from pathlib import Path

import pytest

import texts
from router.text.language import LANGUAGES, LOCALE, places

REMEDY = "say it in router/locale/zh_CN/LC_MESSAGES/router.po: run `python tests/texts.py`, fill it, run it again"
MESSAGES = [message for message in texts.kept("zh_CN") if message.id]


@pytest.fixture(scope="module")
def in_code() -> set[tuple[str | None, str]]:
    """The texts as they stand in the code, each with its context."""
    return {(message.context, str(message.id)) for message in texts.extracted() if message.id}


def test_the_catalogue_has_exactly_the_texts_of_the_code(in_code: set[tuple[str | None, str]]) -> None:
    kept = {(message.context, str(message.id)) for message in MESSAGES}
    assert sorted(map(str, in_code - kept)) == [], REMEDY
    assert sorted(map(str, kept - in_code)) == [], "no code says that any more: run `python tests/texts.py`"


def test_the_english_catalogue_has_texts_of_the_code_alone(in_code: set[tuple[str | None, str]]) -> None:
    assert {(message.context, str(message.id)) for message in texts.kept("en") if message.id} <= in_code


def test_every_text_has_its_translation() -> None:
    assert [message.id for message in MESSAGES if not str(message.string).strip() or message.fuzzy] == [], REMEDY


def test_every_translation_has_the_values_of_its_text() -> None:
    pairs = [(str(message.id), str(message.string)) for message in MESSAGES]
    assert [text for text, said in pairs if sorted(places(said)) != sorted(places(text))] == []


def test_an_exam_and_a_delivery_are_called_e17_and_d85_in_every_text(in_code: set[tuple[str | None, str]]) -> None:
    assert [text for _, text in in_code if re.search(r"\b(exam|delivery) \{", text)] == []


@pytest.mark.parametrize(("what", "pattern"), [
    ("commands", r"`([a-z]+(?: [a-z]+)?)\b"), ("sections of the configuration", r"\[+[a-z0-9_.]+\]+"),
    ("colours", r"\[/?[a-z]+\]"),
])  # fmt: skip
def test_what_is_typed_is_the_same_in_both_languages(what: str, pattern: str) -> None:
    def typed(text: str) -> list[str]:
        return sorted(set(re.findall(pattern, text, re.ASCII)))

    pairs = [(str(message.id), str(message.string)) for message in MESSAGES]
    assert [text for text, said in pairs if typed(said) != typed(text)] == [], what


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_files_are_what_the_program_writes(language: str) -> None:
    folder = LOCALE / language / "LC_MESSAGES"
    text, compiled = texts.written(texts.renewed(language))
    assert (folder / "router.po").read_bytes() == text, "run `python tests/texts.py`"
    assert (folder / "router.mo").read_bytes() == compiled, "run `python tests/texts.py`"


def found(source: str, place: str = "admin/x.py") -> list[str]:
    return [text for _, text in texts.Reader(source, place).texts()]


def test_a_marked_text_is_found_wherever_it_is_and_the_keys_of_a_table_are_not() -> None:
    assert found('x = N_({"key": "Value", "other": ("One", f"{a.two} more")})') == ["Value", "One", "{two} more"]


def test_the_texts_of_a_template_are_found_and_its_styles_and_paths_are_not() -> None:
    page = BytesIO(b'{{ tile(say("One"), "warn") }}{% set names = N_(["Two", "-"]) %}{{ link("/x", say(name)) }}')
    assert [text for _, _, (text,), _ in texts.extract_page(page, None, None, None)] == ["One", "Two"]


def test_a_value_of_a_text_is_named_by_what_it_is() -> None:
    source = "N_(f\"{one.exam} {len(held)} {', '.join(differs)} {a} {a} {x if gone else y}\")"
    assert found(source.replace("{len", "of {len")) == ["{exam} of {held} {differs} {a} {a2} {gone}"]


def test_what_is_put_together_with_plus_is_one_text() -> None:
    assert found('N_("waits for " + name)') == ["waits for {name}"]


def test_an_alarm_s_text_is_found_through_its_variable() -> None:
    source = 'def f():\n    kind, text = A, "it is full" if x else f"{n} left of it"\n    Event(now, kind, text)'
    assert found(source) == ["it is full", "{n} left of it"]


def test_a_reason_is_found_without_a_mark_and_the_log_and_statements_are_not() -> None:
    source = '"""Doc of it."""\n_log.info("not for people")\nQ = "SELECT a FROM b"\nWHY = "the doubt is gone"\n'
    assert found(source, "delivery/x.py") == ["the doubt is gone"]
    assert found(source, "storage/x.py") == []


def test_an_error_s_text_and_its_hint_are_found() -> None:
    assert found('raise TransientError("no room", hint="make some room")', "storage/x.py") == [
        "no room",
        "make some room",
    ]


def test_every_module_that_is_read_for_reasons_is_there() -> None:
    for pattern in texts.REASONS:
        assert list(texts.PACKAGE.glob(pattern)), pattern


def test_a_new_text_makes_the_program_tell_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for language in LANGUAGES:
        (tmp_path / language / "LC_MESSAGES").mkdir(parents=True)
        (tmp_path / language / "LC_MESSAGES" / "router.po").write_bytes(
            (LOCALE / language / "LC_MESSAGES" / "router.po").read_bytes()
        )
    fresh = copy.deepcopy(texts.extracted())
    fresh.add("a text that is new")
    monkeypatch.setattr(texts, "LOCALE", tmp_path)
    monkeypatch.setattr(texts, "extracted", lambda: fresh)
    told: list[str] = []
    assert texts.update(told.append) == 1
    assert told == ["zh_CN: a text that is new\n"]
    assert 'msgid "a text that is new"\nmsgstr ""' in (tmp_path / "zh_CN/LC_MESSAGES/router.po").read_text("utf-8")
