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
    """One finding: its subject, its state in words, and the remedy."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""


def good(subject: str, text: str) -> CheckResult:
    """A finding without fault."""
    return CheckResult(subject, Verdict.OK, text)


def attempt(subject: str, look: Callable[[], Iterator[CheckResult]]) -> Iterator[CheckResult]:
    """Findings of `look`; one of our own errors ends it and becomes a failure with its hint."""
    try:
        yield from look()
    except ConfigurationError as error:
        yield CheckResult(subject, Verdict.FAIL, " ".join((error.message, "; ".join(error.faults))).strip(), error.hint)
    except RouterError as error:
        yield CheckResult(subject, Verdict.FAIL, error.message, error.hint)
