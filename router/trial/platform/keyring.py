"""The platform's side of a keys folder."""

from dataclasses import dataclass
from pathlib import Path

from router.crypto.keys import load_api_key, load_private, load_psk, load_public
from router.crypto.sm2 import PrivateKey, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Keys of both sides and the interface key (接口密钥). `psk` of `gm-psk/1`; None: that profile is not spoken."""

    hospital_sign: PublicKey
    platform_sign: PrivateKey
    platform_encrypt: PrivateKey
    api_key: bytes
    psk: bytes | None


def read_keyring(folder: Path) -> Keyring:
    """The keys from their files, `psk.key` if it is there; ConfigurationError names one that is missing or wrong."""
    psk = folder / "psk.key"
    return Keyring(
        hospital_sign=load_public(folder / "hospital-sign.pub.pem"),
        platform_sign=load_private(folder / "platform-sign.pem"),
        platform_encrypt=load_private(folder / "platform-encrypt.pem"), api_key=load_api_key(folder / "api.key"),
        psk=load_psk(psk) if psk.exists() else None,
    )  # fmt: skip
