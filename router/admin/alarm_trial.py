"""A test alarm on every configured way, past the queues, and the ways as `doctor` finds them."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from router.admin.findings import Finding, Verdict, attempt, good
from router.admin.notification import Notification, Style, trial_of
from router.admin.ways import Way, ways_of
from router.clock import Clock
from router.config import Config
from router.errors import PermanentError, TransientError

_NOWHERE = "no way is configured: nobody is told"
_CONFIGURE = "name one in [alarms]: targets, program, [alarms.webhook] or [alarms.mail]"


def ways_found(config: Config, clock: Clock) -> Iterator[Finding]:
    """Whether alarms go out; ConfigurationError when a file that `[alarms]` names is not as it must be."""
    ways = ways_of(config.alarms, clock)
    if ways:
        yield good("alarms out", ", ".join(way.name for way in ways))
    else:
        yield Finding("alarms out", Verdict.WARN, _NOWHERE, _CONFIGURE)


def tried(config: Config, clock: Clock) -> list[Finding]:
    """Send a test on every way at once; a finding for each, in their order."""
    return list(attempt("alarms out", lambda: _tried(config, clock)))


def _tried(config: Config, clock: Clock) -> Iterator[Finding]:
    ways = ways_of(config.alarms, clock)
    if not ways:
        yield Finding("alarms out", Verdict.FAIL, _NOWHERE, _CONFIGURE)
        return
    node = config.node
    style = Style(node=node.owner, language=node.language, zone=node.timezone, link=config.admin.link)
    trial = trial_of(style, clock.now(), str(uuid.uuid4()))
    with ThreadPoolExecutor(max_workers=len(ways)) as pool:
        yield from pool.map(lambda way: _try(way, trial), ways)


def _try(way: Way, trial: Notification) -> Finding:
    try:
        way.send(trial)
    except (TransientError, PermanentError) as error:
        return Finding(f"test alarm to {way.name}", Verdict.FAIL, error.message, error.hint)
    return good(f"test alarm to {way.name}", "it was taken: see that it has arrived")
