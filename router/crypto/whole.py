"""SM4 of whole values in memory (GB/T 32907, modes of GB/T 17964), and the digests that platforms ask for beside SM3.

Modes without authentication, and MD5, are here for platforms that demand them; the node's own profiles use neither.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from router.crypto.symmetric import CBC_IV_BYTES, IV_BYTES, KEY_BYTES, TAG_BYTES
from router.errors import IntegrityError

_BITS = 128


def gcm(key: bytes, iv: bytes, aad: bytes, data: bytes) -> tuple[bytes, bytes]:
    """SM4-GCM (RFC 8998): the ciphertext, and its tag of 16 bytes. ValueError unless `key` has 16 bytes, `iv` 12."""
    encryptor = Cipher(_sm4(key), modes.GCM(_sized(iv, IV_BYTES))).encryptor()
    encryptor.authenticate_additional_data(aad)
    ciphertext = encryptor.update(data)
    encryptor.finalize()
    return ciphertext, encryptor.tag


def open_gcm(key: bytes, iv: bytes, aad: bytes, ciphertext: bytes, tag: bytes) -> bytes:
    """The plaintext; IntegrityError unless the tag is that of 16 bytes that belongs to it."""
    if len(tag) != TAG_BYTES:
        raise IntegrityError("SM4-GCM: the tag is not 16 bytes long", length=len(tag))
    decryptor = Cipher(_sm4(key), modes.GCM(_sized(iv, IV_BYTES), tag)).decryptor()
    decryptor.authenticate_additional_data(aad)
    plain = decryptor.update(ciphertext)
    try:
        decryptor.finalize()
    except InvalidTag:
        raise IntegrityError("SM4-GCM: the tag does not match") from None
    return plain


def cbc(key: bytes, iv: bytes, data: bytes) -> bytes:
    """SM4-CBC with PKCS#7 padding; nothing authenticates it. ValueError unless `key` and `iv` have 16 bytes."""
    return _padded(Cipher(_sm4(key), modes.CBC(_sized(iv, CBC_IV_BYTES))), data)


def open_cbc(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """The plaintext; IntegrityError unless it is whole blocks with their padding."""
    return _unpadded(Cipher(_sm4(key), modes.CBC(_sized(iv, CBC_IV_BYTES))), ciphertext)


def ecb(key: bytes, data: bytes) -> bytes:
    """SM4-ECB with PKCS#7 padding: equal blocks stay equal. ValueError unless `key` has 16 bytes."""
    return _padded(Cipher(_sm4(key), modes.ECB()), data)  # noqa: S305  # platforms demand it


def open_ecb(key: bytes, ciphertext: bytes) -> bytes:
    """The plaintext; IntegrityError unless it is whole blocks with their padding."""
    return _unpadded(Cipher(_sm4(key), modes.ECB()), ciphertext)  # noqa: S305  # platforms demand it


def sha256(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC (RFC 2104) with SHA-256, 32 bytes."""
    return hmac.digest(key, data, "sha256")


def md5(data: bytes) -> bytes:
    """MD5, 16 bytes: proves nothing about who made the data."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def _sm4(key: bytes) -> algorithms.SM4:
    if len(key) != KEY_BYTES:
        raise ValueError("an SM4 key has 16 bytes")
    return algorithms.SM4(key)


def _sized(iv: bytes, size: int) -> bytes:
    if len(iv) != size:
        raise ValueError(f"the initialisation vector has {size} bytes")
    return iv


def _padded(cipher: Cipher[modes.CBC] | Cipher[modes.ECB], data: bytes) -> bytes:
    encryptor, padder = cipher.encryptor(), padding.PKCS7(_BITS).padder()
    return encryptor.update(padder.update(data)) + encryptor.update(padder.finalize()) + encryptor.finalize()


def _unpadded(cipher: Cipher[modes.CBC] | Cipher[modes.ECB], ciphertext: bytes) -> bytes:
    decryptor, unpadder = cipher.decryptor(), padding.PKCS7(_BITS).unpadder()
    try:
        plain = decryptor.update(ciphertext) + decryptor.finalize()
        return unpadder.update(plain) + unpadder.finalize()
    except ValueError:
        raise IntegrityError("SM4: not whole padded blocks") from None
