"""A test alarm on every way, past the queues, one call of the heartbeat, and the ways as `doctor` finds them."""

import functools
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from router.admin.checks.result import CheckResult, Verdict, attempt, good
from router.admin.notify.heartbeat import call
from router.admin.notify.notification import Notification, style_of, trial_of
from router.admin.notify.ways import LIMITS, Way, ways_of
from router.clock import Clock
from router.config.hospitals import several_of
from router.config.sections import Config, Heartbeat
from router.errors import PermanentError, TransientError
from router.forward.http import Session

_NOWHERE = "no way is configured: nobody is told"
_CONFIGURE = "name one in [alarms]: targets, program, [alarms.webhook] or [alarms.mail]"


def ways_found(config: Config, clock: Clock) -> Iterator[CheckResult]:
    """Whether alarms can be sent; ConfigurationError if a file that `[alarms]` names is unusable."""
    ways = ways_of(config.alarms, clock)
    if ways:
        own = config.alarms.hospitals
        rest = [name for name in several_of(config) if name not in own] if own else []
        common = f"; about {', '.join(rest)} by those for all alone" if rest else ""
        yield good("alarms out", ", ".join(way.name for way in ways) + common)
    else:
        yield CheckResult("alarms out", Verdict.WARN, _NOWHERE, _CONFIGURE)


def tried(config: Config, clock: Clock) -> list[CheckResult]:
    """Send a test on every way at once and call the heartbeat; a finding for each, in their order."""
    return list(attempt("alarms out", lambda: _tried(config, clock)))


def _tried(config: Config, clock: Clock) -> Iterator[CheckResult]:
    ways, heartbeat = ways_of(config.alarms, clock), config.alarms.heartbeat
    if not ways:
        yield CheckResult("alarms out", Verdict.FAIL, _NOWHERE, _CONFIGURE)
    trial = trial_of(style_of(config), clock.now(), str(uuid.uuid4()))
    trials = [functools.partial(_try, way, trial) for way in ways]
    trials += [] if heartbeat is None else [functools.partial(_beat, heartbeat, clock)]
    with ThreadPoolExecutor(max_workers=max(len(trials), 1)) as pool:
        yield from pool.map(lambda one: one(), trials)


def _try(way: Way, trial: Notification) -> CheckResult:
    try:
        way.send(trial)
    except (TransientError, PermanentError) as error:
        return CheckResult(f"test alarm to {way.name}", Verdict.FAIL, error.message, error.hint)
    return good(f"test alarm to {way.name}", "it was taken: see that it has arrived")


def _beat(settings: Heartbeat, clock: Clock) -> CheckResult:
    if error := call(Session(settings, clock, LIMITS)):
        return CheckResult("heartbeat", Verdict.FAIL, error, "see url in [alarms.heartbeat]")
    return good("heartbeat", "it was taken: see that the watcher has it")
