"""Checks of an upload, in order: signature, sender, time, digests, keys, tags, then the exam JSON itself."""

import io
import json
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any

from router.clock import Clock
from router.crypto.symmetric import sm3, sm3_of
from router.trial.platform.access import Replays, within_window
from router.trial.platform.answers import Proof, Refusal, not_allowed, proved_by, unauthorised, wrong
from router.trial.platform.durable import sync
from router.trial.platform.envelope import Meta, read_object
from router.trial.platform.exams import ExamFolder, Receipt
from router.trial.platform.keyring import Account, Keyring
from router.trial.platform.parts import Spooled
from router.trial.platform.profiles import PlatformProfile, profiles
from router.trial.platform.requirements import faults


@dataclass(frozen=True, slots=True)
class Signed:
    """Values of a request's line and headers; these were complete at `arrived`, in Unix seconds."""

    path: str
    headers: Message
    arrived: float


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A 200: the body's bytes, and the function that makes the headers which prove it to be the platform's."""

    idem: str
    body: bytes
    proof: Proof


class Uploads:
    """Accepts uploads of the accounts, each under its own keys and for its own organisation."""

    def __init__(
        self, keyring: Keyring, accounts: Iterable[Account], exams: ExamFolder, clock: Clock, *,
        accept_empty: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._accounts = {one.app: one for one in accounts}
        self._profiles = profiles(keyring, self._accounts.values())
        self._exams = exams
        self._clock = clock
        self._accept_empty = accept_empty
        self._replays = Replays(clock)

    def profile(self, kid: str) -> PlatformProfile:
        """The profile that this key id speaks: the hospital's signing key, or a pre-shared one. Else Refusal 403."""
        found = self._profiles.get(kid)
        if found is None:
            raise not_allowed("unknown signing key")
        return found

    def accept(
        self, profile: PlatformProfile, request: Signed, parts: Mapping[str, Spooled], checked: Callable[[], str]
    ) -> Confirmation:
        """The confirmation once all is durable, else a Refusal, signed since the request is authentic.

        `checked` gives the application whose token it has, or refuses.
        """
        meta = profile.authentic(request.path, request.headers, parts["meta"].file.read())
        proof = partial(profile.proof, meta)
        with proved_by(proof):
            self.require_account(profile, meta.app, meta.org, checked())
            if meta.operation:
                raise wrong("meta: operation is not an upload's")
            return Confirmation(meta.idem, self._accepted(profile, request, meta, parts), proof)

    def _accepted(self, profile: PlatformProfile, request: Signed, meta: Meta, parts: Mapping[str, Spooled]) -> bytes:
        """The body of the confirmation."""
        self.admit(request, meta.ts, meta.nonce)
        require_whole(meta, parts)
        open_part = profile.opener(meta)
        exam = io.BytesIO()
        open_part(meta.parts[0], parts["exam"].file, exam)
        with self._exams.spool_file() as report:
            try:
                open_part(meta.parts[1], parts["report"].file, report)
                sync(report)
                report.seek(0)
                receipt = self._stored(meta, exam.getvalue(), Path(report.name), sm3_of(report).hex())
            finally:
                Path(report.name).unlink(missing_ok=True)
        answer = {"receipt": receipt.receipt, "idem": receipt.idem, "nonce": meta.nonce, "ts": self._now_ms()}
        return json.dumps(answer).encode()

    def require_account(self, profile: PlatformProfile, app: str, org: str, token_app: str) -> None:
        """Refuse a message under another account's name, by another account's key or with another account's token."""
        account = self._accounts.get(app)
        if account is None or account.org not in (None, org):
            raise not_allowed("unknown app or org")
        if profile.sender not in account.senders:
            raise not_allowed("the signing key is another app's")
        if token_app != app:
            raise not_allowed("the token is another app's")

    def admit(self, request: Signed, ts: int, nonce: str) -> None:
        """Refuse a message that is old or repeated."""
        if not within_window(ts, request.arrived) or not self._replays.first_use(nonce):
            raise unauthorised("stale")

    def _stored(self, meta: Meta, exam: bytes, report: Path, report_sm3: str) -> Receipt:
        content = (sm3(exam).hex(), report_sm3)
        receipt = self._exams.known(meta.org, meta.idem)
        if receipt is None:
            branch, folder = self._checked_folder(meta.org, exam)
            receipt = self._exams.store(
                Receipt(
                    receipt=uuid.uuid4().hex, idem=meta.idem, nonce=meta.nonce, ts=self._now_ms(), org=meta.org,
                    app=meta.app, branch=branch, exam=folder, revision=meta.revision, exam_sm3=content[0],
                    report_sm3=report_sm3,
                ), exam, report,
            )  # fmt: skip
        if (receipt.exam_sm3, receipt.report_sm3) != content:
            raise Refusal(409, {"error": "this idem was used for other content"})
        return receipt

    def _checked_folder(self, org: str, exam: bytes) -> tuple[str, str]:
        """Branch and folder of an exam JSON without faults; else Refusal 400 or 422."""
        try:
            document: dict[str, Any] = read_object(exam)
        except (ValueError, RecursionError) as error:
            raise wrong("the exam is not a JSON object") from error
        found = faults(document, self._clock.now(), self._accept_empty)
        found += [] if found or document["USCI"] == org else [("USCI", "not the organisation that sends it")]
        branch = str(document.get("HospitalBranchCode", ""))
        folder = None if found else self._exams.folder(org, branch, document["ExamId"])
        if not found and folder is None:
            found = [("ExamId", "cannot be stored under this name")]
        if folder is None:
            raise Refusal(422, {"errors": [{"path": path, "message": message} for path, message in found]})
        return branch, folder

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def require_whole(meta: Meta, parts: Mapping[str, Spooled]) -> None:
    """Refusal 400 where a part is not what meta describes."""
    for part in meta.parts:
        if parts[part.name].length != part.length or parts[part.name].digest.digest().hex() != part.sm3:
            raise wrong(f"length or digest of {part.name} does not match")
