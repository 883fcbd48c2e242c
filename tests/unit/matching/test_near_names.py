"""Which file names a person takes for one name, and by what they differ. The node pairs none of them."""

import unicodedata

import pytest

from router.matching.report_pdf.near_names import Difference, differences, near_key

FORM, WIDTH, CASE, BLANK, COPY, ENDING = Difference
NFD = unicodedata.normalize("NFD", "José")

_NEAR = [
    ("A1", "a1", [CASE]),
    ("A1.PDF", "a1.json", [CASE]),
    ("José", NFD, [FORM]),
    ("Ａ１", "A1", [WIDTH]),
    ("A\uff0d1", "A-1", [WIDTH]),
    ("检查（2024）A1", "检查(2024)A1", [WIDTH]),
    ("A1 ", "A1", [BLANK]),
    (" A1", "A1", [BLANK]),
    ("A1\u3000", "A1", [BLANK]),
    ("A1\ufeff", "A1", [BLANK]),
    ("A1\u200b", "A1", [BLANK]),
    ("A1\n", "A1", [BLANK]),
    ("A1.", "A1", [BLANK]),
    ("A  1", "A 1", [BLANK]),
    ("A1 - 副本", "A1", [COPY]),
    ("A1 - 副本 (2)", "A1", [COPY]),
    ("A1-副本", "A1", [COPY]),
    ("A1副本", "A1", [COPY]),
    ("A1的副本", "A1", [COPY]),
    ("A1_副本", "A1", [COPY]),
    ("复件 A1", "A1", [COPY]),
    ("复件 (2) A1", "A1", [COPY]),
    ("A1 (1)", "A1", [COPY]),
    ("A1(1)", "A1", [COPY]),
    ("A1[1]", "A1", [COPY]),
    ("A1 (12)", "A1 (3)", [COPY]),
    ("A1 - Copy", "A1", [COPY]),
    ("A1 - Copy (2)", "A1", [COPY]),
    ("A1 copy", "A1", [COPY]),
    ("A1 copy 2", "A1", [COPY]),
    ("A1_copy", "A1", [COPY]),
    ("Copy of A1", "A1", [CASE, COPY]),
    ("A1~2", "A1", [COPY]),
    ("A1.json", "A1", [ENDING]),
    ("A1.json.txt", "A1.json", [ENDING]),
    ("A1.pdf.pdf", "A1.json", [ENDING]),
    ("A1.pdf", "A1", [ENDING]),
    ("A1.xml", "A1", [ENDING]),
    ("A1.JSON.TXT", "A1", [ENDING]),
    ("A1 .pdf", "A1", [BLANK]),
    ("A1.pdf - 快捷方式.lnk", "A1", [COPY]),
    ("ａ１ - 副本 (2).PDF", "A1.json", [WIDTH, CASE, COPY]),
    ("院区 /A1", "院区/A1", [BLANK]),
    ("Branch/A1", "branch/A1", [CASE]),
    (unicodedata.normalize("NFD", "é/A1"), "é/A1", [FORM]),
]
_NOT_NEAR = [
    ("A1", "A1"),
    ("A1", "A2"),
    ("A1", "B1"),
    ("A1", "A11"),
    ("A1", "A-1"),
    ("A1", "A1-2"),
    ("A10001", "A1000"),
    ("one/A1", "two/A1"),
    ("A1", "sub/A1"),
    ("1.2.840.1", "1.2.840.2"),
    ("副本", "复件"),
    ("(1)", "(2)"),
    ("x (1)/A1", "x (2)/A1"),  # two folders
    ("v.json/A1", "v.pdf/A1"),
    ("张三", "張三"),
    ("O", "0"),
]


@pytest.mark.parametrize(("one", "other", "how"), _NEAR)
def test_names_that_are_nearly_one_are_told_with_their_difference(one: str, other: str, how: list[Difference]) -> None:
    assert near_key(one) == near_key(other)
    assert set(how) <= set(differences(one, other))
    assert differences(one, other) == differences(other, one)


@pytest.mark.parametrize(("one", "other"), _NOT_NEAR)
def test_other_names_are_not_near(one: str, other: str) -> None:
    assert differences(one, other) == ()
    assert one == other or near_key(one) != near_key(other)


@pytest.mark.parametrize(
    "name", ["", "/", "(1)", "副本", ".json", "a.json", " ", "~1", "\udc80", "." * 5000, "(1)" * 3000]
)
def test_no_name_is_reduced_to_nothing_and_none_takes_long(name: str) -> None:
    assert bool(near_key(name)) == bool(name)
    assert near_key(near_key(name)).count("/") == name.count("/")
