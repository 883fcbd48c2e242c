"""Languages: texts for people from gettext catalogues (`router/locale`), with their English as the key.

The log, the audit trail, the database and every `--json` keep the English text. A text with values in it, such as a
reason that was stored, is found again by its template: `e{exam} of another patient lists study {study_uid}`.
`tests/texts.py` says which texts the catalogues hold and brings them up to date.
"""

import functools
import gettext
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import TypeVar

from router.alarms import REMEDY, Alarm

LANGUAGES: Mapping[str, str] = {"en": "English", "zh_CN": "中文"}
DEFAULT, SOURCE = "zh_CN", "en"
LOCALE = Path(__file__).parents[1] / "locale"
_INSTALLED = not (LOCALE.parents[1] / "scripts" / "launch").exists()
_SCRIPT = re.compile(r"\bscripts/(?=[a-z])")

_PLAIN = 3  # letters of its own that a template needs to be translated
_CERTAIN = 12  # letters of its own that identify a template whatever its values are
_LONGEST = 1000  # of a text whose template is looked for
_MOST_TEMPLATES, _MOST_BRACKETS = 4, 4  # tried for one text
_MOST_JOINTS = 20  # tried for one text; a longer one is translated sentence by sentence
_DEEPEST = 10  # texts within texts
_JOINTS = {"; ": "；", ": ": "：", ", ": "、", " or ": "或", " and ": "和"}
_WEIGHTS = list(_JOINTS)
_OF_LISTS = (", ", " or ", " and ")
_JOINT = re.compile("|".join(_JOINTS))
_SENTENCE = re.compile(r"(?<=\.) ")
_BRACKET = re.compile(r" \(")
_TYPED = re.compile(r"`[^`]*`|\[[^\]]*\]")
_ENGLISH = re.compile("[A-Za-z]")
# Texts with hardly a letter of their own: a delivery's move, a channel of a destination, an answer's status.
_MOVE = re.compile(r"(\w+) -> (\w+): (.*)", re.DOTALL)
_PLACE = re.compile(r"(report|images) to (\S+)")
_STATUS = re.compile(r"([0-9A-F]{4}) (.+)", re.DOTALL)

Say = Callable[[str], str]
_T = TypeVar("_T")


def typed(text: str, *, installed: bool = _INSTALLED) -> str:
    """The text with its commands as one types them here: in scripts/ of a checkout, else the installed command."""
    return _SCRIPT.sub("imaging-cloud-router ", text) if installed else text


def N_(texts: _T) -> _T:  # noqa: N802  # gettext's name for it
    """Mark a text, or all texts of a table, for translation where it is shown; return it unchanged."""
    return texts


class _Template:
    """A text with places for values, `{exam}`, and the expression that finds the values in a finished text.

    A value of `quoted` stands in quotation marks: it is what somebody typed, the same in any language.
    """

    def __init__(self, text: str) -> None:
        parts = [(literal, name) for literal, name, _, _ in Formatter().parse(text)]
        self.letters = sum(map(str.isalpha, "".join(literal for literal, _ in parts)))
        self.longest = max((literal for literal, _ in parts), key=len)
        self.text = text
        certain = self.letters >= _CERTAIN or any(": " in literal or "`" in literal for literal, _ in parts)
        value = "(.*?)" if certain else "((?:(?![;:,] ).)+?)"
        self._names = [name for _, name in parts if name]
        self.quoted = frozenset(name for literal, name in parts if name and literal.endswith('"'))
        self._found = re.compile("".join(re.escape(a) + (value if b else "") for a, b in parts), re.DOTALL)

    def values(self, text: str) -> dict[str, str] | None:
        """The values in a text; None where another template made it."""
        found = self._found.fullmatch(text) if self.longest in text else None
        return None if found is None else dict(zip(self._names, found.groups(), strict=True))


class _Catalogue(gettext.GNUTranslations):
    """A compiled catalogue, and its texts with places for values, the most certain first."""

    @functools.cached_property
    def templates(self) -> list[_Template]:
        """The templates that are certain enough to be found in a text."""
        texts = self._catalog  # type: ignore[attr-defined]  # gettext offers no other way to list them
        found = [_Template(text) for text in texts if isinstance(text, str) and text and places(text)]
        return sorted((each for each in found if each.letters >= _PLAIN), key=lambda each: -each.letters)


class Tongue:
    """Says texts in one language of LANGUAGES."""

    def __init__(self, language: str = DEFAULT) -> None:
        self.language = language
        self._catalogue = _catalogue(language)
        self._told = functools.lru_cache(maxsize=8192)(self._tell)

    def say(self, text: str, /, **values: object) -> str:
        """The text in this language, with `values` at its places; English where it has no translation."""
        said = self._catalogue.gettext(text) if text else ""
        return typed(said.format(**values) if values else said)

    def told(self, text: str) -> str:
        """The translation of a finished English text, values and all; parts that no template made stay English."""
        if len(text) <= _LONGEST and sum(1 for _ in _JOINT.finditer(text)) <= _MOST_JOINTS:
            return typed(self._told(text, _DEEPEST))
        parts = text.split("; ")
        return _JOINTS["; "].join(map(self.told, parts)) if len(parts) > 1 and self.language != SOURCE else text

    def told_of_key(self, text: str) -> str:
        """The translation of a fault about a key, `node.data: it is no folder`: the key stays as it is written."""
        key, joint, fault = text.partition(": ")
        if not joint or " " in key.strip() or self.language == SOURCE:
            return self.told(text)
        whole = [
            self.say(each.text, **values)
            for each in self._catalogue.templates
            if each.letters >= _CERTAIN and (values := each.values(text)) is not None
        ]
        return self._known(text) or next(iter(whole), f"{key}{joint}{self.told(fault)}")

    def alarm(self, alarm: Alarm) -> tuple[str, str]:
        """An alarm's name and what to do about it."""
        return self._catalogue.pgettext("alarm", alarm.value), self.say(REMEDY[alarm])

    def _tell(self, text: str, depth: int) -> str:
        """The translation that leaves the least in English; `depth` bounds texts within texts."""
        bare = text.strip()
        said = self._known(bare)
        if said is None and self.language != SOURCE and depth:
            tell = functools.partial(self._told, depth=depth - 1)
            # Text in backticks or square brackets is the same in any language.
            said = min(
                [*self._readings(bare, tell), bare], key=lambda each: len(_ENGLISH.findall(_TYPED.sub("", each)))
            )
        return text if said is None else text.replace(bare, said, 1)

    def _readings(self, text: str, tell: Say) -> Iterator[str]:
        """Possible translations, by how the text may have been made: a fixed form, a template, or several texts."""
        if found := _MOVE.fullmatch(text):
            yield f"{tell(found[1])} -> {tell(found[2])}：{tell(found[3])}"
        elif found := _PLACE.fullmatch(text):
            yield self.say("{channel} to {destination}", channel=tell(found[1]), destination=found[2])
        elif found := _STATUS.fullmatch(text):
            yield f"{found[1]} {tell(found[2])}"
        made = (
            self.say(each.text, **{name: one if name in each.quoted else tell(one) for name, one in values.items()})
            for each in self._catalogue.templates
            if (values := each.values(text)) is not None
        )
        yield from itertools.islice(made, _MOST_TEMPLATES)
        sentences = [self._known(one) for one in _SENTENCE.split(text)]
        if len(sentences) > 1 and None not in sentences:
            yield "".join(filter(None, sentences))
        yield from self._joined(text, tell)
        for cut in itertools.islice(_BRACKET.finditer(text), _MOST_BRACKETS) if text.endswith(")") else ():
            yield f"{tell(text[: cut.start()])}（{tell(text[cut.end() : -1])}）"

    def _joined(self, text: str, tell: Say) -> Iterator[str]:
        """Translations of texts joined by `; `, `: `, `, ` and the like; of a list every part must be known."""
        for cut in sorted(_JOINT.finditer(text), key=lambda each: _WEIGHTS.index(each[0])):
            before, after, joint = text[: cut.start()], text[cut.end() :], cut[0]
            first, second = tell(before), tell(after)
            if (start := self._known(before + joint.rstrip())) is not None:
                yield start + second
            known = (first != before, second != after)
            if all(known) if joint in _OF_LISTS and before else any(known):
                item = joint != ", " or self._known(after.partition(joint)[0]) is not None
                yield first + (_JOINTS[joint] if item else "，") + second

    def _known(self, text: str) -> str | None:
        """The translation of a whole text of the catalogue."""
        said = self._catalogue.gettext(text) if text else ""
        return said if said != text else None


@functools.cache
def tongue_of(language: str) -> Tongue:
    """The Tongue of a language; it caches its translations."""
    return Tongue(language)


def places(text: str) -> list[str]:
    """The names of a text's places for values, in order; none where its braces are no places."""
    try:
        return [name for _, name, _, _ in Formatter().parse(text) if name]
    except ValueError:
        return []


def chosen_language(asked: str, accepted: str, otherwise: str) -> str:
    """The language to answer a browser in: the one asked for, else the first that it accepts, else `otherwise`."""
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
