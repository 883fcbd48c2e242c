"""Han names against pinyin: every spelling of a reading agrees, and nobody else's name does."""

import itertools
import random
import subprocess
import sys
from itertools import product

import pytest

from router.matching.patient.names import likeness
from router.matching.patient.pinyin import Spelling, readings, spelling
from support.unihan_names import SURNAMES, names, rows, spelt

AS_SURNAMES = """
单 SHAN, 解 XIE, 仇 QIU, 区 OU, 曾 ZENG, 查 ZHA, 朴 PIAO, 尉 YU, 万 MO, 俟 QI, 宓 FU, 乐 YUE, 缪 MIAO, 盖 GE, 员 YUN,
种 CHONG, 冼 XIAN, 召 SHAO, 繁 PO, 覃 QIN, 谌 SHEN, 翟 ZHAI, 祭 ZHAI, 车 CHE, 牟 MU, 秘 BI, 俞 YU, 郗 CHI, 黑 HE,
隗 WEI, 费 BI, 那 NA, 折 SHE, 任 REN, 纪 JI, 葛 GE, 应 YING, 华 HUA, 燕 YAN, 宁 NING, 薄 BO, 柏 BO, 莘 XIN
"""


@pytest.mark.parametrize(("char", "reading"), [one.split() for one in AS_SURNAMES.split(",")])
def test_a_surname_has_its_own_reading(char: str, reading: str) -> None:
    assert reading in readings(char)
    assert spelling(f"{char}伟", f"{reading}WEI") == Spelling.AGREES


@pytest.mark.parametrize(
    ("han", "latin", "how"),
    [
        ("张三", "ZHANGSAN", Spelling.AGREES),
        ("张三", "SANZHANG", Spelling.AGREES),
        ("欧阳修远", "XIUYUANOUYANG", Spelling.AGREES),  # a surname of two characters, last
        ("欧阳修", "XIUOUYANG", Spelling.AGREES),
        ("买买提·阿依古丽", "AYIGULIMAIMAITI", Spelling.AGREES),  # names in parts, in either order
        ("阿卜杜热合曼", "ABUDUREHEMAN", Spelling.AGREES),
        ("吕布", "LVBU", Spelling.AGREES),
        ("吕布", "LUBU", Spelling.AGREES),
        ("吕布", "LYUBU", Spelling.AGREES),
        ("陆布", "LVBU", Spelling.NEAR),
        ("徐三", "XVSAN", Spelling.AGREES),
        ("单三", "SHANSAN", Spelling.AGREES),
        ("山三", "SANSAN", Spelling.NEAR),
        ("陈大文", "CHANTAIMAN", Spelling.FAR),
        ("约翰", "JOHN", Spelling.FAR),
        ("张三", "LISI", Spelling.FAR),
        ("王晓明", "WANGMINGXIAO", Spelling.FAR),  # another given name, not another order
        ("王晓明", "MINGWANGXIAO", Spelling.FAR),
        ("张晓明", "ZHANGXIAOM", Spelling.AGREES),  # cut off within a syllable
        ("诸葛孔明", "ZHUGEKON", Spelling.AGREES),
        ("张晓明", "ZHANGXIAO", Spelling.CUT),  # 张晓's whole name, or cut off
        ("张晓明", "ZHANGXIA", Spelling.CUT),  # 张霞's whole name, or cut off
        ("张三之子", "ZHANGSAN", Spelling.CUT),  # the mother's name
        ("王晓明", "WANGXI", Spelling.FAR),  # too short for a cut
        ("张三", "ZHANGSANFENG", Spelling.FAR),
        ("\ue000三", "ASAN", Spelling.UNKNOWN),
        ("〇一", "LINGYI", Spelling.AGREES),
    ],
)
def test_a_latin_name_is_compared_syllable_by_syllable(han: str, latin: str, how: Spelling) -> None:
    assert spelling(han, latin) == how


def _all_rows(name: str) -> set[str]:
    """Every joined spelling by any reading, surname first or last."""
    found = product(*(readings(char) for char in name))
    return {row for one in found for row in ("".join(one), "".join(one[1:] + one[:1]))}


def _own(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    drawn = ((name, spelt(name, chance)) for name in itertools.islice(names(chance), count))
    return [f"{name} {latin}" for name, latin in drawn if likeness(name, latin).same is not True]


def _others(seed: int, count: int) -> list[str]:
    """Pairs that agree, and have no joined spelling in common."""
    chance = random.Random(seed)
    drawn = names(chance)
    pairs = ((one, other, spelt(other, chance)) for one, other in itertools.islice(zip(drawn, drawn), count))  # noqa: B905
    return [
        f"{one} {other} {latin}"
        for one, other, latin in pairs
        if likeness(one, latin).same is True and not _all_rows(one) & (_all_rows(other) | rows(other))
    ]


def test_a_hundred_surnames_are_a_hundred() -> None:
    assert len(set(SURNAMES)) == 100


def test_names_spelt_by_another_table_agree_with_their_own() -> None:
    assert _own(1, 1000) == []


def test_no_name_agrees_with_the_spelling_of_another() -> None:
    assert _others(2, 5000) == []


@pytest.mark.torture
def test_of_ten_thousand_names_spelt_by_another_table_999_in_1000_agree_with_their_own() -> None:
    assert len(_own(random.SystemRandom().randrange(10**9), 10_000)) <= 10


@pytest.mark.torture
def test_of_a_hundred_thousand_pairs_without_a_common_spelling_none_agrees() -> None:
    assert _others(random.SystemRandom().randrange(10**9), 100_000) == []


def test_the_table_is_read_when_the_first_han_name_meets_a_latin_one_and_not_before() -> None:
    program = (
        "import router.correlator.correlator, router.matching.patient.pinyin as p, sys\n"
        "assert p._table.cache_info().currsize == 0\n"
        "p.spelling('张三', 'ZHANGSAN')\n"
        "assert p._table.cache_info().currsize == 1 and 'pypinyin' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
