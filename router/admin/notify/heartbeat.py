"""Heartbeat: a call to an outside watcher at an interval, which raises an alarm of its own when none comes."""

import logging
from collections.abc import Callable

from router.admin.notify.ways import LIMITS
from router.catalogue.node.notifications import Notifications
from router.clock import Clock
from router.config.sections import Heartbeat as Settings
from router.errors import TransientError
from router.forward.http import Session

_SOON_SECONDS = 15.0
_log = logging.getLogger("router")


class Heartbeat:
    """Calls the watcher while the node is `able`. `error` says why the last call did not arrive, "" when it did."""

    def __init__(
        self, settings: Settings, node: str, kept: Notifications, clock: Clock, able: Callable[[], bool]
    ) -> None:
        self.name = f"heartbeat of {node}"
        self._every = settings.every.total_seconds()
        self._session = Session(settings, clock, LIMITS)
        self._kept = kept
        self._clock = clock
        self._able = able
        self.error = ""

    def step(self) -> float:
        """Call once; return the seconds to rest."""
        if not self._able():
            return min(self._every, _SOON_SECONDS)
        former, self.error = self.error, call(self._session)
        if not self.error:
            self._kept.note_up(self.name, self._clock.now())
            return self._every
        if not former:
            _log.warning("the heartbeat does not arrive: %s", self.error)
        self._kept.note_down(self.name, self.error, self._clock.now())
        return min(self._every, _SOON_SECONDS)


def call(session: Session) -> str:
    """Call once; return why it did not arrive, "" if it did."""
    try:
        status = session.status("GET", {})
    except TransientError as error:
        return error.message
    return "" if 200 <= status < 300 else f"it answers {status}"
