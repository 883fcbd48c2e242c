"""Inventories: what a platform says it has of what it accepted in a time (对账; gm-envelope/1, section 5)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from router.errors import NotOffered, TransientError, Unproven
from router.forward.answer import Answer, date_of, read
from router.forward.profiles import Exchange
from router.forward.report import ReportAgent
from router.policy.comparison import Theirs

_PATH = "/v1/inventory"
_NONE = (404, 405, 501)
_MOST_PAGES = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The platform's answer about a time of at most one day.

    `whole`: all pages came and hold as many exams as it counts. `ahead`: its clock before ours, zero where it says
    nothing of its time.
    """

    exams: Sequence[Theirs]
    whole: bool
    ahead: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    exams: Sequence[Theirs]
    count: int
    following: str
    ahead: timedelta


def inventory(agent: ReportAgent, org: str, begin: datetime, end: datetime, now: datetime) -> Inventory:
    """The exams of the hospital `org` that the platform accepted from `begin` on and before `end`, all pages.

    NotOffered: the platform answers no inventories. Unproven: nothing proves that an answer is its. Raises as
    `ReportAgent.send` otherwise.
    """
    found: dict[str, Theirs] = {}
    counts, after, ahead = set[int](), "", timedelta(0)
    for _ in range(_MOST_PAGES):
        page = _page(agent, org, (begin, end), after, now)
        found |= {one.idem: one for one in page.exams}
        counts.add(page.count)
        ahead = max(ahead, page.ahead, key=abs)
        if not page.following:
            whole = counts == {len(found)}
            return Inventory(exams=tuple(found.values()), whole=whole, ahead=ahead)
        if page.following <= after or not page.exams:
            break
        after = page.following
    raise TransientError("the platform's inventory does not end: its pages do not follow each other")


def _page(agent: ReportAgent, org: str, when: tuple[datetime, datetime], after: str, now: datetime) -> _Page:
    def asked(token: str) -> tuple[Exchange, Answer]:
        message = agent.message(org)
        exchange = agent.begin(message)
        begin, end = (int(each.timestamp() * 1000) for each in when)
        question = {"app": message.app, "org": org, "ts": message.ts, "nonce": message.nonce, "from": begin, "to": end,
                    "after": after}  # fmt: skip
        body = json.dumps(question | _key(exchange)).encode()
        return exchange, agent.post(exchange, _PATH, body, body, token)

    _, answer, proved = agent.ask(asked)
    if answer.status in _NONE:
        raise NotOffered("the platform answers no inventories", status=answer.status)
    agent.require_taken(answer, proved=proved)
    if not proved:
        raise Unproven("nothing proves that the inventory is the platform's")
    return _read(read(answer), date_of(answer), now)


def _key(exchange: Exchange) -> dict[str, object]:
    """The key of the message where it is made from a salt, which the platform needs to check its MAC."""
    key = json.loads(exchange.meta([])).get("key", {})
    return {"key": key} if "salt" in key else {}


def _read(document: Mapping[str, Any], at: datetime | None, now: datetime) -> _Page:
    try:
        exams = [
            Theirs(idem=str(one["idem"]), revision=int(one["revision"]), receipt=str(one["receipt"]),
                   state=str(one["state"]))
            for one in document["exams"]
        ]  # fmt: skip
        count, following = int(document["count"]), document["next"]
    except (KeyError, TypeError, ValueError) as error:
        raise TransientError("the platform's inventory is not as the profile says") from error
    if not isinstance(following, str):
        raise TransientError("the platform's inventory is not as the profile says")
    return _Page(exams=exams, count=count, following=following, ahead=timedelta(0) if at is None else at - now)
