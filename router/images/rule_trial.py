"""A trial of a series rule that somebody has typed, in a program of its own with limits of time and memory.

A regular expression may take for ever, and nothing else of the process runs meanwhile. The program's input is JSON:
`rules`, their text, and `questions`, each limits and facts; its output `faults`, or `fits`: for each question the
number of the first of `rules` that fits, null for none. Each of these is a name, a class, a kind and its fields.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from router.errors import ConfigurationError, InvalidData, TransientError
from router.model import SeriesClass, SeriesFacts, ThinLimit
from router.process.environment import inherited
from router.series.classify import NO_RULE, Rulebook, classify
from router.series.rules import Condition, Rule, parse

LONGEST = 4000  # characters
_SECONDS, _CPU_SECONDS = 15.0, 2.0
_MEMORY = 2**29
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from router.images.rule_trial import main
main()
"""
_NOTHING, _NAMES = SeriesFacts(), tuple(one.name for one in fields(SeriesFacts))
_Question = tuple[tuple[ThinLimit, ...], SeriesFacts]


def tried(text: str, questions: Sequence[_Question]) -> Mapping[_Question, Rule]:
    """The rule of this text, in TOML, that fits each of the questions; those that none fits are left out.

    The conditions of the rules name their fields alone. ConfigurationError tells the faults of the text; InvalidData
    where it is too long, TransientError where it takes too long or too much memory.
    """
    if len(text) > LONGEST:
        raise InvalidData(f"a rule to try has at most {LONGEST} characters")
    asked = [[[asdict(one) for one in limits], _given(facts)] for limits, facts in questions]
    found = _run({"rules": text, "questions": asked})
    if "faults" in found:
        raise ConfigurationError("the rule has faults:", faults=tuple(found["faults"]))
    rules = [
        Rule(
            one["name"], SeriesClass(one["class"]), tuple(Condition(f, "present", True) for f in one["fields"]),
            one["kind"],
        )
        for one in found["rules"]
    ]  # fmt: skip
    fits = zip(questions, found["fits"], strict=True)
    return {question: rules[number] for question, number in fits if number is not None}


def _given(facts: SeriesFacts) -> dict[str, object]:
    """The facts that differ from their defaults."""
    values = ((name, getattr(facts, name)) for name in _NAMES)
    return {name: value for name, value in values if value != getattr(_NOTHING, name)}


def _run(question: Mapping[str, object]) -> Mapping[str, Any]:
    command = [sys.executable, "-P", "-W", "ignore", "-c", _PROGRAM, os.pathsep.join(sys.path), str(_CPU_SECONDS)]
    try:
        done = subprocess.run(  # noqa: S603  # our own program
            command, input=json.dumps(question).encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=inherited(os.environ), timeout=_SECONDS, check=False,
        )  # fmt: skip
        found: Mapping[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise TransientError("the rule takes too long, or too much memory, to be tried") from error
    return found


def main() -> None:
    """The program."""
    signal.setitimer(signal.ITIMER_PROF, float(sys.argv[1]))  # no handler: the end of the program
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    given = json.load(sys.stdin)
    try:
        rules = parse(tomllib.loads(given["rules"]), source="")
    except tomllib.TOMLDecodeError as error:
        answer: dict[str, object] = {"faults": [str(error)]}
    except ConfigurationError as error:
        answer = {"faults": error.faults or [error.message]}
    else:
        answer = _answer(rules, given["questions"])
    json.dump(answer, sys.stdout)


def _answer(rules: tuple[Rule, ...], questions: Sequence[Sequence[Any]]) -> dict[str, object]:
    fits: list[int | None] = []
    for limits, facts in questions:
        book = Rulebook(rules, tuple(ThinLimit(**one) for one in limits))
        values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in facts.items()}
        found = classify(SeriesFacts(**values), book)
        fits.append(None if found is NO_RULE else rules.index(found))
    told = [
        {
            "name": one.name, "class": one.series_class, "kind": one.kind,
            "fields": list(dict.fromkeys(c.field for c in one.conditions)),
        }
        for one in rules
    ]  # fmt: skip
    return {"rules": told, "fits": fits}
