"""SM3 (GB/T 32905), HMAC and HKDF with it; SM4-GCM (GB/T 32907, RFC 8998), SM4-CBC with HMAC-SM3.

The package `cryptography` computes them. Files are streamed in constant memory.
"""

import hmac as constant_time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from router.errors import IntegrityError

KEY_BYTES = 16
IV_BYTES = 12
TAG_BYTES = 16
CBC_IV_BYTES = 16
_CHUNK = 256 * 1024


class Sm3:
    """A running SM3 digest."""

    def __init__(self, data: bytes = b"") -> None:
        self._hash = hashes.Hash(hashes.SM3())
        self._hash.update(data)

    def update(self, data: bytes) -> None:
        """Add data."""
        self._hash.update(data)

    def digest(self) -> bytes:
        """The 32 bytes over all data so far; more may follow."""
        return self._hash.copy().finalize()


def sm3(data: bytes) -> bytes:
    """The SM3 digest, 32 bytes."""
    return Sm3(data).digest()


def sm3_of(source: BinaryIO) -> bytes:
    """The SM3 digest of what is left of a file, in constant memory."""
    running = Sm3()
    for chunk in _chunks(source):
        running.update(chunk)
    return running.digest()


def hmac_sm3(key: bytes, data: bytes) -> bytes:
    """HMAC (RFC 2104) with SM3, 32 bytes."""
    return _mac(key, data).finalize()


def hkdf_sm3(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF (RFC 5869) with SM3: `length` bytes for the purpose that `info` names."""
    return HKDF(hashes.SM3(), length, salt, info).derive(secret)


def equal(a: bytes, b: bytes) -> bool:
    """Whether two secrets are equal, in a time that does not show where they differ."""
    return constant_time.compare_digest(a, b)


@dataclass(frozen=True, slots=True)
class Sealed:
    """Result of sealing: the ciphertext's length in bytes, the tag (GCM: 16 bytes, CBC: 32), SM3 of the ciphertext."""

    length: int
    tag: bytes
    sm3: bytes


def seal(key: bytes, iv: bytes, aad: bytes, source: BinaryIO, sink: BinaryIO) -> Sealed:
    """Encrypt `source` into `sink` with SM4-GCM, in constant memory; the tag is not written.

    `key` has 16 bytes, `iv` 12; a pair of the two must never serve twice (ValueError on other lengths).
    """
    encryptor = Cipher(_sm4(key), modes.GCM(_sized(iv, IV_BYTES))).encryptor()
    encryptor.authenticate_additional_data(aad)
    digest = Sm3()
    length = 0
    for chunk in _chunks(source):
        ciphertext = encryptor.update(chunk)
        digest.update(ciphertext)
        length += len(ciphertext)
        sink.write(ciphertext)
    encryptor.finalize()
    return Sealed(length, encryptor.tag, digest.digest())


def unseal(key: bytes, iv: bytes, aad: bytes, tag: bytes, source: BinaryIO, sink: BinaryIO) -> None:
    """Decrypt `source` into `sink` and check the tag, in constant memory.

    Plaintext reaches `sink` before the tag is known: on IntegrityError all that was written must be thrown away
    unread. A tag of any length but 16 bytes is an IntegrityError too; other lengths of `key` and `iv` are ValueErrors.
    """
    if len(tag) != TAG_BYTES:
        raise IntegrityError("SM4-GCM: the tag is not 16 bytes long", length=len(tag))
    decryptor = Cipher(_sm4(key), modes.GCM(_sized(iv, IV_BYTES), tag)).decryptor()
    decryptor.authenticate_additional_data(aad)
    for chunk in _chunks(source):
        sink.write(decryptor.update(chunk))
    try:
        decryptor.finalize()
    except InvalidTag:
        raise IntegrityError("SM4-GCM: the tag does not match") from None


def seal_cbc(key: bytes, mac_key: bytes, iv: bytes, aad: bytes, source: BinaryIO, sink: BinaryIO) -> Sealed:
    """Encrypt `source` into `sink` with SM4-CBC (PKCS#7 padding); the tag is HMAC-SM3 over aad || iv || ciphertext.

    Encrypt, then authenticate. The caller's `aad` must tell its own end; key and `iv` have 16 bytes, or ValueError.
    """
    encryptor = Cipher(_sm4(key), modes.CBC(_sized(iv, CBC_IV_BYTES))).encryptor()
    padder = padding.PKCS7(128).padder()
    mac, digest, length = _mac(mac_key, aad + iv), Sm3(), 0

    def put(ciphertext: bytes) -> int:
        mac.update(ciphertext)
        digest.update(ciphertext)
        return sink.write(ciphertext)

    for chunk in _chunks(source):
        length += put(encryptor.update(padder.update(chunk)))
    length += put(encryptor.update(padder.finalize()) + encryptor.finalize())
    return Sealed(length, mac.finalize(), digest.digest())


def unseal_cbc(key: bytes, mac_key: bytes, iv: bytes, aad: bytes, tag: bytes, source: BinaryIO, sink: BinaryIO) -> None:
    """Check the tag over the rest of `source`, then decrypt that into `sink`; IntegrityError before, if it is wrong."""
    begin, mac = source.tell(), _mac(mac_key, aad + iv)
    for chunk in _chunks(source):
        mac.update(chunk)
    if not equal(mac.finalize(), tag):
        raise IntegrityError("SM4-CBC: the HMAC-SM3 does not match")
    source.seek(begin)
    decryptor = Cipher(_sm4(key), modes.CBC(_sized(iv, CBC_IV_BYTES))).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    try:
        for chunk in _chunks(source):
            sink.write(unpadder.update(decryptor.update(chunk)))
        sink.write(unpadder.update(decryptor.finalize()) + unpadder.finalize())
    except ValueError as error:
        raise IntegrityError("SM4-CBC: authenticated, but not whole padded blocks") from error


def _mac(key: bytes, first: bytes) -> hmac.HMAC:
    mac = hmac.HMAC(key, hashes.SM3())
    mac.update(first)
    return mac


def _sm4(key: bytes) -> algorithms.SM4:
    if len(key) != KEY_BYTES:
        raise ValueError("an SM4 key has 16 bytes")
    return algorithms.SM4(key)


def _sized(iv: bytes, size: int) -> bytes:
    if len(iv) != size:
        raise ValueError(f"the initialisation vector has {size} bytes")
    return iv


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk
