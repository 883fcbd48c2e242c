"""How many associations a destination gets at the same time, shared fairly among those who send to it."""

import threading
from collections.abc import Callable
from typing import Protocol

from router.errors import Crowded, RouterError

_LOOK_AGAIN_SECONDS = 0.5
_LOOKS = 10  # for a slot that other nodes have, until whoever wants it has something else to do


class Shared(Protocol):
    """Slots that other nodes take, too, each with a number. Raises TransientError while nobody knows."""

    def take(self, limit: int) -> int | None:
        """One of so many; None when all are taken."""

    def give(self, number: int) -> None:
        """Back from use; raises nothing."""

    def room(self, limit: int) -> bool:
        """Whether others leave any."""


class AssociationLimit:
    """`number` of them, for all nodes together where they are `shared`. A holder waits for more only as long as nobody
    is without."""

    def __init__(self, number: int, shared: Shared | None = None) -> None:
        self._full = number
        self.number = number
        self._shared = shared
        self._numbers: list[int] = []
        self._taken = 0
        self._waiting = 0
        self._changed = threading.Condition()

    def take(self, stop: Callable[[], bool]) -> bool:
        """Waits for a slot; False when `stop()` said so first. Crowded while other nodes have them all."""
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
        """A further slot, at once, if one is free and nobody waits."""
        with self._changed:
            if self._taken >= self.number or self._waiting:
                return False
            self._taken += 1
        return self._granted()

    def give(self) -> None:
        """Back from use."""
        with self._changed:
            number = self._numbers.pop() if self._shared else 0
        if self._shared is not None:
            self._shared.give(number)
        self._back()

    def narrow(self, number: int) -> None:
        """Give only so many from now on, or again all where `number` is not less; what is taken stays so."""
        with self._changed:
            self.number = min(number, self._full)
            self._changed.notify_all()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits, so that a further slot should be given back."""
        return self._waiting > 0

    def room(self) -> bool:
        """Whether other nodes leave any slot."""
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
        """Whether the other nodes leave the slot that is taken here; else it is free again."""
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
