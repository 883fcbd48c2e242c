"""Names of exams and deliveries, as people give them: e17, d85, an ExamId, a study UID, a file name."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.catalogue import Catalogue
from router.catalogue.queue.queue import Delivery
from router.errors import InvalidData, WrongUse

_FORM = re.compile(r"(?P<kind>[ed])(?P<only>:?)(?P<number>[1-9][0-9]{0,14})", re.IGNORECASE)
_MOST = 10


class ExamId(str):
    """An ExamId and nothing else that looks like it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Thing:
    """An exam, or one of its deliveries."""

    exam: int
    delivery: Delivery | None = None

    @property
    def only(self) -> str:
        """The form of its name that fits nothing else."""
        return f"e:{self.exam}" if self.delivery is None else f"d:{self.delivery.id}"


def is_form(word: str) -> bool:
    """Whether a word has the form of a name of an exam or a delivery, like e17."""
    return _FORM.fullmatch(word) is not None


class Lookup:
    """Finds the things that a word names, of one hospital or of all. InvalidData: there is none; WrongUse: it may mean
    several."""

    def __init__(self, catalogue: Catalogue, hospital: str | None = None) -> None:
        self._exams = catalogue.exams
        self._queue = catalogue.queue
        self._hospital = hospital

    def exams(self, word: str) -> list[int]:
        """The exams of this name: several where a study or a file name belongs to several, none where it is unknown."""
        things = self._things(word)
        if len({thing.delivery is None for thing in things}) == 2 or (_FORM.fullmatch(word) and len(things) > 1):
            raise _ambiguous(word, things)
        return [thing.exam for thing in things]

    def exam(self, word: str) -> int:
        """The one exam of this name."""
        return self._one(word).exam

    def deliveries(self, words: Iterable[str]) -> list[Delivery]:
        """The deliveries of these names; an exam's name means all of its deliveries."""
        found: dict[int, Delivery] = {}
        for word in words:
            thing = self._one(word)
            these = self._queue.of_exam(thing.exam) if thing.delivery is None else [thing.delivery]
            found |= {delivery.id: delivery for delivery in these}
        return list(found.values())

    def _one(self, word: str) -> Thing:
        things = self._things(word)
        if not things:
            raise InvalidData("no exam or delivery of that name is known", hint="see queue list", length=len(word))
        if len(things) > 1:
            raise _ambiguous(word, things)
        return things[0]

    def _things(self, word: str) -> list[Thing]:
        if isinstance(word, ExamId):
            return [Thing(number) for number in self._exams.find(word, exam_id=True, hospital=self._hospital)]
        form = _FORM.fullmatch(word)
        spelled = dict.fromkeys([word, word.upper(), word.lower()] if form else [word])
        called = [Thing(number) for each in spelled for number in self._exams.find(each, hospital=self._hospital)]
        if word.isascii() and word.isdecimal():
            if numbered := [*self._numbered("e", word), *self._numbered("d", word)]:
                forms = ", ".join(dict.fromkeys(each.only.replace(":", "") for each in [*numbered, *called][:_MOST]))
                text = f"{word} is a bare number, which may mean an exam or a delivery"
                raise WrongUse(text, hint=f"say which: {forms}")
            return called
        if form is None:
            return called
        numbered = self._numbered(form["kind"].lower(), form["number"])
        return numbered if form["only"] else list(dict.fromkeys([*numbered, *called]))

    def _numbered(self, kind: str, number: str) -> list[Thing]:
        if len(number) > 15:  # beyond what a database counts to
            return []
        if kind == "e":
            return [Thing(int(number))] if self._is_here(int(number)) else []
        found = self._queue.get(int(number))
        return [Thing(found.exam, found)] if found and self._is_here(found.exam) else []

    def _is_here(self, exam: int) -> bool:
        found = self._exams.hospitals([exam])
        return exam in found and self._hospital in (None, found[exam])


def _ambiguous(word: str, things: Sequence[Thing]) -> WrongUse:
    forms = ", ".join(dict.fromkeys(thing.only for thing in things[:_MOST]))
    return WrongUse(f"{word} may mean several things", hint=f"say which: {forms}; by its ExamId: --exam-id {word}")
