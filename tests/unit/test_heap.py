"""One heap for all threads."""

import subprocess
import sys

import pytest

# glibc tells of its heaps by malloc_info(3).
_PROGRAM = """
import ctypes, sys, threading
from router.process.heap import share_one_heap

if sys.argv[1] == "shared":
    share_one_heap()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes = [ctypes.c_size_t]
met = threading.Barrier(6)

def take():
    library.malloc(50_000)
    met.wait()

threads = [threading.Thread(target=take) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(library.fdopen(1, b"w"))
library.malloc_info(0, stream)
library.fclose(stream)
"""


def heaps(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True)
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_info is glibc's")
def test_threads_share_one_heap() -> None:
    assert heaps("each") > 1
    assert heaps("shared") == 1
