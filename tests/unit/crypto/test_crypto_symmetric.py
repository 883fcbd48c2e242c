import io
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from router.crypto import selftest, symmetric
from router.crypto.symmetric import Sm3, equal, hkdf_sm3, hmac_sm3, seal, seal_cbc, sm3, unseal, unseal_cbc
from router.errors import ConfigurationError, IntegrityError

MAC_KEY = bytes(range(32))
CBC_IV = bytes(range(16))
KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")
IV = bytes.fromhex("00001234567800000000ABCD")
AAD = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
PLAINTEXT = bytes.fromhex(
    "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD"
    "EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA"
)
CIPHERTEXT = bytes.fromhex(
    "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
    "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
)
TAG = bytes.fromhex("83DE3541E4C2B58177E065A9BF7B62EC")


def opened(
    ciphertext: bytes = CIPHERTEXT, *, key: bytes = KEY, iv: bytes = IV, aad: bytes = AAD, tag: bytes = TAG
) -> bytes:
    sink = io.BytesIO()
    unseal(key, iv, aad, tag, io.BytesIO(ciphertext), sink)
    return sink.getvalue()


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ],
)
def test_sm3_gives_the_digests_of_the_standard(data: bytes, digest: str) -> None:
    assert sm3(data).hex() == digest


@given(st.lists(st.binary(max_size=200), max_size=6))
@settings(max_examples=50, deadline=None)
def test_sm3_in_pieces_is_sm3_of_the_whole(pieces: list[bytes]) -> None:
    running = Sm3()
    for piece in pieces:
        running.update(piece)
    assert running.digest() == running.digest() == sm3(b"".join(pieces))


def test_a_digest_can_be_asked_for_and_go_on() -> None:
    running = Sm3()
    running.update(b"ab")
    assert running.digest() == sm3(b"ab")
    running.update(b"c")
    assert running.digest() == sm3(b"abc")


def test_sm4_gives_the_block_of_the_standard_once_and_a_million_times() -> None:
    encryptor = Cipher(algorithms.SM4(KEY), modes.ECB()).encryptor()
    block = encryptor.update(KEY)
    assert block.hex() == "681edf34d206965e86b3e94f536e4246"
    for _ in range(999_999):
        block = encryptor.update(block)
    assert block.hex() == "595298c7c6fd271f0402f804c33d3f66"


def test_sealing_gives_the_ciphertext_and_tag_of_rfc_8998() -> None:
    sink = io.BytesIO()
    sealed = seal(KEY, IV, AAD, io.BytesIO(PLAINTEXT), sink)
    assert (sink.getvalue(), sealed.tag) == (CIPHERTEXT, TAG)
    assert (sealed.length, sealed.sm3) == (64, sm3(CIPHERTEXT))


def test_unsealing_opens_the_ciphertext_of_rfc_8998() -> None:
    assert opened() == PLAINTEXT


@given(st.binary(max_size=3000), st.binary(max_size=100), st.binary(min_size=16, max_size=16))
@settings(max_examples=50, deadline=None)
def test_what_was_sealed_opens_again(data: bytes, aad: bytes, key: bytes) -> None:
    sink = io.BytesIO()
    sealed = seal(key, IV, aad, io.BytesIO(data), sink)
    assert opened(sink.getvalue(), key=key, aad=aad, tag=sealed.tag) == data


def test_pieces_beyond_one_read_are_sealed_and_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symmetric, "_CHUNK", 7)
    sink = io.BytesIO()
    assert seal(KEY, IV, AAD, io.BytesIO(PLAINTEXT), sink).tag == TAG
    assert opened(sink.getvalue()) == PLAINTEXT


@pytest.mark.parametrize("bit", [0, 255, 511])
def test_a_flipped_bit_of_the_ciphertext_is_noticed(bit: int) -> None:
    with pytest.raises(IntegrityError):
        opened(flipped(CIPHERTEXT, bit))


@pytest.mark.parametrize("bit", range(0, 128, 17))
def test_a_flipped_bit_of_the_tag_is_noticed(bit: int) -> None:
    with pytest.raises(IntegrityError):
        opened(tag=flipped(TAG, bit))


@pytest.mark.parametrize("tag", [b"", TAG[:4], TAG[:12], TAG[:15], TAG + b"\0"])
def test_a_tag_that_is_not_sixteen_bytes_is_refused(tag: bytes) -> None:
    with pytest.raises(IntegrityError):
        opened(tag=tag)


def test_other_authenticated_data_or_a_truncated_ciphertext_is_noticed() -> None:
    with pytest.raises(IntegrityError):
        opened(aad=AAD[:-1])
    with pytest.raises(IntegrityError):
        opened(CIPHERTEXT[:-1])


def test_keys_and_vectors_of_another_length_are_wrong_use() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        opened(key=KEY + KEY)
    with pytest.raises(ValueError, match="12 bytes"):
        seal(KEY, IV + b"\0\0\0\0", AAD, io.BytesIO(), io.BytesIO())


def test_hmac_differs_by_key_and_text_and_equality_sees_it() -> None:
    mac = hmac_sm3(b"key", b"text")
    assert len(mac) == 32
    assert equal(mac, hmac_sm3(b"key", b"text"))
    assert not equal(mac, hmac_sm3(b"kez", b"text"))
    assert not equal(mac, hmac_sm3(b"key", b"texu"))
    assert not equal(mac, mac[:31])


def test_the_self_test_passes_here() -> None:
    selftest.run()


@pytest.mark.parametrize(
    ("broken", "library"),
    [
        ("router.crypto.symmetric.sm3", "cryptography"),
        ("router.crypto.symmetric.hmac_sm3", "cryptography"),
        ("router.crypto.symmetric.seal", "cryptography"),
        ("router.crypto.symmetric.seal_cbc", "cryptography"),
        ("router.crypto.symmetric.hkdf_sm3", "cryptography"),
        ("router.crypto.sm2_gmssl.times", "gmssl "),
        ("router.crypto.sm2_gmssl._Held.decrypt", "gmssl "),
        ("router.crypto.sm2_gmssl.Gmssl.verify", "gmssl "),
        ("gmssl_pyx.sm2_sign_sm3_digest", "gmssl-pyx"),
        ("gmssl_pyx.sm2_verify_sm3_digest", "gmssl-pyx"),
        ("gmssl_pyx.sm2_encrypt", "gmssl-pyx"),
        ("gmssl_pyx.sm2_decrypt", "gmssl-pyx"),
    ],
)
def test_the_self_test_names_the_library_at_fault(broken: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "gmssl-pyx":
        pytest.importorskip("gmssl_pyx", reason="gmssl-pyx is not installed: pip install '.[fast]'")
    monkeypatch.setattr(broken, lambda *_, **__: b"wrong")
    with pytest.raises(ConfigurationError, match=f"library {library}"):
        selftest.run()


def test_a_large_file_is_sealed_without_being_held_in_memory(tmp_path: Path) -> None:
    class Zeros(io.RawIOBase):
        left = 8 * 2**20
        most = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 2**20
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    with (tmp_path / "sealed").open("wb") as sink:
        assert seal(KEY, IV, AAD, Zeros(), sink).length == 8 * 2**20  # type: ignore[arg-type] # read is all it uses


@given(st.binary(max_size=600), st.binary(max_size=20))
@settings(max_examples=25, deadline=None)
def test_what_was_sealed_by_cbc_opens_again(data: bytes, aad: bytes) -> None:
    sink, opened = io.BytesIO(), io.BytesIO()
    sealed = seal_cbc(KEY, MAC_KEY, CBC_IV, aad, io.BytesIO(data), sink)
    unseal_cbc(KEY, MAC_KEY, CBC_IV, aad, sealed.tag, io.BytesIO(sink.getvalue()), opened)
    assert opened.getvalue() == data
    assert (sealed.length, sealed.sm3) == (len(sink.getvalue()), sm3(sink.getvalue()))
    assert sealed.tag == hmac_sm3(MAC_KEY, aad + CBC_IV + sink.getvalue())


@pytest.mark.parametrize("wrong", ["ciphertext", "tag", "aad", "iv", "mac key", "cut tag"])
def test_what_was_changed_is_noticed_before_anything_is_decrypted(wrong: str) -> None:
    sink, opened = io.BytesIO(), io.BytesIO()
    sealed = seal_cbc(KEY, MAC_KEY, CBC_IV, b"a", io.BytesIO(b"x" * 40), sink)
    ciphertext, tag = sink.getvalue(), sealed.tag
    with pytest.raises(IntegrityError, match="HMAC"):
        unseal_cbc(
            KEY,
            MAC_KEY[::-1] if wrong == "mac key" else MAC_KEY,
            CBC_IV[::-1] if wrong == "iv" else CBC_IV,
            b"b" if wrong == "aad" else b"a",
            tag[:-1] if wrong == "cut tag" else tag[:-1] + bytes([tag[-1] ^ (wrong == "tag")]),
            io.BytesIO(ciphertext[:-1] + bytes([ciphertext[-1] ^ (wrong == "ciphertext")])),
            opened,
        )
    assert not opened.getvalue()


def test_what_is_authentic_but_no_padded_text_is_refused() -> None:
    for ciphertext in (bytes(16), bytes(5), b""):
        tag = hmac_sm3(MAC_KEY, CBC_IV + ciphertext)
        with pytest.raises(IntegrityError):
            unseal_cbc(KEY, MAC_KEY, CBC_IV, b"", tag, io.BytesIO(ciphertext), io.BytesIO())


def test_hkdf_is_that_of_rfc_5869_over_hmac_sm3() -> None:
    extracted = hmac_sm3(b"salt", b"secret")
    first = hmac_sm3(extracted, b"info" + b"\1")
    assert hkdf_sm3(b"secret", b"salt", b"info", 48) == (first + hmac_sm3(extracted, first + b"info" + b"\2"))[:48]
