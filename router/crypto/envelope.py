"""The texts and the document of profile `gm-envelope/1` that both sides sign, MAC or authenticate, byte for byte.

Pure: times are Unix milliseconds, digests are given as bytes and written as lower-case hex.
"""

import base64
import json
from dataclasses import dataclass

from router.crypto.symmetric import Sealed, hmac_sm3

PROFILE = "gm-envelope/1"


def idem(api_key: bytes, destination: str, exam_id: str, exam_sm3: bytes, pdf_sm3: bytes) -> str:
    """The name of one content of one exam for one destination, 32 hex digits; says nothing about the patient.

    HMAC-SM3 over destination, ExamId and the two digests (in hex), separated by NUL.
    """
    text = "\0".join((destination, exam_id, exam_sm3.hex(), pdf_sm3.hex()))
    return hmac_sm3(api_key, text.encode()).hex()[:32]


def new_nonce(random: bytes) -> str:
    """A nonce as it is written: base64url without padding, of 16 random bytes."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def token_mac(api_key: bytes, app: str, ts: int, nonce: str) -> str:
    """`mac` of the token call, hex."""
    return hmac_sm3(api_key, f"GM1-TOKEN\n{app}\n{ts}\n{nonce}\n".encode()).hex()


def signed_request(path: str, meta_sm3: bytes) -> bytes:
    """What the hospital signs: the request's path and SM3 of the meta part."""
    return f"GM1\nPOST\n{path}\n{meta_sm3.hex()}\n".encode()


def signed_response(status: int, nonce: str, body_sm3: bytes) -> bytes:
    """What the platform signs: the status, the request's nonce and SM3 of the answer's body."""
    return f"GM1-RESP\n{status}\n{nonce}\n{body_sm3.hex()}\n".encode()


@dataclass(frozen=True, slots=True)
class Message:
    """One upload: who sends what, when. `app`, `org` and `idem` match `[A-Za-z0-9._-]{1,64}`."""

    org: str
    app: str
    ts: int
    nonce: str
    idem: str
    revision: int

    def aad(self, part: str) -> bytes:
        """The data that SM4-GCM authenticates beside a part."""
        return "|".join((PROFILE, self.org, self.app, self.idem, part)).encode()


@dataclass(frozen=True, slots=True)
class SealedPart:
    """One encrypted part: its name, its initialisation vector and what `seal` told of it."""

    name: str
    iv: bytes
    sealed: Sealed


def meta(message: Message, platform_key_id: str, wrapped_key: bytes, parts: tuple[SealedPart, ...]) -> bytes:
    """The `meta` part: the exact bytes that are sent and signed."""
    document = {
        "profile": PROFILE,
        "org": message.org,
        "app": message.app,
        "ts": message.ts,
        "nonce": message.nonce,
        "idem": message.idem,
        "revision": message.revision,
        "key": {"alg": "SM4-GCM", "platform_kid": platform_key_id, "wrapped": _base64(wrapped_key)},
        "parts": [_part(part) for part in parts],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _part(part: SealedPart) -> dict[str, str | int]:
    sealed = part.sealed
    return {
        "name": part.name,
        "iv": _base64(part.iv),
        "tag": _base64(sealed.tag),
        "length": sealed.length,
        "sm3": sealed.sm3.hex(),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
