"""Digests, message authentication codes and SM4 for profiles; keys of 16 bytes, ValueError on other lengths.

Data is bytes, or text in UTF-8; a key is a `Secret` or bytes that the profile drew.
"""

from router.crypto import symmetric, whole
from router.forward.blocks.text import Bytes, raw
from router.forward.blocks.trace import note
from router.forward.blocks.values import Secret

Key = Secret | bytes
WEAK = frozenset({"sm4_ecb", "open_sm4_ecb", "md5"})
"""Blocks that a profile may use only with `allow_weak`."""


def _raw(key: Key) -> bytes:
    return key.raw if isinstance(key, Secret) else key


def _name(key: Key) -> str:
    return f"secret {key.name}" if isinstance(key, Secret) else "a key of this message"


def sm3(data: Bytes) -> bytes:
    """SM3 (GB/T 32905), 32 bytes."""
    return symmetric.sm3(raw(data))


def sha256(data: Bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return whole.sha256(raw(data))


def md5(data: Bytes) -> bytes:
    """MD5, 16 bytes. Weak: `allow_weak` says why."""
    return whole.md5(raw(data))


def hmac_sm3(key: Key, data: Bytes) -> bytes:
    """HMAC with SM3, 32 bytes."""
    note("HMAC-SM3", _name(key), data)
    return symmetric.hmac_sm3(_raw(key), raw(data))


def hmac_sha256(key: Key, data: Bytes) -> bytes:
    """HMAC with SHA-256, 32 bytes."""
    note("HMAC-SHA256", _name(key), data)
    return whole.hmac_sha256(_raw(key), raw(data))


def same(a: bytes, b: bytes) -> bool:
    """Whether two codes are equal, in a time that does not show where they differ."""
    return symmetric.equal(a, b)


def sm4_gcm(key: Key, iv: bytes, data: Bytes, *, aad: Bytes = b"") -> tuple[bytes, bytes]:
    """SM4-GCM: ciphertext, and tag of 16 bytes; `iv` has 12 and is used once with a key."""
    note("SM4-GCM", _name(key), data)
    return whole.gcm(_raw(key), iv, raw(aad), raw(data))


def open_sm4_gcm(key: Key, iv: bytes, data: bytes, tag: bytes, *, aad: Bytes = b"") -> bytes:
    """The plaintext; IntegrityError when the tag does not match."""
    return _opened("SM4-GCM", key, whole.open_gcm(_raw(key), iv, raw(aad), data, tag))


def sm4_cbc(key: Key, iv: bytes, data: Bytes) -> bytes:
    """SM4-CBC with PKCS#7 padding; `iv` has 16 bytes and is drawn for each message. Sign what it gives."""
    note("SM4-CBC", _name(key), data)
    return whole.cbc(_raw(key), iv, raw(data))


def open_sm4_cbc(key: Key, iv: bytes, data: bytes) -> bytes:
    """The plaintext; IntegrityError when it is no whole padded blocks."""
    return _opened("SM4-CBC", key, whole.open_cbc(_raw(key), iv, data))


def sm4_ecb(key: Key, data: Bytes) -> bytes:
    """SM4-ECB with PKCS#7 padding. Weak, since equal blocks stay equal: `allow_weak` says why."""
    note("SM4-ECB", _name(key), data)
    return whole.ecb(_raw(key), raw(data))


def open_sm4_ecb(key: Key, data: bytes) -> bytes:
    """The plaintext; IntegrityError when it is no whole padded blocks. Weak likewise."""
    return _opened("SM4-ECB", key, whole.open_ecb(_raw(key), data))


def _opened(mode: str, key: Key, plain: bytes) -> bytes:
    note(f"{mode}, decrypted", _name(key), plain)
    return plain
