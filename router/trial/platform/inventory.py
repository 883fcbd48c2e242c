"""Inventories (profile gm-envelope/1, section 5): what the platform has of an organisation, page by page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from router.trial.platform.access import is_nonce, is_time
from router.trial.platform.answers import proved_by, wrong
from router.trial.platform.envelope import is_name, read_object
from router.trial.platform.exams import ExamFolder, Receipt
from router.trial.platform.faults import Fault
from router.trial.platform.profiles import PlatformProfile
from router.trial.platform.uploads import Confirmation, Signed, Uploads
from router.trial.platform.withdrawals import Withdrawals

LARGEST_REQUEST = 4096
_DAY, _HOUR = 86_400_000, 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request: what was accepted from `begin` on and before `end` (Unix milliseconds), `after` a page."""

    app: str
    org: str
    ts: int
    nonce: str
    begin: int
    end: int
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventories:
    """Answers for the senders of `uploads`; `page` is the largest number of exams in one answer."""

    uploads: Uploads
    exams: ExamFolder
    withdrawals: Withdrawals
    page: int = 1000

    def answer(
        self, profile: PlatformProfile, request: Signed, body: bytes, token_app: str | None, fault: Fault | None
    ) -> Confirmation:
        """The page that is asked for, or a Refusal, signed since the request is authentic; the token may be missing."""
        nonce, proof = profile.authentic_question(request.path, request.headers, body)
        with proved_by(proof):
            asked = _read(body)
            self.uploads.require_account(profile, asked.app, asked.org, asked.app if token_app is None else token_app)
            self.uploads.admit(request, asked.ts, nonce)
            if fault is not None:
                fault.refuse()
            document = _spoilt(self._page(asked, fault), fault)
            return Confirmation(asked.nonce, json.dumps(document).encode(), proof)

    def _page(self, asked: Question, fault: Fault | None) -> dict[str, Any]:
        early = _HOUR if fault is not None and fault.name == "inventory-hour" else 0
        accepted = self.exams.accepted(asked.org)
        all_ = [one for one in accepted if asked.begin - early <= one.ts < asked.end - early]
        rest = [one for one in all_ if _cursor(one) > asked.after]
        page = rest[: self.page]
        following = _cursor(page[-1]) if len(rest) > len(page) else ""
        state = partial(_state, _newest(accepted), self.withdrawals.withdrawn(asked.org))
        exams = [
            {"idem": one.idem, "revision": one.revision, "receipt": one.receipt, "state": state(one)} for one in page
        ]
        return {"nonce": asked.nonce, "count": len(all_), "next": following, "exams": exams}


def _cursor(one: Receipt) -> str:
    return f"{one.ts:013d}-{one.idem}"


def _newest(accepted: list[Receipt]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in accepted:
        found[one.exam] = max(one.revision, found.get(one.exam, 0))
    return found


def _state(newest: Mapping[str, int], withdrawn: Mapping[str, int], one: Receipt) -> str:
    if one.revision < newest[one.exam]:
        return "superseded"
    return "withdrawn" if one.revision <= withdrawn.get(one.exam, 0) else "current"


def _read(body: bytes) -> Question:
    try:
        document = read_object(body)
    except (ValueError, RecursionError) as error:
        raise wrong("not a JSON object") from error
    app, org, ts, nonce, begin, end, after = (
        document.get(name) for name in ("app", "org", "ts", "nonce", "from", "to", "after")
    )
    if not (is_name(app) and is_name(org) and is_time(ts) and is_nonce(nonce) and isinstance(after, str)):
        raise wrong("app, org, ts, nonce or after is missing or wrong")
    if not (isinstance(begin, int) and isinstance(end, int) and is_time(begin) and 0 < end - begin <= _DAY):
        raise wrong("from and to are not a time of at most one day")
    return Question(
        app=str(app), org=str(org), ts=int(ts or 0), nonce=str(nonce), begin=begin, end=end, after=after
    )  # fmt: skip


def _spoilt(document: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
    """The answer with the fault's lie in it."""
    exams = document["exams"]
    match fault.name if fault is not None else "":
        case "inventory-empty":
            return document | {"count": 0, "next": "", "exams": []}
        case "inventory-short":
            return document | {"exams": exams[:-1]}
        case "inventory-page":
            return document | {"next": ""}
        case "inventory-wrong":
            return document | {"exams": [{**one, "idem": "f" * 32} for one in exams[:1]] + exams[1:]}
    return document
