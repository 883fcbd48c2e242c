"""The platform's side of keys folders: its own keys, and those of each hospital's account."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from router.crypto.keys import key_id, load_api_key, load_private, load_psk, load_public, psk_id
from router.crypto.sm2 import PrivateKey, PublicKey
from router.errors import ConfigurationError

_ACCOUNT = re.compile(r"(?P<app>[A-Za-z0-9._-]{1,64})(:(?P<org>[A-Za-z0-9._-]{1,64}))?(=(?P<keys>.+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Keys of both sides and the interface key (接口密钥). `psk` of `gm-psk/1`; None: that profile is not spoken."""

    hospital_sign: PublicKey
    platform_sign: PrivateKey
    platform_encrypt: PrivateKey
    api_key: bytes
    psk: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An application that may send: for the hospital `org`, for any where that is None; with keys of its own."""

    app: str
    org: str | None
    hospital_sign: PublicKey
    api_key: bytes
    psk: bytes | None

    @property
    def senders(self) -> frozenset[str]:
        """Ids of the keys that may authenticate its uploads."""
        return frozenset({key_id(self.hospital_sign), *([psk_id(self.psk)] if self.psk is not None else [])})


def read_keyring(folder: Path) -> Keyring:
    """The keys from their files, `psk.key` if it is there; ConfigurationError names one that is missing or wrong."""
    psk = folder / "psk.key"
    return Keyring(
        hospital_sign=load_public(folder / "hospital-sign.pub.pem"),
        platform_sign=load_private(folder / "platform-sign.pem"),
        platform_encrypt=load_private(folder / "platform-encrypt.pem"), api_key=load_api_key(folder / "api.key"),
        psk=load_psk(psk) if psk.exists() else None,
    )  # fmt: skip


def account_of(keyring: Keyring, app: str, org: str | None = None) -> Account:
    """The account that has the hospital's keys of the platform's own folder."""
    return Account(
        app=app, org=org, hospital_sign=keyring.hospital_sign, api_key=keyring.api_key, psk=keyring.psk
    )  # fmt: skip


def read_accounts(keyring: Keyring, given: Iterable[str]) -> tuple[Account, ...]:
    """Accounts as `NAME`, `NAME:USCI`, `NAME:USCI=FOLDER` with the hospital's half of a keys folder of its own.

    ConfigurationError for another form, or two of one name.
    """
    found: dict[str, Account] = {}
    for text in given:
        one = _read_account(keyring, text)
        if one.app in found:
            raise ConfigurationError(f"--app: two are named {one.app}")
        found[one.app] = one
    return tuple(found.values())


def _read_account(keyring: Keyring, text: str) -> Account:
    matched = _ACCOUNT.fullmatch(text)
    if matched is None:
        raise ConfigurationError(f"--app {text}: expected NAME, NAME:USCI or NAME:USCI=FOLDER")
    app, org, keys = matched["app"], matched["org"], matched["keys"]
    if keys is None:
        return account_of(keyring, app, org)
    folder = Path(keys)
    psk = folder / "psk.key"
    return Account(
        app=app, org=org, hospital_sign=load_public(folder / "hospital-sign.pub.pem"),
        api_key=load_api_key(folder / "api.key"), psk=load_psk(psk) if psk.exists() else None,
    )  # fmt: skip
