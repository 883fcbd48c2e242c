"""One call after the other with a platform: messages, tokens, rates, and what was said for whoever keeps it."""

import secrets
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from router.clock import Clock
from router.config.sections import HttpDestination
from router.crypto.envelope import new_nonce
from router.errors import TransientError
from router.forward.answer import Answer
from router.forward.blocks.declaration import Rate
from router.forward.blocks.message import Message
from router.forward.blocks.request import Form, Request
from router.forward.blocks.trace import Note
from router.forward.blocks.values import Document
from router.forward.blocks.verdict import Accepted, Granted, Renew, Verdict
from router.forward.http import Body, Multipart, Part, Session, Stream
from router.forward.meaning import error_of, profile_fault
from router.forward.outline import Step
from router.forward.profiles import Profile
from router.policy.bandwidth import Paced

_EXPIRY_MARGIN = 30.0
_Wanted = TypeVar("_Wanted", bound=Verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One call as it went. It holds patient data and secrets."""

    call: str
    message: Message
    request: Request
    notes: tuple[Note, ...]
    answer: Answer
    verdict: Verdict


class Conversation:
    """Calls to one destination by one account; safe to share between threads, which share one token."""

    def __init__(
        self, destination: HttpDestination, profile: Callable[[], Profile], clock: Clock, session: Session,
        *, spool: Path | None, paced: Paced, heard: Callable[[Said], None] | None,
    ) -> None:  # fmt: skip
        self.vouched = destination.vouched
        self.profile = profile
        self._app = destination.app
        self._clock = clock
        self._session = session
        self._base = session.path("/")[:-1]
        self._spool = spool
        self._paced = paced
        self._heard = heard
        self._rates = _Rates(clock)
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def say(self, profile: Profile, step: Step, facts: Mapping[str, object]) -> tuple[Answer, Verdict, Message]:
        """Make the call, read its answer, have it judged. Raises as `Session.ask` does; DestinationDown for a profile
        that does not make or judge it.
        """
        self._rates.take(step)
        with tempfile.TemporaryDirectory(prefix="upload-", dir=self._spool) as spool:
            message = self._message(Path(spool), facts)
            turn = profile.turn(step.name, message, noting=self._heard is not None)
            request = turn.request
            headers, body = self._body(request)
            answer = self._session.ask(request.method, request.path, headers, body)
            verdict = turn.judge(answer)
            if self._heard is not None:
                self._heard(Said(
                    call=step.name, message=message, request=request, notes=tuple(turn.notes or ()), answer=answer,
                    verdict=verdict,
                ))  # fmt: skip
        return answer, verdict, message

    def answered(
        self, profile: Profile, step: Step, facts: Mapping[str, object], renewable: set[str],
        wanted: tuple[type[_Wanted], ...],
    ) -> tuple[Answer, _Wanted | Renew, Message]:  # fmt: skip
        """Make the call with a token until its verdict is `wanted`, renewing each of `renewable` once; a Renew of the
        upload is the caller's. Raises what any other verdict stands for.
        """
        while True:
            token = self.token(profile)
            answer, verdict, message = self.say(profile, step, {**facts, "token": token})
            if isinstance(verdict, wanted):
                return answer, verdict, message
            if not isinstance(verdict, Renew) or verdict.what not in renewable:
                if isinstance(verdict, Granted):
                    raise profile_fault(f"judges the answer to {step.name} as a token")
                raise error_of(verdict, vouched=self.vouched)
            renewable.remove(verdict.what)
            if verdict.what == "upload":
                return answer, verdict, message
            if verdict.what == "token":
                self._forget(token)

    def token(self, profile: Profile) -> str:
        """The token, asked for where there is none or it is about to expire; one thread asks, others wait."""
        if profile.outline.token is None:
            return ""
        with self._lock:
            if not self._token or self._clock.monotonic() >= self._until:
                self._fetch(profile, profile.outline.token)
            return self._token

    def renew(self, profile: Profile, step: Step) -> Answer:
        """Ask for a new token; the answer."""
        with self._lock:
            return self._fetch(profile, step)

    def reach(self) -> None:
        """Ask for nothing but an answer of any status, where there is no token to ask for."""
        self._session.status("HEAD", {})

    def _forget(self, value: str) -> None:
        """Drop a refused token, unless another thread has already renewed it."""
        with self._lock:
            if self._token == value:
                self._token = ""

    def _fetch(self, profile: Profile, step: Step) -> Answer:
        self._token = ""
        asked = self._clock.monotonic()
        answer, verdict, _ = self.say(profile, step, {})
        if not isinstance(verdict, Granted):
            if isinstance(verdict, Accepted):
                raise profile_fault("judges the answer to a token call as Accepted, not Granted")
            raise error_of(verdict, vouched=self.vouched)
        self._token = verdict.token
        self._until = asked + max(verdict.seconds - _EXPIRY_MARGIN, verdict.seconds / 2)
        return answer

    def _message(self, spool: Path, facts: Mapping[str, object]) -> Message:
        plain = Message(
            app=self._app, org="", idem="", revision=0, ts=int(self._clock.now().timestamp() * 1000),
            nonce=new_nonce(secrets.token_bytes(16)), seed=secrets.token_bytes(32), base=self._base, spool=spool,
            vouched=self.vouched,
        )  # fmt: skip
        return replace(plain, **facts)  # type: ignore[arg-type] # by the names of Message

    def _body(self, request: Request) -> tuple[Mapping[str, str], Body]:
        if isinstance(request.body, Form):
            parts = [Part(one.name, one.content_type, one.content, one.filename) for one in request.body.parts]
            form = Multipart(parts, self._paced)
            return {**request.headers, "Content-Type": form.content_type}, form
        if isinstance(request.body, Document):
            return request.headers, Stream([request.body], self._paced)
        return request.headers, request.body


class _Rates:
    """Counts the calls that have a rate."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[str, deque[float]] = {}

    def take(self, step: Step) -> None:
        """TransientError, with the time to wait, where the rate is used up."""
        if step.rate is None:
            return
        with self._lock:
            made, now = self._made.setdefault(step.name, deque()), self._clock.monotonic()
            while made and made[0] <= now - step.rate.seconds:
                made.popleft()
            if len(made) >= step.rate.times:
                raise _used_up(step.name, step.rate, made[0] + step.rate.seconds - now)
            made.append(now)


def _used_up(call: str, rate: Rate, wait: float) -> TransientError:
    text = f"the platform allows the call {call} {rate.times} times in {rate.seconds:.0f} s, and they are used up"
    return TransientError(text, retry_after=wait)
