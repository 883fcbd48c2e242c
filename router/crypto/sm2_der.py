"""SM2 signatures and ciphertexts in DER (GM/T 0009), read strictly and written minimally."""

from router.crypto import der
from router.crypto.curve import P, is_on_curve
from router.errors import InvalidData

LONGEST_DATA = 255


def read_signature(signature: bytes) -> tuple[int, int]:
    """r and s of `SEQUENCE { r, s }`; InvalidData on anything but strict DER. Ranges are not looked at."""
    inner = der.only_sequence(signature)
    numbers = inner.integer(), inner.integer()
    inner.end()
    return numbers


def write_signature(r: int, s: int) -> bytes:
    """`SEQUENCE { r, s }`."""
    return der.sequence(der.integer(r), der.integer(s))


def read_ciphertext(ciphertext: bytes) -> tuple[bytes, bytes, bytes]:
    """C1 (a point x || y), C3 (32 bytes), C2 (1 to 255 bytes) of `SEQUENCE { x, y, C3, C2 }`; or InvalidData."""
    inner = der.only_sequence(ciphertext)
    x, y, c3, c2 = inner.integer(), inner.integer(), inner.octets(), inner.octets()
    inner.end()
    if x >= P or y >= P or len(c3) != 32 or not 0 < len(c2) <= LONGEST_DATA:
        raise InvalidData("SM2 ciphertext: parts out of range")
    c1 = x.to_bytes(32) + y.to_bytes(32)
    if not is_on_curve(c1):
        raise InvalidData("SM2 ciphertext: C1 is not a point on the curve")
    return c1, c3, c2


def write_ciphertext(c1: bytes, c3: bytes, c2: bytes) -> bytes:
    """`SEQUENCE { x, y, C3, C2 }`."""
    x, y = int.from_bytes(c1[:32]), int.from_bytes(c1[32:])
    return der.sequence(der.integer(x), der.integer(y), der.octets(c3), der.octets(c2))
