"""The queue of one way: its messages go in order, each until it arrives or is refused for good."""

import logging
import random
from collections.abc import Callable, Sequence
from datetime import timedelta

from router.admin.notify.notification import from_json
from router.admin.notify.ways import Send
from router.catalogue.node.notifications import Notifications, Waiting
from router.clock import Clock
from router.errors import RouterError, TransientError, traceback_of
from router.policy.retry import backoff

_IDLE_SECONDS = 5.0
_SUSPECT = 10  # tries; then the next one shows whether it is the way or the message that does not work
_NO_HURRY = timedelta(0)
_log = logging.getLogger("router")

Pause = Callable[[int], timedelta]


def _pause(attempt: int) -> timedelta:
    return backoff(attempt, _NO_HURRY, random.random())  # noqa: S311  # only spreads


class NotificationQueue:
    """Sends the messages of a way while `mine` is true: one node at a time. `send` may be replaced at any time.

    `error` says why messages do not arrive at present, "" while they do.
    """

    def __init__(
        self, name: str, send: Send, kept: Notifications, clock: Clock, mine: Callable[[], bool], pause: Pause = _pause
    ) -> None:
        self.name = name
        self.send = send
        self.error = ""
        self._kept = kept
        self._clock = clock
        self._mine = mine
        self._pause = pause
        self._tries = 0
        self._again = float("-inf")

    def hurry(self) -> None:
        """Try at once: the way may have changed."""
        self._tries, self._again = 0, float("-inf")

    def step(self) -> float:
        """Send the first message; return the seconds to rest."""
        rest = self._again - self._clock.monotonic()
        if rest > 0 or not self._mine():
            return max(rest, 0.0) or _IDLE_SECONDS
        waiting = self._kept.waiting(self.name, 2)
        if not waiting:
            return _IDLE_SECONDS
        error = self._try(waiting[0])
        if error is None or self._is_the_message(waiting):
            self._tries, self.error = 0, ""
            return 0.0
        return self._wait(error)

    def _wait(self, error: TransientError) -> float:
        self._tries += 1
        self.error = error.message
        self._kept.note_down(self.name, error.message, self._clock.now())
        if self._tries == 1:
            _log.warning("alarms wait, %s does not take them: %s", self.name, error)
        rest = self._pause(self._tries).total_seconds()
        self._again = self._clock.monotonic() + rest
        return rest

    def _is_the_message(self, waiting: Sequence[Waiting]) -> bool:
        """Whether another message goes through after the first failed often: the first then has one last try."""
        if self._tries < _SUSPECT or len(waiting) < 2 or self._try(waiting[1]) is not None:
            return False
        if (error := self._try(waiting[0])) is not None:
            self._refuse(waiting[0], error)
        return True

    def _try(self, waiting: Waiting) -> TransientError | None:
        """Send a message; return why it must wait, None if it has arrived or never will."""
        try:
            self.send(from_json(waiting.body))
        except TransientError as error:
            return error
        except RouterError as error:
            self._refuse(waiting, error)
        except Exception as error:  # noqa: BLE001  # a defect in one message must not silence the way
            self._refuse(waiting, RouterError(f"a defect: {type(error).__name__} at {traceback_of(error)}"))
        else:
            self._kept.arrived(self.name, waiting.id, self._clock.now())
        return None

    def _refuse(self, waiting: Waiting, error: RouterError) -> None:
        _log.error("%s does not take an alarm, which is given up: %s", self.name, error)
        self._kept.refused(self.name, waiting.id, error.message, self._clock.now())
