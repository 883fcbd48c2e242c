"""Withdrawals: an exam that a platform was given is taken back there (gm-envelope/1, section 4)."""

import io
from dataclasses import dataclass, field

from router.errors import NotOffered, UnprovedRefusal, Unproven
from router.forward.answer import Answer, Receipt, read
from router.forward.http import Multipart, Part
from router.forward.profiles import Exchange
from router.forward.report import ReportAgent

_PATH = "/v1/withdrawals"
_NONE = (404, 405, 501)
_ASK = "ask the platform's operator whether it has the exam; the answer is not signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A withdrawal of an exam up to `revision`; `content` is the JSON, `org` the USCI of the exam's hospital."""

    org: str
    idem: str
    revision: int
    content: bytes = field(repr=False)


def withdraw(agent: ReportAgent, notice: Notice) -> Receipt | None:
    """The verified receipt; None where the platform has proved that it has no such exam, which settles it.

    NotOffered: the platform takes no withdrawals. Raises as `ReportAgent.send` otherwise.
    """
    exchange, answer, proved = agent.ask(lambda token: _sent(agent, notice, token))
    unknown = answer.status == 404 and _is_unknown(answer)
    if unknown and proved:
        return None
    if unknown:
        raise UnprovedRefusal("unproved: the platform has no such exam", hint=_ASK, status=answer.status)
    if answer.status in _NONE:
        raise NotOffered("the platform takes no withdrawals", status=answer.status)
    agent.require_taken(answer, proved=proved)
    return exchange.verified(answer)


def _sent(agent: ReportAgent, notice: Notice, token: str) -> tuple[Exchange, Answer]:
    exchange = agent.begin(agent.message(notice.org, notice.idem, notice.revision, "withdraw"))
    sealed = io.BytesIO()
    meta = exchange.meta([exchange.seal("notice", io.BytesIO(notice.content), sealed)])
    parts = [Part("meta", "application/json", meta), Part("notice", "application/octet-stream", sealed.getvalue())]
    return exchange, agent.post(exchange, _PATH, meta, Multipart(parts), token)


def _is_unknown(answer: Answer) -> bool:
    try:
        return read(answer).get("error") == "unknown"
    except Unproven:
        return False
