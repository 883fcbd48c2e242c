"""`doctor`: checks of everything that the node needs, each with its remedy."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import click
from rich.cells import set_cell_size

from router.admin.checks import destinations, host
from router.admin.checks.result import CheckResult, Verdict, attempt, good
from router.admin.http.session import token_in
from router.admin.notify.alarm_trial import tried, ways_found
from router.admin.status.finder import Presence, find_node
from router.catalogue.queue.survey import former
from router.cli.opened import clock_of, reading
from router.cli.options import (
    common_options,
    configured,
    has_node,
    hospital_option,
    print_json,
    require_hospital,
)
from router.cli.queue import files
from router.cli.queue.recheck import recheck_of
from router.cli.queue.rename import RENAME
from router.cli.speech import say
from router.cli.tables import console, local
from router.clock import Clock, SystemClock
from router.config.folders import SOLE, drop_folders
from router.config.sections import Config, Destination
from router.correlator.checks import resolved
from router.crypto import selftest
from router.images.rulebook import books_of
from router.intake.exam_reader import ExamReader
from router.policy.account import keys_of
from router.review.recheck import CHECKS, Judged, by_rule
from router.upkeep.clock_watch import FAR

_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}

_LOOKED_BACK = timedelta(days=30)
_PATIENCE_SECONDS = 10.0
_TAKE_UP = f"see `queue recheck` for the exams, then set [identity] checks = {CHECKS}"

Look = Callable[[], Iterator[CheckResult]]


@click.command("doctor")
@common_options
@hospital_option
@click.option("--alarm", is_flag=True, help="Only send a test alarm on every way and call the heartbeat once.")
def command(config_file: Path, as_json: bool, hospital: str | None, alarm: bool) -> None:
    """Configuration, keys, disk, clock, database, certificates, and whether each destination and the PACS answer.

    Run it as the account that the node runs as; the node may run meanwhile. 1 when something fails. With --hospital:
    its drop folder, and its keys and token at the destinations of its exams, beside what all have in common.
    """
    config = configured(config_file)
    require_hospital(hospital, config)
    if alarm:
        found = tried(config, SystemClock())
    else:
        looks = list(_looks(config, SystemClock(), hospital))
        with ThreadPoolExecutor(max_workers=len(looks)) as pool:  # at the same time, since peers may be slow
            results = list(pool.map(lambda look: list(attempt(*look)), looks))
        found = [good("configuration", f"{config_file} reads"), *(one for result in results for one in result)]
    if as_json:
        print_json([{"subject": f.subject, "verdict": f.verdict, "text": f.text, "remedy": f.remedy} for f in found])
    else:
        _tell(found)
    if any(one.verdict == Verdict.FAIL for one in found):
        raise click.exceptions.Exit(1)


def _tell(found: Iterable[CheckResult]) -> None:
    out = console()
    for one in found:
        out.print(f"[{_COLOURS[one.verdict]}]{set_cell_size(say(one.verdict), 4)}[/]  ", end="")
        out.print(f"{say(one.subject)}: {say(one.text)}", markup=False)
        if one.remedy and one.verdict != Verdict.OK:
            out.print(f"      -> {say(one.remedy)}", markup=False)


def _looks(config: Config, clock: Clock, hospital: str | None = None) -> Iterator[tuple[str, Look]]:
    yield "node", lambda: _node(config)
    yield "cryptography", _cryptography
    yield "tables and rules", lambda: _tables(config)
    yield "data folder", lambda: host.data_folder(config)
    for at in drop_folders(config):
        if at.used and (hospital is None or at.hospital in (None, SOLE, hospital)):
            yield at.name, partial(host.drop_folder, at)
    if (file := config.admin.token_file) is not None:
        yield "console", lambda: _console(file)
    yield "files of the drop folder", lambda: _files(config)
    yield "database", lambda: _database(config)
    yield "alarms out", lambda: _alarms_out(config, clock)
    yield "checks", lambda: _checks(config, clock)
    yield "shared studies", lambda: _shared_studies(config)
    yield "certificates", lambda: host.certificates(config, clock.now())
    if not config.destination:
        text = "none is configured: studies are kept and go nowhere"
        yield "destinations", lambda: iter([CheckResult("destinations", Verdict.WARN, text, "[[destination]]")])
    for one in config.destination:
        if hospital is not None and hospital not in config.served(one):
            continue
        accounts = config.accounts(one) if hospital is None else (one.account_of(hospital),)
        yield f"agreement of {one.name}", lambda one=one: _agreement(one)  # type: ignore[misc] # bound now
        for account in accounts:
            if (http := one.http_of(account)) is not None:
                look = partial(host.keys, config, one, http, account)
                yield keys_of(one.name, account), look
        yield one.name, partial(destinations.destination, config, one, clock, accounts)
    if (query := config.query) is not None:
        yield destinations.PACS, lambda: destinations.pacs(query, config.receive.ae_title)


def _node(config: Config) -> Iterator[CheckResult]:
    found = find_node(config)
    if found.presence in (Presence.STOPPED, Presence.CRASHED):
        text = f"{found.name} does not run"
        yield CheckResult("node", Verdict.WARN, text, "`systemctl start imaging-cloud-router`, or scripts/run")
    elif found.receives:
        yield good("node", f"{found.name} runs and receives")
    else:
        why = "; ".join(found.why_not) or "it does not answer"
        yield CheckResult("node", Verdict.FAIL, f"{found.name} runs and does not receive: {why}", "see `status`")
    for one in found.degraded:
        if not one.get("stops_images"):
            yield CheckResult("node", Verdict.WARN, str(one.get("text", "")), "see `status`, and the node's log")


def _console(file: Path) -> Iterator[CheckResult]:
    """Make the token if there is none: the service may only read its folder."""
    token_in(file)
    yield good("console", f"{file} holds the token to log in by")


def _cryptography() -> Iterator[CheckResult]:
    selftest.run()
    yield good("cryptography", "SM2, SM3, SM4, HMAC and HKDF give the known answers")


def _tables(config: Config) -> Iterator[CheckResult]:
    ExamReader(config)
    books_of(config)
    yield good("tables and rules", "code tables, mapping files and series rules read")


def _database(config: Config) -> Iterator[CheckResult]:
    if not has_node(config):
        yield good("database", "is made at the first start")
        return
    with reading(config) as catalogue:
        shared, standing = clock_of(catalogue), len(catalogue.alarms.standing())
        gone = former(catalogue.survey.places(SystemClock().now()), [one.name for one in config.destination])
    yield good("database", "PostgreSQL answers" if config.database.url else "router.db opens")
    for name, number in gone.items():
        text = f"{number} exam(s) were delivered to {name}, which is not configured: no correction of them goes"
        yield CheckResult(name, Verdict.WARN, text, f"where it is called NEW by now: `{RENAME.format(old=name)}`")
    if config.database.url:
        yield _clock(shared.ahead)
    if standing:
        yield CheckResult("alarms", Verdict.WARN, f"{standing} standing", "see `status`")


def _clock(ahead: timedelta) -> CheckResult:
    seconds = f"{abs(ahead).total_seconds():.1f}"
    text = f"this machine's is {seconds} s behind the database's"
    if ahead > timedelta(0):
        text = f"this machine's is {seconds} s ahead of the database's"
    if abs(ahead) <= FAR:
        return good("clock", text)
    remedy = "set it, and see that time synchronisation runs on this machine and on the database's"
    return CheckResult("clock", Verdict.FAIL, text, remedy)


def _alarms_out(config: Config, clock: Clock) -> Iterator[CheckResult]:
    """Whether alarms can be sent, judged by the files that [alarms] names, and whether the last ones were."""
    yield from ways_found(config, clock)
    if not has_node(config):
        return
    with reading(config) as catalogue:
        undelivered = catalogue.notifications.undelivered(clock.now())
    for one in undelivered:
        text = f"{one.way} since {local(one.since, config.node.timezone)}: {one}"
        yield CheckResult("alarms out", Verdict.WARN, text, "see [alarms]; `scripts/doctor --alarm` tries every way")


def _files(config: Config) -> Iterator[CheckResult]:
    """Files of the drop folder that wait for a person or belong to nothing, by the node's last scan."""
    if not has_node(config):
        return
    with reading(config) as catalogue:
        found = catalogue.exams.files.counts()
    subject = "files of the drop folder"
    if not any(found.values()):
        yield good(subject, "none waits, and none lies there to no purpose")
    for kind, number in found.items():
        if number:
            yield CheckResult(subject, Verdict.WARN, files.counted({kind: number}), files.REMEDY[kind])


def _checks(config: Config, clock: Clock) -> Iterator[CheckResult]:
    """A reminder if the first set of checks is in use: how many exams the newest would have held."""
    if not has_node(config):
        return
    with reading(config) as catalogue:
        if resolved(config, catalogue.settings).identity.checks == CHECKS:
            yield good("checks", f"[identity] checks = {CHECKS}")
            return
        delivered = catalogue.delivered.since(clock.now() - _LOOKED_BACK)
        judged = list(_in_time(recheck_of(config, catalogue).judged(delivered, SystemClock().now())))
    yield CheckResult("checks", Verdict.WARN, _reminder(judged, len(delivered)), _TAKE_UP)


def _in_time(judged: Iterable[Judged]) -> Iterator[Judged]:
    """The exams judged before a person's patience ends."""
    until = time.monotonic() + _PATIENCE_SECONDS
    for one in judged:
        yield one
        if time.monotonic() > until:
            return


def _reminder(judged: Sequence[Judged], delivered: int) -> str:
    held = sum(bool(one.doubts) for one in judged)
    rules = "; ".join(f"{rule} {n}" for (_, rule), n in by_rule(judged).most_common())
    which = "" if len(judged) == delivered else f" (the last ones of {delivered})"
    text = (
        f"[identity] checks = 1: newer kinds of doubt are warnings. Of {len(judged)} exam(s) delivered in the last"
        f" {_LOOKED_BACK.days} d{which} checks = {CHECKS} would hold {held}"
    )
    return text + (f": {rules}" if rules else "")


def _shared_studies(config: Config) -> Iterator[CheckResult]:
    if "shared_study" in config.share.model_fields_set:
        yield good("shared studies", f'[share] shared_study = "{config.share.shared_study}"')
        return
    text = "[share] shared_study is not set: a study of several exams goes at its first approval, before the others'"
    remedy = 'set it to "all" (DB11 5.3.1), or to "first" if that is meant'
    yield CheckResult("shared studies", Verdict.WARN, text, remedy)


def _agreement(one: Destination) -> Iterator[CheckResult]:
    subject, missing = f"agreement of {one.name}", [name for name in ("agreement", "purpose") if not getattr(one, name)]
    if not missing:
        yield good(subject, f"{one.agreement}: {one.purpose}")
        return
    text = f"{' and '.join(missing)} not named: no receipt says under what data went there (GB/T 39725)"
    yield CheckResult(subject, Verdict.WARN, text, "set agreement and purpose in [[destination]]")
