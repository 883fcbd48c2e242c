"""What is asked of an upload, in order: signature, sender, time, digests, keys, tags, then the exam JSON itself."""

import base64
import binascii
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from router.clock import Clock
from router.crypto.keys import key_id
from router.crypto.symmetric import Sm3, sm3, unseal
from router.errors import IntegrityError, InvalidData
from router.platform.access import Replays, within_window
from router.platform.answers import Refusal, not_allowed, unauthorised, wrong
from router.platform.durable import sync
from router.platform.envelope import Meta, Part, read_meta, read_object
from router.platform.exams import ExamFolder, Receipt, folder_name, new_receipt_id
from router.platform.keyring import Keyring
from router.platform.parts import Spooled
from router.platform.requirements import faults


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request's line and headers say; `arrived` in Unix seconds, when the headers were complete."""

    path: str
    signature: str
    arrived: float


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A 200: the body's bytes, and the platform's signature over them in base64."""

    idem: str
    body: bytes
    signature: str
    key_id: str


class Uploads:
    """Takes uploads of one application; `org` None: of any organisation."""

    def __init__(
        self, keyring: Keyring, exams: ExamFolder, clock: Clock, *, app: str, org: str | None,
        accept_empty: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._keyring = keyring
        self._exams = exams
        self._clock = clock
        self._app = app
        self._org = org
        self._accept_empty = accept_empty
        self._replays = Replays(clock)
        self._hospital_kid = key_id(keyring.hospital_sign)
        self._encrypt_kid = key_id(keyring.platform_encrypt.public)
        self._sign_kid = key_id(keyring.platform_sign.public)

    def check_key(self, kid: str) -> None:
        """Refusal 403 unless this is the id of the hospital's signing key."""
        if kid != self._hospital_kid:
            raise not_allowed("unknown signing key")

    def accept(self, request: Signed, parts: Mapping[str, Spooled]) -> Confirmation:
        """The confirmation once everything is durable; a Refusal for what is not as it must be."""
        meta = self._authenticated(request, parts["meta"].file.read())
        for part in meta.parts:
            _check_digest(part, parts[part.name])
        key = self._session_key(meta)
        exam = io.BytesIO()
        self._unseal(meta, 0, key, parts, exam)
        with self._exams.spool_file() as report:
            try:
                self._unseal(meta, 1, key, parts, report)
                sync(report)
                receipt = self._stored(meta, exam.getvalue(), Path(report.name), _digest_of(report))
            finally:
                Path(report.name).unlink(missing_ok=True)
        return self._confirmation(receipt, meta.nonce)

    def _authenticated(self, request: Signed, data: bytes) -> Meta:
        signed = f"GM1\nPOST\n{request.path}\n{sm3(data).hex()}\n".encode()
        try:
            signature = base64.b64decode(request.signature, validate=True)
        except (binascii.Error, ValueError) as error:
            raise wrong("signature: not base64") from error
        if not self._keyring.hospital_sign.verify(signed, signature):
            raise wrong("signature does not match")
        meta = read_meta(data)
        if meta.app != self._app or self._org not in (None, meta.org):
            raise not_allowed("unknown app or org")
        if not within_window(meta.ts, request.arrived) or not self._replays.first_use(meta.nonce):
            raise unauthorised("stale")
        return meta

    def _session_key(self, meta: Meta) -> bytes:
        if meta.platform_kid != self._encrypt_kid:
            raise not_allowed("platform_kid is not this platform's encryption key")
        try:
            key = self._keyring.platform_encrypt.decrypt(meta.wrapped)
        except (InvalidData, IntegrityError) as error:
            raise wrong("the session key does not unwrap") from error
        if len(key) != 16:
            raise wrong("the session key is not 16 bytes long")
        return key

    def _unseal(self, meta: Meta, place: int, key: bytes, parts: Mapping[str, Spooled], sink: BinaryIO) -> None:
        part = meta.parts[place]
        try:
            unseal(key, part.iv, meta.aad(part.name), part.tag, parts[part.name].file, sink)
        except IntegrityError as error:
            raise wrong(f"the tag of {part.name} does not match") from error

    def _stored(self, meta: Meta, exam: bytes, report: Path, report_sm3: str) -> Receipt:
        content = (sm3(exam).hex(), report_sm3)
        receipt = self._exams.known(meta.idem)
        if receipt is None:
            folder = self._checked_folder(exam)
            receipt = self._exams.store(
                Receipt(
                    new_receipt_id(), meta.idem, meta.nonce, self._now_ms(), meta.org, meta.app, folder, meta.revision,
                    *content,
                ), exam, report,
            )  # fmt: skip
        if (receipt.exam_sm3, receipt.report_sm3) != content:
            raise Refusal(409, {"error": "this idem was used for other content"})
        return receipt

    def _checked_folder(self, exam: bytes) -> str:
        """The folder's name of an exam JSON that has what is required; else Refusal 400 or 422."""
        try:
            document: dict[str, Any] = read_object(exam)
        except (ValueError, RecursionError) as error:
            raise wrong("the exam is not a JSON object") from error
        found = faults(document, self._clock.now(), self._accept_empty)
        folder = None if found else folder_name(document["ExamId"])
        if not found and folder is None:
            found = [("ExamId", "cannot be stored under this name")]
        if folder is None:
            raise Refusal(422, {"errors": [{"path": path, "message": message} for path, message in found]})
        return folder

    def _confirmation(self, receipt: Receipt, nonce: str) -> Confirmation:
        answer = {"receipt": receipt.receipt, "idem": receipt.idem, "nonce": nonce, "ts": self._now_ms()}
        body = json.dumps(answer).encode()
        signature = self._keyring.platform_sign.sign(f"GM1-RESP\n200\n{nonce}\n{sm3(body).hex()}\n".encode())
        return Confirmation(receipt.idem, body, base64.b64encode(signature).decode(), self._sign_kid)

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _check_digest(part: Part, received: Spooled) -> None:
    if received.length != part.length or received.digest.digest().hex() != part.sm3:
        raise wrong(f"length or digest of {part.name} does not match")


def _digest_of(file: BinaryIO) -> str:
    digest = Sm3()
    file.seek(0)
    while chunk := file.read(256 * 1024):
        digest.update(chunk)
    return digest.digest().hex()
