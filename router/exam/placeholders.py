"""Values that a program or a clerk writes where there is none, or that a spreadsheet has spoiled. Pure."""

import re
import unicodedata

_WORDS = frozenset({
    "无", "没有", "暂无", "不详", "未知", "未填", "未提供", "待补", "待查", "空", "无号码", "无电话", "无手机",
    "none", "null", "nil", "n/a", "undefined", "unknown", "(null)", "<null>", "nan", "#n/a", "#value!", "#ref!",
})  # fmt: skip
# A spreadsheet writes 210300000123 as 2.103E+11, and a program that took it for a number 210300000123.0.
_SCIENTIFIC = re.compile(r"[0-9]+(?:\.[0-9]+[Ee][+-]?|[Ee]\+)[0-9]{1,3}")
_FRACTION = re.compile(r"[0-9]+\.0")
_BETWEEN_DIGITS = re.compile(r"[\s()+.·_\-\u2010-\u2015]")
_DIGITS = re.compile(r"[0-9]{7,15}")
_FEWEST_OF_IDENTITY = 5  # characters of the shortest numbers of officers and passports
_FEWEST_DIFFERENT = 3  # digits of a real telephone number
_COUNTED = "01234567890123456789"


def says_nothing(text: str) -> bool:
    """Whether the text is a word or mark for "none": 无, 不详, N/A, a dash."""
    plain = _plain(text)
    return plain.casefold() in _WORDS or (plain != "" and not any(c.isalnum() for c in plain))


def is_spoiled(text: str) -> bool:
    """Whether a spreadsheet has made a number of a code: 2.103E+11, whose digits are lost, or 210300123.0."""
    plain = _plain(text)
    return _SCIENTIFIC.fullmatch(plain) is not None or _FRACTION.fullmatch(plain) is not None


def is_telephone(text: str) -> bool:
    """Whether it holds a telephone number of 7 to 15 digits that nobody made up by one key or by counting."""
    digits = _DIGITS.findall(_BETWEEN_DIGITS.sub("", _plain(text)))
    return any(len(set(each)) >= _FEWEST_DIFFERENT and each not in _COUNTED for each in digits)


def is_identity_number(text: str) -> bool:
    """Whether it may be the number of an identity document: long enough, and not one character again and again."""
    plain = _plain(text)
    return len(plain) >= _FEWEST_OF_IDENTITY and len(set(plain)) > 1


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()
