"""What only gmssl's arithmetic lets a test choose: the nonce, and the cases that hardly ever come."""

from collections.abc import Callable, Iterator

import pytest

from router.crypto import sm2
from router.crypto.curve import G, N
from router.crypto.sm2_der import read_ciphertext, write_ciphertext
from router.crypto.sm2_gmssl import Gmssl, c3_of, kdf, times
from router.errors import IntegrityError

D = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
K = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21


def drawing(*scalars: int) -> Callable[[], int]:
    source: Iterator[int] = iter(scalars)
    return lambda: next(source)


def test_with_the_standards_nonce_it_gives_the_standards_signature_and_ciphertext() -> None:
    key = Gmssl(drawing(K)).hold(D)
    digest = sm2.PublicKey(key.public).digest(b"message digest")
    assert key.sign(digest) == (
        0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3,
        0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA,
    )
    _, c3, c2 = Gmssl(drawing(K)).encrypt(key.public, b"encryption standard")
    assert c3.hex() == "59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766"
    assert c2.hex() == "21886ca989ca9c7d58087307ca93092d651efa"


def test_data_left_in_the_clear_is_encrypted_again_and_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = (G, bytes(32), b"a")
    answers = [Gmssl().encrypt(G, b"a")] + [clear] * 3
    monkeypatch.setattr(sm2, "LIBRARY", _Scripted(answers))
    assert read_ciphertext(sm2.PublicKey(G).encrypt(b"a")) != clear
    with pytest.raises(IntegrityError):
        sm2.PrivateKey(_Clear()).decrypt(write_ciphertext(*clear))


class _Scripted:
    """A library that is wrong for once."""

    name = "scripted"
    hold, verify = Gmssl().hold, Gmssl().verify

    def __init__(self, answers: list[tuple[bytes, bytes, bytes]]) -> None:
        self.answers = answers

    def encrypt(self, point: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
        return self.answers.pop()


class _Clear:
    public = G

    def sign(self, digest: int) -> tuple[int, int]:
        raise NotImplementedError

    def decrypt(self, c1: bytes, c3: bytes, c2: bytes) -> bytes | None:
        return c2


def test_a_signature_whose_two_points_are_equal_verifies() -> None:
    """sG = tP happens for s = t d; gmssl's own verify takes a wrong coordinate then."""
    d, t = 5, 12345
    s = t * d % N
    r = (t - s) % N
    x = int.from_bytes(times(2 * s % N, G)[:32])
    assert Gmssl().verify(times(d, G), (r - x) % N, r, s)


def test_opposite_points_add_to_infinity_and_do_not_verify() -> None:
    d, t = 5, 12345
    s = -t * d % N
    r = (t - s) % N
    assert not Gmssl().verify(times(d, G), r, r, s)


def test_a_mask_of_zeros_is_drawn_again() -> None:
    """One byte is masked by zero for one scalar in 256: it would go in the clear."""
    key = Gmssl().hold(D)
    zero = next(k for k in range(1, 5000) if kdf(times(k, key.public), 1) == b"\0")
    assert Gmssl(drawing(zero, K)).encrypt(key.public, b"a") == Gmssl(drawing(K)).encrypt(key.public, b"a")
    assert key.decrypt(times(zero, G), c3_of(times(zero, key.public), b"a"), b"a") is None


@pytest.mark.parametrize("makes_none", ["r", "r + k"])
def test_a_scalar_that_gives_no_signature_is_drawn_again(makes_none: str) -> None:
    """r = 0 and r + k = n: the digest is chosen so that K does it."""
    x = int.from_bytes(times(K, G)[:32])
    digest = {"r": -x % N, "r + k": (N - K - x) % N}[makes_none]
    assert Gmssl(drawing(K, K + 1)).hold(D).sign(digest) == Gmssl(drawing(K + 1)).hold(D).sign(digest)


def test_a_held_key_prints_nothing_of_itself() -> None:
    assert str(D) not in repr(Gmssl().hold(D))
