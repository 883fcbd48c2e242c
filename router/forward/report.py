"""The report agent, which sends exam JSON and PDF to a destination's HTTP interface, by any profile."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from router.clock import Clock
from router.config.sections import HttpDestination
from router.errors import Damaged, NotOffered, TransientError, Unproven
from router.forward import progress
from router.forward.answer import Answer, Proof, Receipt, date_of
from router.forward.blocks.message import Message
from router.forward.blocks.values import Document, Page, Piece
from router.forward.blocks.verdict import Accepted, Listed, Renew, Unknown
from router.forward.conversation import Conversation, Said
from router.forward.credentials import Credentials
from router.forward.http import DEFAULT_LIMITS, Limits, Session
from router.forward.inventory import Inventory, gathered
from router.forward.meaning import error_of
from router.forward.outline import Step
from router.forward.profiles import Profile
from router.forward.progress import Progress
from router.policy.bandwidth import Paced, unbounded

__all__ = ["Notice", "Receipt", "ReportAgent", "Upload"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One revision of one exam for one destination; `org` is the USCI (统一社会信用代码) of the exam's hospital.

    Checksums are SHA-256 of files as they came, "" where unknown. `progress` is a file beside what is sent, in which a
    profile of several calls notes how far it has come; without one it begins anew after a restart.
    """

    org: str
    idem: str
    revision: int
    exam_file: Path
    report_file: Path
    exam_checksum: str = ""
    report_checksum: str = ""
    progress: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A withdrawal of an exam up to `revision`; `words` are as `Message.notice` has them, `org` as of an upload."""

    org: str
    idem: str
    revision: int
    words: Mapping[str, str] = field(repr=False)


class ReportAgent:
    """Sends uploads to one destination by one account; safe to share between threads, which share one token.

    `credentials` is called for each message, since keys may change while the node runs. Ciphertext, never plaintext, is
    spooled in `spool`, by default the system's temporary folder. `heard` is called with each call and its answer.
    """

    def __init__(
        self, destination: HttpDestination, credentials: Callable[[], Credentials], clock: Clock, *,
        spool: Path | None = None, limits: Limits = DEFAULT_LIMITS, paced: Paced = unbounded,
        heard: Callable[[Said], None] | None = None,
    ) -> None:  # fmt: skip
        self._account = f"{destination.url} {destination.app}"
        self._credentials = credentials
        self._clock = clock
        session = Session(destination, clock, limits)
        self._talk = Conversation(
            destination, lambda: credentials().profile, clock, session, spool=spool, paced=paced, heard=heard
        )

    def probe(self) -> datetime | None:
        """Request a new token; the platform's time by the Date header, None without one. Raises as `send` does.

        Of a profile without tokens any answer of the platform is enough.
        """
        profile = self._credentials().profile
        if profile.outline.token is None:
            self._talk.reach()
            return None
        return date_of(self._talk.renew(profile, profile.outline.token))

    def token(self) -> str:
        """The token in use, asked for where there is none; "" of a profile without tokens. Raises as `send` does."""
        return self._talk.token(self._credentials().profile)

    def send(self, upload: Upload) -> Receipt:
        """Deliver and return the verified receipt.

        DestinationDown: no connection, redirected, our keys are refused, or the profile fails. TransientError: try
        again later. PermanentError: the platform refuses this upload; `faults` holds its words, which may name the
        patient. UnprovedRefusal: so does an answer that nothing proves to be the platform's.
        Unproven: the answer's signature, idem or nonce does not match, so nothing is known to be delivered.
        Damaged: a file of the upload is gone or has changed since it came; nothing is sent.
        A refused token, a refused time or nonce, and an upload that the platform has forgotten, are each renewed once.
        """
        _check(upload.exam_file, upload.exam_checksum, "exam", upload.idem)
        _check(upload.report_file, upload.report_checksum, "report", upload.idem)
        profile, renewable = self._credentials().profile, {"token", "time", "upload"}
        at = progress.read(upload.progress, self._name(upload, profile))
        while True:
            left = [step for step in profile.outline.upload if step.name not in at.done] or profile.outline.upload
            answer, verdict, message, at = self._take(upload, profile, left[0], at, renewable)
            if isinstance(verdict, Accepted) and len(left) == 1:
                return self._receipt(profile, answer, verdict, message, at)
            progress.keep(upload.progress, at)

    def withdraw(self, notice: Notice) -> Receipt | None:
        """Take an exam back; the verified receipt, None where the platform has proved that it has no such exam.

        NotOffered when the profile, or the platform by its answer, takes no withdrawals. UnprovedRefusal when nothing
        proves that it is the platform that has no such exam. Raises as `send` otherwise.
        """
        profile, renewable, at = self._credentials().profile, {"token", "time"}, Progress(of=notice.idem)
        facts = {"org": notice.org, "idem": notice.idem, "revision": notice.revision, "notice": notice.words}
        for step in profile.outline.withdraw:
            given = {**facts, "kept": at.kept}
            answer, verdict, message = self._talk.answered(profile, step, given, renewable, (Accepted, Unknown))
            if isinstance(verdict, Unknown):
                if verdict.proof is None and not self._talk.vouched:
                    raise error_of(verdict, vouched=False)
                return None
            assert isinstance(verdict, Accepted)  # the upload is none of what may be renewed
            at = at.after(step.name, verdict.keep, verdict.receipt)
            if step is profile.outline.withdraw[-1]:
                return self._receipt(profile, answer, verdict, message, at)
        raise NotOffered(f"profile {profile.name} has no calls to withdraw")

    def inventory(self, org: str, begin: datetime, end: datetime) -> Inventory:
        """The exams of the hospital `org` that the platform accepted from `begin` on and before `end`, all pages.

        The time is at most one day. NotOffered when the profile, or the platform by its answer, has no inventories.
        Unproven when nothing proves that an answer is the platform's. Raises as `send` otherwise.
        """
        profile = self._credentials().profile
        step = profile.outline.inventory
        if step is None:
            raise NotOffered(f"profile {profile.name} has no call for inventories")

        def page(after: str) -> tuple[Listed, timedelta]:
            facts = {"org": org, "page": Page(begin=begin, end=end, after=after)}
            answer, verdict, _ = self._talk.answered(profile, step, facts, {"token", "time"}, (Listed,))
            assert isinstance(verdict, Listed)  # likewise
            if verdict.proof is None and not self._talk.vouched:
                raise Unproven("nothing proves that the inventory is the platform's")
            at = date_of(answer)
            return verdict, timedelta(0) if at is None else at - self._clock.now()

        return gathered(page)

    def _take(
        self, upload: Upload, profile: Profile, step: Step, at: Progress, renewable: set[str]
    ) -> tuple[Answer, Accepted | Renew, Message, Progress]:
        """One call, or all that is left of its pieces; no progress where the upload begins anew."""
        count = _count(upload, step)
        while True:
            facts = self._facts(upload, step, at, count)
            answer, verdict, message = self._talk.answered(profile, step, facts, renewable, (Accepted,))
            if isinstance(verdict, Renew):
                return answer, verdict, message, Progress(of=at.of)
            if at.pieces + 1 >= count:
                return answer, verdict, message, at.after(step.name, verdict.keep, verdict.receipt)
            at = at.after_piece(verdict.keep)
            progress.keep(upload.progress, at)

    def _facts(self, upload: Upload, step: Step, at: Progress, count: int) -> Mapping[str, object]:
        report = Document.whole(upload.report_file)
        piece = None
        if step.size:
            begin = at.pieces * step.size
            data = report.piece(begin, step.size)
            piece = Piece(number=at.pieces + 1, count=count, offset=begin, data=data)
        return {
            "org": upload.org, "idem": upload.idem, "revision": upload.revision, "report": report, "piece": piece,
            "exam": Document.whole(upload.exam_file), "kept": at.kept,
        }  # fmt: skip

    def _name(self, upload: Upload, profile: Profile) -> str:
        return progress.identity(profile.name, profile.digest, self._account, upload.idem)

    def _receipt(
        self, profile: Profile, answer: Answer, verdict: Accepted, message: Message, at: Progress
    ) -> Receipt:  # fmt: skip
        proof = verdict.proof
        if proof is None:
            if not self._talk.vouched:
                hint = "neither ca_file nor gateway vouches for who answers"
                raise Unproven("the receipt is not signed", hint=hint, idem=message.idem)
            proof = Proof(profile=profile.name, key_id="", signature=b"", text=b"", request_keys={})
        return Receipt(
            receipt=at.receipt or message.idem, idem=message.idem, at=verdict.at or self._clock.now(),
            nonce=message.nonce, status=answer.status, body=answer.body, proof=proof,
        )  # fmt: skip


def _count(upload: Upload, step: Step) -> int:
    """The number of pieces; 1 for a call that is made once, and for an empty file."""
    return max(-(-upload.report_file.stat().st_size // step.size), 1) if step.size else 1


def _check(file: Path, checksum: str, name: str, idem: str) -> None:
    """Damaged unless the file is there, and is what came."""
    try:
        with file.open("rb") as plain:
            if checksum and hashlib.file_digest(plain, "sha256").hexdigest() != checksum:
                raise Damaged(f"the {name} file of the upload is not what came", idem=idem, part=name)
    except FileNotFoundError as error:
        raise Damaged(f"the {name} file of the upload is gone", idem=idem, part=name) from error
    except OSError as error:
        raise TransientError(f"cannot read the {name}: {error.strerror}", hint="check the disk") from error
