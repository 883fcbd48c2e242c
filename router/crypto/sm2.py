"""SM2 signatures and encryption (GB/T 32918) by the best installed library, with the same checks for each.

This module checks DER, the ranges of d, r and s and points on the curve, and makes the digest Z; the arithmetic is the
library's.
"""

from dataclasses import dataclass

from router.crypto import sm2_der
from router.crypto.curve import A, B, G, N, is_on_curve
from router.crypto.library import KeyHandle, Library
from router.crypto.sm2_gmssl import Gmssl
from router.crypto.symmetric import Sm3, sm3
from router.errors import IntegrityError, InvalidData

DISTINGUISHING_ID = b"1234567812345678"


def installed() -> tuple[Library, ...]:
    """Every installed SM2 library, the fastest first; gmssl always is among them."""
    try:
        from router.crypto.sm2_gmssl_pyx import GmsslPyx
    except ImportError:
        return (Gmssl(),)
    return (GmsslPyx(), Gmssl())


LIBRARY: Library = installed()[0]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point on the SM2 curve, `point` = x || y, 64 bytes; InvalidData when it is not one."""

    point: bytes

    def __post_init__(self) -> None:
        if not is_on_curve(self.point):
            raise InvalidData("not a point on the SM2 curve")

    @classmethod
    def from_point(cls, point: bytes) -> "PublicKey":
        """From x || y (64 bytes) or 04 || x || y (65 bytes)."""
        return cls(point[1:] if len(point) == 65 and point[0] == 4 else point)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature`, strict DER `SEQUENCE { r, s }`, is of `data` by this key (GB/T 32918.2 7.1)."""
        try:
            r, s = sm2_der.read_signature(signature)
        except InvalidData:
            return False
        if not (0 < r < N and 0 < s < N and (r + s) % N):
            return False
        return LIBRARY.verify(self.point, self.digest(data), r, s)

    def encrypt(self, data: bytes) -> bytes:
        """DER `SEQUENCE { x, y, C3, C2 }` (GB/T 32918.4 6.1, GM/T 0009); 1 to 255 bytes, or ValueError.

        A mask of zeros, which one byte meets once in 256 times, would leave the data in the clear: it is drawn again.
        """
        if not 0 < len(data) <= sm2_der.LONGEST_DATA:
            raise ValueError(f"SM2 encrypts 1 to {sm2_der.LONGEST_DATA} bytes")
        while True:
            c1, c3, c2 = LIBRARY.encrypt(self.point, data)
            if c2 != data:
                return sm2_der.write_ciphertext(c1, c3, c2)

    def digest(self, data: bytes) -> int:
        """e = SM3(Z || M) (GB/T 32918.2 5.5, 6.1)."""
        curve = b"".join(number.to_bytes(32) for number in (A, B))
        bits = (8 * len(DISTINGUISHING_ID)).to_bytes(2)
        running = Sm3(sm3(bits + DISTINGUISHING_ID + curve + G + self.point))
        running.update(data)
        return int.from_bytes(running.digest())


class PrivateKey:
    """A private key by its handle, and its public key. Shows nothing of itself when printed."""

    __slots__ = ("_handle", "public")

    def __init__(self, handle: KeyHandle) -> None:
        """The key of a handle, also a device's; InvalidData when its public key is no point on the curve."""
        self._handle = handle
        self.public = PublicKey(handle.public)

    @classmethod
    def from_secret(cls, secret: int) -> "PrivateKey":
        """The software key with this d, 1 to n - 2; InvalidData when it is out of range."""
        if not 0 < secret < N - 1:
            raise InvalidData("the secret is out of the range of SM2 private keys")
        return cls(LIBRARY.hold(secret))

    def __repr__(self) -> str:
        return "PrivateKey(...)"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not copied or pickled")

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, DER `SEQUENCE { r, s }` (GB/T 32918.2 6.1)."""
        r, s = self._handle.sign(self.public.digest(data))
        if not (0 < r < N and 0 < s < N):
            raise IntegrityError("SM2: the key's holder gave no signature")
        return sm2_der.write_signature(r, s)

    def decrypt(self, ciphertext: bytes) -> bytes:
        """The plaintext of DER `SEQUENCE { x, y, C3, C2 }` (GB/T 32918.4 7.1).

        InvalidData when it does not read as one, IntegrityError when it was not made for this key or was changed.
        """
        c1, c3, c2 = sm2_der.read_ciphertext(ciphertext)
        data = self._handle.decrypt(c1, c3, c2)
        if data is None or data == c2:
            raise IntegrityError("SM2 ciphertext does not match its digest, or is in the clear")
        return data
