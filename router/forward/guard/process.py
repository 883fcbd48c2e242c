"""The process of one profile, seen from the node: asked under a time limit, ended when it fails, started again."""

import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from router.errors import InvalidData
from router.forward.guard import wire
from router.process.environment import inherited

LIMIT = 20.0
"""Seconds that a function of a profile may take."""
STARTING = 60.0
_ENDING = 2.0
_TUNABLES = {"hugetlb": 1, "mmap_max": 0, "trim_threshold": 64 * 2**20}
_MEMORY = {"GLIBC_TUNABLES": ":".join(f"glibc.malloc.{name}={value}" for name, value in _TUNABLES.items())}
"""A body of 40 MB is made by way of ten such texts: large pages that are used again save a third of the time."""
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from router.forward.guard.hosted import main
main()
"""


class Stopped(Exception):
    """The process gave no answer: in words why."""


class Child:
    """A process that answers frames; not for two threads at once."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        command = [sys.executable, "-P", "-W", "ignore", "-c", _PROGRAM, os.pathsep.join(sys.path)]
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**inherited(os.environ), **_MEMORY, **variables},
        )  # fmt: skip
        self._end = weakref.finalize(self, _end, self._process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, question: Mapping[str, object], limit: float) -> Mapping[str, Any]:
        """Its answer; Stopped when there is none within the limit, and it is ended then."""
        late = threading.Event()
        timer = threading.Timer(limit, _cut, (self._process, late))
        timer.daemon = True
        timer.start()
        try:
            wire.write(cast(BinaryIO, self._process.stdin), question)
            answer = wire.read(cast(BinaryIO, self._process.stdout))
        except (OSError, EOFError, InvalidData) as error:
            why = self._why(late.is_set())
            self.end()
            raise Stopped(why) from error
        finally:
            timer.cancel()
        if not isinstance(answer, dict):
            self.end()
            raise Stopped("gives no answer that reads")
        return answer

    def end(self) -> None:
        """End it."""
        self._end()

    def _why(self, late: bool) -> str:
        try:
            code = self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            return "gives no answer that reads"
        return "does not end in time" if late or code == -signal.SIGALRM else f"ended its process ({code})"


def _cut(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue
    process.wait()
