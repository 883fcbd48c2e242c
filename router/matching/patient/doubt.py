"""Doubts whether an exam's parts are of one patient, each by the rule that found it."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A reason to hold an exam for a person.

    `rule` is a short stable name by which doubts are counted, `text` the sentence that people see, without patient
    data. `since` is the set of checks ([identity] checks) with which the rule began: a data folder that keeps an older
    set shows it as a warning. `study_uid` is "" where it concerns the whole exam.
    """

    rule: str
    text: str
    since: int = 1
    study_uid: str = ""


def holding(doubts: Iterable[Doubt], checks: int) -> list[Doubt]:
    """The doubts that hold under this set of checks; the others are warnings."""
    return [doubt for doubt in doubts if doubt.since <= checks]
