"""A doubt about whose an exam's parts are, by the rule that found it."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A reason to hold an exam for a person.

    `rule` is a short stable name by which doubts are counted, `text` the sentence that people see, without patient
    data. `since` is the set of checks ([identity] checks) that brought the rule: a data folder that stays with an
    older set shows it as a warning. `study_uid` is the study that it concerns, "" where it concerns the whole exam.
    """

    rule: str
    text: str
    since: int = 1
    study_uid: str = ""


def holding(doubts: Iterable[Doubt], checks: int) -> list[Doubt]:
    """The doubts that hold under this set of checks; the others are warnings."""
    return [doubt for doubt in doubts if doubt.since <= checks]
