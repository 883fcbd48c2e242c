"""SM2 signatures and encryption (GB/T 32918) over gmssl's curve arithmetic, with the guards that gmssl lacks.

Only multiplication and addition of points come from gmssl. Its random numbers, its parsing of keys, its `verify` and
its `decrypt` are not safe: scalars are drawn from `secrets`, ranges and points are checked, DER is read strictly and
C3 is compared in constant time, all here. Secret scalars of long-term weight are split at random before they
multiply, because gmssl's running time shows a scalar's length.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from gmssl import sm2 as gmssl_sm2

from router.crypto import der
from router.crypto.symmetric import equal, sm3
from router.errors import IntegrityError, InvalidData

DISTINGUISHING_ID = b"1234567812345678"

_CURVE = gmssl_sm2.CryptSM2(private_key="", public_key="")
_P = int(_CURVE.ecc_table["p"], 16)
_A = int(_CURVE.ecc_table["a"], 16)
_B = int(_CURVE.ecc_table["b"], 16)
_N = int(_CURVE.ecc_table["n"], 16)
_G = bytes.fromhex(_CURVE.ecc_table["g"])


def random_scalar() -> int:
    """A uniformly random scalar, 1 to n - 1, from the system's generator."""
    return 1 + secrets.randbelow(_N - 1)


def _times(scalar: int, point: bytes) -> bytes:
    return bytes.fromhex(_CURVE._kg(scalar, point.hex()))


def _plus(a: bytes, b: bytes) -> bytes | None:
    """The sum of two points; None for the point at infinity. gmssl's addition does not cover equal points."""
    jacobian = _CURVE._double_point(a.hex() + "1") if a == b else _CURVE._add_point(a.hex() + "1", b.hex())
    affine = _CURVE._convert_jacb_to_nor(jacobian)
    return None if affine is None else bytes.fromhex(affine)


def _times_secret(scalar: int, point: bytes) -> bytes:
    """`scalar` times `point` as the sum of two random shares, so that time says nothing about the scalar."""
    share = random_scalar()
    rest = (scalar - share) % _N
    total = _plus(_times(share, point), _times(rest, point)) if rest else None
    return total or _times_secret(scalar, point)


def _on_curve(point: bytes) -> bool:
    x, y = int.from_bytes(point[:32]), int.from_bytes(point[32:])
    return x < _P and y < _P and (y * y - (x * x * x + _A * x + _B)) % _P == 0


def _kdf(point: bytes, length: int) -> bytes:
    """GB/T 32918.4 5.4.3 over x2 || y2."""
    blocks = (sm3(point + counter.to_bytes(4)) for counter in range(1, length // 32 + 2))
    return b"".join(blocks)[:length]


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point on the SM2 curve, `point` = x || y, 64 bytes; InvalidData when it is not one."""

    point: bytes

    def __post_init__(self) -> None:
        if len(self.point) != 64 or not _on_curve(self.point):
            raise InvalidData("not a point on the SM2 curve")

    @classmethod
    def from_point(cls, point: bytes) -> "PublicKey":
        """From x || y (64 bytes) or 04 || x || y (65 bytes)."""
        return cls(point[1:] if len(point) == 65 and point[0] == 4 else point)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature`, DER `SEQUENCE { r, s }`, is of `data` by this key (GB/T 32918.2 7.1).

        What is not strict DER or out of range is simply not a signature: False.
        """
        try:
            r, s = _read_signature(signature)
        except InvalidData:
            return False
        t = (r + s) % _N
        if not (0 < r < _N and 0 < s < _N and t):
            return False
        point = _plus(_times(s, _G), _times(t, self.point))
        return point is not None and (self._digest(data) + int.from_bytes(point[:32])) % _N == r

    def encrypt(self, data: bytes, *, _draw: Callable[[], int] = random_scalar) -> bytes:
        """DER `SEQUENCE { x, y, C3, C2 }` (GB/T 32918.4 6.1, GM/T 0009); at least one byte, or ValueError.

        `_draw` gives k and is for the standard's vectors alone.
        """
        if not data:
            raise ValueError("SM2 encrypts at least one byte")
        while True:
            k = _draw()
            shared = _times(k, self.point)
            mask = _kdf(shared, len(data))
            if any(mask):
                return _write_ciphertext(_times(k, _G), _c3(shared, data), _xor(data, mask))

    def _digest(self, data: bytes) -> int:
        """e = SM3(Z || M) (GB/T 32918.2 5.5, 6.1)."""
        curve = b"".join(number.to_bytes(32) for number in (_A, _B))
        bits = (8 * len(DISTINGUISHING_ID)).to_bytes(2)
        return int.from_bytes(sm3(sm3(bits + DISTINGUISHING_ID + curve + _G + self.point) + data))


class PrivateKey:
    """A secret scalar d, 1 to n - 2, and its public key. Shows nothing of itself when printed."""

    __slots__ = ("public", "secret")

    def __init__(self, secret: int) -> None:
        if not 0 < secret < _N - 1:
            raise InvalidData("the secret is out of the range of SM2 private keys")
        self.secret = secret
        self.public = PublicKey(_times_secret(secret, _G))

    @classmethod
    def from_secret(cls, secret: int) -> "PrivateKey":
        """The key with this d; InvalidData when it is out of range."""
        return cls(secret)

    @classmethod
    def generate(cls) -> "PrivateKey":
        """A new key from the system's random generator."""
        return cls(1 + secrets.randbelow(_N - 2))

    def __repr__(self) -> str:
        return "PrivateKey(...)"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not copied or pickled")

    def sign(self, data: bytes, *, _draw: Callable[[], int] = random_scalar) -> bytes:
        """The signature of `data`, DER `SEQUENCE { r, s }` (GB/T 32918.2 6.1).

        `_draw` gives k and is for the standard's vectors alone: two signatures under one k give the key away.
        """
        e = self.public._digest(data)
        while True:
            k = _draw()
            r = (e + int.from_bytes(_times_secret(k, _G)[:32])) % _N
            s = pow(1 + self.secret, -1, _N) * (k - r * self.secret) % _N
            if r and s and r + k != _N:
                return der.sequence(der.integer(r), der.integer(s))

    def decrypt(self, ciphertext: bytes) -> bytes:
        """The plaintext of DER `SEQUENCE { x, y, C3, C2 }` (GB/T 32918.4 7.1).

        InvalidData when it does not read as one, IntegrityError when it was not made for this key or was changed.
        """
        c1, c3, c2 = _read_ciphertext(ciphertext)
        shared = _times_secret(self.secret, c1.point)
        mask = _kdf(shared, len(c2))
        data = _xor(c2, mask)
        if not (any(mask) and equal(_c3(shared, data), c3)):
            raise IntegrityError("SM2 ciphertext does not match its digest")
        return data


def _c3(shared: bytes, data: bytes) -> bytes:
    return sm3(shared[:32] + data + shared[32:])


def _read_signature(signature: bytes) -> tuple[int, int]:
    outer = der.Reader(signature)
    inner = outer.sequence()
    outer.end()
    numbers = inner.integer(), inner.integer()
    inner.end()
    return numbers


def _write_ciphertext(c1: bytes, c3: bytes, c2: bytes) -> bytes:
    x, y = int.from_bytes(c1[:32]), int.from_bytes(c1[32:])
    return der.sequence(der.integer(x), der.integer(y), der.octets(c3), der.octets(c2))


def _read_ciphertext(ciphertext: bytes) -> tuple[PublicKey, bytes, bytes]:
    outer = der.Reader(ciphertext)
    inner = outer.sequence()
    outer.end()
    x, y, c3, c2 = inner.integer(), inner.integer(), inner.octets(), inner.octets()
    inner.end()
    if x >= _P or y >= _P or len(c3) != 32 or not c2:
        raise InvalidData("SM2 ciphertext: parts out of range")
    return PublicKey(x.to_bytes(32) + y.to_bytes(32)), c3, c2
