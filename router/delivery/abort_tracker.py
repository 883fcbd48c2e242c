"""Blame where a destination ends associations: an instance, or the destination itself."""

import threading


class AbortTracker:
    """The instances with which associations to one destination were lost since it last answered for any.

    One alone is to blame itself. Of several the destination is: it goes down, or its disk is full, and that must not be
    held against any of them. For several threads.
    """

    def __init__(self) -> None:
        self._lost: set[int] = set()
        self._lock = threading.Lock()

    def answered(self) -> None:
        """The destination has taken or refused an instance."""
        with self._lock:
            self._lost.clear()

    def lost(self, key: int) -> bool:
        """An association was lost with this one under way; whether that counts against it."""
        with self._lock:
            self._lost.add(key)
            return self._lost == {key}
