"""Names by script, what says nothing, and what cannot be read."""

import pytest

from router.matching.patient.identity import IdentityPolicy
from router.matching.patient.names import Likeness, likeness
from router.matching.patient.pinyin import Spelling
from router.text.decoding import UNREADABLE

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


@pytest.mark.parametrize(("first", "second"), [
    ("Ⅰ", "Ⅱ"), ("ⅰ", "ⅱ"), ("I", "II"), ("II", "III"), ("III", "IV"), (" I", " II"), ("(I)", "(II)"), ("Ⅱ", "Ⅲ"),
    ("α", "β"), (" α", " β"), ("А", "Б"), ("①", "②"), ("❶", "❷"), ("⑴", "⑵"), ("一", "二"), ("A", "B"), ("a", "b"),
    ("(A)", "(B)"), ("甲", "乙"), ("（甲）", "（乙）"), ("大", "小"), ("(大)", "(小)"), ("[老大]", "[老二]"),
    ("（１）", "（２）"),
    ("Ⅰ", "2"), ("A", "2"), ("α", "B"), ("α", "2"), ("①", "Ⅱ"), ("(大双)", "(小双)"), ("(长子)", "(次子)"), ("1", "❷"),
])  # fmt: skip
def test_twins_are_told_apart_by_marks_of_every_kind(first: str, second: str) -> None:
    assert same(f"王丽{first}", f"王丽{second}") is False
    assert same(f"王丽{first}", f"王丽{first}") is True
    assert same(f"王丽{first}", f"王^丽{first}") is True


@pytest.mark.parametrize(("ours", "theirs", "answer"), [
    ("王丽Ⅱ", "WANG^LI^II", True), ("王丽Ⅰ", "WANG^LI^II", False), ("王丽Ⅱ", "WANG LI I", False),
    ("王丽2", "WANG LI II", True), ("王丽1", "WANG LI II", False), ("王丽1", "WANG LI B", False),
    ("王丽α", "WANG LI B", False), ("王丽β", "WANG LI B", True), ("王丽A", "WANG LI I", False),
    ("王丽Ⅱ", "王丽II", True), ("王丽Ⅱ", "王丽2", True), ("王丽②", "王丽Ⅱ", True), ("王丽B", "王丽2", True),
    ("WANG^LI I", "WANG^LI II", False), ("WANG LI A", "WANG^LI B", False), ("WANG LI II", "WANG^LI^II", True),
    ("WANG LI B", "LI WANG C", False), ("A B", "B A", True), ("LI M B C", "LI M C B", True),
    ("SMITH^JOHN^A", "SMITH^JOHN^B", False), ("SMITH^JOHN^III", "SMITH^JOHN", True), ("Wang Li Ⅰ", "Wang Li Ⅱ", False),
    ("WANG^LI^^F", "WANG^LI B", True), ("王丽Ⅱ", "Wang^Li II=王^丽II", True), ("王丽Ⅰ", "Wang^Li II=王^丽II", False),
])  # fmt: skip
def test_a_mark_means_the_same_however_it_is_written(ours: str, theirs: str, answer: bool) -> None:
    assert same(ours, theirs) is answer


@pytest.mark.parametrize("mark", ["2", "②", "A", "II", "Ⅱ", "α", " II"])
def test_a_mark_of_digits_or_letters_that_only_one_side_has_is_no_contradiction(mark: str) -> None:
    assert same(f"王丽{mark}", "王丽") is True


@pytest.mark.parametrize("name", [
    "张三(复查)", "张三（复查）", "张三[急]", "张三（急）", "张三【急】", "张三<急诊>", "张三〔住院〕",
    "(急)张三", "张三(CT)",
    "张三（复查", "张三()", "张^三(复查)", "Zhang^San=张^三(复查)", "张三 男 45岁", "张三 女", "张三　男　45岁",
    "张三 45岁",
    "张三 男/45岁", "张三(男，45岁)", "张三 3个月", "张三 15天", "张三 急诊", "张三先生", "张三女士",
    "张三 先生", "张三(男)",
    "张三(内科)", "张三(李医生的病人)", "张三（二次复查）", "张三(急)(复查)", "张三(12床)",
])  # fmt: skip
def test_notes_beside_a_name_are_no_part_of_it(name: str) -> None:
    assert same(name, "张三") is True
    assert same(name, "ZHANG^SAN") is True
    assert same(name, "张三(急诊)") is True
    assert same(name, "张四") is False
    assert same(name, "张三丰") is False
    assert same(name, name) is True


@pytest.mark.parametrize(("one", "other"), [
    ("张三(之子)", "张三"), ("张三（之女）", "张三"), ("张三(之子)", "张三(之女)"), ("张三(新生儿)", "张三"),
    ("张三(女儿)", "张三"),
    ("张三(子)", "张三"), ("张三(李四之子)", "张三"), ("张三(大)", "张三"), ("张三(甲)", "张三"),
    ("张三(大宝)", "张三(二宝)"),
    ("张三(男)", "张三(女)"), ("张三 男", "张三 女"), ("张三 男 45岁", "张三 男 12岁"), ("张三(李四)", "张三(王五)"),
    ("张三(Zhang San)", "张三(Li Si)"), ("李先生", "李"), ("王 女", "王"), ("张 三 女", "张三"),
    ("张三男", "张三"), ("无名氏(张三)", "李四"),
])  # fmt: skip
def test_a_note_that_tells_people_apart_stays(one: str, other: str) -> None:
    assert same(one, other) is False


@pytest.mark.parametrize(("one", "other"), [
    ("张三(之子)", "张三之子"), ("张三(大)", "张三大"), ("Zhang San(张三)", "张三"),
    ("张三(Zhang San)", "张三"), ("(张三)", "张三"),
    ("王 女", "王女"), ("张 三 女", "张三女"), ("李先生", "李先生"), ("欧阳修女士", "欧阳修"),
])  # fmt: skip
def test_a_note_that_is_the_name_or_a_part_of_it_is_compared(one: str, other: str) -> None:
    assert same(one, other) is True


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
    "UNKNOWN^UNKNOWN", "无名氏3", "无名氏(急)", "无名氏 男", "Wu^Mingshi=无名氏", "无 名 氏", "ＵＮＫＮＯＷＮ",
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
