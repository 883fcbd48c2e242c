"""One heap for all threads, which large pieces do not tear apart."""

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


# Large messages, of each of which something small is kept. One of 24 MiB came before.
_LARGE_AND_SMALL = """
import ctypes, sys
from router.process.heap import share_one_heap

if sys.argv[1] == "shared":
    share_one_heap()
library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
library.free(library.malloc(24 * 2**20))
library.sbrk.restype, library.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
begin = library.sbrk(0)
messages = []
for _ in range(64):
    messages.append(library.malloc(2**20))
    library.malloc(2000)
for message in messages:
    library.free(message)
print((library.sbrk(0) - begin) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the heap is glibc's")
def test_large_messages_are_given_back_though_small_pieces_of_each_are_kept() -> None:
    def left(how: str) -> int:
        command = [sys.executable, "-c", _LARGE_AND_SMALL, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert left("each") > 50  # MiB
    assert left("shared") < 4
