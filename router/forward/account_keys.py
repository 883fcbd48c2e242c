"""The keys of an account at a destination, read from its files for any profile."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from router.config.sections import HttpDestination
from router.crypto.keys import key_id, load_api_key, load_private, load_psk, load_public, psk_id, read_secret
from router.crypto.ring import Ring, load_ring
from router.crypto.sm2 import PrivateKey, PublicKey
from router.errors import ConfigurationError
from router.forward.blocks.message import Keys
from router.forward.blocks.values import Secret
from router.forward.certified import PURPOSES, validity
from router.forward.passphrase import signing_key_passphrase

KEY_SETTINGS = ("signing_key_file", "platform_signing_key_file", "platform_encryption_key_file", "psk_file")


def load_keys(destination: HttpDestination, needed: tuple[str, ...], secrets: tuple[str, ...] = ()) -> Keys:
    """The keys of these settings and the secrets of these names; ConfigurationError names a fault.

    The platform's keys may be rings of keys, and so may ours.
    """
    rings = {setting: _RINGS[setting](destination) for setting in needed}
    found = {name: _secret(destination, name) for name in secrets}
    keys = Keys(
        api_key=load_api_key(destination.api_key_file), secrets=found, signing=rings.get("signing_key_file"),
        platform_signing=rings.get("platform_signing_key_file"),
        platform_encryption=rings.get("platform_encryption_key_file"), shared=rings.get("psk_file"),
    )  # fmt: skip
    files = [file for ring in rings.values() for file in ring.files]
    return replace(keys, files=(*files, *(destination.secrets[name] for name in secrets)))


def _signing(destination: HttpDestination) -> Ring[PrivateKey]:
    file, ours = destination.key_file("signing_key_file"), signing_key_passphrase(destination)
    return load_ring(
        file, "signing key", lambda path: load_private(path, ours), lambda key: key_id(key.public),
        validity(destination, "signing_key_file"),
    )  # fmt: skip


def _platforms(setting: str) -> Callable[[HttpDestination], Ring[PublicKey]]:
    purpose, _ = PURPOSES[setting]
    return lambda one: load_ring(one.key_file(setting), purpose, load_public, key_id, validity(one, setting))


def _shared(destination: HttpDestination) -> Ring[bytes]:
    return load_ring(destination.key_file("psk_file"), "pre-shared key", load_psk, psk_id)


def _secret(destination: HttpDestination, name: str) -> Secret:
    file: Path = destination.secrets[name]
    line = (read_secret(file).splitlines() or [b""])[0].strip()
    if not line:
        raise ConfigurationError(f"secret file {file} is empty")
    return Secret(name, line)


_RINGS: dict[str, Callable[[HttpDestination], Ring[Any]]] = {
    "signing_key_file": _signing,
    "platform_signing_key_file": _platforms("platform_signing_key_file"),
    "platform_encryption_key_file": _platforms("platform_encryption_key_file"),
    "psk_file": _shared,
}
