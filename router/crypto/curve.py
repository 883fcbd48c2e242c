"""The recommended curve of GB/T 32918.5, and checks of its numbers and points, without any library."""

import secrets

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = bytes.fromhex(
    "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
)


def is_on_curve(point: bytes) -> bool:
    """Whether x || y, 64 bytes, is a point of the curve; the point at infinity has no such form."""
    x, y = int.from_bytes(point[:32]), int.from_bytes(point[32:])
    return len(point) == 64 and x < P and y < P and (y * y - (x * x * x + A * x + B)) % P == 0


def random_scalar() -> int:
    """A uniformly random scalar, 1 to n - 1, from the system's generator."""
    return 1 + secrets.randbelow(N - 1)


def new_secret() -> int:
    """A uniformly random private key d, 1 to n - 2, from the system's generator."""
    return 1 + secrets.randbelow(N - 2)
