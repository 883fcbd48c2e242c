"""Commands of ours as processes that need not load the program first: they are forked from one that has loaded it.

Half of the suite's processor time would go into loading the same modules for each node and each platform. A forked
process is as real as another: it has a number, a memory and files of its own, and dies of SIGKILL.
"""

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_LONGEST = 2**17  # bytes of a request
_LOADED = (
    "router.node.node", "router.cli.run", "router.cli.platform", "router.trial.platform.service",
    "router.admin.console.console", "router.node.receive_worker",
)  # fmt: skip


class Child:
    """A forked command, with what the tests use of `subprocess.Popen`; its stdout is a pipe."""

    def __init__(self, nursery: "Nursery", pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self._nursery = nursery

    def poll(self) -> int | None:
        """The exit status as of Popen; None while it runs."""
        return self._nursery.status(self.pid, 0.0)

    def wait(self, timeout: float = 60.0) -> int:
        """Raises subprocess.TimeoutExpired."""
        status = self._nursery.status(self.pid, timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that has loaded the program, started at the first command. Its children outlive it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: dict[int, int] = {}
        self._here: socket.socket | None = None

    def start(self, arguments: Sequence[str], stderr: IO[bytes]) -> Child:
        """As `python -m router.cli ARGUMENTS`, or as `python -c PROGRAM` where they begin with -c."""
        out, into = os.pipe()
        with self._lock:
            here = self._here = self._here or _mother()
            request = {"arguments": list(arguments), "environment": dict(os.environ), "folder": str(Path.cwd())}
            socket.send_fds(here, [json.dumps(request).encode()], [into, stderr.fileno()])
            os.close(into)
            pid = self._born(here)
        return Child(self, pid, os.fdopen(out, "rb", buffering=0))

    def status(self, pid: int, seconds: float) -> int | None:
        """The exit status of a child; None when it still runs after so many seconds."""
        until = time.monotonic() + seconds
        while True:
            with self._lock:
                self._hear()
                if pid in self._ended or time.monotonic() >= until:
                    return self._ended.get(pid)
            time.sleep(0.005)

    def _hear(self) -> None:
        """Take up what the nursery has told of ends."""
        assert self._here is not None
        with suppress(BlockingIOError):
            while True:
                self._note(json.loads(self._here.recv(_LONGEST, socket.MSG_DONTWAIT)))

    def _born(self, here: socket.socket) -> int:
        while True:
            told = json.loads(here.recv(_LONGEST))
            if "born" in told:
                self._ended.pop(told["born"], None)  # of an earlier process of this number
                return int(told["born"])
            self._note(told)

    def _note(self, told: dict[str, int]) -> None:
        self._ended[told["pid"]] = told["status"]


NURSERY = Nursery()


def _mother() -> socket.socket:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    call = [sys.executable, __file__, str(there.fileno())]
    process = subprocess.Popen(call, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL)
    there.close()

    def end() -> None:
        here.close()
        process.wait()

    atexit.register(end)
    return here


# -- in the nursery's own process


def serve(asked: socket.socket) -> dict[str, Any] | None:
    """Fork what is asked for until nobody asks any more; the request, in the child."""
    selector = selectors.DefaultSelector()
    selector.register(asked, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                request, handles, _, _ = socket.recv_fds(asked, _LONGEST, 2)
                if not request:
                    return None
                pid = os.fork()
                if pid == 0:
                    for other in [*selector.get_map().values()]:
                        os.close(other.fd)
                    found: dict[str, Any] = json.loads(request)
                    return found | {"handles": handles}
                for handle in handles:
                    os.close(handle)
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                asked.send(json.dumps({"born": pid}).encode())
            else:
                selector.unregister(key.fileobj)
                os.close(key.fd)
                status = os.waitstatus_to_exitcode(os.waitpid(key.data, 0)[1])
                with suppress(OSError):  # nobody asks any more
                    asked.send(json.dumps({"pid": key.data, "status": status}).encode())


def _text(handle: int) -> IO[str]:
    kind = sys.stdout if handle == 1 else sys.stderr
    return os.fdopen(handle, "w", encoding=kind.encoding, errors=kind.errors, closefd=False)


def main() -> None:
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).parent]
    from importlib import import_module

    for name in _LOADED:
        import_module(name)
    gc.freeze()
    asked = socket.socket(fileno=int(sys.argv[1]))
    request = serve(asked)
    if request is None:
        return
    asked.detach()
    for handle, standard in zip(request["handles"], (1, 2), strict=True):
        os.dup2(handle, standard)
        os.close(handle)
    # Those of this process believe that they can seek.
    sys.stdout, sys.stderr = map(_text, (1, 2))
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv[1:] = request["arguments"]
    if request["arguments"][0] == "-c":  # as Python has it: the program is no argument of its own
        _, program, *sys.argv[1:] = request["arguments"]
        exec(program, {"__name__": "__main__"})
        return
    from router.cli import launched

    launched(request["arguments"])


if __name__ == "__main__":
    main()
