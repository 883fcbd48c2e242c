"""Names spelt by another table than the comparison's: Unihan kMandarin, as the package pypinyin-dict ships it."""

import functools
import random
import unicodedata
from collections.abc import Iterator

from pypinyin_dict.pinyin_data import kmandarin_8105

_TONES = dict.fromkeys(map(ord, "\u0300\u0301\u0304\u030c"))
# The hundred most frequent surnames; those read otherwise as a surname, as they are spelt in a passport.
SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董袁潘蒋蔡余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭"
    "陆范汪廖石金贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶贺顾毛郝龚邵万覃武钱戴严莫孔向单解"
)
_AS_SURNAMES = {"曾": "zeng", "任": "ren", "单": "shan", "覃": "qin", "尹": "yin", "解": "xie"}


@functools.cache
def characters() -> list[str]:
    """The characters of GB2312's first level that the table has: all but three."""
    codes = [bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF)]
    found = [code.decode("gb2312") for code in codes if code < b"\xd7\xfa"]
    return [char for char in found if ord(char) in kmandarin_8105.pinyin_dict]


@functools.cache
def syllable(char: str) -> str:
    """The first reading by kMandarin in small letters without tone, ü as it is."""
    first = kmandarin_8105.pinyin_dict[ord(char)].split(",")[0]
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", first).translate(_TONES))


def spelt(name: str, chance: random.Random) -> str:
    """The name in pinyin, as one of the many ways in which devices write it."""
    surname, given = _AS_SURNAMES.get(name[0], syllable(name[0])), [syllable(char) for char in name[1:]]
    style = chance.choice(("v", "u", "yu"))
    first, *rest = [one.replace("ü", style) for one in (surname, *given)]
    ways = (
        f"{first}^{''.join(rest)}", f"{first}^{' '.join(rest)}", f"{''.join(rest)}^{first}", first + "".join(rest),
        f"{first} {''.join(rest)}", f"{first}, {'-'.join(rest)}", f"{first}^{chr(39).join(rest)}",
        f"{first}^{''.join(rest)}^^^F",
    )  # fmt: skip
    way = chance.choice(ways)
    return way.upper() if chance.random() < 0.5 else way.title()


def names(chance: random.Random) -> Iterator[str]:
    """Names of a surname and one or two characters, without end."""
    pool = characters()
    while True:
        yield chance.choice(SURNAMES) + "".join(chance.choices(pool, k=chance.choice((1, 2))))


def rows(name: str) -> set[str]:
    """Every joined spelling of the name by kMandarin and its surname's own reading, surname first or last."""
    given = "".join(syllable(char) for char in name[1:])
    firsts = {syllable(name[0]), _AS_SURNAMES.get(name[0], syllable(name[0]))}
    return {row for first in firsts for row in (first + given, given + first)}
