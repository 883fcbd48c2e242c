"""Receive workers, seen from both sides. A worker knows its sink and its channel, nothing else of the node."""

import itertools
import logging
import os
import queue
import selectors
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from router.config.sections import Tls
from router.dicom.scp.acceptor import AssociationEvents
from router.dicom.scp.admission import Rejection
from router.dicom.scp.associations import AssociationThreads
from router.dicom.scp.store import Received, Refused, Sink
from router.dicom.scp.worker_pipe import (
    Answer,
    Ask,
    Beat,
    Begin,
    Ended,
    Message,
    Outcomes,
    Ready,
    Reported,
    Stop,
    Take,
    Taken,
    WorkerPipe,
)
from router.dicom.ul import dimse
from router.dicom.ul.commitment import Report
from router.dicom.ul.socket import Limits
from router.dicom.ul.tls import server_context
from router.errors import ConfigurationError, traceback_of
from router.process.environment import inherited
from router.refusals import Why

_SEND_SECONDS = 5.0  # a worker that takes no message for so long is broken
_RESTART_SECONDS = 1.0
_END_SECONDS = 5.0
_READY_SECONDS = 20.0
_REPORT_SECONDS = 30.0  # the peer is then told to report again
_BEAT_SECONDS = 2.0
_BEATS = 30  # a minute without an answer
_SILENT_BEATS = 3  # so many without an answer: others get the connections
_STILL_SECONDS = 15.0  # without a beat this process admits nobody
_TRIAL_SECONDS = 2.0
_GATHER_SECONDS = 0.02  # what happens within this time is told together
_MOST_TOLD = 64  # in one message; a thousand bytes each at most, its longest texts from hostile peers
_UNSAID = Rejection(result=2, source=3, reason=1, text="the node is stopping", why=Why.STOPPING)

_Question = tuple[type[Ask | Reported], int]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerCommands:
    """How to start each worker: a command line, to which the number of its channel's descriptor is added.

    The program calls `work` with that descriptor and a sink that no other process writes to.
    """

    commands: tuple[tuple[str, ...], ...]
    trial: Callable[[], None] = field(default=lambda: None, compare=False)
    """Write where the workers write; OSError when the disk takes nothing."""


@dataclass(eq=False, slots=True, kw_only=True)
class _Worker:
    command: Sequence[str]
    process: subprocess.Popen[bytes]
    channel: WorkerPipe
    numbers: set[int] = field(default_factory=set)
    unanswered: int = 0  # beats, since the last one that was answered
    ready: bool = False

    @property
    def serves(self) -> bool:
        """Whether it is up and answers."""
        return self.ready and self.unanswered < _SILENT_BEATS


class WorkerPool:
    """The worker processes, seen from the main one. A worker that ends is started anew."""

    def __init__(
        self,
        commands: WorkerCommands,
        desk: AssociationEvents,
        limits: Limits,
        receiving_ae: str | None,
        tls: Tls | None,
        *,
        reports: bool,
    ) -> None:
        self._commands = commands.commands
        self._trial = _Trial(commands.trial)
        self._beaten = time.monotonic()
        self._desk = desk
        self._begin = Begin(limits, receiving_ae, tls, reports)
        self._workers: list[_Worker] = []
        self._vacant: list[Sequence[str]] = []
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
            self._hire(command)
        self._recording.start()
        self._reporting.start()
        self._listening.start()
        until = time.monotonic() + _READY_SECONDS
        for _ in self._commands:
            if not self._ready.acquire(timeout=max(0.0, until - time.monotonic())):
                self.stop(0)
                raise ConfigurationError("the receive workers do not start", hint="what they say is above")

    def take(self, connection: socket.socket, number: int, address: str) -> None:
        """To the worker with the fewest connections, of those that answer; refused by closing it when there is none."""
        with self._lock:
            worker = min(self._workers, key=lambda worker: (not worker.serves, len(worker.numbers)), default=None)
            if worker is not None:
                worker.numbers.add(number)
        if worker is None or not self._tell(worker, Take(number, address), connection):
            self._desk.ended(number)
        connection.close()

    def serving(self) -> int:
        """How many workers are up and answer; 0 while this process admits nobody to them. Waits for nothing."""
        if not self._listening.is_alive() or time.monotonic() - self._beaten >= _STILL_SECONDS:
            return 0
        return sum(worker.serves for worker in list(self._workers))

    def renew(self, tls: Tls | None, *, reports: bool) -> None:
        """As when they are made; from the next connection on."""
        with self._lock:
            self._begin = replace(self._begin, tls=tls, reports=reports)
            for worker in self._workers:
                self._tell(worker, self._begin)

    def stop(self, grace_seconds: float) -> None:
        """As `Receiver.stop`, in every worker; afterwards none is left."""
        self._stopping = True
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            self._tell(worker, Stop(grace_seconds))
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

    def _hire(self, command: Sequence[str]) -> None:
        """OSError when the system gives no process or no descriptor."""
        channel, theirs = WorkerPipe.pair(_SEND_SECONDS)
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 our own program
                    [*command, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=inherited(os.environ),
                )
            except OSError:
                channel.close()
                raise
        worker = _Worker(command=command, process=process, channel=channel)
        self._selector.register(channel, selectors.EVENT_READ, worker)
        with self._lock:
            self._tell(worker, self._begin)
            self._workers.append(worker)

    def _tell(self, worker: _Worker, message: Message, connection: socket.socket | None = None) -> bool:
        try:
            worker.channel.send(message, connection)
        except OSError:
            worker.process.kill()  # what it had open is lost, and its channel's end tells us so
            return False
        return True

    def _listen(self) -> None:
        while self._workers or not self._stopping:
            ready = self._selector.select(0 if self._asked else _RESTART_SECONDS)
            for key, _ in ready:
                self._hear(key.data)
            if not ready:
                self._answer()
                self._fill_vacancies()
            if time.monotonic() - self._beaten >= _BEAT_SECONDS:
                self._beat()

    def _beat(self) -> None:
        """Ask every worker whether it lives, and end those that are long silent though the disk takes what is written.

        Beats are counted, not seconds: while this process itself stood still no worker was silent.
        """
        self._beaten = time.monotonic()
        silent = [worker for worker in self._workers if worker.unanswered >= _BEATS]
        if silent and not self._stopping and self._trial.passes():
            for worker in silent:
                _log.error("a receive worker gives no sign of life, while the disk can be written, and is replaced")
                worker.process.kill()
        for worker in list(self._workers):
            if worker not in silent:
                worker.unanswered += 1
                self._tell(worker, Beat())

    def _hear(self, worker: _Worker) -> None:
        try:
            received = worker.channel.receive()
        except OSError:
            received = None
        if received is None:
            self._dismiss(worker)
            return
        message, _ = received
        if isinstance(message, Ask):
            self._asked.append((worker, message))
        elif isinstance(message, Ended):
            self._forget(worker, message.number)
        elif isinstance(message, Reported):
            self._reported.put((worker, message))
        elif isinstance(message, Outcomes):
            self._outcomes.put(message.happened)
        elif isinstance(message, Beat):
            worker.unanswered = 0
        elif isinstance(message, Ready):
            worker.ready, worker.unanswered = True, 0
            self._ready.release()

    def _answer(self) -> None:
        """Once every message before them is heard: the end of one association may make room for the next."""
        asked, self._asked = self._asked, []
        for worker, ask in asked:
            rejection = self._desk.admit(ask.number, ask.called, ask.calling, ask.address, ask.certificate)
            self._tell(worker, Answer(ask.number, rejection))

    def _forget(self, worker: _Worker, number: int) -> None:
        with self._lock:
            worker.numbers.discard(number)
        self._desk.ended(number)

    def _dismiss(self, worker: _Worker) -> None:
        self._selector.unregister(worker.channel)
        worker.channel.close()
        with self._lock:
            self._workers.remove(worker)
        for number in list(worker.numbers):
            self._forget(worker, number)
        if not self._stopping:
            worker.process.wait()
            _log.error("a receive worker ended with status %s and is started anew", worker.process.returncode)
            self._vacant.append(worker.command)

    def _fill_vacancies(self) -> None:
        vacant, self._vacant = self._vacant, []
        for command in vacant:
            try:
                if not self._stopping:
                    self._hire(command)
            except OSError as error:
                _log.error("a receive worker cannot be started yet: %s", error.strerror)
                self._vacant.append(command)

    def _record(self) -> None:
        while (happened := self._outcomes.get()) is not None:
            for outcome in happened:
                self._desk.record(outcome)

    def _take_reports(self) -> None:
        while (reported := self._reported.get()) is not None:
            worker, message = reported
            self._tell(worker, Taken(message.number, self._take_report(message)))

    def _take_report(self, message: Reported) -> int:
        try:
            return self._desk.report(message.report)
        except Exception as error:  # noqa: BLE001 the thread's top: a defect costs this report only, which comes again
            _log.error("a report is not taken by a defect: %s at %s", type(error).__name__, traceback_of(error))
            return dimse.PROCESSING_FAILURE


class _Trial:
    """A test write in a thread of its own, since a disk that hangs holds whoever writes."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._thread: threading.Thread | None = None
        self._passed = False

    def passes(self) -> bool:
        """Begin one, or the verdict of the one that was begun; False while there is none."""
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


class _RemoteDesk:
    """The desk of the main process, as a worker sees it."""

    def __init__(self, channel: WorkerPipe) -> None:
        self._channel = channel
        self._answers: dict[_Question, queue.SimpleQueue[Any]] = {}
        self._reports = itertools.count(1)
        self._happened: deque[Received | Refused] = deque()
        self._told = threading.Event()
        self._telling = threading.Lock()
        threading.Thread(target=self._keep_telling, name="dicom-telling", daemon=True).start()

    def admit(
        self, number: int, called: str, calling: str, address: str, certificate: tuple[str, ...]
    ) -> Rejection | None:
        question = Ask(number=number, called=called, calling=calling, address=address, certificate=certificate)
        rejection: Rejection | None = self._ask(question, _SEND_SECONDS, _UNSAID)
        return rejection

    def report(self, report: Report) -> int:
        status: int = self._ask(Reported(next(self._reports), report), _REPORT_SECONDS, dimse.PROCESSING_FAILURE)
        return status

    def _ask(self, question: Ask | Reported, seconds: float, otherwise: Rejection | int) -> Any:
        key = type(question), question.number
        answer = self._answers[key] = queue.SimpleQueue()
        self._send(question)
        try:
            return answer.get(timeout=seconds)
        except queue.Empty:
            return otherwise
        finally:
            del self._answers[key]

    def answered(self, question: _Question, answer: Rejection | int | None) -> None:
        """What the main process says; too late for a question that nobody waits with any more."""
        waiting = self._answers.get(question)
        if waiting is not None:
            waiting.put(answer)

    def ended(self, number: int) -> None:
        self._send(Ended(number))

    def record(self, outcome: Received | Refused) -> None:
        self._happened.append(outcome)
        self._told.set()

    def tell(self) -> None:
        """Tell what has happened so far."""
        with self._telling:
            while self._happened:
                some = [self._happened.popleft() for _ in range(min(len(self._happened), _MOST_TOLD))]
                self._send(Outcomes(tuple(some)))

    def _keep_telling(self) -> None:
        while self._told.wait():
            self._told.clear()
            time.sleep(_GATHER_SECONDS)
            self.tell()

    def _send(self, message: Message) -> None:
        try:
            self._channel.send(message)
        except OSError:
            os._exit(1)  # the main process is gone: nothing that follows could be told


def _renew(receiver: AssociationThreads, begin: Begin) -> None:
    try:
        receiver.renew(begin.tls, reports=begin.reports)
    except ConfigurationError as error:  # the main process could read it: it has changed once more meanwhile
        _log.error("the former certificate stays in use: %s", error)


def work(descriptor: int, sink: Sink) -> None:
    """A worker's life: serve what comes over the channel until told to stop, or until the main process is gone."""
    channel = WorkerPipe(socket.socket(fileno=descriptor))
    desk = _RemoteDesk(channel)
    first = channel.receive()
    if first is None or not isinstance(begin := first[0], Begin):
        return
    tls = None if begin.tls is None else server_context(begin.tls)
    receiver = AssociationThreads(sink, desk, begin.limits, begin.receiving_ae, tls, reports=begin.reports)
    receiver.start()
    channel.send(Ready())
    while (received := channel.receive()) is not None:
        message, connection = received
        if isinstance(message, Take) and connection is not None:
            receiver.take(connection, message.number, message.address)
        elif isinstance(message, Begin):
            _renew(receiver, message)
        elif isinstance(message, Answer):
            desk.answered((Ask, message.number), message.rejection)
        elif isinstance(message, Taken):
            desk.answered((Reported, message.number), message.status)
        elif isinstance(message, Beat):
            channel.send(Beat())
        elif isinstance(message, Stop):
            receiver.stop(message.grace_seconds)
            desk.tell()
            return
    os._exit(1)  # as above
