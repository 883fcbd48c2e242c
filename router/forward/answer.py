"""Meaning of the platform's answers, in every profile: pure functions from an answer to a value or an error."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from router.crypto import envelope
from router.errors import (
    DestinationDown,
    Outage,
    PermanentError,
    RouterError,
    TransientError,
    UnprovedRefusal,
    Unproven,
)

_LONGEST_WAIT = 86400.0
_LONGEST_TOKEN = 30 * 86400.0
_MOST_FAULTS = 200
_LONGEST_TEXT = 500
_LONGEST_RECEIPT = 500
_CLOCK_HINT = "compare this machine's clock with the platform's (NTP); more than 300 s apart is refused"
_PROFILE_HINT = "check url: it is not, or not directly, the platform's interface of this profile"


class Headers(dict[str, str]):
    """Header fields, whose names compare without case (RFC 9110 5.1)."""

    def __missing__(self, name: str) -> str:
        found = {own.lower(): value for own, value in self.items()}
        return found[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in map(str.lower, self)

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override] # text, never None
        """The value under the name, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the peer: header names compare without case, the body is whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", Headers(self.headers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Proof that an answer is the platform's: `signature` (or MAC) of `text`. `request_keys` are ids by purpose."""

    profile: str
    key_id: str
    signature: bytes
    text: bytes
    request_keys: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The platform's confirmation that it has the upload. `body` is the answer as it came."""

    receipt: str
    idem: str
    at: datetime
    nonce: str
    status: int
    body: bytes
    proof: Proof

    def __post_init__(self) -> None:
        """Unproven unless its number is text that can be kept and shown."""
        if not self.receipt.isprintable() or len(self.receipt) > _LONGEST_RECEIPT:
            raise Unproven("the receipt has a number that is no printable text", idem=self.idem)

    def to_document(self) -> dict[str, object]:
        """The content of receipt.json: with the platform's key `key_id`, all that another check needs.

        `signed` is the text under the signature, which holds SM3 of the bytes of `body` (base64); bytes that are no
        text stand in `signed_bytes` (base64).
        """
        try:
            signed = {"signed": self.proof.text.decode()}
        except UnicodeDecodeError:
            signed = {"signed_bytes": envelope.encode64(self.proof.text)}
        return {
            "receipt": self.receipt,
            "idem": self.idem,
            "at": self.at.isoformat(),
            "status": self.status,
            "nonce": self.nonce,
            "profile": self.proof.profile,
            "key_id": self.proof.key_id,
            "request_keys": dict(self.proof.request_keys),
            "signature": envelope.encode64(self.proof.signature),
            **signed,
            "body": envelope.encode64(self.body),
        }


def granted(answer: Answer, now: datetime) -> tuple[str, float]:
    """Token and lifetime in seconds; TransientError, mostly DestinationDown, for an answer that grants none."""
    if answer.status in (401, 403):
        raise DestinationDown(
            "the platform refuses the interface key (API key) or the app name", outage=Outage.CREDENTIALS,
            hint=f"compare api_key_file and app with what the platform has; {_CLOCK_HINT}", status=answer.status,
        )  # fmt: skip
    if answer.status != 200:
        meaning = refusal(answer, now)
        raise meaning if isinstance(meaning, TransientError) else _not_the_profile(answer)
    try:
        document = _json(answer)
        value, lifetime = document.get("token"), document.get("expires_in")
    except Unproven:
        raise _not_the_profile(answer) from None
    if not (isinstance(value, str) and re.fullmatch(r"[!-~]{1,4096}", value)):
        raise _not_the_profile(answer)
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not 0 < lifetime <= _LONGEST_TOKEN:
        raise _not_the_profile(answer)
    return value, float(lifetime)


def date_of(answer: Answer) -> datetime | None:
    """The peer's time by the Date header (RFC 9110 6.6.1); None without a readable one."""
    return _date(answer.headers.get("Date", ""))


def read(answer: Answer) -> Mapping[str, Any]:
    """The answer's JSON object; Unproven when it is none."""
    return _json(answer)


def challenge(answer: Answer) -> str:
    """The part that a 401 asks to renew: "stale", else "token"; "" for any other answer."""
    if answer.status != 401:
        return ""
    return "stale" if _said(answer, "error") == "stale" else "token"


def refusal(answer: Answer, now: datetime) -> RouterError:
    """The error for an answer other than 200, by the contract's table."""
    status = answer.status
    if status == 401 and challenge(answer) == "stale":
        return TransientError("the platform calls our time or nonce stale", hint=_CLOCK_HINT, status=status)
    if status in (401, 403):
        return DestinationDown(
            "the platform refuses the interface key (API key), the app name or the signing key",
            outage=Outage.CREDENTIALS,
            hint="compare app, api_key_file and the signing key's id (keys show) with what the platform has",
            status=status,
        )  # fmt: skip
    if status == 422:
        return PermanentError("the platform does not accept the exam JSON", faults=_faults(answer), status=status)
    if status in (408, 429) or status >= 500:
        return TransientError(f"the platform answers {status}", retry_after=retry_after(answer, now), status=status)
    if status >= 400 and status not in (404, 405):
        error = _said(answer, "error")
        return PermanentError(
            _REFUSALS.get(status, f"the platform answers {status}"),
            faults=(("", _short(error)),) if error else (),
            status=status,
        )
    return _not_the_profile(answer)


def unproved(meaning: RouterError) -> RouterError:
    """The error for an answer that nothing proves to be the platform's: it is never permanent."""
    if isinstance(meaning, PermanentError):
        hint = "ask the platform's operator; the answer is not signed, and neither ca_file nor gateway vouches for it"
        return UnprovedRefusal(f"unproved: {meaning.message}", faults=meaning.faults, hint=hint, **meaning.fields)
    return meaning


_REFUSALS = {
    400: "the platform finds the envelope wrong",
    409: "the platform has other content under this idem",
    413: "the upload is too large for the platform",
}


def _not_the_profile(answer: Answer) -> DestinationDown:
    """The error for a redirect, a wrong page or a gateway: the address is wrong for every upload, so none must fail."""
    what = "redirects" if 300 <= answer.status < 400 else "does not answer as the profile says"
    text = f"the destination {what} (status {answer.status})"
    return DestinationDown(text, outage=Outage.PROTOCOL, hint=_PROFILE_HINT, status=answer.status)


def proof_of(answer: Answer, header: str) -> tuple[str, bytes] | None:
    """The key id and the signature or MAC in `header`, b"" where it is not base64; None without such a header."""
    if header not in answer.headers:
        return None
    try:
        raw = base64.b64decode(answer.headers.get(header, ""), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    return answer.headers.get("X-GM-Key-Id", ""), raw


def receipt_in(answer: Answer, message: envelope.Message, proof: Proof | None) -> Receipt:
    """The receipt in a 200; Unproven unless it is proved to be the platform's, and for this message."""
    if proof is None:
        raise Unproven("the receipt is not signed", idem=message.idem)
    document = _json(answer)
    if (document.get("idem"), document.get("nonce")) != (message.idem, message.nonce):
        raise Unproven("the receipt is for another upload", idem=message.idem)
    return Receipt(
        receipt=_text(document, "receipt"), idem=message.idem, at=instant(document.get("ts")), nonce=message.nonce,
        status=answer.status, body=answer.body, proof=proof,
    )  # fmt: skip


def _json(answer: Answer) -> Mapping[str, Any]:
    """The answer's JSON object; Unproven when it is none."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unproven("the platform's answer is not a JSON object", status=answer.status)
    return document


def _said(answer: Answer, field: str) -> object:
    try:
        return _json(answer).get(field)
    except Unproven:
        return None


def _text(document: Mapping[str, Any], field: str) -> str:
    value = document.get(field)
    if not isinstance(value, str) or not value:
        raise Unproven(f"the receipt has no {field}")
    return value


def instant(milliseconds: object) -> datetime:
    """The time of a receipt's `ts`, Unix milliseconds; Unproven when it is none."""
    try:
        return datetime.fromtimestamp(int(str(milliseconds)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unproven("the receipt has no ts") from None


def _faults(answer: Answer) -> tuple[tuple[str, str], ...]:
    """The platform's errors, field by field. A path that is none could be anything, and is left out."""
    errors = _said(answer, "errors")
    listed = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    return tuple((_path(each.get("path")), _short(each.get("message"))) for each in listed[:_MOST_FAULTS])


def _path(value: object) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.\[\]]{1,200}", value) else ""


def _short(value: object) -> str:
    return str(value or "")[:_LONGEST_TEXT]


def retry_after(answer: Answer, now: datetime) -> float | None:
    """Retry-After in seconds, given as seconds or as a date (RFC 9110 10.2.3); None when absent or unreadable."""
    value = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return min(float(value), _LONGEST_WAIT)
    until = _date(value)
    return None if until is None else min(max((until - now).total_seconds(), 0.0), _LONGEST_WAIT)


def _date(written: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(written)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
