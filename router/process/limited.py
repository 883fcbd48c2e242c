"""Programs of few rights that read foreign files: a hostile file costs that program only.

Node and program share one socket, the program's standard input and output. Each answer has its length (8 bytes) before
it.
"""

import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from pathlib import Path

from router.process.confinement import confine
from router.process.environment import inherited

WALL = 12.0
"""Other programs may have the processors: how much longer than its processor time a file may take."""
LENGTH = struct.Struct(">Q")
_OVERTIME = 2  # seconds of processor time until the system ends what does not end by itself


# -- the node's side


class LimitedProgram:
    """One program, started when it is first needed and after it was lost; OSError from an answer when it is lost.

    `code` finds the folders of modules in its first argument. `variables` are added to its environment.
    """

    def __init__(self, code: str, *limits: float, variables: Mapping[str, str] | None = None) -> None:
        self._command = (
            sys.executable, "-P", "-W", "ignore", "-c", code, os.pathsep.join(sys.path), *map(str, limits)
        )  # fmt: skip
        self._variables = variables or {}
        self._running: tuple[subprocess.Popen[bytes], socket.socket] | None = None

    def give(self, data: bytes, seconds: float) -> None:
        """Give it data, after their length."""
        self._channel(seconds).sendall(LENGTH.pack(len(data)) + data)

    def give_file(self, handle: int, seconds: float) -> None:
        """Give it an open file: it may open none."""
        socket.send_fds(self._channel(seconds), [b"f"], [handle])

    def answer(self, seconds: float) -> bytes:
        """Its next answer."""
        channel = self._channel(seconds)
        return _receive(channel, LENGTH.unpack(_receive(channel, LENGTH.size))[0])

    def start(self) -> None:
        """Have it running."""
        if self._running is None:
            ours, theirs = socket.socketpair()
            with theirs:
                end = theirs.fileno()
                process = subprocess.Popen(  # noqa: S603  # our own program
                    self._command, stdin=end, stdout=end, stderr=subprocess.DEVNULL,
                    env={**inherited(os.environ), **self._variables},
                )  # fmt: skip
            self._running = process, ours

    def _channel(self, seconds: float) -> socket.socket:
        if self._running is None:
            raise ConnectionResetError
        self._running[1].settimeout(seconds)
        return self._running[1]

    def end(self) -> None:
        """End it."""
        if self._running is not None:
            process, channel = self._running
            channel.close()
            process.kill()
            process.wait()
            self._running = None


def _receive(channel: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        if not (part := channel.recv(count - len(found))):
            raise ConnectionResetError
        found += part
    return bytes(found)


# -- the program's side


class OutOfTime(BaseException):
    """The processor time for a file is over; no handler of a reading library takes it."""


def settle(memory: int, libraries: Path) -> None:
    """Give up what `confine` takes. Signals are the main process's business."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, _end_of_time)
    confine(memory, libraries)


def begin(seconds: float) -> None:
    """Have the system end this program after so much more processor time: a library may not come back."""
    most = ceil(time.process_time() + seconds + _OVERTIME)
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Raise OutOfTime after so much processor time."""
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def respond(said: bytes) -> None:
    """Give the node an answer."""
    try:
        sys.stdout.buffer.write(LENGTH.pack(len(said)) + said)
        sys.stdout.buffer.flush()
    except ConnectionError:
        os._exit(0)  # the main process is gone: nobody waits for an answer


def _end_of_time(*_: object) -> None:
    raise OutOfTime
