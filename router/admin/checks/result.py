"""Findings of `doctor`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from router.errors import ConfigurationError, RouterError


class Verdict(StrEnum):
    """`warn` does not keep the node from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line: what was looked at, how it is, and what to do about it."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""


def good(subject: str, text: str) -> CheckResult:
    """As it should be."""
    return CheckResult(subject, Verdict.OK, text)


def attempt(subject: str, look: Callable[[], Iterator[CheckResult]]) -> Iterator[CheckResult]:
    """Findings of `look`; an error of ours ends it and is a failure with its hint."""
    try:
        yield from look()
    except ConfigurationError as error:
        yield CheckResult(subject, Verdict.FAIL, " ".join((error.message, "; ".join(error.faults))).strip(), error.hint)
    except RouterError as error:
        yield CheckResult(subject, Verdict.FAIL, error.message, error.hint)
