"""The platform's side of the profiles: senders, authenticity of meta, decryption of parts, proofs of answers."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.message import Message
from functools import partial
from typing import BinaryIO, Protocol

from router.crypto.keys import key_id, psk_id
from router.crypto.sm2 import PublicKey
from router.crypto.symmetric import equal, hkdf_sm3, hmac_sm3, sm3, unseal, unseal_cbc
from router.errors import IntegrityError, InvalidData
from router.trial.platform.answers import Proof, not_allowed, proved_by, wrong
from router.trial.platform.envelope import (
    Meta,
    Part,
    Shape,
    nonce_in,
    read_bytes,
    read_key_id,
    read_meta,
    read_question,
)
from router.trial.platform.keyring import Account, Keyring


class Opener(Protocol):
    """Decrypts one part of a message; Refusal 400 when its tag does not match."""

    def __call__(self, part: Part, source: BinaryIO, sink: BinaryIO) -> None: ...


class PlatformProfile(Protocol):
    """One profile as the platform speaks it."""

    @property
    def sender(self) -> str:
        """The id of the key that authenticates requests: it tells the profile of a request before its body."""

    def authentic(self, path: str, proof: Message, data: bytes) -> Meta:
        """The meta part, read and authentic; `proof` are the request's headers. Refusal 400 when it is not."""

    def authentic_question(self, path: str, proof: Message, body: bytes) -> tuple[str, Proof]:
        """The nonce of an authentic request without parts, and the proof of its answers. Refusal 400 when it is not."""

    def opener(self, meta: Meta) -> Opener:
        """The opener of the message's parts; Refusal when its key cannot be derived."""

    def proof(self, meta: Meta, status: int, body: bytes) -> dict[str, str]:
        """The headers that prove an answer of this status and body to be ours."""


def profiles(keyring: Keyring, accounts: Iterable[Account]) -> dict[str, PlatformProfile]:
    """The profiles that the keys of the accounts allow, by the id of the sender's key."""
    spoken: list[PlatformProfile] = []
    for one in accounts:
        spoken.append(GmEnvelope(keyring, one.hospital_sign))
        if one.psk is not None:
            spoken.append(GmPsk(one.psk))
    return {profile.sender: profile for profile in spoken}


class GmEnvelope:
    """`gm-envelope/1`: SM2 signs and wraps, SM4-GCM seals."""

    _SHAPE = Shape("gm-envelope/1", "SM4-GCM", iv=12, tag=16)

    def __init__(self, keyring: Keyring, hospital: PublicKey) -> None:
        self._hospital = hospital
        self._sign, self._encrypt = keyring.platform_sign, keyring.platform_encrypt
        self.sender = key_id(hospital)
        self._sign_kid, self._encrypt_kid = key_id(self._sign.public), key_id(self._encrypt.public)

    def authentic(self, path: str, proof: Message, data: bytes) -> Meta:
        """The signature is checked before meta is read."""
        self._require_signed(path, proof, data)
        with proved_by(partial(self._proof, nonce_in(data))):
            return read_meta(data, self._SHAPE)

    def authentic_question(self, path: str, proof: Message, body: bytes) -> tuple[str, Proof]:
        """The signature is over the whole body."""
        self._require_signed(path, proof, body)
        nonce = nonce_in(body)
        return nonce, partial(self._proof, nonce)

    def _require_signed(self, path: str, proof: Message, data: bytes) -> None:
        signed = f"GM1\nPOST\n{path}\n{sm3(data).hex()}\n".encode()
        if not self._hospital.verify(signed, _proof(proof, "X-GM-Signature")):
            raise wrong("signature does not match")

    def opener(self, meta: Meta) -> Opener:
        """Refusal 403 for a key that is not ours, 400 for a session key that does not unwrap."""
        if read_key_id(meta.key, "platform_kid") != self._encrypt_kid:
            raise not_allowed("platform_kid is not this platform's encryption key")
        try:
            key = self._encrypt.decrypt(read_bytes(meta.key, "wrapped"))
        except (InvalidData, IntegrityError) as error:
            raise wrong("the session key does not unwrap") from error
        if len(key) != 16:
            raise wrong("the session key is not 16 bytes long")

        def open_part(part: Part, source: BinaryIO, sink: BinaryIO) -> None:
            with _tag_of(part):
                unseal(key, part.iv, meta.bound(part.name), part.tag, source, sink)

        return open_part

    def proof(self, meta: Meta, status: int, body: bytes) -> dict[str, str]:
        """A signature with the platform's signing key."""
        return self._proof(meta.nonce, status, body)

    def _proof(self, nonce: str, status: int, body: bytes) -> dict[str, str]:
        signature = self._sign.sign(f"GM1-RESP\n{status}\n{nonce}\n{sm3(body).hex()}\n".encode())
        return {"X-GM-Key-Id": self._sign_kid, "X-GM-Signature": base64.b64encode(signature).decode()}


class GmPsk:
    """`gm-psk/1`: HKDF-SM3 gives the keys of a message, SM4-CBC with HMAC-SM3 seals (router/docs/gm-psk-1.md)."""

    _SHAPE = Shape("gm-psk/1", "SM4-CBC-HMAC-SM3", iv=16, tag=32)

    def __init__(self, psk: bytes) -> None:
        self._psk = psk
        self.sender = psk_id(psk)

    def authentic(self, path: str, proof: Message, data: bytes) -> Meta:
        """Meta holds the salt of the key that authenticates it, so it is read first, strictly."""
        meta = read_meta(data, self._SHAPE)
        self._require_authentic(meta, path, proof, data)
        return meta

    def authentic_question(self, path: str, proof: Message, body: bytes) -> tuple[str, Proof]:
        """The salt is in the body's `key`; the names that bind the keys are in the body, too."""
        meta = read_question(body, self._SHAPE)
        self._require_authentic(meta, path, proof, body)
        return meta.nonce, partial(self.proof, meta)

    def _require_authentic(self, meta: Meta, path: str, proof: Message, data: bytes) -> None:
        if meta.key.get("kdf") != "HKDF-SM3":
            raise wrong("meta: key.kdf is not HKDF-SM3")
        expected = hmac_sm3(self._key(meta, "request", 32), f"PSK1\nPOST\n{path}\n{sm3(data).hex()}\n".encode())
        if not equal(expected, _proof(proof, "X-GM-Mac")):
            raise wrong("signature does not match")

    def opener(self, meta: Meta) -> Opener:
        """Two keys of this message: one encrypts, the other authenticates."""
        key, mac_key = self._key(meta, "encrypt", 16), self._key(meta, "mac", 32)

        def open_part(part: Part, source: BinaryIO, sink: BinaryIO) -> None:
            with _tag_of(part):
                unseal_cbc(key, mac_key, part.iv, meta.bound(part.name) + b"\n", part.tag, source, sink)

        return open_part

    def proof(self, meta: Meta, status: int, body: bytes) -> dict[str, str]:
        """HMAC-SM3 under the answer's key of this message."""
        text = f"PSK1-RESP\n{status}\n{meta.nonce}\n{sm3(body).hex()}\n".encode()
        mac = hmac_sm3(self._key(meta, "answer", 32), text)
        return {"X-GM-Key-Id": self.sender, "X-GM-Mac": base64.b64encode(mac).decode()}

    def _key(self, meta: Meta, purpose: str, length: int) -> bytes:
        return hkdf_sm3(self._psk, read_bytes(meta.key, "salt", 32), meta.bound(purpose), length)


def _proof(headers: Message, name: str) -> bytes:
    try:
        return base64.b64decode(headers.get(name, ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise wrong("signature: not base64") from error


@contextmanager
def _tag_of(part: Part) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise wrong(f"the tag of {part.name} does not match") from error
