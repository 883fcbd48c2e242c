"""Languages: texts for people from gettext catalogues (`router/locale`), with their English as the key.

The log, the audit trail, the database and every `--json` keep the English text. A text with values in it, such as a
reason that was stored, is found again by its template: `exam {exam} of another patient lists study {study_uid}`.
`tests/texts.py` says which texts the catalogues hold and brings them up to date.
"""

import functools
import gettext
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Formatter
from typing import TypeVar

from router.alarms import REMEDY, Alarm

LANGUAGES: Mapping[str, str] = {"en": "English", "zh_CN": "中文"}
DEFAULT, SOURCE = "zh_CN", "en"
LOCALE = Path(__file__).parent / "locale"

_PLAIN = 3  # letters of a template's own; with fewer it has nothing to translate
_CERTAIN = 12  # letters of a template's own by which it is known whatever its values are
_LONGEST = 4000  # of a text whose template is looked for
_JOINTS = {"; ": "；", ": ": "：", ", ": "、"}
_JOINT = re.compile("[;:,] ")
_HINT = re.compile(r"(.+) \((.+)\)", re.DOTALL)

Say = Callable[[str], str]
_T = TypeVar("_T")


def N_(texts: _T) -> _T:  # noqa: N802  # gettext's name for it
    """Mark a text, or all texts of a table, as translated where it is shown; returns it as it is."""
    return texts


class _Template:
    """A text with places for values, `{exam}`, and the expression that finds these in a text made by it."""

    def __init__(self, text: str) -> None:
        parts = [(literal, name) for literal, name, _, _ in Formatter().parse(text)]
        self.letters = sum(map(str.isalpha, "".join(literal for literal, _ in parts)))
        self.longest = max((literal for literal, _ in parts), key=len)
        self.text = text
        certain = self.letters >= _CERTAIN or any(": " in literal or "`" in literal for literal, _ in parts)
        value = "(.*?)" if certain else r"(\S+?)"
        self._names = [name for _, name in parts if name]
        self._found = re.compile("".join(re.escape(a) + (value if b else "") for a, b in parts), re.DOTALL)

    def values(self, text: str) -> dict[str, str] | None:
        """The values in a text; None where another template made it."""
        found = self._found.fullmatch(text) if self.longest in text else None
        return None if found is None else dict(zip(self._names, found.groups(), strict=True))


class _Catalogue(gettext.GNUTranslations):
    """A compiled catalogue, and those of its texts that have places for values, the most certain first."""

    @functools.cached_property
    def templates(self) -> list[_Template]:
        """Those that are certain enough to be found in a text."""
        texts = self._catalog  # type: ignore[attr-defined]  # gettext offers no other way to list them
        found = [_Template(text) for text in texts if isinstance(text, str) and text and places(text)]
        return sorted((each for each in found if each.letters >= _PLAIN), key=lambda each: -each.letters)


class Tongue:
    """Says texts in one language of LANGUAGES."""

    def __init__(self, language: str = DEFAULT) -> None:
        self.language = language
        self._catalogue = _catalogue(language)
        self._told = functools.lru_cache(maxsize=1024)(self._tell)

    def say(self, text: str, /, **values: object) -> str:
        """The text in this language, with `values` at its places; English where it has no translation."""
        said = self._catalogue.gettext(text) if text else ""
        return said.format(**values) if values else said

    def told(self, text: str) -> str:
        """A text that was made in English with its values already in it; what no template explains stays English."""
        return text if len(text) > _LONGEST else self._told(text)

    def alarm(self, alarm: Alarm) -> tuple[str, str]:
        """An alarm's name and what to do about it."""
        return self._catalogue.pgettext("alarm", alarm.value), self.say(REMEDY[alarm])

    def _tell(self, text: str) -> str:
        bare = text.strip()
        said = self._whole(bare) or self._pieces(bare)
        return text if said is None or not bare else text.replace(bare, said, 1)

    def _whole(self, text: str) -> str | None:
        """A text of the catalogue, or one made by a template of it."""
        if text and (said := self._catalogue.gettext(text)) != text:
            return said
        for each in self._catalogue.templates:
            if (values := each.values(text)) is not None:
                return self.say(each.text, **{name: self.told(value) for name, value in values.items()})
        return None

    def _pieces(self, text: str) -> str | None:
        """Texts of the catalogue that were put together, one of them at the beginning or the end."""
        if self.language == SOURCE:
            return None
        cuts = list(_JOINT.finditer(text))
        for cut in reversed(cuts):
            begun = text[: cut.end()].rstrip()
            if (start := self._catalogue.gettext(begun)) != begun:
                return start + self.told(text[cut.end() :])
        by_weight = sorted(cuts, key=lambda each: list(_JOINTS).index(each[0]))
        joined = (self._joined(text[: cut.start()], cut[0], text[cut.end() :]) for cut in by_weight)
        return next((said for said in joined if said is not None), None) or self._parts(text)

    def _joined(self, before: str, joint: str, after: str) -> str | None:
        """Two texts that were put together; of a list both must be known."""
        if said := self._whole(joint + after):
            return self.told(before) + said
        if (said := self._whole(after)) and (joint != ", " or self.told(before) != before):
            return self.told(before) + _JOINTS[joint] + said
        if (said := self._whole(before)) and (joint != ", " or self.told(after) != after):
            return said + _JOINTS[joint] + self.told(after)
        return None

    def _parts(self, text: str) -> str | None:
        """Sentences, or a sentence with a hint in brackets, of which some are known."""
        parts = text.split("; ")
        said = [self.told(part) for part in parts] if len(parts) > 1 else parts
        if said != parts:
            return _JOINTS["; "].join(said)
        if (hinted := _HINT.fullmatch(text)) is None:
            return None
        before, hint = map(self.told, hinted.groups())
        return f"{before}（{hint}）" if (before, hint) != hinted.groups() else None


def places(text: str) -> list[str]:
    """The names of a text's places for values, in order; none of a text whose braces are no places."""
    try:
        return [name for _, name, _, _ in Formatter().parse(text) if name]
    except ValueError:
        return []


def chosen_language(asked: str, accepted: str, otherwise: str) -> str:
    """The language to answer a browser in: the one asked for, else the first that it accepts, else another."""
    if asked in LANGUAGES:
        return asked
    ours = {language[:2]: language for language in LANGUAGES}
    wishes = (wish.partition(";")[0].strip()[:2].lower() for wish in accepted.split(","))
    return next((ours[wish] for wish in wishes if wish in ours), otherwise)


@functools.cache
def _catalogue(language: str) -> _Catalogue:
    file = LOCALE / language / "LC_MESSAGES" / "router.mo"
    with file.open("rb") as opened:
        return _Catalogue(opened)
