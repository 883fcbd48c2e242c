"""The errors that verdicts stand for: what the queue, the breaker and people go by."""

from collections.abc import Mapping
from typing import Any

from router import errors
from router.errors import (
    DestinationDown,
    Outage,
    PermanentError,
    RouterError,
    TransientError,
    Unproven,
)
from router.forward.answer import unproved
from router.forward.blocks.verdict import Down, Later, NotOffered, Refused, Renew, Unknown, Untrue, Verdict

_KINDS = {"credentials": Outage.CREDENTIALS, "protocol": Outage.PROTOCOL, "trouble": Outage.TROUBLE}


def error_of(verdict: Verdict, *, vouched: bool) -> RouterError:
    """The error for any verdict but success; a refusal that nothing proves to be the platform's is never permanent."""
    if isinstance(verdict, Renew):
        again = Later(why=f"the platform asks for a new {verdict.what} again")
        return error_of(verdict.otherwise or again, vouched=vouched)
    if isinstance(verdict, Refused):
        meaning = PermanentError(verdict.why, faults=verdict.faults, **_fields(verdict.fields))
        return meaning if verdict.proof is not None or vouched else unproved(meaning)
    if isinstance(verdict, NotOffered):
        return errors.NotOffered(verdict.why)
    if isinstance(verdict, Unknown):
        return unproved(PermanentError(verdict.why))
    if isinstance(verdict, Later | Down | Untrue):
        return _passing(verdict)
    return profile_fault(f"gives {type(verdict).__name__} where that is no meaning")


def _passing(verdict: Later | Down | Untrue) -> RouterError:
    fields = _fields(verdict.fields)
    if isinstance(verdict, Later):
        return TransientError(verdict.why, retry_after=verdict.after, hint=verdict.hint, **fields)
    if isinstance(verdict, Down):
        return DestinationDown(verdict.why, outage=_KINDS[verdict.kind], hint=verdict.hint, **fields)
    return Unproven(verdict.why, hint=verdict.hint, **fields)


def profile_fault(what: str) -> DestinationDown:
    """The error for a profile that raises, does not end or gives back what is no request or verdict."""
    return DestinationDown(
        f"the profile {what}", outage=Outage.PROFILE,
        hint="correct the file, and try it with scripts/profile check; nothing goes there until then",
    )  # fmt: skip


def _fields(given: object) -> dict[str, Any]:
    taken = {"message", "hint", "faults", "retry_after", "outage"}
    return {str(k): v for k, v in given.items() if k not in taken} if isinstance(given, Mapping) else {}
