"""SM2 with the curve arithmetic of gmssl (pure Python, every platform).

Only multiplication and addition of points come from gmssl. Its random numbers, its parsing of keys, its `verify` and
its `decrypt` are not safe and not used. Secret scalars are split at random before they multiply, because gmssl's
running time shows a scalar's length.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gmssl import sm2 as gmssl_sm2

from router.crypto.curve import G, N, random_scalar
from router.crypto.library import KeyHandle
from router.crypto.symmetric import equal, sm3

_CURVE = gmssl_sm2.CryptSM2(private_key="", public_key="")
Draw = Callable[[], int]


def times(scalar: int, point: bytes) -> bytes:
    """`scalar` times `point`; its running time shows the scalar's length."""
    return bytes.fromhex(_CURVE._kg(scalar, point.hex()))


def plus(a: bytes, b: bytes) -> bytes | None:
    """The sum of two points; None for the point at infinity. gmssl's addition does not cover equal points."""
    jacobian = _CURVE._double_point(a.hex() + "1") if a == b else _CURVE._add_point(a.hex() + "1", b.hex())
    affine = _CURVE._convert_jacb_to_nor(jacobian)
    return None if affine is None else bytes.fromhex(affine)


def times_secret(scalar: int, point: bytes) -> bytes:
    """`scalar` times `point` as the sum of two random shares, so that the time reveals nothing about the scalar."""
    share = random_scalar()
    rest = (scalar - share) % N
    total = plus(times(share, point), times(rest, point)) if rest else None
    return total or times_secret(scalar, point)


def kdf(point: bytes, length: int) -> bytes:
    """The key derivation of GB/T 32918.4 5.4.3 over x2 || y2."""
    blocks = (sm3(point + counter.to_bytes(4)) for counter in range(1, length // 32 + 2))
    return b"".join(blocks)[:length]


def c3_of(shared: bytes, data: bytes) -> bytes:
    """The digest of x2 || M || y2."""
    return sm3(shared[:32] + data + shared[32:])


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


@dataclass(frozen=True, slots=True)
class Gmssl:
    """The library. `draw` makes nonces; only the standard's test vectors use another than the default."""

    draw: Draw = random_scalar
    name: str = "gmssl"

    def hold(self, secret: int) -> KeyHandle:
        """The key with this d."""
        return _Held(secret, times_secret(secret, G), self.draw)

    def verify(self, point: bytes, digest: int, r: int, s: int) -> bool:
        """GB/T 32918.2 7.1."""
        t = (r + s) % N
        total = plus(times(s, G), times(t, point)) if t else None
        return total is not None and (digest + int.from_bytes(total[:32])) % N == r

    def encrypt(self, point: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
        """GB/T 32918.4 6.1; a mask of zeros is drawn again."""
        while True:
            k = self.draw()
            shared = times_secret(k, point)
            mask = kdf(shared, len(data))
            if any(mask):
                return times_secret(k, G), c3_of(shared, data), _xor(data, mask)


@dataclass(frozen=True, slots=True)
class _Held:
    secret: int = field(repr=False)
    public: bytes
    draw: Draw = field(repr=False)

    def sign(self, digest: int) -> tuple[int, int]:
        while True:
            k = self.draw()
            r = (digest + int.from_bytes(times_secret(k, G)[:32])) % N
            s = pow(1 + self.secret, -1, N) * (k - r * self.secret) % N
            if r and s and r + k != N:
                return r, s

    def decrypt(self, c1: bytes, c3: bytes, c2: bytes) -> bytes | None:
        shared = times_secret(self.secret, c1)
        mask = kdf(shared, len(c2))
        data = _xor(c2, mask)
        return data if any(mask) and equal(c3_of(shared, data), c3) else None
