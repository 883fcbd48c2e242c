"""Key files: SM2 keys as PKCS#8, public ones also as certificates (RFC 5208, 5480, 5280), an API key as hex digits.

A private key's certificate stands behind it in its file, and those of CAs between behind that one.

Any fault of a key file is a ConfigurationError that names the file and the remedy.
"""

import binascii
import os
import re
import secrets
import stat
import textwrap
from collections.abc import Sequence
from pathlib import Path

from router.crypto import der
from router.crypto.curve import new_secret
from router.crypto.pkcs8 import TO_PKCS8
from router.crypto.pkcs8 import decrypt as decrypt_pkcs8
from router.crypto.sm2 import PrivateKey, PublicKey
from router.crypto.sm2_certificates import Certificate, Use, Validity, name_of, request, verified
from router.crypto.sm2_certificates import parse as parse_certificate
from router.crypto.spki import ALGORITHM, check_algorithm, parse_public, public_info, uncompressed
from router.crypto.symmetric import hmac_sm3, sm3
from router.errors import ConfigurationError, InvalidData

_MAX_FILE = 64 * 1024

PRIVATE, ENCRYPTED, PUBLIC = "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PUBLIC KEY"
CERTIFICATE, REQUEST = "CERTIFICATE", "CERTIFICATE REQUEST"
_WITH_CHAIN = (PRIVATE, ENCRYPTED)
_BEGIN = "-----BEGIN "
_DER = b"\x30\x82"  # a sequence of 256 bytes or more; a key in hex digits may begin with 0, which is 30


def load_private(path: Path, passphrase: bytes | None = None) -> PrivateKey:
    """The SM2 key of a PKCS#8 PEM file, plain or encrypted (PBES2); a certificate behind it must be its own."""
    label, body, certificates = _read_pem(path, read_secret(path))
    if label not in (PRIVATE, ENCRYPTED):
        raise ConfigurationError(f"key file {path} holds a {label}, not a PKCS#8 private key", hint=TO_PKCS8)
    if label == ENCRYPTED and passphrase is None:
        raise ConfigurationError(
            f"key file {path} is encrypted",
            hint="set one of signing_key_passphrase_file, _env and _credential, or --passphrase-file",
        )
    try:
        key = _parse_private(decrypt_pkcs8(body, passphrase or b"") if label == ENCRYPTED else body)
    except InvalidData as error:
        raise ConfigurationError(f"key file {path}: {error.message}", hint=error.hint) from error
    if certificates and certificates[0].key != key.public:
        text = f"the first certificate in {path} is of another key than the private one before it"
        raise ConfigurationError(text, hint="private key first, then its certificate, then those of CAs between")
    return key


def load_public(path: Path) -> PublicKey:
    """The SM2 key of a SubjectPublicKeyInfo PEM file, or of a certificate; `certified` checks the latter."""
    label, body, _ = _read_pem(path, _read(path))
    if label == CERTIFICATE:
        return _certificate(path, body).key
    if label != PUBLIC:
        raise ConfigurationError(
            f"key file {path} holds a {label}, not a public key", hint="make one: openssl pkey -in KEY -pubout -out NEW"
        )
    try:
        return parse_public(body)
    except InvalidData as error:
        raise ConfigurationError(f"key file {path}: {error.message}", hint=error.hint) from error


def certificates_in(path: Path) -> tuple[Certificate, ...]:
    """The certificates of a key file: that of its key, then those of CAs; () where it has none."""
    label, body, others = _read_pem(path, _read(path))
    return (_certificate(path, body), *others) if label == CERTIFICATE else others


def load_authorities(path: Path) -> tuple[Certificate, ...]:
    """The CAs of a file of SM2 certificates; ConfigurationError when it holds anything else."""
    found = certificates_in(path)
    if not found or not all(one.is_ca for one in found):
        raise ConfigurationError(f"CA file {path} holds something else than certificates of CAs")
    return found


def certified(path: Path, authorities: Sequence[Certificate], use: Use, *, required: bool) -> Validity | None:
    """The times in which the certificate of a key file holds; None where it has none and none is `required`.

    ConfigurationError unless it leads to one of `authorities` and allows this use.
    """
    chain = certificates_in(path)
    if not chain:
        if required:
            raise ConfigurationError(f"key file {path} has no certificate, and key_ca_file asks for one")
        return None
    if not authorities:
        raise ConfigurationError(
            f"key file {path} has a certificate, and nothing says by which CA", hint="name the CA's file in key_ca_file"
        )
    try:
        return verified(chain, authorities, use)
    except InvalidData as error:
        raise ConfigurationError(f"certificate in {path}: {error.message}", hint=error.hint) from error


def save_request(path: Path, key: PrivateKey, subject: str) -> None:
    """Write a certificate request for the key as PEM; ConfigurationError when the file exists or the name is wrong."""
    try:
        content = _pem(REQUEST, request(key, name_of(subject)))
    except InvalidData as error:
        raise ConfigurationError(f"--subject: {error.message}") from error
    _write_new(path, content, 0o644)


def load_api_key(path: Path) -> bytes:
    """The interface key (接口密钥): 32 bytes, written as 64 hex digits."""
    return _load_hex(path, "API key")


def load_psk(path: Path) -> bytes:
    """A pre-shared key of profile `gm-psk/1`: 32 bytes, written as 64 hex digits."""
    return _load_hex(path, "pre-shared key")


def _load_hex(path: Path, what: str) -> bytes:
    text = read_secret(path).strip()
    try:
        key = binascii.unhexlify(text)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise ConfigurationError(f"{what} file {path} does not hold 64 hex digits")
    return key


def load_passphrase(path: Path, *, by_systemd: bool = False) -> bytes:
    """The passphrase of an encrypted key: the file's first line, without its end.

    A credential of systemd has a mode of its own, and is in a folder that nobody else may enter.
    """
    lines = (_read(path) if by_systemd else read_secret(path)).splitlines()
    if not lines or not lines[0]:
        raise ConfigurationError(f"passphrase file {path} is empty")
    return lines[0]


def key_id(key: PublicKey) -> str:
    """The first 8 bytes of SM3 over the SubjectPublicKeyInfo, as 16 hex digits."""
    return sm3(public_info(key))[:8].hex()


def psk_id(key: bytes) -> str:
    """The id of a pre-shared key: the first 8 bytes of HMAC-SM3 under it over `gm-psk/1`, as 16 hex digits."""
    return hmac_sm3(key, b"gm-psk/1")[:8].hex()


def api_key_fingerprint(key: bytes) -> str:
    """16 hex digits that tell two API keys apart and nothing more."""
    return sm3(key)[:8].hex()


def label_of(path: Path) -> str:
    """The PEM label of a key file, CERTIFICATE also of one in DER; "" when it is none of these."""
    content = _read(path)
    if content.startswith(_DER):
        return CERTIFICATE
    first = content.decode("ascii", "replace").lstrip().partition("\n")[0].rstrip()
    match = re.fullmatch(r"-----BEGIN ([A-Z ]+)-----", first)
    return match[1] if match else ""


def save_private(path: Path, secret: int) -> None:
    """Write the key with this d as PKCS#8 PEM, unencrypted, mode 0600; ConfigurationError when the file exists."""
    point = PrivateKey.from_secret(secret).public.point
    inner = der.sequence(
        der.integer(1), der.octets(secret.to_bytes(32)), der.element(der.context(1), der.bits(b"\x04" + point))
    )
    _write_new(path, _pem(PRIVATE, der.sequence(der.integer(0), ALGORITHM, der.octets(inner))), 0o600)


def save_public(path: Path, key: PublicKey) -> None:
    """Write SubjectPublicKeyInfo PEM, mode 0644; ConfigurationError when the file exists."""
    _write_new(path, _pem(PUBLIC, public_info(key)), 0o644)


def import_hex(source: Path, target: Path) -> str:
    """Write a raw key, given as hex digits, as PEM; its key id. ConfigurationError when it is no SM2 key.

    A private key is d, 64 digits, sometimes written with a sign octet 00 before it; a public key x || y, 128 digits,
    with or without 04 before it.
    """
    text = b"".join(read_secret(source).split())
    try:
        raw = binascii.unhexlify(text)
        if len(raw) in (32, 33) and (len(raw) == 32 or raw[0] == 0):
            secret = int.from_bytes(raw)
            public = PrivateKey.from_secret(secret).public
            save_private(target, secret)
        else:
            public = PublicKey.from_point(raw)
            save_public(target, public)
    except (binascii.Error, InvalidData) as error:
        raise ConfigurationError(f"{source} does not hold an SM2 key as hex digits") from error
    return key_id(public)


PAIRS = ("hospital-sign", "platform-sign", "platform-encrypt")


def new_folder(folder: Path, *, psk: bool = False) -> tuple[Path, ...]:
    """Make three key pairs, an API key and, for `gm-psk/1`, a pre-shared key in `folder`; the paths written.

    A folder that is new or empty gets mode 0700. ConfigurationError when any of the files exists.
    """
    files = tuple(folder / f"{name}{ending}" for name in PAIRS for ending in (".pem", ".pub.pem"))
    shared = tuple(folder / name for name in (("api.key", "psk.key") if psk else ("api.key",)))
    files += shared
    taken = tuple(str(file) for file in files if os.path.lexists(file))
    if taken:
        raise ConfigurationError("keys exist already and are never overwritten:", faults=taken)
    _make_private(folder)
    for name in PAIRS:
        secret = new_secret()
        save_private(folder / f"{name}.pem", secret)
        save_public(folder / f"{name}.pub.pem", PrivateKey.from_secret(secret).public)
    for file in shared:
        _write_new(file, secrets.token_bytes(32).hex().encode() + b"\n", 0o600)
    return files


def read_secret(path: Path) -> bytes:
    """The bytes of a secret file; ConfigurationError when group or others may read or change it."""
    return _read(path, secret=True)


def _read(path: Path, *, secret: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if secret and os.name == "posix" and mode & 0o077:
                raise ConfigurationError(
                    f"secret file {path} is open to group or others (mode {mode:04o})", hint=f"chmod 600 {path}"
                )
            content = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read key file {path}: {error.strerror}") from error
    if len(content) > _MAX_FILE:
        raise ConfigurationError(f"key file {path} is too long to be one")
    return content


def _read_pem(path: Path, content: bytes) -> tuple[str, bytes, tuple[Certificate, ...]]:
    """Label and body of the key, or of the certificate, in a file; and the certificates that stand behind it.

    It holds PEM (RFC 7468), or one certificate in DER.
    """
    if content.startswith(_DER):
        return CERTIFICATE, content, ()
    lines = [line.strip() for line in content.decode("ascii", "replace").strip().splitlines()]
    begins = [number for number, line in enumerate(lines) if line.startswith(_BEGIN)]
    if len(lines) < 3 or begins[:1] != [0]:
        raise ConfigurationError(f"key file {path} is not PEM")
    (label, body), *others = [
        _block(path, [line for line in lines[start:end] if line])
        for start, end in zip(begins, [*begins[1:], len(lines)], strict=True)
    ]
    if any(other != CERTIFICATE for other, _ in others) or (others and label not in (*_WITH_CHAIN, CERTIFICATE)):
        raise ConfigurationError(f"key file {path} is not one plain PEM block (RFC 7468)", hint=TO_PKCS8)
    return label, body, tuple(_certificate(path, der_bytes) for _, der_bytes in others)


def _block(path: Path, lines: list[str]) -> tuple[str, bytes]:
    label = lines[0].removeprefix(_BEGIN).removesuffix("-----")
    if lines[0] != f"{_BEGIN}{label}-----" or len(lines) < 3:
        raise ConfigurationError(f"key file {path} is not PEM")
    if lines[-1] != f"-----END {label}-----" or any(":" in line for line in lines):
        raise ConfigurationError(f"key file {path} is not one plain PEM block (RFC 7468)", hint=TO_PKCS8)
    try:
        return label, binascii.a2b_base64("".join(lines[1:-1]), strict_mode=True)
    except ValueError as error:
        raise ConfigurationError(f"key file {path} has broken base64") from error


def _certificate(path: Path, body: bytes) -> Certificate:
    try:
        return parse_certificate(body)
    except InvalidData as error:
        raise ConfigurationError(f"certificate in {path}: {error.message}", hint=error.hint) from error


def _pem(label: str, body: bytes) -> bytes:
    lines = textwrap.wrap(binascii.b2a_base64(body, newline=False).decode(), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def _parse_private(body: bytes) -> PrivateKey:
    """The secret of a PrivateKeyInfo (RFC 5208); attributes are ignored."""
    info = der.only_sequence(body)
    if info.integer() != 0:
        raise InvalidData("not PKCS#8 version 1")
    check_algorithm(info)
    key = _parse_ec(info.octets())
    if info.peek() == der.context(0):
        info.element(der.context(0))
    info.end()
    return key


def _parse_ec(body: bytes) -> PrivateKey:
    """The secret of an ECPrivateKey (RFC 5915); a public key beside it must be its own."""
    inner = der.only_sequence(body)
    if inner.integer() != 1:
        raise InvalidData("not an EC private key of version 1")
    key = PrivateKey.from_secret(int.from_bytes(inner.octets()))
    if inner.peek() == der.context(0):
        inner.element(der.context(0))
    if inner.peek() == der.context(1) and uncompressed(der.Reader(inner.element(der.context(1))).bits()) != key.public:
        raise InvalidData("the public key beside the secret is not its own")
    inner.end()
    return key


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(folder.iterdir()):
            folder.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(f"cannot make the folder {folder}: {error.strerror}") from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
    except FileExistsError as error:
        raise ConfigurationError(f"{path} exists already and is never overwritten") from error
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error
