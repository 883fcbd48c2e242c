"""Withdrawals of exams (profile gm-envelope/1, section 4), each durable before its receipt is sent."""

import io
import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from router.clock import Clock
from router.crypto.symmetric import sm3
from router.trial.platform.answers import Refusal, proved_by, wrong
from router.trial.platform.durable import sync
from router.trial.platform.envelope import Meta, read_object
from router.trial.platform.exams import ExamFolder
from router.trial.platform.parts import Spooled
from router.trial.platform.profiles import PlatformProfile
from router.trial.platform.uploads import Confirmation, Signed, Uploads, require_whole

_FIELDS = {"ExamId": str, "HospitalBranchCode": str, "Revision": int, "WithdrawnTime": str, "Reason": str}


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A line of withdrawals.jsonl: the exam's folder and the revision up to which it is withdrawn."""

    receipt: str
    idem: str
    ts: int
    org: str
    exam: str
    revision: int
    notice_sm3: str


class Withdrawals:
    """Accepts withdrawals of the exams that `exams` has, from the senders of `uploads`."""

    def __init__(self, data: Path, uploads: Uploads, exams: ExamFolder, clock: Clock) -> None:
        self._file = data / "withdrawals.jsonl"
        self._uploads = uploads
        self._exams = exams
        self._clock = clock
        self._lock = threading.Lock()
        text = self._file.read_text() if self._file.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # one that is cut off was never confirmed
        self._known = {(one.org, one.idem): one for one in (Withdrawal(**json.loads(line)) for line in lines)}

    def withdrawn(self, org: str) -> dict[str, int]:
        """The last withdrawn revision of each exam of the organisation, by its folder."""
        found: dict[str, int] = {}
        for one in list(self._known.values()):
            if one.org == org:
                found[one.exam] = max(one.revision, found.get(one.exam, 0))
        return found

    def accept(
        self, profile: PlatformProfile, request: Signed, parts: Mapping[str, Spooled], checked: Callable[[], str]
    ) -> Confirmation:
        """The confirmation once it is durable, else a Refusal, signed; 404 for an exam that is not here."""
        meta = profile.authentic(request.path, request.headers, parts["meta"].file.read())
        proof = partial(profile.proof, meta)
        with proved_by(proof):
            self._uploads.require_account(profile, meta.app, meta.org, checked())
            self._uploads.admit(request, meta.ts, meta.nonce)
            if meta.operation != "withdraw":
                raise wrong("meta: operation is not withdraw")
            require_whole(meta, parts)
            notice = io.BytesIO()
            profile.opener(meta)(meta.parts[0], parts["notice"].file, notice)
            done = self._stored(meta, notice.getvalue())
            answer = {"receipt": done.receipt, "idem": done.idem, "nonce": meta.nonce, "ts": self._now_ms()}
            return Confirmation(meta.idem, json.dumps(answer).encode(), proof)

    def _stored(self, meta: Meta, notice: bytes) -> Withdrawal:
        digest = sm3(notice).hex()
        with self._lock:
            if (known := self._known.get((meta.org, meta.idem))) is not None:
                if known.notice_sm3 != digest:
                    raise Refusal(409, {"error": "this idem was used for other content"})
                return known
            document = _read(notice)
            latest = self._exams.latest(meta.org, document["HospitalBranchCode"], document["ExamId"])
            if latest is None:
                raise Refusal(404, {"error": "unknown"})
            done = Withdrawal(
                receipt=uuid.uuid4().hex, idem=meta.idem, ts=self._now_ms(), org=meta.org, exam=latest.exam,
                revision=meta.revision, notice_sm3=digest,
            )  # fmt: skip
            with self._file.open("ab") as file:
                file.write(json.dumps(asdict(done)).encode() + b"\n")
                sync(file)
            self._known[done.org, done.idem] = done
            return done

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _read(notice: bytes) -> dict[str, Any]:
    """The notice; Refusal 400 when a field is missing, 422 when it is of another kind."""
    try:
        document = read_object(notice)
    except (ValueError, RecursionError) as error:
        raise wrong("the notice is not a JSON object") from error
    faults = [
        {"path": name, "message": "missing or of the wrong kind"}
        for name, kind in _FIELDS.items()
        if type(document.get(name)) is not kind
    ]
    if faults:
        raise Refusal(422, {"errors": faults})
    return dict(document)
