"""The class of an instance, by the first rule that fits it. Pure."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from router.model import SeriesClass, SeriesFacts, ThinLimit
from router.series.rules import THIN, Condition, Rule

NO_RULE = Rule("no rule", SeriesClass.OTHER)
DEFAULT_LIMITS = (ThinLimit("CT", 1.25),)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "min": operator.ge, "max": operator.le, "above": operator.gt, "below": operator.lt, "equals": operator.eq,
}  # fmt: skip
_Value = str | tuple[str, ...] | float | None


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Rules in order, and the limits up to which slices are thin."""

    rules: tuple[Rule, ...]
    limits: tuple[ThinLimit, ...] = DEFAULT_LIMITS


def classify(facts: SeriesFacts, book: Rulebook) -> Rule:
    """The first rule whose conditions all hold; NO_RULE, whose class is OTHER, when none does."""
    limit = limit_for(facts, book.limits)
    for rule in book.rules:
        for condition in rule.conditions:
            if not _holds(condition, getattr(facts, condition.field), limit):
                break
        else:
            return rule
    return NO_RULE


def limit_for(facts: SeriesFacts, limits: Sequence[ThinLimit]) -> float | None:
    """The thickness in mm up to which these slices are thin, by the first limit that fits; None when none does."""
    modality, body_part = facts.modality.casefold(), facts.body_part.casefold()
    for limit in limits:
        if limit.modality.casefold() == modality and limit.body_part.casefold() in {"", body_part}:
            return limit.up_to
    return None


def used(facts: SeriesFacts, rule: Rule) -> dict[str, object]:
    """The facts that the rule tests, by field."""
    return {condition.field: getattr(facts, condition.field) for condition in rule.conditions}


def _holds(condition: Condition, value: _Value, limit: float | None) -> bool:
    if condition.test == "present":
        return (value not in ("", (), None)) is condition.operand
    if isinstance(value, str):
        return _text_holds(condition, value, value.casefold())
    if isinstance(value, tuple):
        return _text_holds(condition, "\\".join(value), tuple(part.casefold() for part in value))
    return value is not None and _number_holds(condition, value, limit)


def _text_holds(condition: Condition, text: str, folded: str | tuple[str, ...]) -> bool:
    operand = condition.operand
    if isinstance(operand, re.Pattern):
        return operand.search(text) is not None
    if condition.test == "contains":
        parts = operand if isinstance(operand, tuple) else (operand,)
        return any(part in folded for part in parts)
    if condition.test == "one_of":
        return text.casefold() in operand  # type: ignore[operator]  # a tuple: the loader has checked it
    return text.casefold() == operand


def _number_holds(condition: Condition, value: float, limit: float | None) -> bool:
    operand = limit if condition.operand == THIN else condition.operand
    if operand is None:
        return False
    if isinstance(operand, tuple):
        return value in operand
    assert isinstance(operand, int | float)  # the loader has checked it
    return _COMPARE[condition.test](value, operand)
