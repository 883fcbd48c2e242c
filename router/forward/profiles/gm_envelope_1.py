"""Profile `gm-envelope/1`: SM4-GCM under a session key that SM2 wraps; request and answer signed with SM2."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from router.config.sections import KEY_FILES, HttpDestination
from router.crypto import envelope, symmetric
from router.crypto.ring import Entry, Ring
from router.crypto.sm2 import PrivateKey, PublicKey
from router.errors import Unproven
from router.forward.account_keys import load_keys
from router.forward.answer import Answer, Proof, Receipt, proof_of, receipt_in
from router.forward.blocks.message import Keys
from router.forward.profiles.contract import declared
from router.forward.spoken import Spoken

NAME = "gm-envelope/1"


def signed_request(path: str, meta_sm3: bytes) -> bytes:
    """The text that the hospital signs: the request's path and SM3 of the meta part."""
    return f"GM1\nPOST\n{path}\n{meta_sm3.hex()}\n".encode()


def signed_response(status: int, nonce: str, body_sm3: bytes) -> bytes:
    """The text that the platform signs: the status, the request's nonce and SM3 of the answer's body."""
    return f"GM1-RESP\n{status}\n{nonce}\n{body_sm3.hex()}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exchange:
    message: envelope.Message
    signing: Entry[PrivateKey]
    encryption: Entry[PublicKey]
    platform_signing: Ring[PublicKey]
    key: bytes = field(repr=False)

    def seal(self, part: str, source: BinaryIO, sink: BinaryIO) -> envelope.SealedPart:
        iv = secrets.token_bytes(symmetric.IV_BYTES)
        return envelope.SealedPart(part, iv, symmetric.seal(self.key, iv, self.message.bound(part), source, sink))

    def meta(self, parts: Sequence[envelope.SealedPart]) -> bytes:
        wrapped = envelope.encode64(self.encryption.key.encrypt(self.key))
        return envelope.meta(
            self.message, {"alg": "SM4-GCM", "platform_kid": self.encryption.id, "wrapped": wrapped}, parts
        )

    def headers(self, path: str, meta: bytes) -> Mapping[str, str]:
        signature = self.signing.key.sign(signed_request(path, symmetric.sm3(meta)))
        return {"X-GM-Key-Id": self.signing.id, "X-GM-Signature": envelope.encode64(signature)}

    def proved(self, answer: Answer) -> Proof | None:
        found = proof_of(answer, "X-GM-Signature")
        if found is None:
            return None
        signer, signature = found
        text = signed_response(answer.status, self.message.nonce, symmetric.sm3(answer.body))
        now = datetime.fromtimestamp(self.message.ts / 1000, UTC)
        known = self.platform_signing.good(signer, now)
        if known is None:
            raise Unproven(
                "the answer is not signed with a platform key that we know",
                hint="compare platform_signing_key_file (keys show) with the platform's",
                expected=", ".join(self.platform_signing.ids()),
            )
        if not known.key.verify(text, signature):
            raise Unproven("the answer's signature does not verify", key_id=signer)
        ours = {"signing": self.signing.id, "platform_encryption": self.encryption.id}
        return Proof(profile=NAME, key_id=signer, signature=signature, text=text, request_keys=ours)

    def verified(self, answer: Answer) -> Receipt:
        return receipt_in(answer, self.message, self.proved(answer))


def begin(keys: Keys, message: envelope.Message, random: bytes) -> _Exchange:
    """Begin a message: a session key, and the keys in force at its time."""
    assert keys.signing  # the declaration names all three
    assert keys.platform_signing
    assert keys.platform_encryption
    at = datetime.fromtimestamp(message.ts / 1000, UTC)
    return _Exchange(
        message=message, signing=keys.signing.active(at), encryption=keys.platform_encryption.active(at),
        platform_signing=keys.platform_signing, key=random[: symmetric.KEY_BYTES],
    )  # fmt: skip


PROFILE = declared(NAME, KEY_FILES[NAME], begin)


class GmEnvelope(Spoken):
    """The profile with the hospital's signing keys, the platform's signing and encryption keys."""

    def exchange(self, message: envelope.Message) -> _Exchange:
        """Begin a message by hand."""
        return begin(self.keys, message, secrets.token_bytes(32))


def load(destination: HttpDestination) -> GmEnvelope:
    """Read the key files; ConfigurationError names a fault."""
    return GmEnvelope(PROFILE, load_keys(destination, PROFILE.keys))
