"""Memory that the C library keeps for a program's threads."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # mallopt(3)
_LARGE = 2**18  # bytes


def share_one_heap() -> None:
    """Serve all threads from one heap, and large pieces from none; to be called before any other thread runs.

    By itself glibc makes up to eight heaps a processor, each of which keeps the memory of the largest message or file
    that a thread has read: some 200 MB in an hour of broken messages. It also takes pieces of up to 32 MiB from a heap
    once one was freed, and small ones between them keep it from shrinking. Another C library is left as it is.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        for option, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _LARGE)):
            library.mallopt(option, value)
