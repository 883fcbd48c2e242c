import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from router.cli.keys import command
from router.crypto import der, keys, spki
from router.crypto.sm2 import PrivateKey
from router.errors import ConfigurationError

D = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
KEY = PrivateKey.from_secret(D)
FILES = {
    "hospital-sign.pem", "hospital-sign.pub.pem", "platform-sign.pem", "platform-sign.pub.pem",
    "platform-encrypt.pem", "platform-encrypt.pub.pem", "api.key", "psk.key",
}  # fmt: skip
Write = Callable[[bytes], Path]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: bytes) -> Path:
        path = tmp_path / "file"
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    return write


def private_info(inner: bytes, algorithm: bytes = spki.ALGORITHM, version: int = 0, tail: bytes = b"") -> bytes:
    return keys._pem(keys.PRIVATE, der.sequence(der.integer(version), algorithm, der.octets(inner), tail))


def ec_key(secret: bytes, *rest: bytes, version: int = 1) -> bytes:
    return der.sequence(der.integer(version), der.octets(secret), *rest)


SECRET = D.to_bytes(32)
P256 = der.sequence(der.oid("1.2.840.10045.2.1"), der.oid("1.2.840.10045.3.1.7"))


def test_keys_new_writes_files_of_the_right_modes(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "keys"
    assert (
        {file.name for file in keys.new_folder(folder, psk=True)} == {file.name for file in folder.iterdir()} == FILES
    )
    assert mode(folder) == 0o700
    secret = {"hospital-sign.pem", "platform-sign.pem", "platform-encrypt.pem", "api.key", "psk.key"}
    assert {name: mode(folder / name) for name in FILES} == {n: 0o600 if n in secret else 0o644 for n in FILES}


def test_the_pairs_of_a_new_folder_belong_together_and_differ(tmp_path: Path) -> None:
    keys.new_folder(tmp_path)
    ids = set()
    for name in keys.PAIRS:
        private, public = keys.load_private(tmp_path / f"{name}.pem"), keys.load_public(tmp_path / f"{name}.pub.pem")
        assert private.public == public
        ids.add(keys.key_id(public))
    assert len(ids) == 3
    assert len(keys.load_api_key(tmp_path / "api.key")) == 32


def test_an_empty_folder_that_exists_is_closed_and_another_is_left_alone(tmp_path: Path) -> None:
    empty, used = tmp_path / "empty", tmp_path / "used"
    for folder in (empty, used):
        folder.mkdir()
        folder.chmod(0o755)
    (used / "notes.txt").touch()
    keys.new_folder(empty)
    keys.new_folder(used)
    assert (mode(empty), mode(used)) == (0o700, 0o755)


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_existing_key_is_never_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigurationError, match=name):
        keys.new_folder(tmp_path, psk=True)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_saving_over_a_file_is_refused(tmp_path: Path) -> None:
    keys.save_private(tmp_path / "k", D)
    with pytest.raises(ConfigurationError, match="never overwritten"):
        keys.save_private(tmp_path / "k", D + 1)
    assert keys.load_private(tmp_path / "k").public == KEY.public


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_secret_open_to_others_is_refused_with_the_command_that_mends_it(bits: int, tmp_path: Path) -> None:
    keys.new_folder(tmp_path)
    loaders: list[tuple[str, Callable[[Path], object]]] = [
        ("hospital-sign.pem", keys.load_private),
        ("api.key", keys.load_api_key),
        ("api.key", keys.load_passphrase),
    ]
    for name, load in loaders:
        file = tmp_path / name
        file.chmod(bits)
        with pytest.raises(ConfigurationError) as caught:
            load(file)
        assert caught.value.hint == f"chmod 600 {file}"


def test_the_subject_public_key_info_names_the_curve_and_is_uncompressed() -> None:
    head = "3059301306072a8648ce3d020106082a811ccf5501822d03420004"
    assert spki.public_info(KEY.public).hex() == head + KEY.public.point.hex()


def encrypted(prf: bytes, passphrase: bytes = b"secret", iterations: int = 1000, length: bytes = b"") -> bytes:
    """A key as GmSSL 3 encrypts it, for which OpenSSL 3.0 has no command: PBKDF2-HMAC-SM3 and SM4-CBC."""
    salt, iv = bytes(range(8)), bytes(range(16))
    plain = der.sequence(der.integer(0), spki.ALGORITHM, der.octets(ec_key(SECRET)))
    key = PBKDF2HMAC(hashes.SM3(), 16, salt, 1000).derive(passphrase)
    padder, encryptor = padding.PKCS7(128).padder(), Cipher(algorithms.SM4(key), modes.CBC(iv)).encryptor()
    ciphertext = encryptor.update(padder.update(plain) + padder.finalize())
    derivation = der.sequence(der.octets(salt), der.integer(iterations), length, prf)
    scheme = der.sequence(
        der.sequence(der.oid("1.2.840.113549.1.5.12"), derivation),
        der.sequence(der.oid("1.2.156.10197.1.104.2"), der.octets(iv)),
    )
    algorithm = der.sequence(der.oid("1.2.840.113549.1.5.13"), scheme)
    return keys._pem(keys.ENCRYPTED, der.sequence(algorithm, der.octets(ciphertext)))


NULL = b"\x05\0"


@pytest.mark.parametrize(
    "prf",
    [
        der.sequence(der.oid("1.2.156.10197.1.401.2")),
        der.sequence(der.oid("1.2.156.10197.1.401.2"), NULL),
        der.sequence(der.oid("1.2.156.10197.1.401.3.1"), NULL),
    ],
)
def test_a_key_that_gmssl_encrypted_is_read(prf: bytes, write: Write) -> None:
    assert keys.load_private(write(encrypted(prf)), b"secret").public == KEY.public
    assert keys.load_private(write(encrypted(prf, length=der.integer(16))), b"secret").public == KEY.public


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (encrypted(b""), "1.2.840.113549.2.7"),
        (encrypted(der.sequence(der.oid("1.2.156.10197.1.401.2")), iterations=2**40), "iterations"),
        (encrypted(der.sequence(der.oid("1.2.156.10197.1.401.2")), iterations=0), "iterations"),
        (encrypted(der.sequence(der.oid("1.2.156.10197.1.401.2")), length=der.integer(32)), "length"),
        (encrypted(der.sequence(der.oid("1.2.156.10197.1.401.2")), passphrase=b"other"), "passphrase"),
    ],
)
def test_an_encrypted_key_that_cannot_be_read_says_why(made: bytes, said: str, write: Write) -> None:
    with pytest.raises(ConfigurationError, match=said):
        keys.load_private(write(made), b"secret")


@pytest.mark.parametrize("text", [b"", b"ab" * 31, b"ab" * 33, b"zz" * 32, b"ab" * 32 + b" x", b"\xff" * 64])
def test_an_api_key_that_is_not_64_hex_digits_is_refused(text: bytes, write: Write) -> None:
    with pytest.raises(ConfigurationError, match="64 hex digits"):
        keys.load_api_key(write(text))


def test_an_api_key_may_end_with_a_line_end_and_be_upper_case(write: Write) -> None:
    assert keys.load_api_key(write(b"AB" * 32 + b"\r\n")) == b"\xab" * 32


def test_a_passphrase_is_the_first_line(write: Write) -> None:
    assert keys.load_passphrase(write(b"two words \r\nmore\n")) == b"two words "
    with pytest.raises(ConfigurationError, match="empty"):
        keys.load_passphrase(write(b"\n"))


@pytest.mark.parametrize(
    "inner",
    [
        ec_key(SECRET),
        ec_key(b"\0" + SECRET),
        ec_key(SECRET, der.element(0xA0, der.oid("1.2.156.10197.1.301"))),
        ec_key(SECRET, der.element(0xA1, der.bits(b"\x04" + KEY.public.point))),
    ],
)
def test_private_keys_as_others_write_them_are_read(inner: bytes, write: Write) -> None:
    assert keys.load_private(write(private_info(inner))).public == KEY.public
    assert keys.load_private(write(private_info(inner, tail=der.element(0xA0, b"\x05\0")))).public == KEY.public


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"-----BEGIN PRIVATE KEY-----\n",
        private_info(ec_key(SECRET)).replace(b"-----END", b"----END"),
        private_info(ec_key(SECRET)).replace(b"M", b"*", 1),
        b"-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END PRIVATE KEY-----\n",
        private_info(ec_key(bytes(32))),
        private_info(ec_key(b"\xff" * 32)),
        private_info(ec_key(SECRET), algorithm=P256),
        private_info(ec_key(SECRET), version=1),
        private_info(ec_key(SECRET, version=2)),
        private_info(ec_key(SECRET) + b"\0"),
        private_info(ec_key(SECRET, der.integer(1))),
        private_info(ec_key(SECRET, der.element(0xA1, der.bits(b"\x04" + PrivateKey.from_secret(2).public.point)))),
        private_info(ec_key(SECRET, der.element(0xA1, der.bits(b"\x03" + KEY.public.point[:32])))),
        keys._pem("EC PRIVATE KEY", ec_key(SECRET)),
        keys._pem(keys.PUBLIC, spki.public_info(KEY.public)),
        b"a" * 100_000,
    ],
)
def test_what_is_no_sm2_private_key_is_a_configuration_error_that_names_the_file(content: bytes, write: Write) -> None:
    path = write(content)
    with pytest.raises(ConfigurationError, match=str(path)):
        keys.load_private(path)


def test_a_key_of_another_form_comes_with_the_command_that_converts_it(write: Write) -> None:
    with pytest.raises(ConfigurationError) as caught:
        keys.load_private(write(keys._pem("EC PRIVATE KEY", ec_key(SECRET))))
    assert caught.value.hint.startswith("convert it: openssl pkcs8 -topk8")


@pytest.mark.parametrize(
    "body",
    [
        der.sequence(P256, der.bits(b"\x04" + KEY.public.point)),
        der.sequence(spki.ALGORITHM, der.bits(b"\x03" + KEY.public.point[:32])),
        der.sequence(spki.ALGORITHM, der.bits(b"\x04" + KEY.public.point[:63] + b"\0")),
        der.sequence(spki.ALGORITHM, der.bits(b"\x04" + KEY.public.point), der.integer(1)),
        spki.public_info(KEY.public) + b"\0",
    ],
)
def test_what_is_no_sm2_public_key_is_a_configuration_error(body: bytes, write: Write) -> None:
    with pytest.raises(ConfigurationError):
        keys.load_public(write(keys._pem(keys.PUBLIC, body)))


def test_a_private_key_is_not_taken_for_a_public_one(write: Write) -> None:
    with pytest.raises(ConfigurationError, match="not a public key"):
        keys.load_public(write(private_info(ec_key(SECRET))))


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    for load in (keys.load_private, keys.load_public, keys.load_api_key, keys.load_passphrase):
        with pytest.raises(ConfigurationError, match="absent"):
            load(tmp_path / "absent")


def test_show_gives_one_key_id_for_both_halves_and_never_the_api_key(tmp_path: Path) -> None:
    run = CliRunner()
    made = run.invoke(command, ["new", "--psk", str(tmp_path / "k")])
    assert made.exit_code == 0
    assert len(made.stdout.split()) == 8

    def shown(name: str) -> dict[str, str]:
        document: dict[str, str] = json.loads(
            run.invoke(command, ["show", "--json", str(tmp_path / "k" / name)]).stdout
        )
        return document

    private, public, api = shown("platform-sign.pem"), shown("platform-sign.pub.pem"), shown("api.key")
    assert private["key_id"] == public["key_id"] == keys.key_id(keys.load_public(tmp_path / "k/platform-sign.pub.pem"))
    assert (private["kind"], public["kind"], api["kind"]) == ("private key", "public key", "API key")
    assert len(api["fingerprint"]) == 16
    assert api["fingerprint"] not in (tmp_path / "k/api.key").read_text()


def test_show_prints_one_line_without_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_CONFIG", str(tmp_path / "none"))  # so that nothing says another language
    keys.save_public(tmp_path / "p", KEY.public)
    shown = CliRunner().invoke(command, ["show", str(tmp_path / "p")])
    assert shown.stdout == f"public key  {keys.key_id(KEY.public)}\n"


@pytest.mark.parametrize("text", [f"{D:064x}", f"00{D:064X}\n", f"{D:064x}"[:32] + "\n" + f"{D:064x}"[32:]])
def test_a_raw_private_key_is_imported_with_or_without_its_sign_octet(text: str, write: Write, tmp_path: Path) -> None:
    run = CliRunner().invoke(command, ["import", str(write(text.encode())), str(tmp_path / "new.pem")])
    assert run.stdout.strip() == keys.key_id(KEY.public)
    assert keys.load_private(tmp_path / "new.pem").public == KEY.public
    assert mode(tmp_path / "new.pem") == 0o600


@pytest.mark.parametrize("head", ["", "04"])
def test_a_raw_public_key_is_imported_with_or_without_04(head: str, write: Write, tmp_path: Path) -> None:
    assert keys.import_hex(write((head + KEY.public.point.hex()).encode()), tmp_path / "p") == keys.key_id(KEY.public)
    assert keys.load_public(tmp_path / "p") == KEY.public


@pytest.mark.parametrize("text", ["", "zz", "00" * 32, "ff" * 32, "01" + f"{D:064x}", "04" * 64, f"{D:064x}"[2:]])
def test_hex_digits_that_are_no_key_are_refused(text: str, write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="hex digits"):
        keys.import_hex(write(text.encode()), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_raw_key_open_to_others_is_refused(write: Write, tmp_path: Path) -> None:
    file = write(f"{D:064x}".encode())
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        keys.import_hex(file, tmp_path / "new")
