"""The report agent, which sends exam JSON and PDF to a destination's HTTP interface, by any profile."""

import hashlib
import json
import secrets
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from router.clock import Clock
from router.config.sections import HttpDestination
from router.crypto import envelope
from router.errors import Damaged, TransientError
from router.forward.answer import Answer, Receipt, challenge, date_of, granted, refusal, unproved
from router.forward.credentials import Credentials
from router.forward.http import DEFAULT_LIMITS, Limits, Multipart, Part, Session
from router.forward.profiles import Exchange
from router.policy.bandwidth import Paced, unbounded

__all__ = ["Receipt", "ReportAgent", "Upload"]

_EXPIRY_MARGIN = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One revision of one exam for one destination; `org` is the USCI (统一社会信用代码) of the exam's hospital.

    Checksums are SHA-256 of files as they came, "" where unknown.
    """

    org: str
    idem: str
    revision: int
    exam_file: Path
    report_file: Path
    exam_checksum: str = ""
    report_checksum: str = ""


class ReportAgent:
    """Sends uploads to one destination by one account; safe to share between threads, which share one token.

    `credentials` is called for each message, since keys may change while the node runs. Ciphertext, never plaintext, is
    spooled in `spool`, by default the system's temporary folder.
    """

    def __init__(
        self, destination: HttpDestination, credentials: Callable[[], Credentials], clock: Clock, *,
        spool: Path | None = None, limits: Limits = DEFAULT_LIMITS, paced: Paced = unbounded,
    ) -> None:  # fmt: skip
        self._paced = paced
        self._app = destination.app
        self._vouched = destination.vouched
        self._credentials = credentials
        self._clock = clock
        self._spool = spool
        self._session = Session(destination, clock, limits)
        self._token = _Token(self._session, destination.app, credentials, clock)

    def probe(self) -> datetime | None:
        """Request a new token; the platform's time by the Date header, None without one. Raises as `send` does."""
        return date_of(self._token.renew())

    def send(self, upload: Upload) -> Receipt:
        """Deliver and return the verified receipt.

        DestinationDown: no connection, redirected, or our keys are refused. TransientError: try again later.
        PermanentError: the platform refuses this upload; `faults` holds its words, which may name the patient.
        UnprovedRefusal: so does an answer that nothing proves to be the platform's.
        Unproven: the answer's signature, idem or nonce does not match, so nothing is known to be delivered.
        Damaged: a file of the upload is gone or has changed since it came; nothing is sent.
        A refused token, and a refused time or nonce, are each renewed once.
        """
        exchange, answer, proved = self.ask(lambda token: self._exchange(upload, token))
        self.require_taken(answer, proved=proved)
        return exchange.verified(answer)

    def ask(self, request: Callable[[str], tuple[Exchange, Answer]]) -> tuple[Exchange, Answer, bool]:
        """Make a request by a token; the message, its answer, and whether that is proved to be the platform's.

        A refused token, and a refused time or nonce, are each renewed once. Raises as `send`, but for refusals.
        """
        renewable = {"token", "stale"}
        while True:
            token = self._token.current()
            exchange, answer = request(token)
            proved = exchange.proved(answer) is not None or self._vouched
            demand = challenge(answer)
            if demand not in renewable:
                return exchange, answer, proved
            renewable.remove(demand)
            if demand == "token":
                self._token.forget(token)

    def require_taken(self, answer: Answer, *, proved: bool) -> None:
        """Raise what an answer other than 200 means, as `send` does."""
        if answer.status != 200:
            meaning = refusal(answer, self._clock.now())
            raise meaning if proved else unproved(meaning)

    def message(self, org: str, idem: str = "", revision: int = 0, operation: str = "") -> envelope.Message:
        """A message of this account at this time, with a nonce of its own."""
        return envelope.Message(
            profile=self._credentials().profile.name, org=org, app=self._app, ts=_milliseconds(self._clock),
            nonce=_new_nonce(), idem=idem, revision=revision, operation=operation,
        )  # fmt: skip

    def begin(self, message: envelope.Message) -> Exchange:
        """Begin a message; DestinationDown when no key is in force at its time."""
        return self._credentials().profile.exchange(message)

    def post(self, exchange: Exchange, endpoint: str, signed: bytes, body: Multipart | bytes, token: str) -> Answer:
        """Send `body`, authenticated by the bytes of it that are `signed`."""
        proof = exchange.headers(self._session.path(endpoint), signed)
        kind = body.content_type if isinstance(body, Multipart) else "application/json"
        return self._session.post(endpoint, {"Authorization": f"Bearer {token}", "Content-Type": kind, **proof}, body)

    def _exchange(self, upload: Upload, token: str) -> tuple[Exchange, Answer]:
        exchange = self.begin(self.message(upload.org, upload.idem, upload.revision))
        with tempfile.TemporaryDirectory(prefix="upload-", dir=self._spool) as folder:
            meta, body = _pack(exchange, upload, Path(folder), self._paced)
            return exchange, self.post(exchange, "/v1/exams", meta, body, token)


class _Token:
    """The platform's token, requested when there is none or it is about to expire; one thread asks, others wait."""

    def __init__(self, session: Session, app: str, credentials: Callable[[], Credentials], clock: Clock) -> None:
        self._session = session
        self._app = app
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._value = ""
        self._until = 0.0

    def current(self) -> str:
        with self._lock:
            if not self._value or self._clock.monotonic() >= self._until:
                self._fetch()
            return self._value

    def renew(self) -> Answer:
        with self._lock:
            return self._fetch()

    def forget(self, value: str) -> None:
        """Drop a refused token, unless another thread has already renewed it."""
        with self._lock:
            if self._value == value:
                self._value = ""

    def _fetch(self) -> Answer:
        self._value = ""
        ts, nonce = _milliseconds(self._clock), _new_nonce()
        mac = envelope.token_mac(self._credentials().api_key, self._app, ts, nonce)
        request = json.dumps({"app": self._app, "ts": ts, "nonce": nonce, "mac": mac}).encode()
        asked = self._clock.monotonic()
        answer = self._session.post("/v1/token", {"Content-Type": "application/json"}, request)
        value, lifetime = granted(answer, self._clock.now())
        self._value = value
        self._until = asked + max(lifetime - _EXPIRY_MARGIN, lifetime / 2)
        return answer


def _pack(exchange: Exchange, upload: Upload, folder: Path, paced: Paced) -> tuple[bytes, Multipart]:
    sources = {
        "exam": (upload.exam_file, upload.exam_checksum), "report": (upload.report_file, upload.report_checksum)
    }  # fmt: skip
    sealed = tuple(_seal(exchange, upload.idem, name, *source, folder / name) for name, source in sources.items())
    meta = exchange.meta(sealed)
    parts = [Part(name, "application/octet-stream", folder / name) for name in sources]
    return meta, Multipart([Part("meta", "application/json", meta), *parts], paced)


def _seal(
    exchange: Exchange, idem: str, name: str, source: Path, checksum: str, sink: Path
) -> envelope.SealedPart:  # fmt: skip
    try:
        with source.open("rb") as plain, sink.open("wb") as encrypted:
            if checksum and hashlib.file_digest(plain, "sha256").hexdigest() != checksum:
                raise Damaged(f"the {name} file of the upload is not what came", idem=idem, part=name)
            plain.seek(0)
            return exchange.seal(name, plain, encrypted)
    except FileNotFoundError as error:
        raise Damaged(f"the {name} file of the upload is gone", idem=idem, part=name) from error
    except OSError as error:
        raise TransientError(f"cannot encrypt the {name}: {error.strerror}", hint="check the disk") from error


def _milliseconds(clock: Clock) -> int:
    return int(clock.now().timestamp() * 1000)


def _new_nonce() -> str:
    return envelope.new_nonce(secrets.token_bytes(16))
