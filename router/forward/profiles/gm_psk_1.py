"""Profile `gm-psk/1`: no key pairs. Keys of each message by HKDF-SM3 from a pre-shared key and a random salt.

SM4-CBC with HMAC-SM3 seals the parts; HMAC-SM3 under keys of their own authenticates request and answer.
The wire format is written down in router/docs/gm-psk-1.md.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from router.config.sections import HttpDestination
from router.crypto import envelope, symmetric
from router.crypto.keys import load_psk, psk_id
from router.crypto.ring import Entry, Ring, load_ring
from router.errors import Unproven
from router.forward.answer import Answer, Proof, Receipt, proof_of, receipt_in

NAME = "gm-psk/1"
_SALT_BYTES = 32
_LENGTHS = {"encrypt": symmetric.KEY_BYTES, "mac": 32, "request": 32, "answer": 32}


@dataclass(frozen=True, slots=True)
class GmPsk:
    """The pre-shared keys."""

    shared: Ring[bytes]
    name: str = NAME

    @property
    def files(self) -> tuple[Path, ...]:
        """All key files that were read."""
        return self.shared.files

    @property
    def pinned(self) -> Mapping[str, tuple[str, ...]]:
        """No ids: a shared secret is no key of the platform's."""
        return {}

    def exchange(self, message: envelope.Message) -> "_Exchange":
        """Begin a message: a salt, and the key in force at its time."""
        return _Exchange(message, self.shared.active(datetime.fromtimestamp(message.ts / 1000, UTC)))


@dataclass(frozen=True, slots=True)
class _Exchange:
    message: envelope.Message
    shared: Entry[bytes]
    salt: bytes = field(default_factory=partial(secrets.token_bytes, _SALT_BYTES))

    def seal(self, part: str, source: BinaryIO, sink: BinaryIO) -> envelope.SealedPart:
        iv = secrets.token_bytes(symmetric.CBC_IV_BYTES)
        aad = self.message.bound(part) + b"\n"
        sealed = symmetric.seal_cbc(self._key("encrypt"), self._key("mac"), iv, aad, source, sink)
        return envelope.SealedPart(part, iv, sealed)

    def meta(self, parts: Sequence[envelope.SealedPart]) -> bytes:
        key = {"alg": "SM4-CBC-HMAC-SM3", "kdf": "HKDF-SM3", "salt": envelope.encode64(self.salt)}
        return envelope.meta(self.message, key, parts)

    def headers(self, path: str, meta: bytes) -> Mapping[str, str]:
        text = f"PSK1\nPOST\n{path}\n{symmetric.sm3(meta).hex()}\n"
        mac = symmetric.hmac_sm3(self._key("request"), text.encode())
        return {"X-GM-Key-Id": self.shared.id, "X-GM-Mac": envelope.encode64(mac)}

    def proved(self, answer: Answer) -> Proof | None:
        found = proof_of(answer, "X-GM-Mac")
        if found is None:
            return None
        shared, mac = found
        text = f"PSK1-RESP\n{answer.status}\n{self.message.nonce}\n{symmetric.sm3(answer.body).hex()}\n".encode()
        if shared != self.shared.id or not symmetric.equal(symmetric.hmac_sm3(self._key("answer"), text), mac):
            raise Unproven(
                "the answer's HMAC does not verify",
                hint="compare psk_file (keys show) with the platform's",
                key_id=self.shared.id,
            )
        return Proof(profile=NAME, key_id=shared, signature=mac, text=text, request_keys={"pre_shared": shared})

    def verified(self, answer: Answer) -> Receipt:
        return receipt_in(answer, self.message, self.proved(answer))

    def _key(self, purpose: str) -> bytes:
        """A key for one purpose of this message only."""
        return symmetric.hkdf_sm3(self.shared.key, self.salt, self.message.bound(purpose), _LENGTHS[purpose])


def load(destination: HttpDestination) -> GmPsk:
    """Read the pre-shared key, or a ring of them."""
    return GmPsk(load_ring(destination.key_file("psk_file"), "pre-shared key", load_psk, psk_id))
