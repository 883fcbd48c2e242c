"""A receive worker from within: it knows its sink and its pipe to the main process, nothing else of the node."""

import itertools
import logging
import os
import queue
import socket
import threading
import time
from collections import deque
from typing import Any

from router.dicom.scp.acceptor import Settings
from router.dicom.scp.admission import Ask, Rejection
from router.dicom.scp.associations import AssociationThreads
from router.dicom.scp.store import Received, Refused, Sink
from router.dicom.scp.worker_pipe import Answer, Beat, Ended, Message, Outcomes, Reported, Stop, Take, Taken, WorkerPipe
from router.dicom.ul import dimse
from router.dicom.ul.commitment import Report
from router.errors import ConfigurationError
from router.refusals import Why

MOST_OUTCOMES = 64  # in one message; a thousand bytes each at most, its longest texts from hostile peers

_ANSWER_SECONDS = 5.0  # for the main process to admit an association
_REPORT_SECONDS = 30.0  # for the main process to keep a report; then the peer is asked to report again
_GATHER_SECONDS = 0.02  # outcomes within this time go in one message
_UNANSWERED = Rejection(result=2, source=3, reason=1, text="the node is stopping", why=Why.STOPPING)

_Question = tuple[type[Ask | Reported], int]
_log = logging.getLogger(__name__)


class RemoteEvents:
    """The association events of the main process, as a worker reaches them."""

    def __init__(self, pipe: WorkerPipe) -> None:
        self._pipe = pipe
        self._answers: dict[_Question, queue.SimpleQueue[Any]] = {}
        self._reports = itertools.count(1)
        self._outcomes: deque[Received | Refused] = deque()
        self._pending = threading.Event()
        self._sending = threading.Lock()
        threading.Thread(target=self._keep_reporting, name="dicom-outcomes", daemon=True).start()

    def admit(self, ask: Ask) -> Rejection | None:
        rejection: Rejection | None = self._ask(ask, _ANSWER_SECONDS, _UNANSWERED)
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
        """Pass on the answer of the main process; dropped when the question is no longer waited for."""
        waiting = self._answers.get(question)
        if waiting is not None:
            waiting.put(answer)

    def ended(self, number: int) -> None:
        self._send(Ended(number))

    def record(self, outcome: Received | Refused) -> None:
        self._outcomes.append(outcome)
        self._pending.set()

    def flush(self) -> None:
        """Report what has happened so far."""
        with self._sending:
            while self._outcomes:
                some = [self._outcomes.popleft() for _ in range(min(len(self._outcomes), MOST_OUTCOMES))]
                self._send(Outcomes(tuple(some)))

    def _keep_reporting(self) -> None:
        while self._pending.wait():
            self._pending.clear()
            time.sleep(_GATHER_SECONDS)
            self.flush()

    def _send(self, message: Message) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            os._exit(1)  # the main process is gone: nothing that follows could be reported


def _renew(associations: AssociationThreads, settings: Settings) -> None:
    try:
        associations.renew(settings)
    except ConfigurationError as error:  # the main process could read it: it has changed once more meanwhile
        _log.error("the former certificate stays in use: %s", error)


def work(descriptor: int, sink: Sink) -> None:
    """Serve the connections that come over the pipe, until Stop comes or the main process is gone."""
    pipe = WorkerPipe(socket.socket(fileno=descriptor))
    events = RemoteEvents(pipe)
    first = pipe.receive()
    if first is None or not isinstance(settings := first[0], Settings):
        return
    associations = AssociationThreads(sink, events, settings)
    associations.start()
    pipe.send(Beat())
    while (received := pipe.receive()) is not None:
        message, connection = received
        if isinstance(message, Take) and connection is not None:
            associations.take(connection, message.number, message.address)
        elif isinstance(message, Settings):
            _renew(associations, message)
        elif isinstance(message, Answer):
            events.answered((Ask, message.number), message.rejection)
        elif isinstance(message, Taken):
            events.answered((Reported, message.number), message.status)
        elif isinstance(message, Beat):
            pipe.send(Beat())
        elif isinstance(message, Stop):
            associations.stop(message.grace_seconds)
            events.flush()
            return
    os._exit(1)  # the main process is gone
