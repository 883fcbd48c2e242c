"""Tables of a platform's codes: which of them mean what."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from router.forward.answer import Answer, retry_after
from router.forward.blocks.text import field, read_json
from router.forward.blocks.verdict import Down, Later, Refused, Renew, Verdict

_MOST_FAULTS = 200
_LONGEST = 500
_TIME = "compare this machine's clock with the platform's (NTP)"
_NAMES = "compare app, the key files and secrets with what the platform has"
_KINDS = ("success", "token", "time", "upload", "down", "fields", "permanent", "transient")
_ADDRESS = "check url: it is not, or not directly, the platform's interface of this profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The codes under `field` ("code", "head.result") of a JSON answer, each kind a set of them as text.

    `token`: it is missing or has expired. `time`: our time or nonce is refused. `upload`: the platform has forgotten
    what calls before it said. `fields`: the exam JSON is refused field by field. An answer without a known code means
    what its HTTP status means; a code that is in no set is tried again later, since nobody knows better.

    `faults` is the path of a list in the answer, `fault_path` and `fault_text` the names in each of its entries.
    """

    success: frozenset[str]
    field: str = "code"
    token: frozenset[str] = frozenset()
    time: frozenset[str] = frozenset()
    upload: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    permanent: frozenset[str] = frozenset()
    transient: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()
    faults: str = ""
    fault_path: str = "path"
    fault_text: str = "message"

    def all(self) -> tuple[str, ...]:
        """The codes of every kind."""
        return tuple(sorted(code for kind in _KINDS for code in getattr(self, kind)))

    def judge(
        self, answer: Answer, now: datetime, accepted: Callable[[dict[str, Any]], Verdict]
    ) -> Verdict:  # fmt: skip
        """The meaning of the answer; `accepted` is asked when its code is one of success, with the JSON."""
        document = read_json(answer)
        code = shown(field(document, self.field))
        kind = next((name for name in _KINDS if code in getattr(self, name)), "unknown")
        if kind == "success" and answer.status < 300:
            return accepted(document)
        if not code or (kind in ("success", "unknown") and answer.status >= 300):
            return by_status(answer, now)
        return self._meaning(kind, code, document, retry_after(answer, now), rule=f"{self.field} {code}: {kind}")

    def _meaning(self, kind: str, code: str, document: Mapping[str, Any], after: float | None, *, rule: str) -> Verdict:
        late = Later(why=f"the platform calls our time or nonce wrong (code {code})", hint=_TIME)
        lost = Later(why=f"the platform has forgotten the upload (code {code})")
        refusal = f"the platform refuses it (code {code})"
        if kind == "fields":
            refusal = f"the platform does not accept the exam JSON (code {code})"
        meanings: dict[str, Verdict] = {
            "token": Renew(what="token", otherwise=_refused_account(code), rule=rule),
            "time": Renew(what="time", otherwise=late, rule=rule),
            "upload": Renew(what="upload", otherwise=lost, rule=rule),
            "down": _refused_account(code, rule),
        }
        if kind in ("fields", "permanent"):
            return Refused(why=refusal, faults=self._faults(document), rule=rule)
        return meanings.get(kind, Later(why=f"the platform answers code {code}", after=after, rule=rule))

    def _faults(self, document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        found = field(document, self.faults) if self.faults else ""
        listed = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return tuple(
            (_path(one.get(self.fault_path)), str(one.get(self.fault_text) or "")[:_LONGEST])
            for one in listed[:_MOST_FAULTS]
        )


def by_status(answer: Answer, now: datetime) -> Verdict:
    """The meaning of an HTTP status other than one of success, where the answer says no more."""
    status, rule = answer.status, f"HTTP status {answer.status}"
    fields: dict[str, object] = {"status": status}
    if status == 401:
        return Renew(what="token", otherwise=_refused_account("401"), rule=rule)
    if status == 403:
        return _refused_account("403", rule)
    if status in (408, 429) or status >= 500:
        after = retry_after(answer, now)
        return Later(why=f"the platform answers {status}", after=after, fields=fields, rule=rule)
    if status in (400, 409, 413, 422):
        return Refused(why=f"the platform refuses it ({status})", fields=fields, rule=rule)
    why = f"the destination does not answer as the profile says (status {status})"
    return Down(why=why, kind="protocol", hint=_ADDRESS, fields=fields, rule=rule)


def shown(code: object) -> str:
    """A code that may be written into a log: text or number of at most 40 harmless characters; "" for any other."""
    text = str(code) if isinstance(code, str | int) and not isinstance(code, bool) else ""
    return text if re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", text) else ""


def _refused_account(code: str, rule: str = "") -> Down:
    return Down(why=f"the platform refuses our account or key ({code})", hint=_NAMES, rule=rule)


def _path(value: object) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.\[\]]{1,200}", value) else ""
