"""What a report's text prints under its labels: the patient's name, and numbers (检查号, 住院号, ...).

A label's value stands on its line, or a header table comes out as all labels, then all values.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HAN = "\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MASKS = "*×●○□?_某"
_NAME_LABEL = "姓名"
_NUMBER_LABELS = re.findall(
    r"\S+",
    "检查号 检查编号 检查流水号 影像号 影像编号 放射号 超声号 登记号 登记编号 住院号 住院编号 门诊号 "
    "病历号 病案号 病人号 病人编号 患者编号 患者号 就诊号 就诊卡号 申请单号 条码号 流水号 报告编号 报告号 "
    "序号 CT号 MR号 DR号 X线号 片号 ID号 PATIENTID ACCESSIONNO EXAMID ID",
)
_OTHER_LABELS = re.findall(
    r"\S+",
    "性别 年龄 出生日期 出生年月 生日 科室 科别 送检科室 申请科室 申请医生 申请医师 病区 病房 病室 床号 "
    "床位 检查日期 检查时间 检查部位 检查项目 检查方法 检查名称 检查类型 检查设备 报告日期 报告时间 "
    "申请日期 申请时间 登记时间 送检医生 送检医师 临床诊断 设备 机型 部位 来源 类别 病人类型 患者类型 "
    "患者来源 费别 电话 联系电话 民族 职业 籍贯 婚姻 住址 地址 身份证号 医保号 身高 体重 报告医生 "
    "报告医师 审核医生 审核医师 院区 医院 SEX AGE GENDER DATE DEPT DEPARTMENT BED WARD MODALITY",
)
# The name after these is somebody else's: a doctor's, a relative's.
_NOT_THE_PATIENTS = re.compile(
    "(?:医生|医师|技师|护士|联系人|申请|家属|亲属|家长|监护人|父亲|母亲|送检|报告|审核|检查者|操作|记录|签字|签名|录入|打印|经治|主治)[者人员的]*$"
)
_GAP = r"[ \t]*"
_HEAD = rf"(?:(?:患者|病人|受检者|病员|检查者){_GAP})?"
_LABELS = sorted((*_NUMBER_LABELS, *_OTHER_LABELS, _NAME_LABEL), key=len, reverse=True)
_LABEL = "|".join(_GAP.join(map(re.escape, word)) for word in _LABELS)
_ANY_LABEL = re.compile(
    rf"(?P<name>{_HEAD}姓{_GAP}名|(?<![A-Z])(?:PATIENT'?S?{_GAP})?NAME(?![A-Z]))"
    rf"|(?<![A-Z])(?P<label>{_LABEL})(?![A-Z])"
)
_SEPARATOR = re.compile(r"[ \t]*(?:[(\[][A-Z' ]*[)\]])?[ \t]*[:;=]?[ \t]*")
_PERSON = re.compile(rf"[{_HAN}{re.escape(_MASKS)}][{_HAN}{re.escape(_MASKS)}·]*(?:[A-Z0-9]{{1,2}}(?![A-Z0-9]))?")
_GAPPED = re.compile(rf"(?<![{_HAN}])([{_HAN}])[ \t]{{1,4}}([{_HAN}])(?![{_HAN}])")
_NUMBER = re.compile(r"[0-9A-Z](?:[0-9A-Z._/-]*[0-9A-Z])?")
_SHORTEST_NUMBER = 3
_LONGEST_NAME, _LONGEST_WITH_DOT = 6, 20
_NOBODY = re.compile("无名.?|不详|未知|未命名|急诊.*|空|无|测试")
_NO_NAME = re.compile(
    "男性?|女性?|[男女][0-9岁]*|门诊.*|住院.*|急诊.*|体检.*|.*[科室区床院]|汉族|[岁月天]"
    "|.*(?:检查|平扫|增强|报告|诊断|影像|所见|医院|中心|日期|时间|医师|医生|技师).*"
)
_COMMON = "[\u4e00-\u9fa5·A-Z0-9]"
_BEFORE = 12
_AT_MOST = 50
_LONGEST_TEXT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What stands under labels: patients' names as printed, and numbers, each with its label."""

    names: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Token:
    """A label (`label` is its word) or a value, on a line. A label whose name is not the patient's is `foreign`."""

    line: int
    text: str
    label: str = ""
    foreign: bool = False


def labelled(text: str) -> Labelled:
    """Read the labels of a report's text."""
    tokens = list(_tokens(_normal(text[:_LONGEST_TEXT])))
    names: dict[str, None] = {}
    numbers: dict[tuple[str, str], None] = {}
    for label, value in _values(tokens):
        if label == _NAME_LABEL:
            names |= dict.fromkeys(name for name in [_person(value)] if name)
        elif label in _NUMBER_LABELS:
            numbers |= dict.fromkeys((label, number) for number in [_number(value)] if number)
    return Labelled(names=tuple(names)[:_AT_MOST], numbers=tuple(numbers)[:_AT_MOST])


def han_name(name: str) -> str:
    """The Han characters of a patient's name as a JSON has it, and what tells twins apart; "" where it has none."""
    plain = "".join(unicodedata.normalize("NFKC", name).upper().replace("\u30fb", "·").split())
    found = next((part for part in re.split("[=(]", plain) if re.search(f"[{_HAN}]", part)), "")
    return re.sub(f"[^{_HAN}·A-Z0-9]", "", found)


def may_be(printed: str, name: str) -> bool:
    """Whether a printed name, in which signs may be masked (张*, 张某某), can be this one, as `han_name` gives it.

    Fonts often lack rare characters: they may be missing. What tells twins apart counts where both have it.
    """
    if name[-1:].isalnum() != printed[-1:].isalnum() or not (name[-1:].isascii() and printed[-1:].isascii()):
        name, printed = (re.sub("[A-Z0-9]+$", "", one) for one in (name, printed))
    if any(sign in _MASKS for sign in printed):
        parts = (re.escape(part) for part in re.split(f"[{re.escape(_MASKS)}]+", printed))
        return re.fullmatch(".+".join(parts), name) is not None
    common = "".join(re.escape(sign) if re.match(_COMMON, sign) else ".?" for sign in name)
    return re.fullmatch(common, printed) is not None


def normal_number(value: str) -> str:
    """A number as it is compared: one width, capitals, no blanks."""
    return "".join(unicodedata.normalize("NFKC", value).upper().split())


def _normal(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).upper().replace("\u30fb", "·").replace("\u2022", "·")
    return text.replace("\u3000", " ").replace("\xa0", " ").replace("\f", "\n").replace("|", " ")


def _tokens(text: str) -> Iterator[_Token]:
    for number, line in enumerate(text.splitlines()):
        at = 0
        for match in _ANY_LABEL.finditer(line):
            alone = _stands_alone(line, match) if match["label"] else not _is_part(line, match)
            if match.start() < at or not alone:
                continue
            begin = match.start("name") if match["name"] else match.start()
            yield from _words(number, line[at:begin])
            at = _SEPARATOR.match(line, match.end()).end()  # type: ignore[union-attr]  # it matches nothing, too
            yield _label(number, match, line[max(0, begin - _BEFORE) : begin])
        yield from _words(number, line[at:])


def _label(line: int, match: re.Match[str], before: str) -> _Token:
    if match["name"]:
        foreign = bool(_NOT_THE_PATIENTS.search(before.rstrip(" \t"))) or bool(re.search(r"[A-Z]{2,}[ \t]*$", before))
        return _Token(line, match["name"], _NAME_LABEL, foreign)
    return _Token(line, match["label"], re.sub(r"[ \t]", "", match["label"]))


def _is_part(line: str, match: re.Match[str]) -> bool:
    """Whether the word for a name is a part of a sentence: Han characters stand close to it on both sides."""
    around = line[max(0, match.start() - 1) : match.start()], line[match.end() : match.end() + 1]
    return all(re.match(f"[{_HAN}]", sign) for sign in around)


def _stands_alone(line: str, match: re.Match[str]) -> bool:
    """Whether a word is a label and not a part of a sentence: it begins a column, or is followed by a colon."""
    start, end = match.span("label")
    follows = line[end:].lstrip(" \t")
    begins = start == 0 or line[start - 1] in " \t:;,/" or not re.match(rf"[{_HAN}]", line[start - 1])
    return follows[:1] in (":", "") or (begins and (end == len(line) or line[end] in " \t([")) or begins


def _words(line: int, text: str) -> Iterator[_Token]:
    text = _GAPPED.sub(r"\1\2", text)
    yield from (_Token(line, word) for word in re.split(r"[ \t,;。]+", text) if word.strip(":"))


def _values(tokens: Sequence[_Token]) -> Iterator[tuple[str, str]]:
    """Each label with its value."""
    at = 0
    while at < len(tokens):
        if not tokens[at].label:
            at += 1
            continue
        end = at
        while end < len(tokens) and tokens[end].label:
            end += 1
        stop = end
        while stop < len(tokens) and not tokens[stop].label:
            stop += 1
        yield from _of_group(tokens[at:end], tokens[end:stop])
        at = end


def _of_group(labels: Sequence[_Token], values: Sequence[_Token]) -> Iterator[tuple[str, str]]:
    """Labels in a row and what follows them: one label has the next value, several have one each, in order."""
    if len(labels) == 1 or (values and values[0].line == labels[-1].line and labels[-1].line != labels[0].line):
        one = labels[-1]
        if values and values[0].line - one.line <= 1 and not one.foreign:
            yield one.label, values[0].text
        return
    if values and values[0].line == labels[-1].line:  # 姓名：张三 性别：女, or labels whose values are left empty
        if not labels[-1].foreign:
            yield labels[-1].label, values[0].text
        return
    if len(values) >= len(labels) and _fits(labels, values):
        yield from ((one.label, value.text) for one, value in zip(labels, values, strict=False) if not one.foreign)


def _fits(labels: Sequence[_Token], values: Sequence[_Token]) -> bool:
    """Whether the values stand in their labels' columns: an empty one moves all that follow."""
    for label, value in zip(labels, values, strict=False):
        if label.label in ("性别", "SEX", "GENDER") and not re.match("男|女|未知|[MF]", value.text):
            return False
        if label.label in ("年龄", "AGE") and not re.match(r"\d|不详|未知", value.text):
            return False
        if label.label in _NUMBER_LABELS and not _NUMBER.match(value.text):
            return False
    return True


def _person(value: str) -> str:
    """The name at the beginning of a value; "" where there is none."""
    found = _PERSON.match(value)
    if found is None:
        return ""
    name = re.sub(r"(?<!之)[男女][0-9]+$", "", re.split(_LABEL, found[0])[0])
    longest = _LONGEST_WITH_DOT if "·" in name else _LONGEST_NAME
    han = re.sub("[A-Z0-9]", "", name)
    if not 2 <= len(han) <= longest or not re.search(rf"[{_HAN}]", name.replace("某", "")):
        return ""
    is_label = re.fullmatch(_LABEL, name) or _NO_NAME.fullmatch(name) or _NOBODY.fullmatch(name)
    return "" if is_label else name


def _number(value: str) -> str:
    found = _NUMBER.match(value)
    word = found[0] if found else ""
    return word if len(word) >= _SHORTEST_NUMBER and any(c.isdigit() for c in word) else ""
