"""SM2 by gmssl-pyx, a binding of the C library GmSSL (extra `fast`): an order of magnitude faster than gmssl.

Its nonces come from /dev/urandom, read for each, so that a forked process does not repeat them. It takes and returns
DER, which `sm2_der` reads and writes.
"""

from dataclasses import dataclass, field

import gmssl_pyx

from router.crypto import sm2_der
from router.crypto.curve import G
from router.crypto.library import KeyHandle
from router.crypto.sm2_gmssl import times_secret


@dataclass(frozen=True, slots=True)
class GmsslPyx:
    """The library."""

    name: str = "gmssl-pyx"

    def hold(self, secret: int) -> KeyHandle:
        """The key with this d. gmssl computes its public key, once: gmssl-pyx cannot."""
        return _Held(secret.to_bytes(32), times_secret(secret, G))

    def verify(self, point: bytes, digest: int, r: int, s: int) -> bool:
        """GB/T 32918.2 7.1."""
        return bool(gmssl_pyx.sm2_verify_sm3_digest(point, digest.to_bytes(32), sm2_der.write_signature(r, s)))

    def encrypt(self, point: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
        """GB/T 32918.4 6.1."""
        return sm2_der.read_ciphertext(gmssl_pyx.sm2_encrypt(point, data))


@dataclass(frozen=True, slots=True)
class _Held:
    secret: bytes = field(repr=False)
    public: bytes

    def sign(self, digest: int) -> tuple[int, int]:
        return sm2_der.read_signature(gmssl_pyx.sm2_sign_sm3_digest(self.secret, digest.to_bytes(32)))

    def decrypt(self, c1: bytes, c3: bytes, c2: bytes) -> bytes | None:
        try:
            return bytes(gmssl_pyx.sm2_decrypt(self.secret, sm2_der.write_ciphertext(c1, c3, c2)))
        except gmssl_pyx.GmsslInnerError:
            return None
