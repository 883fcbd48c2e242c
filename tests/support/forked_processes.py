"""Commands of ours as processes that need not load the program first: they are forked from one that has loaded it.

Half of the suite's processor time would go into loading the same modules for each node and each platform. A forked
process is as real as another: it has a number, a memory and files of its own, and dies of SIGKILL. The same holds for
the receive workers of a node, which are forked from a process that its node forks before it has threads.
"""

import atexit
import ctypes
import fcntl
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

_LONGEST, _MOST_HANDLES = 2**17, 3  # of a request: bytes, descriptors
_COMMAND_LINE = 2**14  # characters that /proc can show of a process's arguments, which name every folder of sys.path
_LOADED = (
    "router.node.node", "router.cli.run", "router.cli.platform", "router.trial.platform.service",
    "router.admin.console.console", "router.node.receive_worker",
)  # fmt: skip


_FILE = """
import runpy, sys
path, tests, *sys.argv[1:] = sys.argv[1:]
sys.path[:0] = path.rpartition("/")[0], tests
from support import forked_processes
server = vars(forked_processes)["FORK_SERVER"] = forked_processes.serving_here()
server.forks_workers = True
runpy.run_path(path, run_name="__main__")
"""


class ForkedProcess:
    """A forked command, with what is used of `subprocess.Popen`."""

    def __init__(self, server: "ForkServer", pid: int) -> None:
        self.pid = pid
        self._server = server

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        """The exit status as of Popen; None while it runs."""
        return self._server.status(self.pid, 0.0)

    def wait(self, timeout: float = 120.0) -> int:
        """Raises subprocess.TimeoutExpired."""
        status = self._server.status(self.pid, timeout)
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


class ForkServer:
    """The process that has loaded the program, or other modules, started at the first command. Its children outlive it.

    `here` reaches one that has been started.
    """

    def __init__(self, here: socket.socket | None = None, *, loaded: Sequence[str] = _LOADED) -> None:
        self.forks_workers = False  # whether nodes fork their receive workers, too
        self._lock = threading.Lock()
        self._ended: dict[int, int] = {}
        self._here = here
        self._loaded = loaded

    def start(self, arguments: Sequence[str], stdout: int, stderr: int) -> ForkedProcess:
        """As `python -m router.cli ARGUMENTS`, or as `python -c PROGRAM` where they begin with -c."""
        return self.fork(arguments, os.environ, {1: stdout, 2: stderr}, forks_workers=self.forks_workers)

    def run(self, arguments: Sequence[str], seconds: float) -> "subprocess.CompletedProcess[str]":
        """The same to its end."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = self.fork(arguments, os.environ, {1: out.fileno(), 2: err.fileno()})
            try:
                status = child.wait(seconds)
            finally:
                child.kill()
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, status, out.read().decode(), err.read().decode())

    def run_file(self, path: Path, arguments: Sequence[str], seconds: float) -> "subprocess.CompletedProcess[str]":
        """As `python PATH ARGUMENTS`, to its end; the nodes that it starts are forked, too."""
        return self.run(["-c", _FILE, str(path), str(Path(__file__).parents[1]), *arguments], seconds)

    def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], handles: Mapping[int, int], *,
        forks_workers: bool = False,
    ) -> ForkedProcess:  # fmt: skip
        """`handles`: the child's descriptors, by the numbers that it has them under."""
        request = {
            "arguments": list(arguments), "environment": dict(environment), "folder": str(Path.cwd()),
            "numbers": list(handles), "forks_workers": forks_workers,
        }  # fmt: skip
        with self._lock:
            here = self._here = self._here or _started(self._loaded)
            socket.send_fds(here, [json.dumps(request).encode()], list(handles.values()))
            return ForkedProcess(self, self._forked(here))

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
        """Take up what the server reports of ends."""
        assert self._here is not None
        with suppress(BlockingIOError):
            while True:
                self._note(json.loads(self._here.recv(_LONGEST, socket.MSG_DONTWAIT)))

    def _forked(self, here: socket.socket) -> int:
        while True:
            told = json.loads(here.recv(_LONGEST))
            if "forked" in told:
                self._ended.pop(told["forked"], None)  # of an earlier process of this number
                return int(told["forked"])
            self._note(told)

    def _note(self, told: dict[str, int]) -> None:
        self._ended[told["pid"]] = told["status"]


FORK_SERVER = ForkServer()
_CHAT_SERVER = ForkServer(loaded=("router.forward.chat", "apprise"))


def forked_chat() -> Any:
    """`subprocess` for `router.forward.chat`, by which the program with apprise is forked."""

    def run(
        call: Sequence[str],
        *,
        input: bytes,  # noqa: A002  # as of subprocess
        env: Mapping[str, str],
        timeout: float,
        **_: object,
    ) -> "subprocess.CompletedProcess[bytes]":
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            asked.write(input)
            asked.seek(0)
            child = _CHAT_SERVER.fork(
                call[call.index("-c") :], env, {0: asked.fileno(), 1: out.fileno(), 2: err.fileno()}
            )
            try:
                status = child.wait(timeout)
            finally:
                child.kill()
            out.seek(0)
            return subprocess.CompletedProcess(call, status, out.read())

    return SimpleNamespace(**vars(subprocess) | {"run": run})


def forking_subprocess(server: ForkServer = FORK_SERVER) -> Any:
    """`subprocess` for `router.dicom.scp.worker_pool`, by which receive workers are forked."""

    def start(call: Sequence[str], *, pass_fds: Sequence[int], env: Mapping[str, str], **_: object) -> ForkedProcess:
        [pipe] = pass_fds
        return server.fork(call[call.index("-c") :], env, {1: 1, 2: 2, pipe: pipe})

    return SimpleNamespace(**vars(subprocess) | {"Popen": start})


def _started(loaded: Sequence[str]) -> socket.socket:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    call = [sys.executable, __file__, str(there.fileno()), ",".join(loaded), " " * _COMMAND_LINE]
    process = subprocess.Popen(call, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL)
    there.close()

    def end() -> None:
        here.close()
        process.wait()

    atexit.register(end)
    return here


# -- in the server's own process


def serve(asked: socket.socket) -> dict[str, Any] | None:
    """Fork what is asked for until nobody asks any more, then None; the request, in the child."""
    selector = selectors.DefaultSelector()
    selector.register(asked, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                request, handles, _, _ = socket.recv_fds(asked, _LONGEST, _MOST_HANDLES)
                if not request:
                    return None
                pid = os.fork()
                if pid == 0:
                    for other in [*selector.get_map().values()]:
                        os.close(other.fd)
                    asked.detach()
                    found: dict[str, Any] = json.loads(request)
                    return found | {"handles": handles}
                for handle in handles:
                    os.close(handle)
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                asked.send(json.dumps({"forked": pid}).encode())
            else:
                selector.unregister(key.fileobj)
                os.close(key.fd)
                status = os.waitstatus_to_exitcode(os.waitpid(key.data, 0)[1])
                with suppress(OSError):  # nobody asks any more
                    asked.send(json.dumps({"pid": key.data, "status": status}).encode())


def _become(request: dict[str, Any]) -> None:
    """Run what is asked for, in the child."""
    moved = [fcntl.fcntl(handle, fcntl.F_DUPFD, 200) for handle in request["handles"]]
    for handle in request["handles"]:
        os.close(handle)
    for handle, number in zip(moved, request["numbers"], strict=True):
        os.dup2(handle, number)
        os.close(handle)
    # Those of this process believe that they can seek.
    sys.stdout, sys.stderr = map(_text, (1, 2))
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv[1:] = request["arguments"]
    _show_arguments(request["arguments"])
    if request["forks_workers"]:
        _fork_workers()
    if request["arguments"][0] == "-c":  # as Python has it: the program is no argument of its own
        _, program, *sys.argv[1:] = request["arguments"]
        exec(program, {"__name__": "__main__"})
        return
    from router.cli import launched

    launched(request["arguments"])


def _text(handle: int) -> IO[str]:
    kind = sys.stdout if handle == 1 else sys.stderr
    return os.fdopen(handle, "w", encoding=kind.encoding, errors=kind.errors, closefd=False)


def _show_arguments(arguments: Sequence[str]) -> None:
    """Have /proc show them as the process's own: tests find processes by them (proc(5): arg_start, arg_end)."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    line = b"\0".join(os.fsencode(each) for each in (sys.executable, *arguments))
    ctypes.memmove(start, line[: end - start - 1].ljust(end - start, b"\0"), end - start)


def serving_here() -> ForkServer:
    """A server forked from this process, which has loaded the program and has no threads."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        here.close()
        request = serve(there)
        if request is None:
            os._exit(0)
        _become(request)
        sys.exit()
    there.close()

    def end() -> None:
        here.close()
        os.waitpid(pid, 0)

    atexit.register(end)
    return ForkServer(here)


def _fork_workers() -> None:
    """Have this process, a node to be, fork its receive workers."""
    from router.dicom.scp import worker_pool

    vars(worker_pool)["subprocess"] = forking_subprocess(serving_here())


def main() -> None:
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).parent]
    from importlib import import_module

    for name in sys.argv[2].split(","):
        import_module(name)
    gc.freeze()
    asked = socket.socket(fileno=int(sys.argv[1]))
    request = serve(asked)
    if request is not None:
        _become(request)


if __name__ == "__main__":
    main()
