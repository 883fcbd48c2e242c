"""The certificates of a destination's keys: checked against its CAs when they are loaded, and when they end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from router.config.sections import HttpDestination
from router.crypto.keys import certificates_in, certified, key_id, load_authorities
from router.crypto.ring import load_ring
from router.crypto.sm2_certificates import Certificate, Use, Validity
from router.errors import ConfigurationError

PURPOSES: dict[str, tuple[str, Use]] = {
    "signing_key_file": ("signing key", Use.SIGN),
    "platform_signing_key_file": ("platform signing key", Use.SIGN),
    "platform_encryption_key_file": ("platform encryption key", Use.ENCRYPT),
}
"""The keys that may have certificates, by the setting that names their file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A purpose for which certified keys are used until `ends`, aware; None: the files do not read."""

    purpose: str
    file: Path
    ends: datetime | None


def validity(destination: HttpDestination, setting: str) -> Callable[[Path], Validity | None]:
    """The check of a key file under this setting; the CAs are read once, now.

    ConfigurationError: a certificate does not lead to the CAs of key_ca_file or is for another use; the platform's key
    has none although there are CAs; or there are no CAs.
    """
    authorities = load_authorities(destination.key_ca_file) if destination.key_ca_file is not None else ()
    required = bool(authorities) and setting.startswith("platform_")
    _, use = PURPOSES[setting]
    return lambda path: certified(path, authorities, use, required=required)


def endings(destination: HttpDestination) -> Iterator[Ending]:
    """The ends of the keys that have certificates."""
    for setting, (purpose, _) in PURPOSES.items():
        file: Path | None = getattr(destination, setting)
        if file is None:
            continue
        try:
            ring = load_ring(file, purpose, certificates_in, _id_of, validity(destination, setting))
        except ConfigurationError:
            yield Ending(purpose=purpose, file=file, ends=None)
            continue
        if (ends := ring.ends()) is not None:
            yield Ending(purpose=purpose, file=file, ends=ends)


def _id_of(chain: tuple[Certificate, ...]) -> str:
    """A key's id by its certificate: its private part stays unread. "" without one."""
    return key_id(chain[0].key) if chain else ""
