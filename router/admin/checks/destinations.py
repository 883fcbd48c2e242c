"""Checks that destinations and the PACS answer, from the configured address and networks (DB11 5.1)."""

from collections.abc import Iterator, Sequence
from functools import partial

from router.admin.checks.result import CheckResult, Verdict, attempt, good
from router.clock import Clock
from router.config.sections import Config, Destination, DicomDestination, HttpDestination, Query
from router.dicom.scu.client import StorageClient
from router.dicom.scu.query import QueryClient
from router.forward.credentials import load_credentials
from router.forward.report import ReportAgent
from router.policy.account import token_of

PACS = "C-ECHO to the PACS of [query]"
_TOLERATED = 60.0  # seconds; the platform refuses more than 300


def destination(
    config: Config, one: Destination, clock: Clock, accounts: Sequence[str] | None = None
) -> Iterator[CheckResult]:
    """C-ECHO, a token for each of these accounts, else for all, and a comparison of clocks."""
    dicom, http = one.dicom, one.http
    if dicom is not None:
        subject = f"C-ECHO to {one.name}"
        yield from attempt(subject, lambda: echo(subject, StorageClient, dicom))
    if http is not None:
        for n, account in enumerate(config.accounts(one) if accounts is None else accounts):
            own, subject = one.http_of(account) or http, token_of(one.name, account)
            look = partial(token, one.name if n == 0 else "", subject, own, clock)
            yield from attempt(subject, look)


def pacs(query: Query, own: str) -> Iterator[CheckResult]:
    """C-ECHO to the PACS of [query]; `own` is [receive] ae_title."""
    yield from attempt(PACS, lambda: echo(PACS, QueryClient, query.peer(own)))


def echo(subject: str, client: type[StorageClient | QueryClient], peer: DicomDestination) -> Iterator[CheckResult]:
    """C-ECHO by the client. Raises as it does."""
    client(peer).echo()
    where = f"{peer.ae_title} at {peer.host}:{peer.port} answers"
    yield good(subject, where + _line(peer))


def token(name: str, subject: str, http: HttpDestination, clock: Clock) -> Iterator[CheckResult]:
    """Whether the platform knows the account, and whether its clock, that of `name` where it is given, is right.

    Raises as ReportAgent does.
    """
    credentials = load_credentials(http)
    theirs = ReportAgent(http, lambda: credentials, clock).probe()
    yield good(subject, f"{http.url} knows {http.app}" + _line(http))
    if theirs is None or not name:
        return
    apart = (clock.now() - theirs).total_seconds()
    text = f"{apart:+.0f} s from the clock of {name}"
    remedy = "set the clock: see that time synchronisation (NTP) runs; 300 s apart is refused"
    if abs(apart) <= _TOLERATED:
        yield good("clock", text)
    else:
        yield CheckResult("clock", Verdict.FAIL if abs(apart) > 5 * _TOLERATED else Verdict.WARN, text, remedy)


def _line(one: DicomDestination | HttpDestination) -> str:
    source = f", from {one.source_address}" if one.source_address else ""
    networks = ", ".join(one.allowed_networks)
    return source + (f", within {networks}" if networks else ", allowed_networks not set")
