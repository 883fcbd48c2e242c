"""Notes beside a Han name: brackets with their content, sex, age, forms of address, "to be repeated", "urgent".

Notes are no part of the name. Marks that tell people of one name apart (twins, a mother's child) stay in it.
Texts are in NFKC.
"""

import re

_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_BRACKET = re.compile(r"[(\[{<【〔〖《「『]([^()\[\]{}<>【】〔〕〖〗《》「」『』]*)(?:[)\]}>】〕〗》」』]|$)")
_BETWEEN = re.compile(r"[\s,、/;:.]+")
_SEX = re.compile("[男女]性?")
_AGE = re.compile(r"\d+(?:岁|周岁|个?月|周|天|日|小时|[YMWDymwd])+(?:\d+(?:个?月|天|日))?")
_KNOWN = re.compile(
    "急|急诊|门诊|住院|病房|体检|复[查诊]|復查|初诊|平诊|加|加[急做片拍]|增强|平扫|绿色通道|绿通|床[边旁]|补[拍片照]?|"
    "重[拍复做]|会诊|转诊|外院|外[诊送]|VIP|CT|MRI?|DR|CR|DX|US|PET|先生|女士|小姐|太太|同志",
    re.IGNORECASE,
)
_ADDRESS = re.compile(f"(?<=[{_HAN}·][{_HAN}])(?:先生|女士|小姐|太太|同志)(?=$|[^{_HAN}])")
# A child of the named person, or one of several people of that name.
_PERSON = re.compile(
    r"\d+|[^\W\d_]|[IVX]{1,4}|[甲乙丙丁戊己大小老长次幼中一二三四五六七八九十双]{1,2}|第.|.*[子女]|"
    r".*(?:之[子女]|[男女][婴嬰孩儿]|婴|嬰|儿子|女儿|新生|小儿|[大小二三双]宝|宝宝|双胞|[孪孿]|胎|母|父|妻|夫|兄|弟|姐|妹|家属|[号號]).*",
    re.IGNORECASE,
)
_LATIN = re.compile(r"[^\W\d_]*[A-Za-zÀ-ɏ].*")
_FEWEST = 2


def known_removed(group: str) -> tuple[str, frozenset[str]]:
    """A name's group without notes of known words, and the sex and age in them; two Han characters stay."""
    notes: set[str] = set()

    def kept(content: str, given: str) -> str:
        said = _known(content)
        notes.update(said or ())
        return given if said is None else " "

    bare = _BRACKET.sub(lambda found: kept(found[1], found[0]), group)
    first, *rest = bare.split() or [""]
    if _has_name(first):  # a name with blanks between its characters may end in 女
        bare = first + "".join(kept(word, f" {word}").rstrip() for word in rest)
    bare = _ADDRESS.sub("", bare)
    return (bare, frozenset(notes)) if _has_name(bare) else (group, frozenset())


def others_removed(group: str) -> tuple[str, frozenset[str]]:
    """A name's group without brackets whose content alone tells no people apart, and these contents."""
    notes: set[str] = set()

    def kept(found: re.Match[str]) -> str:
        content = found[1].strip()
        if _PERSON.fullmatch(content) or _LATIN.fullmatch(content):
            return found[0]
        notes.update({content} - {""})
        return " "

    bare = _BRACKET.sub(kept, group)
    return (bare, frozenset(notes)) if _has_name(bare) else (group, frozenset())


def _known(content: str) -> set[str] | None:
    """Sex and age in a text of known words alone; None for any other text."""
    words = [word for word in _BETWEEN.split(content) if word]
    found = {word[0] if _SEX.fullmatch(word) else word for word in words if not _KNOWN.fullmatch(word)}
    return found if words and all(_SEX.fullmatch(word) or _AGE.fullmatch(word) for word in found) else None


def _has_name(text: str) -> bool:
    return len(re.findall(f"[{_HAN}]", _BRACKET.sub("", text))) >= _FEWEST
