"""The meanings that an answer may have. A judge returns one of them; what follows from each is the node's matter.

`rule` says in a few words which rule decided; `profile try` shows it. `why` goes into logs and alarms: it is in the
profile's own words and never quotes an answer, which may name a patient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from router.forward.answer import Proof
from router.policy.comparison import Theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The token, and its life in seconds."""

    token: str
    seconds: float
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Success of this call. The last call of an upload, or one before it, gives the `receipt`.

    `keep`: what later calls need (`m.kept`), also after a restart; no patient data. `at`: the platform's time, None:
    ours. Without a `proof`, the connection must vouch for the answer (ca_file, gateway).
    """

    receipt: str = ""
    at: datetime | None = None
    keep: Mapping[str, str] = field(default_factory=dict)
    proof: Proof | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """This exam is refused as it is: `faults` are (path of the field, the platform's words)."""

    why: str
    faults: tuple[tuple[str, str], ...] = ()
    proof: Proof | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Trouble that passes: tried again, after so many seconds where the platform named them."""

    why: str
    after: float | None = None
    hint: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """The platform takes nothing of us. `kind` "credentials": a key or name is refused; "protocol": a wrong address."""

    why: str
    kind: Literal["credentials", "protocol", "trouble"] = "credentials"
    hint: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Untrue:
    """A signature or code of the answer is wrong, or it is for another message: nothing is known to have arrived."""

    why: str
    hint: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Once more at once, with a new token, a new time and nonce, or the upload from its first call.

    A second time in one sending it means `otherwise`.
    """

    what: Literal["token", "time", "upload"]
    otherwise: Refused | Later | Down | Untrue | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOffered:
    """The platform does not know this operation: a person must tell it of a withdrawal; it answers no inventories."""

    why: str
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The platform has no such exam, which settles a withdrawal.

    Without a `proof` the connection must vouch for the answer, as of Accepted; else a person is asked.
    """

    why: str = "the platform has no such exam"
    proof: Proof | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of an inventory. `count`: the exams of all pages; `next` names the page that follows, "" on the last one.

    Without a `proof` the connection must vouch for the answer, as of Accepted.
    """

    exams: tuple[Theirs, ...]
    count: int
    next: str = ""
    proof: Proof | None = None
    rule: str = ""


Verdict = Granted | Accepted | Refused | Later | Down | Untrue | Renew | NotOffered | Unknown | Listed
VERDICTS: tuple[type[Verdict], ...] = (
    Granted, Accepted, Refused, Later, Down, Untrue, Renew, NotOffered, Unknown, Listed,
)  # fmt: skip
