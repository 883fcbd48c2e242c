"""The contract of an SM2 library: the standard's vectors, and what no guard may let through."""

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.crypto import der, sm2
from router.crypto.curve import G, new_secret
from router.crypto.library import Library
from router.crypto.sm2 import PrivateKey, PublicKey
from router.crypto.sm2_der import read_signature
from router.crypto.sm2_gmssl import plus
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

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True, params=["gmssl", "gmssl-pyx"])
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    """Each library in turn, in use by `sm2`."""
    found = next((each for each in sm2.installed() if each.name == request.param), None)
    if found is None:
        pytest.skip(f"{request.param} is not installed: pip install '.[fast]'")
    former, sm2.LIBRARY = sm2.LIBRARY, found
    yield found
    sm2.LIBRARY = former


@pytest.fixture(scope="module")
def key(library: Library) -> PrivateKey:
    """The key of the standard's example."""
    return PrivateKey(library.hold(D))


def signature(r: int, s: int) -> bytes:
    return der.sequence(der.integer(r), der.integer(s))


def ciphertext(x: int = X1, y: int = Y1, c3: bytes = C3, c2: bytes = C2) -> bytes:
    return der.sequence(der.integer(x), der.integer(y), der.octets(c3), der.octets(c2))


def test_the_public_key_is_the_standards(key: PrivateKey) -> None:
    assert key.public == PublicKey.from_point(POINT) == PublicKey.from_point(b"\x04" + POINT)
    assert key.public.point == POINT


def test_the_standards_signature_verifies_and_only_for_its_message_and_key(key: PrivateKey) -> None:
    assert key.public.verify(MESSAGE, signature(R, S))
    assert not key.public.verify(MESSAGE + b".", signature(R, S))
    assert not PrivateKey.from_secret(D + 1).public.verify(MESSAGE, signature(R, S))


def test_the_standards_ciphertext_decrypts(key: PrivateKey) -> None:
    assert key.decrypt(ciphertext()) == SECRET_TEXT


@given(st.binary(min_size=1, max_size=200))
@settings(max_examples=8, deadline=None)
def test_what_is_encrypted_decrypts(key: PrivateKey, data: bytes) -> None:
    assert key.decrypt(key.public.encrypt(data)) == data


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
def test_r_and_s_out_of_range_or_changed_do_not_verify(key: PrivateKey, r: int, s: int) -> None:
    assert not key.public.verify(MESSAGE, signature(r, s))


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
def test_a_signature_that_is_not_strict_der_does_not_verify(key: PrivateKey, malformed: bytes) -> None:
    assert not key.public.verify(MESSAGE, malformed)


@given(st.binary(max_size=100))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_just_no_signature(key: PrivateKey, data: bytes) -> None:
    assert not key.public.verify(MESSAGE, data)


@pytest.mark.parametrize(
    "changed",
    [
        ciphertext(c3=bytes([C3[0] ^ 1]) + C3[1:]),
        ciphertext(c2=bytes([C2[0] ^ 1]) + C2[1:]),
        ciphertext(c2=C2[:-1]),
        ciphertext(y=P - Y1),
    ],
)
def test_a_changed_ciphertext_is_noticed(key: PrivateKey, changed: bytes) -> None:
    with pytest.raises(IntegrityError):
        key.decrypt(changed)


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
def test_what_is_no_ciphertext_is_invalid(key: PrivateKey, malformed: bytes) -> None:
    with pytest.raises(InvalidData):
        key.decrypt(malformed)


def test_a_private_key_shows_and_copies_nothing_of_itself(key: PrivateKey) -> None:
    assert str(D) not in repr(key)
    assert f"{D:x}" not in repr(key).lower()
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize("length", [0, 256])
def test_what_is_not_a_key_to_wrap_is_wrong_use(key: PrivateKey, length: int) -> None:
    with pytest.raises(ValueError, match="1 to 255 bytes"):
        key.public.encrypt(bytes(length))


def test_the_longest_data_comes_back(key: PrivateKey) -> None:
    assert key.decrypt(key.public.encrypt(bytes(255))) == bytes(255)


def with_leading(octet: int, at: int) -> tuple[int, bytes]:
    """The smallest d whose public key has this octet at the start of x (at 0) or y (at 32)."""
    point, secret = G, 1
    while point[at] != octet:
        point, secret = plus(point, G) or G, secret + 1
    return secret, point


@pytest.mark.parametrize(("octet", "at"), [(0, 0), (0, 32), (4, 0)])
def test_coordinates_that_begin_with_zeros_or_04_keep_their_place(octet: int, at: int) -> None:
    """What gmssl's own parsing strips from a key."""
    secret, point = with_leading(octet, at)
    key = PrivateKey.from_secret(secret)
    assert PublicKey.from_point(point) == PublicKey.from_point(b"\x04" + point) == key.public
    assert key.decrypt(PublicKey.from_point(point).encrypt(SECRET_TEXT)) == SECRET_TEXT
    assert key.public.verify(MESSAGE, key.sign(MESSAGE))


def test_what_one_library_makes_every_other_one_takes(key: PrivateKey, library: Library) -> None:
    signed, encrypted = key.sign(MESSAGE), key.public.encrypt(SECRET_TEXT)
    for other in sm2.installed():
        assert other.verify(POINT, key.public.digest(MESSAGE), *read_signature(signed))
        sm2.LIBRARY = other
        assert PrivateKey.from_secret(D).decrypt(encrypted) == SECRET_TEXT
    sm2.LIBRARY = library


def test_no_seed_of_the_random_module_influences_what_is_drawn(key: PrivateKey) -> None:
    def drawn() -> tuple[bytes, bytes, bytes]:
        random.seed(1)
        return key.sign(MESSAGE), key.public.encrypt(b"x"), PrivateKey.from_secret(new_secret()).public.point

    assert all(a != b for a, b in zip(drawn(), drawn(), strict=True))


def nonce_point(signature: bytes) -> int:
    """x1 of kG, which names the nonce: r = e + x1."""
    r, _ = read_signature(signature)
    return (r - PublicKey(POINT).digest(MESSAGE)) % N


def test_two_signatures_never_share_a_nonce(key: PrivateKey) -> None:
    assert len({nonce_point(key.sign(MESSAGE)) for _ in range(30)}) == 30


FORKED = """
import os, sys
from router.crypto import sm2
sm2.LIBRARY = next(each for each in sm2.installed() if each.name == sys.argv[1])
key = sm2.PrivateKey.from_secret(2)
key.sign(b"")
for _ in range(3):
    if os.fork() == 0:
        os.write(1, key.sign(b"").hex().encode() + b"\\n")
        os._exit(0)
for _ in range(3):
    os.wait()
"""


def test_forked_processes_do_not_repeat_each_others_nonces(library: Library) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", FORKED, library.name]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=30)
    assert len(set(done.stdout.split())) == 3


class Device:
    """A key in a device: a handle without a secret in this process."""

    def __init__(self, library: Library) -> None:
        self._inside = library.hold(D)
        self.public = POINT
        self.numbers: tuple[int, int] | None = None

    def sign(self, digest: int) -> tuple[int, int]:
        return self.numbers or self._inside.sign(digest)

    def decrypt(self, c1: bytes, c3: bytes, c2: bytes) -> bytes | None:
        return self._inside.decrypt(c1, c3, c2)


def test_a_key_held_by_a_device_serves_like_any_other_and_is_guarded(library: Library) -> None:
    device = Device(library)
    key = PrivateKey(device)
    assert PublicKey(POINT).verify(MESSAGE, key.sign(MESSAGE))
    assert key.decrypt(PublicKey(POINT).encrypt(SECRET_TEXT)) == SECRET_TEXT
    device.numbers = (0, N)
    with pytest.raises(IntegrityError):
        key.sign(MESSAGE)
    device.public = bytes(64)
    with pytest.raises(InvalidData):
        PrivateKey(device)
