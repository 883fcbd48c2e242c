"""The receive workers, seen from the main process: started, given connections, watched, ended."""

import logging
import os
import queue
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from router.dicom.scp.acceptor import AssociationEvents, Settings
from router.dicom.scp.admission import Ask
from router.dicom.scp.store import Received, Refused
from router.dicom.scp.worker_pipe import Answer, Beat, Ended, Message, Outcomes, Reported, Stop, Take, Taken, WorkerPipe
from router.dicom.ul import dimse
from router.errors import ConfigurationError, traceback_of
from router.process.environment import inherited

_SEND_SECONDS = 5.0  # a worker that takes no message for so long is broken
_RESTART_SECONDS = 1.0
_END_SECONDS = 5.0
_READY_SECONDS = 20.0
_BEAT_SECONDS = 2.0
_BEATS = 30  # a minute without an answer
_SILENT_BEATS = 3  # so many without an answer: others get the connections
_STILL_SECONDS = 15.0  # without a beat this process admits no one
_TRIAL_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerCommands:
    """How to start each worker: a command line, to which the number of its pipe's descriptor is added.

    The program calls `work` with that descriptor and a sink that no other process writes to.
    """

    commands: tuple[tuple[str, ...], ...]
    trial: Callable[[], None] = field(default=lambda: None, compare=False)
    """Write where the workers write; OSError when the disk takes nothing."""


@dataclass(eq=False, slots=True, kw_only=True)
class _Worker:
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    pipe: WorkerPipe
    numbers: set[int] = field(default_factory=set)
    unanswered: int = 0  # beats, since the last one that was answered
    ready: bool = False

    @property
    def serves(self) -> bool:
        """Whether it is up and answers."""
        return self.ready and self.unanswered < _SILENT_BEATS


class WorkerPool:
    """The worker processes. One that ends is restarted."""

    def __init__(self, commands: WorkerCommands, events: AssociationEvents, settings: Settings) -> None:
        self._commands = commands.commands
        self._trial = _Trial(commands.trial)
        self._last_beat = time.monotonic()
        self._events = events
        self._settings = settings
        self._workers: list[_Worker] = []
        self._to_restart: list[Sequence[str]] = []
        self._asked: list[tuple[_Worker, Ask]] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._outcomes: queue.SimpleQueue[tuple[Received | Refused, ...] | None] = queue.SimpleQueue()
        self._reported: queue.SimpleQueue[tuple[_Worker, Reported] | None] = queue.SimpleQueue()
        self._ready = threading.Semaphore(0)
        self._listening = threading.Thread(target=self._listen, name="dicom-workers", daemon=True)
        self._recording = threading.Thread(target=self._record, name="dicom-record", daemon=True)
        # Reports wait for the database, so they have a thread of their own.
        self._reporting = threading.Thread(target=self._take_reports, name="dicom-report", daemon=True)

    def start(self) -> None:
        """Start every worker; ConfigurationError when one does not come up. Later ones are not waited for."""
        for command in self._commands:
            self._spawn(command)
        self._recording.start()
        self._reporting.start()
        self._listening.start()
        until = time.monotonic() + _READY_SECONDS
        for _ in self._commands:
            if not self._ready.acquire(timeout=max(0.0, until - time.monotonic())):
                self.stop(0)
                raise ConfigurationError("the receive workers do not start", hint="what they say is above")

    def take(self, connection: socket.socket, number: int, address: str) -> None:
        """Pass the connection to the worker that has fewest, of those that answer; close it when there is no worker."""
        with self._lock:
            worker = min(self._workers, key=lambda worker: (not worker.serves, len(worker.numbers)), default=None)
            if worker is not None:
                worker.numbers.add(number)
        if worker is None or not self._send(worker, Take(number, address), connection):
            self._events.ended(number)
        connection.close()

    def serving(self) -> int:
        """How many workers are up and answer; 0 while this process admits no one to them. Waits for nothing."""
        if not self._listening.is_alive() or time.monotonic() - self._last_beat >= _STILL_SECONDS:
            return 0
        return sum(worker.serves for worker in list(self._workers))

    def renew(self, settings: Settings) -> None:
        """Serve by these from the next connection on."""
        with self._lock:
            self._settings = settings
            for worker in self._workers:
                self._send(worker, settings)

    def stop(self, grace_seconds: float) -> None:
        """As `AssociationThreads.stop`, in every worker; returns when all have ended."""
        self._stopping = True
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            self._send(worker, Stop(grace_seconds))
        until = time.monotonic() + grace_seconds + _END_SECONDS
        for worker in workers:
            try:
                worker.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._listening.join()
        self._outcomes.put(None)
        self._reported.put(None)
        self._recording.join()
        self._reporting.join()
        self._selector.close()

    def _spawn(self, command: Sequence[str]) -> None:
        """OSError when the system gives no process or no descriptor."""
        pipe, theirs = WorkerPipe.pair(_SEND_SECONDS)
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 our own program
                    [*command, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=inherited(os.environ),
                )
            except OSError:
                pipe.close()
                raise
        worker = _Worker(command=command, process=process, pipe=pipe)
        self._selector.register(pipe, selectors.EVENT_READ, worker)
        with self._lock:
            self._send(worker, self._settings)
            self._workers.append(worker)

    def _send(self, worker: _Worker, message: Message, connection: socket.socket | None = None) -> bool:
        try:
            worker.pipe.send(message, connection)
        except OSError:
            worker.process.kill()  # what it had open is lost, and its pipe ends, which we see
            return False
        return True

    def _listen(self) -> None:
        while self._workers or not self._stopping:
            ready = self._selector.select(0 if self._asked else _RESTART_SECONDS)
            for key, _ in ready:
                self._receive(key.data)
            if not ready:  # no other message is left: the end of one association may make room for the next
                asked, self._asked = self._asked, []
                for worker, ask in asked:
                    self._send(worker, Answer(ask.number, self._events.admit(ask)))
                self._restart()
            if time.monotonic() - self._last_beat >= _BEAT_SECONDS:
                self._beat()

    def _beat(self) -> None:
        """Ask each worker for a sign of life, and end those that have long given none although the disk can be written.

        Beats are counted, not seconds: while this process itself stood still no worker was silent.
        """
        self._last_beat = time.monotonic()
        silent = [worker for worker in self._workers if worker.unanswered >= _BEATS]
        if silent and not self._stopping and self._trial.passes():
            for worker in silent:
                _log.error("a receive worker gives no sign of life, while the disk can be written, and is replaced")
                worker.process.kill()
        for worker in list(self._workers):
            if worker not in silent:
                worker.unanswered += 1
                self._send(worker, Beat())

    def _receive(self, worker: _Worker) -> None:
        try:
            received = worker.pipe.receive()
        except OSError:
            received = None
        if received is None:
            self._reap(worker)
            return
        message, _ = received
        if isinstance(message, Ask):
            self._asked.append((worker, message))
        elif isinstance(message, Ended):
            self._end(worker, message.number)
        elif isinstance(message, Reported):
            self._reported.put((worker, message))
        elif isinstance(message, Outcomes):
            self._outcomes.put(message.happened)
        elif isinstance(message, Beat):
            worker.unanswered = 0
            if not worker.ready:
                worker.ready = True
                self._ready.release()

    def _end(self, worker: _Worker, number: int) -> None:
        with self._lock:
            worker.numbers.discard(number)
        self._events.ended(number)

    def _reap(self, worker: _Worker) -> None:
        self._selector.unregister(worker.pipe)
        worker.pipe.close()
        with self._lock:
            self._workers.remove(worker)
        for number in list(worker.numbers):
            self._end(worker, number)
        if not self._stopping:
            worker.process.wait()
            _log.error("a receive worker ended with status %s and is restarted", worker.process.returncode)
            self._to_restart.append(worker.command)

    def _restart(self) -> None:
        waiting, self._to_restart = self._to_restart, []
        for command in waiting:
            try:
                if not self._stopping:
                    self._spawn(command)
            except OSError as error:
                _log.error("a receive worker cannot be started yet: %s", error.strerror)
                self._to_restart.append(command)

    def _record(self) -> None:
        while (happened := self._outcomes.get()) is not None:
            for outcome in happened:
                self._events.record(outcome)

    def _take_reports(self) -> None:
        while (reported := self._reported.get()) is not None:
            worker, message = reported
            try:
                status = self._events.report(message.report)
            except Exception as error:  # noqa: BLE001 the thread's top: a defect costs this report, which comes again
                _log.error("a report is not taken by a defect: %s at %s", type(error).__name__, traceback_of(error))
                status = dimse.PROCESSING_FAILURE
            self._send(worker, Taken(message.number, status))


class _Trial:
    """A test write in a thread of its own: a disk that hangs blocks the writer."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._thread: threading.Thread | None = None
        self._passed = False

    def passes(self) -> bool:
        """Start a test write, or look at the one that runs; whether it has succeeded, False while it runs."""
        if self._thread is None:
            self._passed = False
            self._thread = threading.Thread(target=self._run, name="dicom-trial", daemon=True)
            self._thread.start()
            self._thread.join(_TRIAL_SECONDS)
        if self._thread.is_alive():
            return False
        self._thread = None
        return self._passed

    def _run(self) -> None:
        try:
            self._write()
        except OSError as error:
            _log.error("a test write to incoming/ fails: %s", error.strerror)
        else:
            self._passed = True
