"""Names by script, what says nothing, and what cannot be read."""

import pytest

from router.correlate.identity import IdentityPolicy
from router.correlate.names import Likeness, likeness
from router.correlate.pinyin import Spelling
from router.text import UNREADABLE

BLANK = IdentityPolicy().blank_names


def same(one: str, other: str) -> bool | None:
    found = likeness(one, other, BLANK)
    assert found == likeness(other, one, BLANK)
    return found.same


@pytest.mark.parametrize("latin", [
    "Zhang^San", "ZHANG^SAN", "ZhangSan", "zhang san", "SAN^ZHANG", "San Zhang", "ZHANG^SAN F", "ZHANG^SAN^^MR",
    "ZHANG SAN (M)", "Zhāng Sān", "ZHANG1 SAN1", "Zhang1San1", "ZHANG-SAN", "Zhang'San", "ZHANG,SAN", "ZHANG SAN 45Y",
    "Ｚｈａｎｇ　Ｓａｎ", "^ZHANGSAN", "ZHANGSAN=", "ZHANG.SAN",
])  # fmt: skip
def test_separators_order_tones_and_what_stands_beside_a_name_do_not_matter(latin: str) -> None:
    assert same("张三", latin) is True


@pytest.mark.parametrize("latin", ["LI^SI", "ZHANG^SI", "ZHANG", "ZHANG^S", "CHEUNG^SAM", "JOHN^SMITH", "Z^S"])
def test_a_latin_name_that_no_reading_gives_does_not_agree_and_is_no_contradiction(latin: str) -> None:
    found = likeness("张三", latin)
    assert found.same is None
    assert found.spelling in {Spelling.NEAR, Spelling.FAR}


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("吕布", "Lǚ Bù", True),
        ("吕布", "LU:^BU", True),
        ("西安", "Xi'an", True),
        ("张三之子A", "ZHANG^SAN^ZHIZI A", True),
        ("张三之子A", "ZHANG^SAN^ZHIZI B", False),  # twins
        ("张三之子A", "张三之子B", False),
        ("王小娥", "WANG^XIAO E", True),
        ("王小", "WANG^XIAO E", None),  # E is a syllable, not an initial
        ("张三之子1", "ZHANGSANZHIZI2", False),
        ("张三之子1", "ZHANG^SAN^ZHI ZI 1", True),
        ("张三之女", "ZHANG SAN ZHI NV", True),
        ("张三之子", "ZHANG^SAN^ZHINU", None),
        ("张三", "Li^Si=张^三", True),  # the same characters; `compare` remarks the spelling
        ("张三", "Zhang^San=李^四", False),
        ("张三 Zhang San", "LI^SI", False),
        ("ZHANG SAN F", "Zhang^San", True),
        ("Иванов", "ИВАНОВ", True),
        ("Иванов", "Петров", None),
        ("ئايگۈل", "ئايگۈل", True),
    ],
)
def test_names_of_one_person_meet_and_those_of_others_do_not(one: str, other: str, answer: bool | None) -> None:
    assert same(one, other) is answer


RARE = (
    "\U00020bb7", "\U0002a700", "\U0002b740", "\U0002b820", "\U0002ceb0", "\U0002ebf0", "\U00030000", "\U00031350",
    "\u3007", "\u3400", "\uf92a", "\ufa0e", "\ue000", "\ue863", "\U000f0000", "\U00100000", "\u2e8c", "\u31c0",
)  # fmt: skip


@pytest.mark.parametrize("char", RARE)
def test_a_rare_character_is_compared_as_it_is_and_never_dropped(char: str) -> None:
    assert same(f"王{char}", f"王^{char}") is True
    assert same(f"王{char}", "王") is False
    assert same(char, "王") is False
    for other in RARE:
        assert same(f"王{char}", f"王{other}") is (char == other)


@pytest.mark.parametrize("name", [
    "无名氏", "无名^氏", "无名男", "无名女", "不详", "急诊", "急诊001", "急诊20261129", "UNKNOWN", "unknown",
    "UNKNOWN^UNKNOWN", "无名氏3", "Wu^Mingshi=无名氏", "无 名 氏", "ＵＮＫＮＯＷＮ",
])  # fmt: skip
@pytest.mark.parametrize("other", ["", "张三", "LI^SI", "无名氏", "急诊001"])
def test_a_name_that_stands_for_none_neither_agrees_nor_contradicts(name: str, other: str) -> None:
    assert likeness(name, other, BLANK) == Likeness(None) == likeness(other, name, BLANK)
    assert same(name, name) is None


@pytest.mark.parametrize(("name", "answer"), [("急诊张三", False), ("UNKNOWN=张三", True), ("吴名氏", False)])
def test_only_a_whole_name_is_blank(name: str, answer: bool) -> None:
    assert same(name, "张三") is answer


@pytest.mark.parametrize("name", [UNREADABLE, f"王{UNREADABLE}", f"{UNREADABLE}三", f"Zhang^San=张^{UNREADABLE}"])
@pytest.mark.parametrize("other", ["", "张三", "王五", "ZHANG^SAN", UNREADABLE, f"王{UNREADABLE}"])
def test_a_name_without_a_certain_reading_agrees_with_nothing_and_contradicts_nothing(name: str, other: str) -> None:
    assert same(name, other) is None
    assert not likeness(name, other).readable


def test_the_group_that_can_be_read_still_tells_that_it_is_another_spelling() -> None:
    assert likeness("李四", f"Zhang^San={UNREADABLE}").spelling == Spelling.FAR
    assert likeness("张三", f"Zhang^San={UNREADABLE}").spelling == Spelling.AGREES
