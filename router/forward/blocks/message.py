"""The message that a profile's functions are given: facts of one call, its random values, and what its keys do.

A message is frozen: the same one gives the same request, but for what SM2 draws by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from router.crypto.ring import Ring
from router.crypto.sm2 import PrivateKey, PublicKey
from router.crypto.sm2_forms import Ciphertext, Signature, ciphertext_as, ciphertext_from, signature_as, signature_from
from router.crypto.symmetric import equal, hkdf_sm3
from router.errors import ConfigurationError, InvalidData, Unproven
from router.forward.answer import Proof
from router.forward.blocks.text import Bytes, raw
from router.forward.blocks.trace import note
from router.forward.blocks.values import Document, Page, Piece, Secret

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of an account. `files` are all that were read; a ring is None where no file is configured."""

    api_key: bytes = field(repr=False)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    signing: Ring[PrivateKey] | None = None
    platform_signing: Ring[PublicKey] | None = None
    platform_encryption: Ring[PublicKey] | None = None
    shared: Ring[bytes] | None = None
    files: tuple[Path, ...] = ()

    @property
    def pinned(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the platform's keys, by purpose."""
        rings = {"signing": self.platform_signing, "encryption": self.platform_encryption}
        return {purpose: ring.ids() for purpose, ring in rings.items() if ring is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One call: `ts` is Unix milliseconds, `nonce` base64url of 16 random bytes, `base` the path of the url.

    `idem` names this content of this exam for this destination and nothing of the patient; `revision` counts uploads.
    `kept` is what calls before it kept, `piece` the part of a `Parts` call. `notice` of a withdrawal: ExamId,
    HospitalBranchCode, Revision, WithdrawnTime, Reason, and Idem and Receipt of the upload that is withdrawn; its own
    `idem` names the withdrawal. `page` of an inventory is what is asked for. `spool` is a folder
    for ciphertext, gone after the call.
    """

    app: str
    org: str
    idem: str
    revision: int
    ts: int
    nonce: str
    seed: bytes = field(repr=False)
    base: str
    spool: Path
    token: str = ""
    vouched: bool = False
    exam: Document | None = None
    report: Document | None = None
    piece: Piece | None = None
    kept: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    notice: Mapping[str, str] = field(default_factory=dict)
    page: Page | None = None
    profile: str = ""
    keys: Keys | None = field(default=None, repr=False)

    @property
    def at(self) -> datetime:
        """The time of the call, aware."""
        return datetime.fromtimestamp(self.ts / 1000, UTC)

    @property
    def api_key(self) -> Secret:
        """The interface key (接口密钥) of api_key_file."""
        return Secret("api_key_file", self._keys.api_key)

    def secret(self, name: str) -> Secret:
        """The secret of this name in [destination.http.secrets]; KeyError without one."""
        try:
            return self._keys.secrets[name]
        except KeyError:
            raise KeyError(f"secrets lacks {name}") from None

    def random(self, purpose: str, size: int) -> bytes:
        """Random bytes for one purpose: of this message the same ones each time, of another one others."""
        return hkdf_sm3(self.seed, b"profile", purpose.encode(), size)

    @property
    def signing_id(self) -> str:
        """The id of our signing key in use."""
        return self._ring("signing", self._keys.signing).active(self.at).id

    def sign(self, text: Bytes, form: Signature = "der") -> bytes:
        """Our SM2 signature with SM3 of the text: `der`, or `rs` for r || s."""
        entry = self._ring("signing", self._keys.signing).active(self.at)
        note("SM2 signature", f"signing key {entry.id}", text)
        return signature_as(entry.key.sign(raw(text)), form)

    def decrypt(self, ciphertext: bytes, form: Ciphertext = "der") -> bytes:
        """Decrypt a text of the platform by our key. Raises IntegrityError or InvalidData when it does not decrypt."""
        entry = self._ring("signing", self._keys.signing).active(self.at)
        plain = entry.key.decrypt(ciphertext_from(ciphertext, form))
        note("SM2, decrypted", f"signing key {entry.id}", plain)
        return plain

    @property
    def encryption_id(self) -> str:
        """The id of the platform's encryption key in use."""
        return self._ring("platform_encryption", self._keys.platform_encryption).active(self.at).id

    def encrypt(self, data: bytes, form: Ciphertext = "der") -> bytes:
        """SM2 encryption of 1 to 255 bytes, such as a key, for the platform: `der`, `c1c3c2` or `c1c2c3`."""
        entry = self._ring("platform_encryption", self._keys.platform_encryption).active(self.at)
        note("SM2 encryption", f"platform encryption key {entry.id}", data)
        return ciphertext_as(entry.key.encrypt(data), form)

    def proof(self, text: Bytes, signature: bytes, *, form: Signature = "der", key_id: str = "") -> Proof:
        """The proof that the platform signed the text; Unproven when it did not. "": any of its keys in force."""
        ring = self._ring("platform_signing", self._keys.platform_signing)
        able = [one for one in ring.entries if one.is_good(self.at) and key_id in ("", one.id)]
        try:
            written = signature_from(signature, form)
        except InvalidData:
            written = b""
        signer = next((one for one in able if one.key.verify(raw(text), written)), None)
        if signer is None:
            hint = "compare platform_signing_key_file (keys show) with the platform's"
            raise Unproven("the answer's signature does not verify", hint=hint, expected=", ".join(ring.ids()))
        return self._proof(signer.id, written, raw(text))

    def code_proof(self, key: Secret, text: Bytes, code: bytes, expected: bytes) -> Proof:
        """The proof by a code (HMAC) over the text, as given and as `expected`; Unproven when they differ."""
        if not equal(code, expected):
            raise Unproven("the answer's code (HMAC) does not verify", hint=f"compare {key.name} with the platform's")
        return self._proof(key.name, code, raw(text))

    def _proof(self, key_id: str, signature: bytes, text: bytes) -> Proof:
        return Proof(profile=self.profile, key_id=key_id, signature=signature, text=text, request_keys=self.used())

    def used(self) -> Mapping[str, str]:
        """Ids of the keys that a message of this time is made with, by purpose."""
        rings = {"signing": self._keys.signing, "platform_encryption": self._keys.platform_encryption}
        return {purpose: ring.active(self.at).id for purpose, ring in rings.items() if ring is not None}

    @property
    def _keys(self) -> Keys:
        if self.keys is None:
            raise ConfigurationError("this message has no keys")
        return self.keys

    @staticmethod
    def _ring(purpose: str, ring: Ring[_Key] | None) -> Ring[_Key]:
        if ring is None:
            raise ConfigurationError(f"keys lacks {purpose}_key_file")
        return ring
