"""Profile `gm-psk/1`: no key pairs. Keys of each message by HKDF-SM3 from a pre-shared key and a random salt.

SM4-CBC with HMAC-SM3 seals the parts; HMAC-SM3 under keys of their own authenticates request and answer.
The wire format is written down in router/docs/gm-psk-1.md.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from router.config.sections import KEY_FILES, HttpDestination
from router.crypto import envelope, symmetric
from router.crypto.ring import Entry
from router.errors import Unproven
from router.forward.account_keys import load_keys
from router.forward.answer import Answer, Proof, Receipt, proof_of, receipt_in
from router.forward.blocks.message import Keys
from router.forward.profiles.contract import declared
from router.forward.spoken import Spoken

NAME = "gm-psk/1"
_LENGTHS = {"encrypt": symmetric.KEY_BYTES, "mac": 32, "request": 32, "answer": 32}


@dataclass(frozen=True, slots=True)
class _Exchange:
    message: envelope.Message
    shared: Entry[bytes]
    salt: bytes

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


def begin(keys: Keys, message: envelope.Message, random: bytes) -> _Exchange:
    """Begin a message: a salt, and the key in force at its time."""
    assert keys.shared  # it declares it
    return _Exchange(message, keys.shared.active(datetime.fromtimestamp(message.ts / 1000, UTC)), random)


PROFILE = declared(NAME, KEY_FILES["gm-psk/1"], begin)


class GmPsk(Spoken):
    """The profile with the pre-shared keys."""

    def exchange(self, message: envelope.Message) -> _Exchange:
        """Begin a message by hand."""
        return begin(self.keys, message, secrets.token_bytes(32))


def load(destination: HttpDestination) -> GmPsk:
    """Read the pre-shared key, or a ring of them; ConfigurationError names a fault."""
    return GmPsk(PROFILE, load_keys(destination, PROFILE.keys))
