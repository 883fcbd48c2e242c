"""The calls of the profiles of the contract: their envelope is each profile's own."""

import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from router.crypto import envelope
from router.errors import Damaged, DestinationDown, Outage, PermanentError, RouterError, TransientError, Unproven
from router.forward.answer import Answer, challenge, granted, read, refusal
from router.forward.blocks.declaration import Call, Declaration
from router.forward.blocks.message import Keys, Message
from router.forward.blocks.request import Form, FormPart, Request
from router.forward.blocks.values import Document
from router.forward.blocks.verdict import (
    Accepted,
    Down,
    Granted,
    Later,
    Listed,
    NotOffered,
    Refused,
    Renew,
    Unknown,
    Untrue,
    Verdict,
)
from router.forward.profiles import Exchange
from router.policy.comparison import Theirs

_JSON, _OCTETS = "application/json", "application/octet-stream"
_WITHDRAW = "withdraw"
_NOTICE = ("ExamId", "HospitalBranchCode", "Revision", "WithdrawnTime", "Reason")
_NONE = (404, 405, 501)
Begin = Callable[[Keys, envelope.Message, bytes], Exchange]
"""Begins a profile's own exchange; the bytes are 32 random ones of this message."""


def declared(name: str, keys: tuple[str, ...], begin: Begin) -> Declaration:
    """A profile of the contract by its envelope."""

    def exchange(m: Message, operation: str = "") -> Exchange:
        assert m.keys is not None  # spoken with keys
        ours = envelope.Message(
            profile=name, org=m.org, app=m.app, ts=m.ts, nonce=m.nonce, idem=m.idem, revision=m.revision,
            operation=operation,
        )  # fmt: skip
        return begin(m.keys, ours, m.random("exchange", 32))

    return Declaration(
        name=name, keys=keys, token=Call(name="token", request=_ask_token, judge=_token),
        upload=(
            Call(
                name="exam", request=lambda m: _upload(m, exchange(m)), judge=lambda m, a: _judged(m, exchange(m), a)
            ),
        ),
        withdraw=(
            Call(
                name="withdrawal", request=lambda m: _withdrawal(m, exchange(m, _WITHDRAW)),
                judge=lambda m, a: _withdrawn(m, exchange(m, _WITHDRAW), a),
            ),
        ),
        inventory=Call(
            name="inventory", request=lambda m: _question(m, exchange(m)),
            judge=lambda m, a: _listed(m, exchange(m), a),
        ),
    )  # fmt: skip


def _ask_token(m: Message) -> Request:
    mac = envelope.token_mac(m.api_key.raw, m.app, m.ts, m.nonce)
    body = json.dumps({"app": m.app, "ts": m.ts, "nonce": m.nonce, "mac": mac}).encode()
    return Request(path="/v1/token", headers={"Content-Type": _JSON}, body=body)


def _token(m: Message, answer: Answer) -> Verdict:
    try:
        value, seconds = granted(answer, m.at)
    except RouterError as error:
        return verdict_of(error)
    return Granted(token=value, seconds=seconds)


def _upload(m: Message, exchange: Exchange) -> Request:
    """The documents, sealed into files of the spool, and the meta part that is signed."""
    sources = {"exam": m.exam, "report": m.report}
    sealed = []
    for name, source in sources.items():
        assert source is not None  # an upload has both
        sealed.append(_seal(exchange, m, name, source))
    meta = exchange.meta(sealed)
    parts = (
        FormPart(name="meta", content=meta, content_type=_JSON),
        *(_part(m.spool, n) for n in sources),
    )
    return Request(path="/v1/exams", headers=_headers(m, exchange, "/v1/exams", meta), body=Form(parts))


def _headers(m: Message, exchange: Exchange, path: str, signed: bytes) -> dict[str, str]:
    return {"Authorization": f"Bearer {m.token}", **exchange.headers(f"{m.base}{path}", signed)}


def _seal(exchange: Exchange, m: Message, name: str, source: Document) -> envelope.SealedPart:
    try:
        with source.path.open("rb") as plain, (m.spool / name).open("wb") as encrypted:
            return exchange.seal(name, plain, encrypted)
    except FileNotFoundError as error:
        raise Damaged(f"the {name} file of the upload is gone", idem=m.idem, part=name) from error
    except OSError as error:
        raise TransientError(f"cannot encrypt the {name}: {error.strerror}", hint="check the disk") from error


def _part(spool: Path, name: str) -> FormPart:
    return FormPart(name=name, content=Document.whole(spool / name), content_type=_OCTETS, filename=name)


def _judged(m: Message, exchange: Exchange, answer: Answer) -> Verdict:
    """The contract's table; a proof that is there and wrong is worse than any of it."""
    proof = exchange.proved(answer)
    if answer.status == 200:
        receipt = exchange.verified(answer)
        return Accepted(receipt=receipt.receipt, at=receipt.at, proof=receipt.proof)
    meaning = verdict_of(refusal(answer, m.at))
    if isinstance(meaning, Refused):
        return Refused(why=meaning.why, faults=meaning.faults, fields=meaning.fields, proof=proof)
    if demand := challenge(answer):
        return Renew(what="time" if demand == "stale" else "token", otherwise=meaning)
    return meaning


# -- withdrawals (section 4)


def _withdrawal(m: Message, exchange: Exchange) -> Request:
    """The notice, sealed, and the meta part that is signed."""
    words = {name: m.notice[name] for name in _NOTICE} | {"Revision": int(m.notice["Revision"])}
    notice = json.dumps(words, ensure_ascii=False).encode()
    sealed = io.BytesIO()
    meta = exchange.meta([exchange.seal("notice", io.BytesIO(notice), sealed)])
    parts = (
        FormPart(name="meta", content=meta, content_type=_JSON),
        FormPart(name="notice", content=sealed.getvalue(), content_type=_OCTETS),
    )
    path = "/v1/withdrawals"
    return Request(path=path, headers=_headers(m, exchange, path, meta), body=Form(parts))


def _withdrawn(m: Message, exchange: Exchange, answer: Answer) -> Verdict:
    if answer.status == 404 and _is_unknown(answer):
        return Unknown(proof=exchange.proved(answer))
    if answer.status in _NONE:
        return NotOffered(why="the platform takes no withdrawals")
    return _judged(m, exchange, answer)


def _is_unknown(answer: Answer) -> bool:
    try:
        return read(answer).get("error") == "unknown"
    except Unproven:
        return False


# -- inventories (section 5)


def _question(m: Message, exchange: Exchange) -> Request:
    assert m.page is not None  # an inventory asks for one
    begin, end = _milliseconds(m.page.begin), _milliseconds(m.page.end)
    asked = {"app": m.app, "org": m.org, "ts": m.ts, "nonce": m.nonce, "from": begin, "to": end, "after": m.page.after}
    body, path = json.dumps(asked | _salt(exchange)).encode(), "/v1/inventory"
    return Request(path=path, headers={"Content-Type": _JSON, **_headers(m, exchange, path, body)}, body=body)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _salt(exchange: Exchange) -> dict[str, object]:
    """The key of the message where it is made from a salt, which the platform needs to check its MAC."""
    key = json.loads(exchange.meta([])).get("key", {})
    return {"key": key} if "salt" in key else {}


def _listed(m: Message, exchange: Exchange, answer: Answer) -> Verdict:
    if answer.status in _NONE:
        return NotOffered(why="the platform answers no inventories")
    if answer.status != 200:
        return _judged(m, exchange, answer)
    proof, document = exchange.proved(answer), read(answer)
    try:
        exams = tuple(
            Theirs(idem=str(one["idem"]), revision=int(one["revision"]), receipt=str(one["receipt"]),
                   state=str(one["state"]))
            for one in document["exams"]
        )  # fmt: skip
        count, following = int(document["count"]), document["next"]
    except (KeyError, TypeError, ValueError):
        following = None
    if not isinstance(following, str):
        return Later(why="the platform's inventory is not as the profile says")
    return Listed(exams=exams, count=count, next=following, proof=proof)


def verdict_of(error: RouterError) -> Refused | Later | Down | Untrue:
    """The verdict that an error of the contract stands for."""
    if isinstance(error, PermanentError):
        return Refused(why=error.message, faults=error.faults, fields=error.fields)
    if isinstance(error, DestinationDown):
        kind: Literal["credentials", "protocol"] = "credentials" if error.outage == Outage.CREDENTIALS else "protocol"
        return Down(why=error.message, kind=kind, hint=error.hint, fields=error.fields)
    if isinstance(error, TransientError):
        return Later(why=error.message, after=error.retry_after, hint=error.hint, fields=error.fields)
    return Untrue(why=error.message, hint=error.hint, fields=error.fields)
