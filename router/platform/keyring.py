"""The platform's side of a keys folder."""

from dataclasses import dataclass
from pathlib import Path

from router.crypto.keys import load_api_key, load_private, load_public
from router.crypto.sm2 import PrivateKey, PublicKey


@dataclass(frozen=True, slots=True)
class Keyring:
    """The hospital's public signing key, the platform's own two keys, the shared interface key (接口密钥)."""

    hospital_sign: PublicKey
    platform_sign: PrivateKey
    platform_encrypt: PrivateKey
    api_key: bytes


def read_keyring(folder: Path) -> Keyring:
    """The four keys from their files; ConfigurationError names the file that is missing or wrong."""
    return Keyring(
        load_public(folder / "hospital-sign.pub.pem"),
        load_private(folder / "platform-sign.pem"),
        load_private(folder / "platform-encrypt.pem"),
        load_api_key(folder / "api.key"),
    )
