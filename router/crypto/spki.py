"""SubjectPublicKeyInfo of SM2 keys (RFC 5480), which key files, certificates and requests have in common."""

from router.crypto import der
from router.crypto.sm2 import PublicKey
from router.errors import InvalidData

EC_PUBLIC_KEY = "1.2.840.10045.2.1"
SM2_CURVE = "1.2.156.10197.1.301"
SIGNED = "1.2.156.10197.1.501"
"""SM2 with SM3 (GM/T 0006)."""
ALGORITHM = der.sequence(der.oid(EC_PUBLIC_KEY), der.oid(SM2_CURVE))


def check_algorithm(reader: der.Reader) -> None:
    """InvalidData unless the algorithm that comes next is that of keys on the named SM2 curve."""
    algorithm = reader.sequence()
    name = algorithm.oid()
    curve = algorithm.oid() if name == EC_PUBLIC_KEY and algorithm.peek() == der.OBJECT_IDENTIFIER else ""
    if curve != SM2_CURVE:
        raise InvalidData(f"not a key on the named SM2 curve {SM2_CURVE} but of algorithm {name} {curve}".rstrip())
    algorithm.end()


def parse_public(body: bytes) -> PublicKey:
    """The key of a SubjectPublicKeyInfo; InvalidData when it is none."""
    info = der.only_sequence(body)
    check_algorithm(info)
    point = info.bits()
    info.end()
    return uncompressed(point)


def uncompressed(point: bytes) -> PublicKey:
    """The key of 04 || x || y."""
    if len(point) != 65 or point[0] != 4:
        raise InvalidData("the public key is not an uncompressed point")
    return PublicKey.from_point(point)


def public_info(key: PublicKey) -> bytes:
    """The SubjectPublicKeyInfo of a key."""
    return der.sequence(ALGORITHM, der.bits(b"\x04" + key.point))
