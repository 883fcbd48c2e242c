"""The limit of associations open to one destination at a time, shared fairly among its senders."""

import threading
from collections.abc import Callable
from typing import Protocol

from router.errors import Crowded, RouterError
from router.policy.breadth import Exchange, Measured, first, judged, refused

_LOOK_AGAIN_SECONDS = 0.5
_LOOKS = 10  # for a slot that other nodes hold, before the sender does something else


class Shared(Protocol):
    """Numbered slots that other nodes take, too. Raises TransientError while the database does not answer."""

    def take(self, limit: int) -> int | None:
        """Take one of the first `limit` slots; None when all are taken."""

    def give(self, number: int) -> None:
        """Give the slot back; raises nothing."""

    def room(self, limit: int) -> bool:
        """Whether other nodes leave a slot free."""


class AssociationLimit:
    """Hands out `number` slots, of all nodes when `shared`; a holder's second one only while no one waits for one.

    `breadth` of them are worth having for one holder: what goes over them is measured by `note`.
    """

    def __init__(self, number: int, shared: Shared | None = None) -> None:
        self._full = number
        self.number = number
        self._shared = shared
        self._numbers: list[int] = []
        self._taken = 0
        self._waiting = 0
        self._chosen = first(number)
        self._measured = Measured(associations=0)
        self._changed = threading.Condition()

    def take(self, stop: Callable[[], bool]) -> bool:
        """Wait for a slot; False when `stop()` is true first. Raises Crowded while other nodes hold all of them."""
        with self._changed:
            self._waiting += 1
        try:
            for _ in range(_LOOKS):
                if not self._taken_here(stop):
                    return False
                if self._granted():
                    return True
                with self._changed:
                    self._changed.wait(_LOOK_AGAIN_SECONDS)
                if stop():
                    return False
            raise Crowded("other nodes have every association that the destination takes")
        finally:
            with self._changed:
                self._waiting -= 1

    def take_spare(self) -> bool:
        """Take a further slot if one is free, worth having, and no one waits; returns at once."""
        with self._changed:
            if self._taken >= self.breadth or self._waiting:
                return False
            self._taken += 1
        return self._granted()

    def give(self) -> None:
        """Give a slot back."""
        with self._changed:
            number = self._numbers.pop() if self._shared else 0
        if self._shared is not None:
            self._shared.give(number)
        self._back()

    def narrow(self, number: int) -> None:
        """Hand out at most so many from now on, up to the full number; a slot that is taken stays its holder's."""
        with self._changed:
            self.number = min(number, self._full)
            self._changed.notify_all()

    @property
    def breadth(self) -> int:
        """How many slots are worth having for one holder."""
        return min(self._chosen.number, self.number)

    def opened(self) -> None:
        """Note that an association is open: what goes over all of them is measured from here."""
        with self._changed:
            self._measured = Measured(associations=0)

    def note(self, exchange: Exchange) -> None:
        """Note what went over one of the associations; it counts while as many are open as are to be judged."""
        with self._changed:
            if self._measured.associations != self._taken:
                self._measured = Measured(associations=self._taken)
            self._measured = self._measured.after(exchange)
            if self._measured.is_enough and self._taken == self._chosen.number:
                self._chosen, self._measured = judged(self._chosen, self._measured), Measured(associations=0)

    def refused(self) -> None:
        """Note that the destination refused an association, whose slot is given back; the others say what it takes."""
        with self._changed:
            if self._taken:
                self._chosen = refused(self._chosen, self._taken)

    @property
    def wanted(self) -> bool:
        """Whether a sender waits for a slot, so that a further one should be given back."""
        return self._waiting > 0

    def room(self) -> bool:
        """Whether other nodes leave a slot free."""
        return self._shared is None or self._shared.room(self.number)

    def _taken_here(self, stop: Callable[[], bool]) -> bool:
        with self._changed:
            while self._taken >= self.number:
                self._changed.wait(_LOOK_AGAIN_SECONDS)
                if stop():
                    return False
            self._taken += 1
            return True

    def _granted(self) -> bool:
        """Take the slot of all nodes, too; False when they leave none, and the local one is free again."""
        if self._shared is None:
            return True
        try:
            number = self._shared.take(self.number)
        except RouterError:
            self._back()
            raise
        if number is None:
            self._back()
            return False
        with self._changed:
            self._numbers.append(number)
        return True

    def _back(self) -> None:
        with self._changed:
            self._taken -= 1
            self._changed.notify()
