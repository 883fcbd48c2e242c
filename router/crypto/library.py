"""The interface to SM2 in a library or a device. The rest (DER, ranges, points, digests) is in `sm2`, the same for all.

The interface is small so that a certified device (SDF of GM/T 0018, PKCS#11) can be attached: its `KeyHandle` refers to
a key inside the device, and `sm2.PrivateKey` accepts it like any other.
"""

from typing import Protocol


class KeyHandle(Protocol):
    """A private key in this process, or in a device that never reveals it."""

    @property
    def public(self) -> bytes:
        """The public key x || y, 64 bytes."""

    def sign(self, digest: int) -> tuple[int, int]:
        """(r, s) for e = SM3(Z || M) (GB/T 32918.2 6.1), with a nonce from the system's or the device's generator."""

    def decrypt(self, c1: bytes, c3: bytes, c2: bytes) -> bytes | None:
        """The plaintext (GB/T 32918.4 7.1); None when C3 does not match. `c1` is a point of the curve."""


class Library(Protocol):
    """SM2 by one library. Points are x || y, 64 bytes, on the curve; r and s from 1 to n - 1."""

    @property
    def name(self) -> str:
        """The package's name in the index."""

    def hold(self, secret: int) -> KeyHandle:
        """The key with this d, which is in range."""

    def verify(self, point: bytes, digest: int, r: int, s: int) -> bool:
        """Whether (r, s) is the signature of e by this public key (GB/T 32918.2 7.1)."""

    def encrypt(self, point: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
        """C1, C3, C2 (GB/T 32918.4 6.1) of 1 to 255 bytes, with a scalar from the system's generator."""
