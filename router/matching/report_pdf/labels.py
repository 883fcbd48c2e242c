"""Labelled values of a report: the patient's name, and numbers (检查号, 住院号, ...).

A label's value stands on its line, or a header table reads as all labels, then all values.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HAN = "\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MASKS = "*×●○□?_某"
_DOTS = re.compile("[\u00b7\u02d9\u0387\u2022\u2027\u2219\u22c5\u30fb\uff65]")
_NOT_SEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
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
    "报告医师 审核医生 审核医师 院区 医院 SEX AGE GENDER DATE DEPT DEPARTMENT BED WARD MODALITY "
    "姓名拼音 姓名全拼 姓名缩写 姓名首字母 拼音",
)
_SEX = frozenset({"性别", "SEX", "GENDER"})
_AGE = frozenset({"年龄", "AGE"})
# A name after these is a doctor's or a relative's. A title like 检查报告 may stand before a blank.
_SOMEBODY = (
    "医生|医师|技师|药师|大夫|护士|护师|专家|教授|主任|院长|科长|队长|组长|联系人|家属|亲属|亲友|朋友|家长|监护人"
    "|父亲|母亲|爸爸|妈妈|父母|配偶|丈夫|妻子|爱人|儿子|女儿|子女|检查者|检查人|操作[者人员]+|记录[者人员]+|录入[者人员]+"
)
_DOING = (
    "申请|送检|报告|审核|复核|审签|书写|诊断|操作|记录|签字|签名|签收|录入|打印|经治|主治|陪同|陪护|代办|委托|领取|取片"
    "|监护|联系|会诊|曾用|原|[人者员师士]"
)
_NOT_THE_PATIENTS = re.compile(rf"(?:(?:{_SOMEBODY})[者人员的]*[ \t(\[<]*|(?:{_DOING})[者人员的]*[(\[<]*)$")
_THE_PATIENTS = re.compile(
    "(?:[受被]检?查?[者人]员?|[就候来受]诊[者人]|[体受]检[者人]员?|受试者|住院[者人]|参保人|本人|客人|伤[者员])"
    r"[ \t(\[<]*$"
)
_ENGLISH = re.compile(r"(?<![A-Z])(?<!: )(?<![:=])[A-Z]{2,}(?:'S)?[ \t]*$")
_GAP = r"[ \t]*"
_HEAD = rf"(?:(?:患者|病人|[受被]检查?[者人]|病员){_GAP})?"
_LABELS = sorted((*_NUMBER_LABELS, *_OTHER_LABELS, _NAME_LABEL), key=len, reverse=True)
_LABEL = "|".join(_GAP.join(map(re.escape, word)) for word in _LABELS)
_ANY_LABEL = re.compile(
    rf"(?P<name>{_HEAD}姓{_GAP}名(?!{_GAP}(?:拼音|全拼|缩写|首字母))|(?<![A-Z])(?:PATIENT'?S?{_GAP})?NAME(?![A-Z]))"
    rf"|(?<![A-Z])(?P<label>{_LABEL})(?![A-Z])"
)
_BROKEN = re.compile(rf"(?<![{_HAN}])((?:患者|病人)?姓)[ \t]*\n[ \t]*名(?=[ \t]*(?:[:\n]|$)|[ \t])")
_SEPARATOR = re.compile(
    rf"[ \t]*(?:[(\[][A-Z' ]*[)\]])?[ \t]*(?:[:;=]+[ \t]*)*(?:[-\u2010-\u2015]+[ \t]*(?=[{_HAN}]))?"
)
# Beside a value: brackets, quotation marks, the line of a form.
_BRACKETS = "()[]{}<>【】「」『』〔〕〖〗《》〈〉\"'“”‘’:"
_BESIDE = _BRACKETS + "_-‐‑‒–—―~.·=/#^"
_NUMBERED = re.compile(r"[(\[]?[0-9]{1,2}[.、)\]]")
_SIGN = rf"[{_HAN}{re.escape(_MASKS)}]"
_PERSON = re.compile(rf"{_SIGN}(?:{_SIGN}|·|[.-](?={_SIGN}{{2}}))*(?:[A-Z0-9]{{1,2}}(?![A-Z0-9]))?")
_BULLET = re.compile(rf"(?<=[{_HAN}]{{2}})●(?=[{_HAN}]{{2}})")
_RUN = re.compile(rf"[{_HAN}]+(?:·[{_HAN}]+)*")
_GAPPED = re.compile(rf"(?<![{_HAN}])([{_HAN}])[ \t]{{1,4}}([{_HAN}])(?![{_HAN}])")
_NUMBER = re.compile(r"[0-9A-Z](?:[0-9A-Z._/-]*[0-9A-Z])?")
_SHORTEST_NUMBER = 3
_LONGEST_NAME, _LONGEST_WITH_DOT = 6, 20
_NOBODY = re.compile(
    "[无無]名.*|不详|未.*|急诊.*|空|[无無]|测试|[见详].+|[如同][上前]|[请参]见?.*[见阅照].*|待.+|保密|匿名|隐私|略"
    "|核对.*|.*(?:无误|有误|一致|不符|是否).*"
)
_NO_NAME = re.compile(
    "男性?|女性?|[男女][0-9岁]*|门诊.*|住院.*|急诊.*|体检.*|.*[科室区床院]|汉族|[岁月天]"
    "|.*(?:检查|平扫|增强|报告|诊断|影像|所见|医院|中心|日期|时间|医师|医生|技师).*|.*(?:CT|MR|DR|CR|US)"
)
# Names that end like a department, a ward or a district: a common surname with one or two more characters.
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆"
    "范汪廖石金韦贾夏付傅方邹熊白孟秦邱侯江尹薛闫阎雷段龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤康易乔赖文庞樊殷施翟倪"
)
_SURNAME = f"(?:[{_SURNAMES}]|欧阳|上官|司马|诸葛|皇甫|尉迟|令狐|慕容|司徒|公孙)"
_ENDS_ALIKE = re.compile(rf"{_SURNAME}[{_HAN}]?(?:[科室区床院]|增强)")
_DEPARTMENT = re.compile("康复.|高[干压危新].|白云.|江[北南东].|.[内外骨眼儿妇产肤瘤]科|.[病诊护][室区床]")
# A doctor's form of address, which is a value and no label: 王主任.
_CALLED = re.compile(rf"(?<![{_HAN}]){_SURNAME}[{_HAN}]{{0,2}}?(?:主任|大夫|教授|院长|医生|医师|技师|护士|老师)[ \t]+$")
_TITLE = re.compile("(.+?)(?:先生|女士|小姐|太太|夫人|同志|小朋友)")
_TAIL = re.compile("(.{2,}?)(?:门诊|住院|急诊|体检|复查|复诊|初诊|加急|随访|平诊|会诊|汉族)+(?:患者|病人)?")
_SEXED = re.compile("(.{2,})(?<!之)[男女]")
_MOST_LATIN = 4
_COMMON = "[\u4e00-\u9fa5·A-Z0-9]"
_BEFORE = 12
_AT_MOST = 50
_LONGEST_TEXT = 20_000
_LONGEST_PART, _LONGEST_VALUE = 12, 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Labelled values: patients' names as printed, and numbers, each with its label."""

    names: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Token:
    """A label (`label` is its word) or a value, on a line. A label for somebody else's name is `foreign`."""

    line: int
    text: str
    label: str = ""
    foreign: bool = False


def labelled(text: str) -> Labelled:
    """Read the labels of a report's text; `names` has every reading of ambiguous words (买买提 艾力, 张三男)."""
    text = unicodedata.normalize("NFKC", _DOTS.sub("·", _NOT_SEEN.sub("", text[:_LONGEST_TEXT]))).upper()
    text = text.replace("\r\n", "\n").replace("\f", "\n").replace("|", " ").replace("’", "'")
    tokens = list(_tokens(_BROKEN.sub(r"\1名", text)))
    sexed = any(token.label in _SEX for token in tokens)
    names: dict[str, None] = {}
    numbers: dict[tuple[str, str], None] = {}
    for label, words in _values(tokens):
        if label == _NAME_LABEL:
            names |= dict.fromkeys(_persons(words, sexed=sexed))
        elif label in _NUMBER_LABELS and (number := _number(words[0].text)):
            numbers[label, number] = None
    return Labelled(names=tuple(names)[:_AT_MOST], numbers=tuple(numbers)[:_AT_MOST])


def han_name(name: str) -> str:
    """Han characters of a name in a JSON, with a twin's mark, without notes (张三[急], 张三先生); "" without any."""
    plain = _DOTS.sub("·", unicodedata.normalize("NFKC", _DOTS.sub("·", name)).upper()).strip()
    plain = "".join(re.sub(r"(?<=\S\S)[\s,]+(?:[男女]性?(?![^\W\d])|[0-9]+岁).*", "", plain).split())
    found = next((part for part in re.split(r"[=(\[【〔<]", plain) if re.search(f"[{_HAN}]", part)), "")
    title = _TITLE.fullmatch(found)
    found = title[1] if title and len(title[1]) > 1 else found
    return re.sub(f"[^{_HAN}·A-Z0-9]", "", found)


def may_be(printed: str, name: str) -> bool:
    """Whether a printed name, perhaps masked (张*, 张某某), can be this one, as `han_name` returns it.

    Fonts often lack rare characters: they may be missing. A twin's mark counts where both have one. Dots within
    names of minorities are often left out.
    """
    return _may_be(printed, name) or _may_be(printed.replace("·", ""), name.replace("·", ""))


def _may_be(printed: str, name: str) -> bool:
    if name[-1:].isalnum() != printed[-1:].isalnum() or not (name[-1:].isascii() and printed[-1:].isascii()):
        name, printed = (re.sub("[A-Z0-9]+$", "", one) for one in (name, printed))
    if any(sign in _MASKS for sign in printed):
        parts = (re.escape(part) for part in re.split(f"[{re.escape(_MASKS)}]+", printed))
        return re.fullmatch(".+".join(parts), name) is not None
    common = "".join(re.escape(sign) if re.match(_COMMON, sign) else ".?" for sign in name)
    return re.fullmatch(common, printed) is not None


def normal_number(value: str) -> str:
    """A number as it is compared: in one width, in capitals, without blanks."""
    return "".join(unicodedata.normalize("NFKC", value).upper().split())


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
            if match["label"]:
                yield _Token(number, match["label"], re.sub(r"[ \t]", "", match["label"]))
            else:
                foreign = _is_foreign(match["name"], line[max(0, begin - _BEFORE) : begin])
                yield _Token(number, match["name"], _NAME_LABEL, foreign)
        yield from _words(number, line[at:])


def _is_foreign(label: str, before: str) -> bool:
    """Whether the words before a name's label show that it is somebody else's; 患者姓名 is the patient's."""
    if label[0] in "NP":
        return bool(_ENGLISH.search(before)) or bool(_NOT_THE_PATIENTS.search(before))
    patients = label[0] != "姓" or _THE_PATIENTS.search(before) or _CALLED.search(before)
    return not patients and bool(_NOT_THE_PATIENTS.search(before))


def _is_part(line: str, match: re.Match[str]) -> bool:
    """Whether Han characters on both sides make it part of a sentence; fields may run together: 性别女姓名李四."""
    if re.search("(?:性别[男女]|[0-9][岁月天])$", line[max(0, match.start() - _BEFORE) : match.start()]):
        return False
    around = line[max(0, match.start() - 1) : match.start()], line[match.end() : match.end() + 1]
    return all(re.match(f"[{_HAN}]", sign) for sign in around)


def _stands_alone(line: str, match: re.Match[str]) -> bool:
    """Whether a word is a label and not part of a sentence: it begins a column, or a colon follows."""
    start, end = match.span("label")
    follows = line[end:].lstrip(" \t")
    begins = start == 0 or line[start - 1] in " \t:;,/" or not re.match(rf"[{_HAN}]", line[start - 1])
    return follows[:1] in (":", "") or (begins and (end == len(line) or line[end] in " \t([")) or begins


def _words(line: int, text: str) -> Iterator[_Token]:
    text = _GAPPED.sub(r"\1\2", text)
    yield from (_Token(line, word) for word in re.split(r"[ \t,;。]+", text) if word.strip(_BRACKETS))


def _values(tokens: Sequence[_Token]) -> Iterator[tuple[str, Sequence[_Token]]]:
    """Each label with the words of its value, one or more."""
    at = begin = 0
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
        yield from _of_group(tokens[at:end], tokens[end:stop], tokens[begin:at])
        at = begin = end


def _of_group(
    labels: Sequence[_Token], values: Sequence[_Token], before: Sequence[_Token]
) -> Iterator[tuple[str, Sequence[_Token]]]:
    """Values of labels in a row: one has the next value, several one each; a table may have its values first."""
    if len(labels) == 1 or (values and values[0].line == labels[-1].line and labels[-1].line != labels[0].line):
        one = labels[-1]
        if values and values[0].line - one.line <= 1 and not one.foreign:
            yield one.label, values
        return
    if values and values[0].line == labels[-1].line:  # 姓名：张三 性别：女, or labels with empty values
        if not labels[-1].foreign:
            yield labels[-1].label, values
        return
    columns = _columns(labels, values, before)
    yield from ((one.label, [value]) for one, value in zip(labels, columns, strict=False) if not one.foreign)


def _columns(labels: Sequence[_Token], values: Sequence[_Token], before: Sequence[_Token]) -> Sequence[_Token]:
    """The values of a table's labels: the following ones, else preceding ones that fit sex or age."""
    if len(values) >= len(labels) and _fits(labels, values):
        return values
    near = before[-len(labels) :]
    has_sex_or_age = any(label.label in _SEX | _AGE for label in labels)
    lines = len({value.line for value in near}) == len({label.line for label in labels})
    if len(near) < len(labels) or not (has_sex_or_age and lines and labels[0].line - near[-1].line == 1):
        return ()
    alone = len(before) == len(near) or before[-len(near) - 1].line != near[0].line
    return near if alone and _fits(labels, near) else ()


def _fits(labels: Sequence[_Token], values: Sequence[_Token]) -> bool:
    """Whether the values fit their labels: an empty one shifts all that follow."""
    for label, value in zip(labels, values, strict=False):
        if label.label in _SEX and not re.match("男|女|未知|[MF]", value.text):
            return False
        if label.label in _AGE and not re.match(r"\d|不详|未知", value.text):
            return False
        if label.label in _NUMBER_LABELS and not _NUMBER.match(value.text):
            return False
    return True


def _persons(words: Sequence[_Token], *, sexed: bool) -> list[str]:
    """The names that the words of a value may be; `sexed` is whether the patient's sex has a label of its own."""
    words = _after_latin(words)
    name = _person(words[0].text)
    if not name:
        return []
    run = _SEXED.fullmatch(name)
    found = [name, run[1]] if run and not sexed else [name]
    if more := _second(name, words):
        found.append(name + more)
    return found


def _after_latin(words: Sequence[_Token]) -> Sequence[_Token]:
    """The words from the Han name on, without a Latin name before it: LI SI 李四."""
    for at, word in enumerate(words[: _MOST_LATIN + 1]):
        if word.line != words[0].line:
            break
        if at and re.match(_SURNAME, word.text) and _person(word.text):
            return words[at:]
        if word.text == "OF" or not re.fullmatch("[A-Z][A-Z'^-]*", word.text):
            break
    return words


def _second(name: str, words: Sequence[_Token]) -> str:
    """The next word, where a name may go on in it: a blank for the dot (买买提 艾力), the end of a line."""
    if len(words) < 2 or words[0].text != name or not _RUN.fullmatch(name):
        return ""
    found = _RUN.match(words[1].text)
    close = words[1].line == words[0].line or "·" in name or len(name) > _LONGEST_NAME // 2
    if found is None or not close or words[1].line - words[0].line > 1 or _is_no_name(found[0]):
        return ""
    return found[0] if len(found[0]) <= _LONGEST_PART else ""


def _person(value: str) -> str:
    """The name at the beginning of a value; "" where there is none."""
    bare = _NUMBERED.sub("", value.lstrip(_BESIDE)[:_LONGEST_VALUE], count=1).lstrip(_BESIDE)
    found = _PERSON.match(_BULLET.sub("·", bare))
    if found is None:
        return ""
    plain = re.sub(r"(?<!之)[男女][0-9]+$", "", re.split(_LABEL, found[0])[0])
    name = re.sub("[.-]", "·", plain)
    inner = name.rstrip("_")  # the line that it is printed on, ___李四___; a single sign at its end may be a mask
    lined = len(inner) > 1 and (value[:1] == "_" or name.endswith("__"))
    name = _without_notes((inner if lined else name).strip("·"))
    longest = _LONGEST_WITH_DOT if "·" in name else _LONGEST_NAME
    han = re.sub("[A-Z0-9]", "", name)
    if not 2 <= len(han) <= longest or not re.search(rf"[{_HAN}]", name.replace("某", "")):
        return ""
    return "" if _is_no_name(name) else name


def _without_notes(name: str) -> str:
    """The name without a form of address or other words that ran into it; 李先生 becomes a masked name."""
    while "·" in name and _is_no_name(name.rpartition("·")[2]):
        name = name.rpartition("·")[0]
    tail = _TAIL.fullmatch(name)
    name = tail[1] if tail else name
    title = _TITLE.fullmatch(name)
    if title is None:
        return name
    return title[1] if len(title[1]) > 1 else f"{title[1]}*"


def _is_no_name(word: str) -> bool:
    if _ENDS_ALIKE.fullmatch(word) and not _DEPARTMENT.fullmatch(word):
        return False
    return any(re.fullmatch(pattern, word) for pattern in (_LABEL, _NO_NAME, _NOBODY))


def _number(value: str) -> str:
    found = _NUMBER.match(value)
    word = found[0] if found else ""
    return word if len(word) >= _SHORTEST_NUMBER and any(c.isdigit() for c in word) else ""
