"""What a report prints under its labels."""

import time

import pytest

from router.matching.report_pdf.labels import han_name, labelled, may_be

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


def _somebody_elses(text: str, name: str) -> bool:
    names = labelled(f"示范医院CT诊断报告单\n{text}\n检查所见：双肺纹理清晰\n").names
    return bool(names) and not any(may_be(printed, han_name(name)) for printed in names)


_LAYOUTS = [
    "姓名：{}", "姓 名：{}", "姓　　名：{}", "患者姓名 {}", "姓名|{}|性别|男", "姓名\t{}",
    "【姓名】{}", "【姓名】：{}", "[姓名] {}", "姓名：【{}】", "姓名：[{}]", "姓名：“{}”", "姓名：\"{}\"",
    "姓名：<{}>", "姓名：《{}》",
    "姓名：「{}」", "姓名：( {} )", "姓名-{}", "姓名 - {}", "姓名—{}", "姓名——{}", "姓名::{}", "姓名：：{}",
    "姓名： ：{}", "姓名=={}",
    "姓名:={}", "姓名：___{}___", "姓名：_{}_", "姓名：____{}", "姓名：·{}", "姓名.{}", "姓名：1.{}", "姓名：(1){}",
    "姓名/Name：{}",
    "姓名：\n{}", "姓名：\n【{}】", "姓\n名：{}", "患者姓\n名：{}", "姓\n名\n{}", "姓 \n 名 {}", "姓\u200b名：\ufeff{}",
    "姓名 性别 年龄\n{} 男 45岁", "姓名\n性别\n年龄\n{}\n男\n45岁", "姓名： 性别： 年龄：\n{} 男 45岁",
    "姓名 性别\n【{}】 男",
    "{} 男 45岁\n姓名 性别 年龄", "{}\n男\n45岁\n姓名\n性别\n年龄", "A1001 {} 男\n检查号 姓名 性别",
    "姓名：LI SI {}", "姓名：{} LI SI", "Name: Li Si {}", "MR 姓名：{}", "设备：CT 姓名：{}", "Modality: CT Name: {}",
    "CT检查报告  姓名：{}", "申请医生：王主任  姓名：{}", "性别男姓名{}年龄45岁", "45岁姓名：{}",
    "受检者姓名：{}", "受检查者姓名：{}", "就诊人姓名：{}", "体检者姓名：{}", "患儿姓名：{}", "本人姓名：{}",
    "医生姓名：王五\n姓名：{}",
    "姓名：{}男45岁", "姓名：{}男 45岁", "姓名：{}先生", "姓名：{}女士", "姓名：{}同志", "姓名：{}小朋友",
    "姓名：{}门诊",
    "姓名：{}住院患者", "姓名：{}(复查)", "姓名：{}.门诊", "姓名：{}-放射科", "姓名：{}，男，45岁", "姓名：{}/男",
    "姓名：{} 胸部",
]  # fmt: skip


@pytest.mark.parametrize("layout", _LAYOUTS)
@pytest.mark.parametrize("printed", ["李四", "欧阳娜娜", "李建科", "陈小院"])
def test_a_name_is_read_in_every_layout(layout: str, printed: str) -> None:
    assert _somebody_elses(layout.format(printed), "张三")
    assert not _somebody_elses(layout.format(printed), printed)


@pytest.mark.parametrize(
    ("value", "name", "elses"),
    [
        # names that end like a department, a ward or a district
        *((name, "张三", True) for name in ("李院", "李大床", "王文区", "刘室", "王增强", "张三室")),
        *((name, name, False) for name in ("李院", "李大床", "王文区", "王增强")),
        *(
            (name, "张三", False)
            for name in (
                "内科", "康复科", "本院", "东院", "三病区", "高干科", "加3床", "腹部增强",
            )
        ),
        # fields run together, forms of address
        ("李胜男 性别：女", "李胜", True),
        ("李胜男 性别：女", "李胜男", False),
        ("李胜男", "李胜男", False),
        ("李梅之女", "李梅", True),
        ("李梅之女 女", "李梅之女", False),
        ("李先生", "张三", True),
        ("李先生", "李四", False),
        ("张三丰先生", "张三", True),
        ("张三胸部CT", "张三", False),
        ("王门诊", "张三", True),
        # lines and masks
        ("张_", "张三", False),
        ("张_", "李四", True),
        ("张三____", "张三", False),
        ("张__", "张三", False),
        ("____", "张三", False),
        # names of minorities
        *(
            (f"买买提{dot}艾力", "买买提·艾力", False)
            for dot in (
                "·", "", ".", " ", "•", "・", "･", "‧", "∙", "⋅", "-", "●",
            )
        ),
        *(
            (f"买买提{dot}吐尔逊", "买买提·艾力", True)
            for dot in (
                "·", "", ".", " ", "•", "・", "･", "‧", "∙", "⋅", "-", "●",
            )
        ),
        ("买买提·艾力", "买买提艾力", False),
        ("买买提·艾力", "买买提.艾力", False),
        ("买买提·艾*", "买买提艾力", False),
        ("阿卜杜热西提·阿卜杜\n拉 性别：男", "阿卜杜热西提·阿卜杜拉", False),
        ("阿卜杜热西提·阿卜杜\n拉 性别：男", "阿卜杜热西提·阿卜杜外力", True),
        # words that are no name
        *(
            (word, "张三", False)
            for word in (
                "见上", "如上", "同上", "同前", "见申请单", "详见申请单", "请见条码", "见腕带", "无", "無名氏",
                "未填写", "待补", "保密",
                "核对无误", "是否一致", "-", "--", "/", "【】", "“”", "1.", "男 45岁",
            )
        ),
    ],
)  # fmt: skip
def test_what_stands_with_a_name_neither_hides_nor_changes_it(value: str, name: str, elses: bool) -> None:
    assert _somebody_elses(f"姓名：{value}", name) == elses


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize(
    "whose",
    ["医生", "申请医生", "送检医师", "检查者", "检查人", "操作者", "操作员", "录入员", "记录者", "会诊专家", "专家",
    "护士", "配偶",
     "家属", "联系人", "紧急联系人", "患者家属", "父母", "患儿家长", "监护人", "主任", "院长"],
)  # fmt: skip
def test_the_name_of_another_person_is_not_the_patients(whose: str, blank: str) -> None:
    assert not _somebody_elses(f"{whose}{blank}姓名：李四", "张三")
    assert not _somebody_elses(f"姓名：张三 {whose}{blank}姓名：李四", "张三")


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"{whose}姓名：李四"
            for whose in (
                "取片人", "领取人", "代办人", "陪同人", "受托人", "负责人", "诊断者", "复核者", "曾用",
            )
        ),
        "诊断医生（姓名）：李四", "操作员：李四", "Doctor's Name: 李四", "Referring Physician's Name 李四",
        "Name of Doctor 李四",
        "姓名拼音：ZHANG SAN", "姓名拼音：见上", "姓名（拼音）：ZHANG SAN", "姓 名 拼 音：李四", "姓名首字母：ZS",
        "姓名 拼音\n张三 ZHANGSAN", "姓名核对无误", "姓名、性别核对正确",
        "李四 医生 主任\n姓名 性别 年龄", "李四 男\n姓名 性别 年龄", "李四 内科\n姓名 科室",
        "患者签字姓名：________\n李四",
    ],
)  # fmt: skip
def test_what_is_no_label_for_the_patients_name_tells_nothing(text: str) -> None:
    assert not _somebody_elses(text, "张三")


@pytest.mark.parametrize(
    ("given", "han"),
    [
        ("张三", "张三"),
        (" 张 三 ", "张三"),
        ("ZHANG^SAN=张^三", "张三"),
        ("张三（代）", "张三"),
        ("张三[急]", "张三"),
        ("张三【急】", "张三"),
        ("张三 男 45岁", "张三"),
        ("张三 45岁", "张三"),
        ("张三先生", "张三"),
        ("张 男", "张男"),
        ("张胜男", "张胜男"),
        ("李梅之女", "李梅之女"),
        ("王丽2", "王丽2"),
        ("买买提•艾力", "买买提·艾力"),
        ("ZHANG SAN", ""),
        ("", ""),
    ],
)
def test_the_han_name_of_a_json(given: str, han: str) -> None:
    assert han_name(given) == han


@pytest.mark.parametrize(
    "text",
    [
        "姓名" * 50_000, "姓名：" * 50_000, "检查号" + "1" * 10**6, "姓 " * 50_000, "张" * 10**5,
        "姓名：张三" + "门诊" * 9_000 + "x", "姓名：张" + "_" * 19_000, "姓名：" + "张·" * 9_000, "姓\n名\n" * 5_000,
        "姓名" + "- " * 9_000, "李四 男 45岁\n姓名 性别 年龄\n" * 800,
    ],
)  # fmt: skip
def test_a_hostile_text_costs_little(text: str) -> None:
    began = time.process_time()
    labelled(text)
    assert time.process_time() - began < 2
