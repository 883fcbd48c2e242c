"""What comes from outside, bent at random for a bounded time: it is refused in our own words or read, never a crash."""

import io
import json
import random
import time
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import pytest

from router.crypto import keys, pkcs8, sm2_der, spki
from router.crypto.der import Reader
from router.crypto.sm2 import PrivateKey
from router.errors import ConfigurationError, InvalidData
from router.trial.platform.answers import Refusal
from router.trial.platform.body import Body
from router.trial.platform.envelope import Shape, read_meta
from router.trial.platform.parts import receive

SECONDS = 0.2
REFUSED = (InvalidData, ConfigurationError, Refusal)
D = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8


def bent(data: bytes, dice: random.Random) -> bytes:
    """A few octets changed, dropped or doubled."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(changed) + 1)
        changed[at : at + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
    return bytes(changed)


def fuzz(seeds: list[bytes], read: Callable[[bytes], object]) -> None:
    """Bend the seeds until the time is up; a failure names what it met."""
    dice, until, tried, refused = random.Random(8), time.monotonic() + SECONDS, 0, 0
    while time.monotonic() < until or tried < 20:
        data = bent(dice.choice(seeds), dice)
        tried += 1
        try:
            read(data)
        except REFUSED:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} on {data.hex()}") from error
    assert refused, "nothing was refused: the seeds are not read at all"


def test_der_of_signatures_ciphertexts_and_public_keys() -> None:
    point = PrivateKey.from_secret(D).public
    ciphertext = point.encrypt(b"session key")
    fuzz([sm2_der.write_signature(D, D)], sm2_der.read_signature)
    fuzz([ciphertext], sm2_der.read_ciphertext)
    fuzz([spki.public_info(point)], spki.parse_public)
    fuzz([bytes.fromhex("06082a811ccf550182 2d")], lambda data: Reader(data).oid())


def test_encrypted_keys() -> None:
    tree = bytes.fromhex("3010") + b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d\x30\x03\x02\x01\x01"
    fuzz([tree + b"\x04\x10" + bytes(16), b"\x30" + bytes([len(tree) + 18]) + tree + b"\x04\x10" + bytes(16)],
         lambda data: pkcs8.decrypt(data, b"x"))  # fmt: skip


def test_pem_files(tmp_path: Path) -> None:
    keys.save_private(tmp_path / "private", D)
    keys.save_public(tmp_path / "public", PrivateKey.from_secret(D).public)

    def read(data: bytes) -> None:
        (tmp_path / "bent").write_bytes(data)
        (tmp_path / "bent").chmod(0o600)
        keys.label_of(tmp_path / "bent")
        keys.load_public(tmp_path / "bent")

    fuzz([(tmp_path / "public").read_bytes()], read)
    fuzz([(tmp_path / "private").read_bytes()], lambda data: read_private(tmp_path, data))


def read_private(folder: Path, data: bytes) -> None:
    (folder / "bent").write_bytes(data)
    (folder / "bent").chmod(0o600)
    keys.load_private(folder / "bent")


META = {
    "profile": "gm-envelope/1", "org": "o", "app": "a", "ts": 1, "nonce": "A" * 22, "idem": "i", "revision": 1,
    "key": {"alg": "SM4-GCM", "platform_kid": "0" * 16, "wrapped": "AAAA"},
    "parts": [
        {"name": name, "iv": "A" * 16, "tag": "A" * 22 + "==", "length": 1, "sm3": "0" * 64}
        for name in ("exam", "report")
    ],
}  # fmt: skip


def test_meta() -> None:
    shape = Shape("gm-envelope/1", "SM4-GCM", iv=12, tag=16)
    read_meta(json.dumps(META).encode(), shape)
    fuzz([json.dumps(META).encode()], lambda data: read_meta(data, shape))


@pytest.mark.parametrize("chunked", [False, True])
def test_multipart_bodies(tmp_path: Path, chunked: bool) -> None:
    whole = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {kind}\r\n\r\n{name}\r\n'.encode()
        for name, kind in (("meta", "application/json"), ("exam", "application/octet-stream"),
                           ("report", "application/octet-stream"))
    ) + b"--x--\r\n"  # fmt: skip
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(whole), whole) if chunked else whole

    def read(data: bytes) -> set[str]:
        headers = Message()
        headers["Content-Type"] = "multipart/form-data; boundary=x"
        headers["Transfer-Encoding" if chunked else "Content-Length"] = "chunked" if chunked else str(len(data))
        with receive(Body(io.BytesIO(data), headers, 2**20), headers, tmp_path) as parts:
            return set(parts)

    assert read(body) == {"meta", "exam", "report"}
    fuzz([body], read)
    assert not list(tmp_path.iterdir())
