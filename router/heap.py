"""The memory that the C library keeps for a program's threads."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # mallopt(3)
_LARGE = 2**18  # bytes


def share_one_heap() -> None:
    """Have all threads served from one heap, and large pieces from none; before any other thread runs.

    Else glibc makes up to eight for each processor, and each keeps what the largest message or file that a thread of
    it has read took: in an hour of broken messages some 200 MB. A large piece is mapped apart and given back when it
    is freed. By itself glibc takes pieces of up to 32 MiB from the heap once such a one was freed; small ones that are
    kept then lie between them, and the heap never shrinks. Another C library is left as it is.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        for option, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _LARGE)):
            library.mallopt(option, value)
