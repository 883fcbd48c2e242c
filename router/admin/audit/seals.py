"""A node's own keys for its audit trail: one that seals records, an SM2 pair that signs heads.

Both are made at the first start, 0600, in the data folder. They protect against anyone who can write the trail's files
but not read the keys: not against root or a process under the node's account.
"""

import base64
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from router.config.sections import Config
from router.crypto.curve import new_secret
from router.crypto.keys import key_id, load_api_key, load_private, save_private
from router.crypto.sm2 import PrivateKey, PublicKey
from router.crypto.symmetric import hmac_sm3, sm3
from router.errors import ConfigurationError
from router.model import Head
from router.storage.durable import make_folder, write
from router.storage.lock import take
from router.storage.trail import Key, Record, Trail

FOLDER = "node-keys"
_SEAL, _SIGN, _LOCK = "audit-seal.key", "audit-sign.pem", ".lock"
_KEY_ID = b"audit-seal/1"
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Seals:
    """The two keys; `id` is the signing key's."""

    key: Key
    signing: PrivateKey
    id: str

    def sign(self, node: str, record: Record, at: str, accepted: str = "") -> Head:
        """The head that says: the trail ends with this record."""
        head = Head(
            node=node, n=record.n, seal=record.seal, at=at, chain=record.key, key=self.id, signature="",
            accepted=accepted,
        )  # fmt: skip
        return replace(head, signature=base64.b64encode(self.signing.sign(signed_text(head))).decode())


def signed_text(head: Head) -> bytes:
    """The bytes that a head's signature is over, a field a line."""
    fields = ("audit-head/1", head.node, str(head.n), head.seal, head.at, head.chain, head.key, head.accepted)
    return "".join(f"{field}\n" for field in fields).encode()


def is_signed(head: Head, key: PublicKey) -> bool:
    """Whether this key signed the head."""
    try:
        return key.verify(signed_text(head), base64.b64decode(head.signature, validate=True))
    except ValueError:
        return False


def head_faults(heads: Sequence[Head], trail: Trail, seals: Seals | None, oldest: datetime) -> Iterator[str]:
    """Faults of the heads since the last accepted one, in words; records of before `oldest` may be purged."""
    accepted = max((i for i, head in enumerate(heads) if head.accepted), default=0)
    for head in heads[accepted:]:
        record = trail.at(head.n)
        if record is None and datetime.fromisoformat(head.at) >= oldest:
            yield f"record {head.n}, which was signed at {head.at}, is not there any more"
        elif record is not None and record.seal != head.seal:
            yield f"record {head.n} is not the one that was signed at {head.at}"
        if seals is None or head.key != seals.id:
            yield f"the head of record {head.n} was signed by key {head.key}, which is not here"
        elif not is_signed(head, seals.signing.public):
            yield f"the head of record {head.n} is not signed by key {head.key}"


def seals_of(data: Path, node: str) -> Seals:
    """The node's keys, made if there are none; ConfigurationError if a file is unusable or cannot be made."""
    folder = data / FOLDER / node
    try:
        if not ((folder / _SEAL).exists() and (folder / _SIGN).exists()):
            _make(folder)
    except OSError as error:
        text = f"the keys of the audit trail cannot be made: {error.strerror}"
        raise ConfigurationError(text, hint=f"see the rights of {folder}") from error
    return _load(folder)


def seals_here(data: Path, node: str) -> Seals | None:
    """The node's keys; None if there are none."""
    folder = data / FOLDER / node
    return _load(folder) if (folder / _SEAL).exists() and (folder / _SIGN).exists() else None


def _load(folder: Path) -> Seals:
    secret = load_api_key(folder / _SEAL)
    signing = load_private(folder / _SIGN)
    key = Key(hmac_sm3(secret, _KEY_ID)[:8].hex(), lambda data: hmac_sm3(secret, data))
    return Seals(key, signing, key_id(signing.public))


def _make(folder: Path) -> None:
    """Write a key durably and never in part; several processes may start at once."""
    make_folder(folder)
    with take(folder / _LOCK, _PATIENCE) as alone:
        if not alone:
            raise TimeoutError(0, "another process makes them")
        if not (folder / _SEAL).exists():
            write(folder / _SEAL, secrets.token_hex(32).encode())
        if not (folder / _SIGN).exists():
            part = folder / f"{_SIGN}.new"
            part.unlink(missing_ok=True)
            save_private(part, new_secret())
            write(folder / _SIGN, part.read_bytes())
            part.unlink()


def trail_of(config: Config, node: str, seals: Seals | None = None) -> Trail:
    """The audit trail of a node on this data folder; without `seals`, with the keys that are here."""
    known = seals or seals_here(config.node.data, node)
    return Trail(config.node.data / "audit" / node, sm3, known.key if known else None)
