"""Refusals of the platform: an HTTP status with a JSON body (profile gm-envelope/1, section 3)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Proof = Callable[[int, bytes], Mapping[str, str]]
"""The headers that make an answer of this status and body the platform's."""


class Refusal(Exception):
    """A request that is not accepted. `close`: the rest of the body was not read, so the connection cannot go on.

    `proof` signs it; None while the request is not proved to be the hospital's.
    """

    def __init__(
        self, status: int, body: dict[str, object], *, close: bool = False, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(str(body.get("error", status)))
        self.status = status
        self.body = body
        self.close = close
        self.headers = dict(headers or {})
        self.proof: Proof | None = None


@contextmanager
def proved_by(proof: Proof) -> Iterator[None]:
    """Sign every Refusal of the block; OSError becomes one, too: the disk takes nothing now."""
    try:
        yield
    except Refusal as refusal:
        refusal.proof = refusal.proof or proof
        raise
    except OSError as error:
        busy = unavailable()
        busy.proof = proof
        raise busy from error


def unavailable() -> Refusal:
    """503: nothing can be stored now."""
    return Refusal(503, {"error": "cannot store now"}, headers={"Retry-After": "5"})


def wrong(what: str) -> Refusal:
    """400: the envelope breaks the profile; permanent for this delivery."""
    return Refusal(400, {"error": what})


def unauthorised(why: str) -> Refusal:
    """401: `token`, `stale`, or the fault of a token request."""
    return Refusal(401, {"error": why})


def not_allowed(what: str) -> Refusal:
    """403: this application, organisation or key may not send here."""
    return Refusal(403, {"error": what})


def too_large() -> Refusal:
    """413, with the rest of the body left unread."""
    return Refusal(413, {"error": "too large"}, close=True)
