"""Parts that the profiles share: the name of an upload, nonces, the token call, the document of the `meta` part.

Pure: times are Unix milliseconds, digests are given as bytes and written as lower-case hex.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from router.crypto.symmetric import Sealed, hmac_sm3


def idem(
    api_key: bytes, destination: str, exam_id: str, exam_sm3: bytes, pdf_sm3: bytes, *, again: int | None = None
) -> str:  # fmt: skip
    """The idem of one content of one exam for one destination, 32 hex digits; it reveals nothing about the patient.

    HMAC-SM3 over destination, ExamId and the two digests (in hex), separated by NUL. `again` is the revision by which
    a content goes once more after another one: under its first idem the platform would keep that other one.
    """
    parts = (destination, exam_id, exam_sm3.hex(), pdf_sm3.hex(), *([] if again is None else [str(again)]))
    text = "\0".join(parts)
    return hmac_sm3(api_key, text.encode()).hex()[:32]


def new_nonce(random: bytes) -> str:
    """A nonce in its written form: base64url without padding, of 16 random bytes."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def token_mac(api_key: bytes, app: str, ts: int, nonce: str) -> str:
    """`mac` of the token call, hex."""
    return hmac_sm3(api_key, f"GM1-TOKEN\n{app}\n{ts}\n{nonce}\n".encode()).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: sender, content and time. `app`, `org` and `idem` match `[A-Za-z0-9._-]{1,64}`.

    `operation` is "" of an upload, "withdraw" of a withdrawal.
    """

    profile: str
    org: str
    app: str
    ts: int
    nonce: str
    idem: str
    revision: int
    operation: str = ""

    def bound(self, purpose: str) -> bytes:
        """The text that binds a part, or a key, to this upload: profile, org, app, idem and purpose."""
        return "|".join((self.profile, self.org, self.app, self.idem, purpose)).encode()


@dataclass(frozen=True, slots=True)
class SealedPart:
    """One encrypted part: its name, its initialisation vector and the result of sealing."""

    name: str
    iv: bytes
    sealed: Sealed


def meta(message: Message, key: Mapping[str, str], parts: Sequence[SealedPart]) -> bytes:
    """The `meta` part: the exact bytes that are sent and authenticated. By `key` the platform derives the key."""
    document = {
        "profile": message.profile,
        "org": message.org,
        "app": message.app,
        "ts": message.ts,
        "nonce": message.nonce,
        "idem": message.idem,
        "revision": message.revision,
        **({"operation": message.operation} if message.operation else {}),
        "key": key,
        "parts": [
            {
                "name": part.name,
                "iv": encode64(part.iv),
                "tag": encode64(part.sealed.tag),
                "length": part.sealed.length,
                "sm3": part.sealed.sm3.hex(),
            }
            for part in parts
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def encode64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()
