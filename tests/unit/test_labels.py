"""What a report prints under its labels."""

import time

import pytest

from router.correlate.labels import han_name, labelled, may_be

_NAMES = [
    ("姓名：李四  性别：女  年龄：31岁", ["李四"]),
    ("姓名李四性别女年龄31岁", ["李四"]),
    ("姓名:李四女31岁", ["李四"]),
    ("姓 名： 李 四   性 别：女", ["李四"]),
    ("患者姓名 李四\n检查部位 胸部", ["李四"]),
    ("病人姓名（Name）：李四", ["李四"]),
    ("Name: 李四  Sex: F", ["李四"]),
    ("Patient Name：李四", ["李四"]),
    ("姓名：\n李四", ["李四"]),
    ("姓名：欧阳娜娜（女）", ["欧阳娜娜"]),
    ("姓名：买买提·吐尔逊", ["买买提·吐尔逊"]),
    ("姓名：李梅之子", ["李梅之子"]),
    ("姓名：李梅之女2 性别：女", ["李梅之女2"]),
    ("姓名：张*  性别：女", ["张*"]),
    ("姓名：张＊三", ["张*三"]),
    ("姓名：张某某？ 年龄：3岁", ["张某某?"]),
    # a header table: all labels, then all values
    ("姓名 性别 年龄 检查号\n李四 女 31岁 A1001", ["李四"]),
    ("检查号 姓名 性别\nA1001 李四 女", ["李四"]),
    ("姓名\n性别\n年龄\n李四\n女\n31岁\n影像所见：正常", ["李四"]),
    ("姓名\n李四\n性别\n女", ["李四"]),
    ("检查号\n姓名：李四", ["李四"]),
    # somebody else's
    ("申请医生姓名：王五\n姓名：李四", ["李四"]),
    ("联系人姓名：王五", []),
    ("家属姓名：王五", []),
    ("Doctor Name: 王五", []),
    ("审核医师：王五", []),
    # none
    ("姓名：", []),
    ("姓名：  性别：女", []),
    ("姓名：性别：女 年龄：31岁", []),
    ("姓名：无名氏", []),
    ("姓名：张", []),
    ("姓名：放射科", []),
    ("姓名：门诊", []),
    ("姓名：影像诊断报告单", []),
    ("床号 姓名 科室 性别\n内科 女 放射科", []),  # two values are empty: the columns are not known
    ("姓名 科室 性别\n内科 女 31岁", []),
    ("核对患者姓名后行胸部CT检查", []),
    ("", []),
]


@pytest.mark.parametrize(("text", "names"), _NAMES)
def test_a_name_stands_under_its_label(text: str, names: list[str]) -> None:
    assert list(labelled(text).names) == names


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("检查号：10020099  检查时间 2026-11-29", [("检查号", "10020099")]),
        ("住 院 号:00123 门诊号: mz-77", [("住院号", "00123"), ("门诊号", "MZ-77")]),
        ("影像号 姓名 性别\nA1001 李四 女", [("影像号", "A1001")]),
        ("检查号：  姓名：李四", []),
        ("病历号：无", []),
        ("床号：12", []),
    ],
)
def test_a_number_stands_under_its_label(text: str, numbers: list[tuple[str, str]]) -> None:
    assert list(labelled(text).numbers) == numbers


@pytest.mark.parametrize(
    ("printed", "name", "may"),
    [
        ("张三", "张三", True),
        ("李四", "张三", False),
        ("张三丰", "张三", False),
        ("张*", "张三", True),
        ("张**", "张三丰", True),
        ("张*丰", "张三丰", True),
        ("张某某?", "张三丰", True),
        ("李*", "张三", False),
        ("*三", "张三", True),
        ("王明", "王䶮明", True),  # a font without the rare character
        ("王明", "王大明", False),
        ("李梅之子", "李梅之女", False),
        ("李梅", "李梅之子", False),
        ("李梅之子", "李梅之子1", True),
        ("李梅之子2", "李梅之子1", False),
    ],
)
def test_masked_and_rare_signs_match_what_they_may_hide(printed: str, name: str, may: bool) -> None:
    assert may_be(printed, name) == may


@pytest.mark.parametrize(
    ("given", "han"),
    [
        ("张三", "张三"),
        (" 张 三 ", "张三"),
        ("ZHANG^SAN=张^三", "张三"),
        ("张三（代）", "张三"),
        ("ZHANG SAN", ""),
        ("", ""),
    ],
)
def test_the_han_name_of_a_json(given: str, han: str) -> None:
    assert han_name(given) == han


@pytest.mark.parametrize(
    "text", ["姓名" * 50_000, "姓名：" * 50_000, "检查号" + "1" * 10**6, "姓 " * 50_000, "张" * 10**5]
)
def test_a_hostile_text_costs_little(text: str) -> None:
    began = time.process_time()
    labelled(text)
    assert time.process_time() - began < 2
