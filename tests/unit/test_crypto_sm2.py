import pickle
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.crypto import der, sm2
from router.crypto.sm2 import PrivateKey, PublicKey
from router.errors import IntegrityError, InvalidData

N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
D = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
K = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
POINT = bytes.fromhex(
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
X1 = 0x04EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73
Y1 = 0xE858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0
C3 = bytes.fromhex("59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766")
C2 = bytes.fromhex("21886CA989CA9C7D58087307CA93092D651EFA")
MESSAGE = b"message digest"
SECRET_TEXT = b"encryption standard"

KEY = PrivateKey.from_secret(D)


def signature(r: int, s: int) -> bytes:
    return der.sequence(der.integer(r), der.integer(s))


def ciphertext(x: int = X1, y: int = Y1, c3: bytes = C3, c2: bytes = C2) -> bytes:
    return der.sequence(der.integer(x), der.integer(y), der.octets(c3), der.octets(c2))


def drawing(*scalars: int) -> Callable[[], int]:
    source: Iterator[int] = iter(scalars)
    return lambda: next(source)


def test_the_public_key_is_the_standards() -> None:
    assert KEY.public == PublicKey.from_point(POINT) == PublicKey.from_point(b"\x04" + POINT)
    assert KEY.public.point == POINT


def test_signing_gives_the_standards_signature() -> None:
    assert KEY.sign(MESSAGE, _draw=drawing(K)) == signature(R, S)


def test_the_standards_signature_verifies_and_only_for_its_message_and_key() -> None:
    assert KEY.public.verify(MESSAGE, signature(R, S))
    assert not KEY.public.verify(MESSAGE + b".", signature(R, S))
    assert not PrivateKey.from_secret(D + 1).public.verify(MESSAGE, signature(R, S))


def test_encryption_gives_the_standards_ciphertext() -> None:
    assert KEY.public.encrypt(SECRET_TEXT, _draw=drawing(K)) == ciphertext()


def test_the_standards_ciphertext_decrypts() -> None:
    assert KEY.decrypt(ciphertext()) == SECRET_TEXT


@given(st.binary(min_size=1, max_size=200))
@settings(max_examples=8, deadline=None)
def test_what_is_encrypted_decrypts(data: bytes) -> None:
    assert KEY.decrypt(KEY.public.encrypt(data)) == data


@given(st.binary(max_size=200), st.integers(min_value=1, max_value=N - 2))
@settings(max_examples=8, deadline=None)
def test_what_is_signed_verifies(data: bytes, secret: int) -> None:
    key = PrivateKey.from_secret(secret)
    assert key.public.verify(data, key.sign(data))


@pytest.mark.parametrize("secret", [1, 2, N - 2])
def test_keys_at_the_ends_of_the_range_work(secret: int) -> None:
    key = PrivateKey.from_secret(secret)
    assert key.public.verify(b"x", key.sign(b"x"))
    assert key.decrypt(key.public.encrypt(b"x")) == b"x"


class FixedDigest(PublicKey):
    """A public key under which every message has the digest that a case needs."""

    __slots__ = ("digest",)
    digest: int

    def _digest(self, data: bytes) -> int:
        return self.digest


def fixed(key: PublicKey, digest: int) -> FixedDigest:
    made = FixedDigest(key.point)
    object.__setattr__(made, "digest", digest)
    return made


def test_a_signature_whose_two_points_are_equal_verifies() -> None:
    """sG = tP happens for s = t d; gmssl's own verify takes a wrong coordinate then."""
    d, t = 5, 12345
    s = t * d % N
    r = (t - s) % N
    x = int.from_bytes(sm2._times(2 * s % N, sm2._G)[:32])
    key = fixed(PrivateKey.from_secret(d).public, (r - x) % N)
    assert key.verify(b"", signature(r, s))


def test_opposite_points_add_to_infinity_and_do_not_verify() -> None:
    d, t = 5, 12345
    s = -t * d % N
    r = (t - s) % N
    assert not fixed(PrivateKey.from_secret(d).public, r).verify(b"", signature(r, s))


@pytest.mark.parametrize("secret", [0, -1, N - 1, N, N + 1, 2**256])
def test_a_secret_out_of_range_is_refused(secret: int) -> None:
    with pytest.raises(InvalidData):
        PrivateKey.from_secret(secret)


@pytest.mark.parametrize(
    "point",
    [
        b"",
        POINT[:63],
        b"\x02" + POINT[:32],
        b"\x05" + POINT,
        POINT[:63] + b"\x14",
        bytes(64),
        (int.from_bytes(POINT[:32]) + P).to_bytes(33)[1:] + POINT[32:],
    ],
)
def test_what_is_not_a_point_on_the_curve_is_no_public_key(point: bytes) -> None:
    with pytest.raises(InvalidData):
        PublicKey.from_point(point)


@pytest.mark.parametrize(
    ("r", "s"), [(0, S), (R, 0), (N, S), (R, N), (R + N, S), (R, S + N), (R, N - R), (R ^ 1, S), (R, S ^ 1)]
)
def test_r_and_s_out_of_range_or_changed_do_not_verify(r: int, s: int) -> None:
    assert not KEY.public.verify(MESSAGE, signature(r, s))


GOOD = signature(R, S)


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        b"\x31" + GOOD[1:],
        b"\x30\x81" + GOOD[1:],
        b"\x30\x80" + GOOD[2:] + b"\0\0",
        der.sequence(der.element(2, b"\0\0" + R.to_bytes(32)), der.integer(S)),
        der.sequence(der.element(2, R.to_bytes(32)), der.integer(S)),
        der.sequence(der.integer(R), der.integer(S), der.integer(1)),
        der.sequence(der.integer(R)),
        R.to_bytes(32) + S.to_bytes(32),
    ],
)
def test_a_signature_that_is_not_strict_der_does_not_verify(malformed: bytes) -> None:
    assert not KEY.public.verify(MESSAGE, malformed)


@given(st.binary(max_size=100))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_just_no_signature(data: bytes) -> None:
    assert not KEY.public.verify(MESSAGE, data)


@pytest.mark.parametrize(
    "changed",
    [
        ciphertext(c3=bytes([C3[0] ^ 1]) + C3[1:]),
        ciphertext(c2=bytes([C2[0] ^ 1]) + C2[1:]),
        ciphertext(c2=C2[:-1]),
        ciphertext(y=P - Y1),
    ],
)
def test_a_changed_ciphertext_is_noticed(changed: bytes) -> None:
    with pytest.raises(IntegrityError):
        KEY.decrypt(changed)


def test_a_ciphertext_for_another_key_is_noticed() -> None:
    with pytest.raises(IntegrityError):
        PrivateKey.from_secret(D + 1).decrypt(ciphertext())


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        ciphertext() + b"\0",
        ciphertext(x=X1 ^ 1),
        ciphertext(x=X1 + P),
        ciphertext(x=0, y=0),
        ciphertext(c3=C3[:31]),
        ciphertext(c2=b""),
        der.sequence(der.integer(X1), der.integer(Y1), der.octets(C3)),
        X1.to_bytes(32) + Y1.to_bytes(32) + C3 + C2,
    ],
)
def test_what_is_no_ciphertext_is_invalid(malformed: bytes) -> None:
    with pytest.raises(InvalidData):
        KEY.decrypt(malformed)


def test_a_mask_of_zeros_is_drawn_again() -> None:
    """One byte is masked by zero for one scalar in 256: it would go in the clear."""
    zero = next(k for k in range(1, 5000) if sm2._kdf(sm2._times(k, KEY.public.point), 1) == b"\0")
    assert KEY.public.encrypt(b"a", _draw=drawing(zero, K)) == KEY.public.encrypt(b"a", _draw=drawing(K))
    shared = sm2._times(zero, KEY.public.point)
    clear = sm2._write_ciphertext(sm2._times(zero, sm2._G), sm2._c3(shared, b"a"), b"a")
    with pytest.raises(IntegrityError):
        KEY.decrypt(clear)


def test_a_scalar_that_gives_no_signature_is_drawn_again() -> None:
    """r + k = n: the digest is chosen so that K does it."""
    key = PrivateKey.from_secret(D)
    key.public = fixed(key.public, (N - K - int.from_bytes(sm2._times(K, sm2._G)[:32])) % N)
    assert key.sign(b"", _draw=drawing(K, K + 1)) == key.sign(b"", _draw=drawing(K + 1))


def test_nothing_is_encrypted_is_wrong_use() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        KEY.public.encrypt(b"")


def test_coordinates_with_leading_zeros_keep_their_place() -> None:
    """A key whose x begins with zeros, and another whose y does: what gmssl's own parsing strips."""
    found = {0: False, 32: False}
    point, secret = sm2._G, 1
    while not all(found.values()):
        point, secret = sm2._plus(point, sm2._G) or sm2._G, secret + 1
        for start in (at for at in (0, 32) if point[at] == 0 and not found[at]):
            found[start] = True
            key = PrivateKey.from_secret(secret)
            assert key.public.point == point
            assert key.decrypt(key.public.encrypt(SECRET_TEXT)) == SECRET_TEXT
            assert key.public.verify(MESSAGE, key.sign(MESSAGE))


def test_a_key_that_begins_with_zero_four_survives() -> None:
    """gmssl strips "04" from a key's own digits, however many."""
    point, secret = sm2._G, 1
    while point[0] != 4:
        point, secret = sm2._plus(point, sm2._G) or sm2._G, secret + 1
    key = PrivateKey.from_secret(secret)
    assert PublicKey.from_point(point) == PublicKey.from_point(b"\x04" + point) == key.public
    assert key.decrypt(PublicKey.from_point(point).encrypt(SECRET_TEXT)) == SECRET_TEXT


def test_random_numbers_do_not_come_from_the_seeded_generator() -> None:
    def drawn() -> tuple[bytes, bytes, bytes, int]:
        random.seed(1)
        return KEY.sign(MESSAGE), KEY.public.encrypt(b"x"), PrivateKey.generate().public.point, sm2.random_scalar()

    assert all(a != b for a, b in zip(drawn(), drawn(), strict=True))


def test_a_private_key_shows_and_copies_nothing_of_itself() -> None:
    assert str(D) not in repr(KEY)
    assert f"{D:x}" not in repr(KEY).lower()
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
