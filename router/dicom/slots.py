"""How many associations a destination gets at the same time, shared fairly among those who send to it."""

import threading
from collections.abc import Callable

_LOOK_AGAIN_SECONDS = 0.5


class Slots:
    """`number` of them. Who has one waits for more only as long as nobody is without."""

    def __init__(self, number: int) -> None:
        self._full = number
        self.number = number
        self._taken = 0
        self._waiting = 0
        self._changed = threading.Condition()

    def take(self, stop: Callable[[], bool]) -> bool:
        """Waits for a slot; False when `stop()` said so first."""
        with self._changed:
            self._waiting += 1
            try:
                while self._taken >= self.number:
                    self._changed.wait(_LOOK_AGAIN_SECONDS)
                    if stop():
                        return False
                self._taken += 1
                return True
            finally:
                self._waiting -= 1

    def take_spare(self) -> bool:
        """A further slot, at once, if one is free and nobody waits."""
        with self._changed:
            if self._taken >= self.number or self._waiting:
                return False
            self._taken += 1
            return True

    def give(self) -> None:
        """Back from use."""
        with self._changed:
            self._taken -= 1
            self._changed.notify()

    def narrow(self, number: int) -> None:
        """Give only so many from now on, or again all where `number` is not less; what is taken stays so."""
        with self._changed:
            self.number = min(number, self._full)
            self._changed.notify_all()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits, so that a further slot should be given back."""
        return self._waiting > 0
