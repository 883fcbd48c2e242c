"""The platform's HTTP interface: `POST` of `/v1/token`, `/v1/exams`, `/v1/withdrawals` and `/v1/inventory`."""

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from router.clock import Clock
from router.trial.platform.access import Tokens
from router.trial.platform.answers import Refusal, unavailable, wrong
from router.trial.platform.body import Body
from router.trial.platform.envelope import read_object
from router.trial.platform.faults import INVENTORY, WITHDRAWAL, Fault, Faults
from router.trial.platform.inventory import LARGEST_REQUEST, Inventories
from router.trial.platform.parts import WITHDRAWAL as WITHDRAWAL_FORM
from router.trial.platform.parts import receive
from router.trial.platform.uploads import Confirmation, Signed, Uploads
from router.trial.platform.withdrawals import Withdrawals
from router.web.pending import Limits
from router.web.server import Exchange, WebServer

_LARGEST_TOKEN_REQUEST = 4096
# An upload of 256 MiB may come over a slow line.
_LIMITS = Limits(threads=32, request=600.0, idle=60.0, patience=10.0)
_PATHS = ("/v1/token", "/v1/exams", "/v1/withdrawals", "/v1/inventory")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Parts that answer requests. `largest_body` in bytes; parts under way are in `spool`."""

    tokens: Tokens
    uploads: Uploads
    withdrawals: Withdrawals
    inventories: Inventories
    clock: Clock
    spool: Path
    largest_body: int
    faults: Faults


def http_server(interface: Interface) -> WebServer:
    """A server that answers from the interface."""
    return WebServer("reference-platform", lambda exchange: _Request(interface, exchange).answer(), _LIMITS)


class _Request:
    """One request, from its head to its answer."""

    def __init__(self, interface: Interface, exchange: Exchange) -> None:
        self._interface = interface
        self._exchange = exchange
        self._path = exchange.target

    def answer(self) -> None:
        """Answer it, and log it; an unknown path, which is the sender's text, as `?`."""
        if self._exchange.method != "POST":
            self._refuse(Refusal(405, {"error": "only POST"}), finished=False)
            return
        clock = self._interface.clock
        arrived = clock.now().timestamp() - round(self._exchange.waited)
        began = clock.monotonic()
        try:
            body = Body(self._exchange.body, self._exchange.headers, self._interface.largest_body)
        except Refusal as refusal:
            status, note = self._refuse(refusal, finished=False), ""
        else:
            status, note = self._respond(body, arrived)
        seconds = clock.monotonic() - began
        _log.info("POST %s %d %.3f s %s", self._path if self._path in _PATHS else "?", status, seconds, note)

    def _respond(self, body: Body, arrived: float) -> tuple[int, str]:
        try:
            note = self._answer(body, arrived)
        except Refusal as refusal:
            why = refusal.body.get("error", "required fields are missing")
            return self._refuse(refusal, finished=body.finished), str(why)
        except (TimeoutError, ConnectionError):
            raise
        except OSError as error:
            _log.error("cannot store: %s", error.strerror)
            return self._refuse(unavailable(), finished=body.finished), "cannot store"
        return 200, note

    def _answer(self, body: Body, arrived: float) -> str:
        if self._path == "/v1/token":
            try:
                asked = read_object(body.read_all(_LARGEST_TOKEN_REQUEST))
            except (ValueError, RecursionError) as error:
                raise wrong("not a JSON object") from error
            self._send(200, json.dumps(self._interface.tokens.issue(asked, arrived)).encode(), {})
            return ""
        if self._path == "/v1/exams":
            return self._exams(body, arrived)
        if self._path == "/v1/withdrawals":
            return self._withdrawal(body, arrived)
        if self._path == "/v1/inventory":
            return self._inventory(body, arrived)
        raise Refusal(404, {"error": "no such path"})

    def _exams(self, body: Body, arrived: float) -> str:
        interface = self._interface
        fault = interface.faults.next()
        profile = interface.uploads.profile(self._exchange.headers.get("X-GM-Key-Id", ""))
        request = Signed(self._path, self._exchange.headers, arrived)
        with receive(body, self._exchange.headers, interface.spool) as parts:
            done = interface.uploads.accept(profile, request, parts, lambda: self._check(fault))
        if fault is None:
            self._send(200, done.body, done.proof(200, done.body))
        else:
            self._misbehave(fault, done)
        return f"idem={done.idem}"

    def _withdrawal(self, body: Body, arrived: float) -> str:
        interface = self._interface
        fault = interface.faults.next(WITHDRAWAL)
        profile = interface.uploads.profile(self._exchange.headers.get("X-GM-Key-Id", ""))
        request = Signed(self._path, self._exchange.headers, arrived)
        with receive(body, self._exchange.headers, interface.spool, WITHDRAWAL_FORM) as parts:
            done = interface.withdrawals.accept(profile, request, parts, lambda: self._check(fault))
        self._send(200, done.body, done.proof(200, done.body))
        return f"idem={done.idem}"

    def _inventory(self, body: Body, arrived: float) -> str:
        interface, headers = self._interface, self._exchange.headers
        profile = interface.uploads.profile(headers.get("X-GM-Key-Id", ""))
        asked = body.read_all(LARGEST_REQUEST)
        app = self._check(None) if "Authorization" in headers else None
        request, fault = Signed(self._path, headers, arrived), interface.faults.next(INVENTORY)
        done = interface.inventories.answer(profile, request, asked, app, fault)
        self._send(200, done.body, done.proof(200, done.body))
        return ""

    def _check(self, fault: Fault | None) -> str:
        """The application whose token it has. Refuse by a signed answer: the request's own signature is valid."""
        app = self._interface.tokens.check(self._exchange.headers.get("Authorization", ""))
        if fault is not None:
            fault.refuse()
        return app

    def _misbehave(self, fault: Fault, done: Confirmation) -> None:
        """Give a faulty answer to an upload that is stored."""
        if fault.name == "drop":
            self._exchange.hang_up()
            return
        threading.Event().wait(fault.seconds)
        body = done.body if fault.name != "receipt" else done.body.replace(done.idem.encode(), b"another")
        proof = done.proof(200, body)
        self._send(200, body if fault.name != "signature" else body + b" ", proof)

    def _refuse(self, refusal: Refusal, *, finished: bool) -> int:
        unread = refusal.close or not finished
        body = json.dumps(refusal.body, ensure_ascii=False).encode()
        signed = refusal.proof(refusal.status, body) if refusal.proof else {}
        self._send(refusal.status, body, {**refusal.headers, **signed}, unread=unread)
        return refusal.status

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], *, unread: bool = False) -> None:
        kind = {"Content-Type": "application/json; charset=utf-8"}
        self._exchange.answer(status, {**kind, **headers}, body, unread=unread)
