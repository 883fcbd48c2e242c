"""Memory that the C library keeps for a program's threads."""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # mallopt(3)


def share_one_heap() -> None:
    """Serve all threads from one heap; to be called before any other thread runs.

    By itself glibc makes up to eight heaps for each processor, and each keeps the memory of the largest message or file
    that one of its threads has read: some 200 MB in an hour of broken messages. Another C library is left as it is.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
