"""The calls of the profiles of the contract: token and upload, whose envelope is each profile's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from router.crypto import envelope
from router.errors import Damaged, DestinationDown, Outage, PermanentError, RouterError, TransientError
from router.forward.answer import Answer, challenge, granted, refusal
from router.forward.blocks.declaration import Call, Declaration
from router.forward.blocks.message import Keys, Message
from router.forward.blocks.request import Form, FormPart, Request
from router.forward.blocks.values import Document
from router.forward.blocks.verdict import Accepted, Down, Granted, Later, Refused, Renew, Untrue, Verdict
from router.forward.profiles import Exchange

_OCTETS = "application/octet-stream"
Begin = Callable[[Keys, envelope.Message, bytes], Exchange]
"""Begins a profile's own exchange; the bytes are 32 random ones of this message."""


def declared(name: str, keys: tuple[str, ...], begin: Begin) -> Declaration:
    """A profile of the contract by its envelope."""

    def exchange(m: Message) -> Exchange:
        assert m.keys is not None  # spoken with keys
        ours = envelope.Message(
            profile=name, org=m.org, app=m.app, ts=m.ts, nonce=m.nonce, idem=m.idem, revision=m.revision
        )
        return begin(m.keys, ours, m.random("exchange", 32))

    return Declaration(
        name=name, keys=keys, token=Call(name="token", request=_ask_token, judge=_token),
        upload=(
            Call(
                name="exam", request=lambda m: _upload(m, exchange(m)), judge=lambda m, a: _judged(m, exchange(m), a)
            ),
        ),
    )  # fmt: skip


def _ask_token(m: Message) -> Request:
    mac = envelope.token_mac(m.api_key.raw, m.app, m.ts, m.nonce)
    body = json.dumps({"app": m.app, "ts": m.ts, "nonce": m.nonce, "mac": mac}).encode()
    return Request(path="/v1/token", headers={"Content-Type": "application/json"}, body=body)


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
        FormPart(name="meta", content=meta, content_type="application/json"),
        *(_part(m.spool, n) for n in sources),
    )
    proof = exchange.headers(f"{m.base}/v1/exams", meta)
    return Request(path="/v1/exams", headers={"Authorization": f"Bearer {m.token}", **proof}, body=Form(parts))


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
