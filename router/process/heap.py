"""The memory that the C library keeps for a program's threads."""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # mallopt(3)


def share_one_heap() -> None:
    """Have all threads served from one heap; before any other thread runs.

    Else glibc makes up to eight for each processor, and each keeps what the largest message or file that a thread of
    it has read took: in an hour of broken messages some 200 MB. Another C library is left as it is.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
