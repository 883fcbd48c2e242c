"""Checks that destinations and the PACS answer, from the configured address and networks (DB11 5.1)."""

from collections.abc import Iterator

from router.admin.checks.result import CheckResult, Verdict, attempt, good
from router.clock import Clock
from router.config.sections import Config, Destination, DicomDestination, HttpDestination, Query
from router.dicom.scu.client import StorageClient
from router.dicom.scu.query import QueryClient
from router.forward.credentials import load_credentials
from router.forward.report import ReportAgent

PACS = "C-ECHO to the PACS of [query]"
_TOLERATED = 60.0  # seconds; the platform refuses more than 300


def destination(config: Config, one: Destination, clock: Clock) -> Iterator[CheckResult]:
    """C-ECHO, a token, and a comparison of clocks."""
    dicom, http = one.dicom, one.http
    if dicom is not None:
        yield from attempt(f"C-ECHO to {one.name}", lambda: echo(one.name, dicom))
    if http is not None:
        yield from attempt(f"token of {one.name}", lambda: token(one.name, config.own.USCI, http, clock))


def echo(name: str, dicom: DicomDestination) -> Iterator[CheckResult]:
    """C-ECHO. Raises as StorageClient does."""
    StorageClient(dicom).echo()
    where = f"{dicom.ae_title} at {dicom.host}:{dicom.port} answers"
    yield good(f"C-ECHO to {name}", where + _line(dicom))


def pacs(query: Query, own: str) -> Iterator[CheckResult]:
    """C-ECHO to the PACS of [query]; `own` is [receive] ae_title."""
    yield from attempt(PACS, lambda: _echo_pacs(query.peer(own)))


def _echo_pacs(peer: DicomDestination) -> Iterator[CheckResult]:
    QueryClient(peer).echo()
    yield good(PACS, f"{peer.ae_title} at {peer.host}:{peer.port} answers" + _line(peer))


def token(name: str, org: str, http: HttpDestination, clock: Clock) -> Iterator[CheckResult]:
    """A token for the hospital with USCI `org`, and the clocks compared. Raises as ReportAgent does."""
    credentials = load_credentials(http)
    theirs = ReportAgent(http, org, lambda: credentials, clock).probe()
    yield good(f"token of {name}", f"{http.url} knows {http.app}" + _line(http))
    if theirs is None:
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
