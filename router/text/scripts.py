"""Words of a script, judged by their letters: Chinese names, and how much other text looks like words."""

import re
import unicodedata
from collections.abc import Callable

_SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡"
    "余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯"
    "龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟"
    "殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛"
    "靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷"
    "晏席卫米柏宗瞿桂佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟"
    "邝官封谈匡鞠惠荆乐冀郁胥南班储原栗燕楚鄢劳谌奚皮粟冼蔺楼盘满闻位厉伊仝区郜海阚花权强帅屠豆"
    "朴盖练廉禹井祖漆巴丰支卿国狄平计索宣晋相初门云容敬来扈晁芮都普阙浦戈伏鹿薄邸雍辜羊阿母裘亓"
    "修邰赫杭况那宿鲜印逯隆茹诺战慕危玉银亢嵇公哈湛宾戎勾茅利於呼居揭干但尉冶斯元束檀衣信展阴昝"
    "智幸奉植衡富尧闭由郦咸籍赖蓬郗益桓贡慈訾竺蒯毋"
)
_COMPOUND = frozenset(
    re.findall(
        "..", "欧阳司马上官诸葛夏侯东方尉迟皇甫公孙慕容令狐司徒司空宇文长孙端木申屠独孤南宫百里东郭呼延轩辕澹台公冶"
    )
)
_HAN = "[\u3400-\u9fff\U00020000-\U0003ffff]"
_PARTS = re.compile(r"[=\\]")
_EDGES = " ^\0\u3000"
_WORD_EDGES = re.compile(r"[\^=\\ \0,.()/-]+")
_LONG = 5  # letters; fewer may be chance
_CONSONANTS, _VOWELS = 4, 3  # in a row

_CYRILLIC_VOWELS, _GREEK_VOWELS = frozenset("аеёиоуыэюяіїє"), frozenset("αεηιουω")
_CYRILLIC = re.compile("[а-яёіїєa-z]*", re.IGNORECASE)
_GREEK = re.compile("[α-ωάέήίόύώϊϋΐΰ]*", re.IGNORECASE)
_ACCENTS = re.compile("[άέήίόύώΐΰ]")
_HEBREW = re.compile("[א-ת]*")
_HEBREW_LAST = re.compile("[ךםןףץ].")
_ARABIC = re.compile("[ء-غف-ي]*")
_ARABIC_ORDER = re.compile("[ةى].|^[ؤئءةى]")
_THAI_CONSONANT = "[ก-ฮ]"
_THAI = re.compile(rf"(?:[เแโใไ]?{_THAI_CONSONANT}{{1,3}}[ัิ-ฺ็]?[่-๋]?[ะาำ]?(?:{_THAI_CONSONANT}[ุิ]?์)?)*")
_THAI_VOWELS = re.compile("[ะ-ฺเ-ไ็]")
_KANA = re.compile("(?:[ｱ-ﾝ][ﾞﾟ]?[ｧ-ｯ]?ｰ?)*")
_KANA_ORDER = re.compile("[^ｳｶ-ﾄﾊ-ﾎ]ﾞ|[^ﾊ-ﾎ]ﾟ|[^ｷｼﾁﾆﾋﾐﾘﾞﾟ][ｬｭｮ]|^ﾝ|ｯ[ｱ-ｵﾅ-ﾉﾏ-ﾝ]|ｯ$|[^ﾌｳﾃﾄﾞﾂ][ｧｨｩｪｫ]")
_VOICED = re.compile("[ﾞﾟ]")
_HANGUL_SYLLABLES = frozenset(
    "가각간갑강건경계고곤공곽관광교구국군권규균근금기길김나남내노녹다단달담대덕도동두득라란람랑래량려련렬령례로록"
    "롱루류륜률리린림마만말매맹명모목묘무문미민박반방배백범변별병보복본봉부분비빈사산삼상새생서석선설섭성세소손송"
    "수숙순술숭슬승시식신실심아안애양언엄여연열염엽영예오옥온완왕요용우욱운웅원월위유육윤율은을음의이익인일임자"
    "작장재전점정제조종주준중지직진차찬창채천철청초총최추춘충치칠탁탄태택탁판편평표풍필하학한함해행향허헌혁현형혜"
    "호홍화환황회효후훈휘희흥"
)


def is_chinese_name(text: str) -> bool:
    """Whether each part beyond ASCII is a surname with one or two characters after it."""
    return _are_names(text, lambda surname: surname in (_SURNAMES if len(surname) == 1 else _COMPOUND))


def is_like_chinese_name(text: str) -> bool:
    """Whether each part beyond ASCII has two to four characters, as a name has."""
    return _are_names(text, lambda surname: len(surname) == 1 or surname in _COMPOUND)


def _are_names(text: str, is_surname: Callable[[str], bool]) -> bool:
    parts = [part.strip(_EDGES) for part in _PARTS.split(text) if not part.isascii()]
    forms = [rf"({_HAN}{{{length}}})[\^ \u3000]?{_HAN}{{1,2}}" for length in (1, 2)]  # surname, then given name
    named = (any((m := re.fullmatch(form, part)) and is_surname(m[1]) for form in forms) for part in parts)
    return bool(parts) and all(named)


def likeness(text: str) -> int:
    """How much text of one other script looks like words: 0 not at all, 1 as chance would, 2 more than chance would.

    Nearly any bytes are half-width kana: these reach 2 only with a voiced mark in its place. Korean Hanja never do.
    """
    words = [word for word in _WORD_EDGES.split(text) if not word.isascii()]
    marks = {_script_of(word) for word in words}
    if not words or len(marks) != 1 or not all(_is_word(word) for word in words):
        return 0
    script = marks.pop()
    if script == "HANGUL":
        return 2 if all(c in _HANGUL_SYLLABLES for word in words for c in word if not c.isascii()) else 1
    if script == "HALFWIDTH":
        return 2 if any(map(_VOICED.search, words)) else 1
    long = any(sum(not c.isascii() for c in word) >= _LONG for word in words)
    return 2 if long and script in _WORDS else 1


def _script_of(word: str) -> str:
    first = next(c for c in word if not c.isascii())
    return re.split("[ -]", unicodedata.name(first, "?"), maxsplit=1)[0]


def _is_word(word: str) -> bool:
    script = _script_of(word)
    if any(not c.isascii() and unicodedata.category(c)[0] not in "LM" for c in word):
        return False
    if script in _WORDS:
        return _WORDS[script](word)
    if script == "HALFWIDTH":
        return bool(_KANA.fullmatch(word)) and not _KANA_ORDER.search(word)
    return all(c.isascii() or _script_of(c) == script for c in word)


def _is_cyrillic(word: str) -> bool:
    low = word.lower()
    return bool(_CYRILLIC.fullmatch(low)) and low[0] not in "ъыь" and _alternates(low, _CYRILLIC_VOWELS | set("aeiouy"))


def _is_greek(word: str) -> bool:
    """Whether it has at most one accent, and final sigma at the end only."""
    low = word.lower()
    bare = "".join(c for c in unicodedata.normalize("NFD", low) if unicodedata.category(c) != "Mn")
    return (
        bool(_GREEK.fullmatch(low)) and len(_ACCENTS.findall(low)) <= 1 and "ς" not in low[:-1]
        and _alternates(bare, _GREEK_VOWELS)
    )  # fmt: skip


def _alternates(word: str, vowels: frozenset[str] | set[str]) -> bool:
    """Whether vowels and consonants take turns as in speech; a lone letter is an initial."""
    kinds = "".join("v" if c in vowels else "c" for c in word)
    return len(word) == 1 or (
        "v" in kinds and "c" * (_CONSONANTS + 1) not in kinds and "v" * (_VOWELS + 1) not in kinds
    )


_WORDS: dict[str, Callable[[str], bool]] = {
    "CYRILLIC": _is_cyrillic,
    "GREEK": _is_greek,
    "HEBREW": lambda word: bool(_HEBREW.fullmatch(word)) and not _HEBREW_LAST.search(word),
    "ARABIC": lambda word: bool(_ARABIC.fullmatch(word)) and not _ARABIC_ORDER.search(word),
    "THAI": lambda word: bool(_THAI.fullmatch(word) and _THAI_VOWELS.search(word)),
}
