"""What the text of a report names, and when that speaks against the exam it is to go with."""

import time

import pytest

from router.matching.report_pdf.naming import doubt, identifiers, words

OWN = identifiers("V20240001_CT001", "A0001", "张三")

_SAID = [
    ("检查号：A0001", "A0001", True),
    ("检查号:a0001。", "A0001", True),
    ("（A０００１）", "A0001", True),  # full width
    ("A0001/A0002", "A0002", True),
    ("ID 91234", "123", False),
    ("ID 123 mm", "123", True),
    ("XA00012", "A0001", False),
    ("V20240001_CT001.", "V20240001_CT001", True),
    ("V20240001_CT0010", "V20240001_CT001", False),
    ("2024-05-06", "2024", False),
    ("no 12 3", "123", False),
]


@pytest.mark.parametrize(("text", "number", "found"), _SAID)
def test_a_number_is_found_as_a_whole_word_only(text: str, number: str, found: bool) -> None:
    assert bool(words(text) & identifiers("", number, "")) == found


_NAMES = [
    ("姓名：张三 性别：男", "张三", True),
    ("姓名张三性别男年龄74岁", "张三", True),
    ("姓名:张 三  性别: 女", "张三", True),
    ("患者张三先生", "张三", True),
    ("姓名：张三丰", "张三", False),
    ("姓名：张三", "张三丰", False),
    ("报告医师：张三", "张三", False),  # a doctor of the patient's name
    ("审核医生 张三\n姓名：李四", "张三", False),
    ("姓名：买买提·吐尔逊", "买买提·吐尔逊", True),
    ("姓名：买买提・吐尔逊", "买买提·吐尔逊", True),
    ("Name: ZHANG, San  Sex: M", "Zhang^San", True),
    ("Patient San Zhang", "ZHANG SAN", True),
    ("ZHANG SANFENG", "ZHANG SAN", False),
    ("姓名：张三", "ZHANG^SAN=张^三", True),
]


@pytest.mark.parametrize(("text", "name", "found"), _NAMES)
def test_a_name_is_found_in_its_script_and_whole(text: str, name: str, found: bool) -> None:
    assert bool(words(text) & identifiers("", "", name)) == found


def test_what_is_too_short_or_too_plain_names_nothing() -> None:
    assert identifiers("", "12", "张") == identifiers("ABC", "", "SAN") == frozenset()


def test_a_text_of_any_length_has_few_words() -> None:
    assert len(words(" ".join(f"N{n:06}" for n in range(50_000)))) == 300


@pytest.mark.parametrize(
    ("text", "other", "reused", "reason"),
    [
        ("姓名：张三", None, False, ""),
        ("A0001, prior A0002", 7, True, ""),  # it names this one: whom else does not matter
        ("A0002", 7, False, "names e7"),
        ("A0002", None, False, "an exam that is not known"),
        ("V20240002_MR001", None, False, "an exam that is not known"),
        ("P0001 20240506", None, False, ""),  # another kind of number
        ("", None, False, ""),  # no text: it cannot be told
        ("", None, True, "served several exams"),
        ("report", None, True, "served several exams"),
    ],
)
def test_a_pdf_that_names_only_others_is_a_doubt(text: str, other: int | None, reused: bool, reason: str) -> None:
    found = doubt(words(text), OWN, other, reused=reused)
    assert reason in found
    assert bool(found) == bool(reason)


@pytest.mark.parametrize("piece", ["OBJ", "9", "1.2.3", "张", " ", "张 ", "AB^", "1/2", "·张", "AB ", "医师：", "\t张"])
def test_a_long_text_of_one_kind_takes_no_longer_than_another(piece: str) -> None:
    began = time.process_time()
    assert len(words(piece * (2**16 // len(piece)))) <= 300
    assert time.process_time() - began < 2
