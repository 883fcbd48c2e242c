"""Which class an instance is, and the rule that says so. Pure."""

import re
from collections.abc import Sequence

from router.model import SeriesClass, SeriesFacts
from router.series.rules import Condition, Rule

NO_RULE = "no rule"


def classify(facts: SeriesFacts, rules: Sequence[Rule]) -> tuple[SeriesClass, str]:
    """The class and the name of the first rule whose conditions all hold; OTHER and "no rule" when none does."""
    for rule in rules:
        if all(_holds(condition, getattr(facts, condition.field)) for condition in rule.conditions):
            return rule.series_class, rule.name
    return SeriesClass.OTHER, NO_RULE


def _holds(condition: Condition, value: str | tuple[str, ...] | float | None) -> bool:
    if condition.test == "present":
        return (value not in ("", (), None)) is condition.operand
    if isinstance(value, str):
        return _text_holds(condition, value, value.casefold())
    if isinstance(value, tuple):
        joined = "\\".join(value)
        return _text_holds(condition, joined, tuple(part.casefold() for part in value))
    return value is not None and _number_holds(condition, value)


def _text_holds(condition: Condition, text: str, folded: str | tuple[str, ...]) -> bool:
    operand = condition.operand
    if isinstance(operand, re.Pattern):
        return operand.search(text) is not None
    if condition.test == "contains":
        return operand in folded
    if condition.test == "one_of":
        return text.casefold() in operand  # type: ignore[operator]  # a tuple: the loader has checked it
    return text.casefold() == operand


def _number_holds(condition: Condition, value: float) -> bool:
    operand = condition.operand
    if isinstance(operand, tuple):
        return value in operand
    assert isinstance(operand, float)  # the loader has checked it
    if condition.test == "min":
        return value >= operand
    if condition.test == "max":
        return value <= operand
    return value == operand
