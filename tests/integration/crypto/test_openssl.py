"""Both directions against the openssl command line, which shares no code with gmssl."""

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from router.crypto import keys
from router.crypto.curve import new_secret
from router.crypto.sm2 import PrivateKey
from router.crypto.symmetric import hkdf_sm3, hmac_sm3, seal_cbc, sm3, unseal_cbc
from router.errors import ConfigurationError

ID = "distid:1234567812345678"
DATA = b"report \xe6\xa3\x80\xe6\x9f\xa5\n" * 50


def openssl(*arguments: str | Path, data: bytes = b"") -> bytes:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the openssl command line is not installed")
    done = subprocess.run([program, *map(str, arguments)], input=data, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A private key that openssl made."""
    key = tmp_path / "theirs.pem"
    sm2_key = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-pkeyopt", "ec_param_enc:named_curve")
    openssl("genpkey", *sm2_key, "-out", key)
    key.chmod(0o600)
    return key


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A private key that we made, with ours.pub beside it."""
    secret = new_secret()
    keys.save_private(tmp_path / "ours.pem", secret)
    keys.save_public(tmp_path / "ours.pub", PrivateKey.from_secret(secret).public)
    return tmp_path / "ours.pem"


def public_of(key: Path) -> Path:
    public = key.with_suffix(".from-openssl.pub")
    openssl("pkey", "-in", key, "-pubout", "-out", public)
    return public


def test_sm3_and_hmac_sm3_agree(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    assert openssl("dgst", "-sm3", "-binary", data=DATA) == sm3(DATA)
    mac = openssl("mac", "-digest", "SM3", "-macopt", f"hexkey:{bytes(range(32)).hex()}", "-in", tmp_path / "f", "HMAC")
    assert bytes.fromhex(mac.decode()) == hmac_sm3(bytes(range(32)), DATA)


def test_sm4_cbc_agrees_in_both_directions(tmp_path: Path) -> None:
    key, iv, sealed = bytes(range(16)), bytes(range(16, 32)), io.BytesIO()
    options = ["-K", key.hex(), "-iv", iv.hex()]
    seal_cbc(key, key, iv, b"", io.BytesIO(DATA), sealed)
    assert openssl("enc", "-sm4-cbc", "-d", *options, data=sealed.getvalue()) == DATA
    theirs, opened = openssl("enc", "-sm4-cbc", "-e", *options, data=DATA), io.BytesIO()
    unseal_cbc(key, key, iv, b"", hmac_sm3(key, iv + theirs), io.BytesIO(theirs), opened)
    assert opened.getvalue() == DATA


def test_hkdf_sm3_agrees() -> None:
    secret, salt = bytes(range(32)), bytes(range(32, 64))
    options = {"digest": "SM3", "hexkey": secret.hex(), "hexsalt": salt.hex(), "info": "gm-psk/1|a|b|c|mac"}
    given = [each for name, value in options.items() for each in ("-kdfopt", f"{name}:{value}")]
    derived = openssl("kdf", "-keylen", "32", "-binary", *given, "HKDF")
    assert derived == hkdf_sm3(secret, salt, b"gm-psk/1|a|b|c|mac", 32)


def test_openssl_derives_our_public_key_byte_for_byte(ours: Path) -> None:
    assert public_of(ours).read_bytes() == ours.with_suffix(".pub").read_bytes()


def test_the_key_id_is_what_openssl_gives(ours: Path) -> None:
    info = openssl("pkey", "-in", ours, "-pubout", "-outform", "DER")
    assert (
        keys.key_id(keys.load_public(ours.with_suffix(".pub")))
        == openssl("dgst", "-sm3", "-binary", data=info)[:8].hex()
    )


def test_we_verify_what_openssl_signs(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(DATA)
    openssl("dgst", "-sm3", "-sign", theirs, "-sigopt", ID, "-out", tmp_path / "s", tmp_path / "m")
    key = keys.load_public(public_of(theirs))
    assert key.verify(DATA, (tmp_path / "s").read_bytes())
    assert not key.verify(DATA[:-1], (tmp_path / "s").read_bytes())


def test_openssl_verifies_what_we_sign(ours: Path, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(DATA)
    (tmp_path / "s").write_bytes(keys.load_private(ours).sign(DATA))
    public = ours.with_suffix(".pub")
    openssl("dgst", "-sm3", "-verify", public, "-sigopt", ID, "-signature", tmp_path / "s", tmp_path / "m")


def test_we_decrypt_what_openssl_encrypts(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(DATA[:16])
    out = tmp_path / "k.enc"
    openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", public_of(theirs), "-in", tmp_path / "k", "-out", out)
    assert keys.load_private(theirs).decrypt(out.read_bytes()) == DATA[:16]


def test_openssl_decrypts_what_we_encrypt(ours: Path, tmp_path: Path) -> None:
    for length in (1, 16, 33, 255):
        (tmp_path / "c").write_bytes(keys.load_public(ours.with_suffix(".pub")).encrypt(DATA[:length]))
        assert openssl("pkeyutl", "-decrypt", "-inkey", ours, "-in", tmp_path / "c") == DATA[:length]


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "sm4-cbc"])
@pytest.mark.parametrize("prf", ["hmacWithSHA256", "hmacWithSHA512"])
def test_a_key_that_openssl_encrypted_is_read_with_its_passphrase_only(
    theirs: Path, cipher: str, prf: str, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pem"
    options = ("-v2", cipher, "-v2prf", prf, "-iter", "2000", "-passout", "pass:two words")
    openssl("pkcs8", "-topk8", "-in", theirs, "-out", locked, *options)
    locked.chmod(0o600)
    assert keys.load_private(locked, b"two words").public == keys.load_private(theirs).public
    with pytest.raises(ConfigurationError, match="is encrypted"):
        keys.load_private(locked)
    with pytest.raises(ConfigurationError):
        keys.load_private(locked, b"two word")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-v2", "des3", "-v2prf", "hmacWithSHA256"), "1.2.840.113549.3.7"),
        (("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"), "1.2.840.113549.2.7"),
        (("-scrypt", "-scrypt_N", "1024"), "1.3.6.1.4.1.11591.4.11"),
    ],
)
def test_an_encryption_that_is_not_read_is_named_with_the_way_out(
    theirs: Path, options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pem"
    openssl("pkcs8", "-topk8", "-in", theirs, "-out", locked, *options, "-passout", "pass:x")
    locked.chmod(0o600)
    with pytest.raises(ConfigurationError, match=said) as caught:
        keys.load_private(locked, b"x")
    assert caught.value.hint.startswith("convert it: openssl pkcs8")


def test_a_key_on_another_curve_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "p256.pem"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    key.chmod(0o600)
    with pytest.raises(ConfigurationError, match="SM2 curve"):
        keys.load_private(key)


def test_the_older_form_of_a_key_is_refused_with_the_command_that_converts_it(theirs: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.pem"
    openssl("ec", "-in", theirs, "-out", old)
    old.chmod(0o600)
    with pytest.raises(ConfigurationError, match="not a PKCS#8 private key") as caught:
        keys.load_private(old)
    assert "pkcs8 -topk8" in caught.value.hint
