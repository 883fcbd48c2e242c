"""Reading of PDFs in programs of their own with little time, memory and rights: a hostile file costs that one only.

To the program: the length of a PDF (8 bytes), the PDF. From it: why the PDF is refused, or nothing; then, unless it is
refused, what it says, as JSON: `text`, `made`, or that it was not read in its processor time. Both have their length (8
bytes) before them and are UTF-8.
"""

import json
import os
import queue
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from router.errors import InvalidData
from router.process.environment import inherited
from router.reports.pdf import pdf
from router.reports.pdf.confinement import confine

_TRIES = 2
# Other programs may have the processors: how much longer than its processor time a PDF may take.
_WALL = 12.0
_OVERTIME = 2  # seconds of processor time until the system ends what does not end by itself
_LENGTH = struct.Struct(">Q")
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from router.reports.pdf.reader import main
main(int(sys.argv[1]), *map(float, sys.argv[2:]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfText:
    """Text of a PDF ("" without any) and when it was made; `unread`: time or memory did not suffice to read it."""

    text: str = ""
    made: datetime | None = None
    unread: bool = False


class _OutOfTime(BaseException):
    """The processor time for a text is over; no handler of the reading library takes it."""


class _Program:
    """One program, started when it is first needed and after it was lost; OSError from an answer when it is lost."""

    def __init__(self, memory: int, patience: tuple[float, float]) -> None:
        limits = (str(memory), str(patience[1]), str(patience[0]))
        self._command = (sys.executable, "-P", "-W", "ignore", "-c", _PROGRAM, os.pathsep.join(sys.path), *limits)
        self._running: tuple[subprocess.Popen[bytes], socket.socket] | None = None

    def ask(self, data: bytes, seconds: float) -> str:
        """Give it a PDF; its first answer."""
        channel = self._channel(seconds)
        channel.sendall(_LENGTH.pack(len(data)) + data)
        return self.answer(seconds)

    def answer(self, seconds: float) -> str:
        """Its next answer."""
        channel = self._channel(seconds)
        return _receive(channel, _LENGTH.unpack(_receive(channel, _LENGTH.size))[0]).decode()

    def start(self) -> None:
        """Have it running."""
        if self._running is None:
            ours, theirs = socket.socketpair()
            with theirs:
                end = theirs.fileno()
                process = subprocess.Popen(  # noqa: S603  # our own program
                    self._command, stdin=end, stdout=end, stderr=subprocess.DEVNULL, env=inherited(os.environ)
                )
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


class Readers:
    """Several programs side by side.

    `patience` is in seconds of processor time: for opening a PDF, for its text. `memory` is in bytes.
    """

    def __init__(self, count: int = 0, patience: tuple[float, float] = (30.0, 10.0), memory: int = 2**30) -> None:
        self._patience = patience
        self._programs = [_Program(memory, patience) for _ in range(count or len(os.sched_getaffinity(0)))]
        self._free: queue.LifoQueue[_Program] = queue.LifoQueue()
        for program in self._programs:
            self._free.put(program)

    def read(self, pdfs: Sequence[bytes]) -> list[PdfText | InvalidData]:
        """The text of each PDF, or why it is refused."""
        with ThreadPoolExecutor(len(self._programs)) as pool:
            return list(pool.map(self._read, pdfs))

    def _read(self, data: bytes) -> PdfText | InvalidData:
        program = self._free.get()
        try:
            reason = self._check(program, data)
            return InvalidData(reason) if reason else self._text(program)
        finally:
            self._free.put(program)

    def _check(self, program: _Program, data: bytes) -> str:
        for _ in range(_TRIES):  # what ended the program need not have been this PDF
            program.start()
            try:
                return program.ask(data, self._patience[0] * _WALL)
            except OSError:
                program.end()
        return "the PDF does not open within the limits of time and memory"

    def _text(self, program: _Program) -> PdfText:
        try:
            found: dict[str, Any] = json.loads(program.answer(self._patience[1] * _WALL))
        except OSError:
            program.end()
            return PdfText(unread=True)
        made = datetime.fromisoformat(found["made"]) if found.get("made") else None
        return PdfText(text=found.get("text", ""), made=made, unread=found["unread"])

    def close(self) -> None:
        """End the programs."""
        for program in self._programs:
            program.end()


def main(memory: int, seconds: float, opening: float) -> None:
    """The program: reads PDFs until its input ends. Signals are the main process's business."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, _end_of_time)
    confine(memory)
    given = sys.stdin.buffer
    with suppress(ConnectionResetError):  # the main process was killed
        while len(head := given.read(_LENGTH.size)) == _LENGTH.size:
            data = given.read(_LENGTH.unpack(head)[0])
            # The system ends this program after so much processor time: a library may not come back.
            most = ceil(time.process_time() + opening + seconds + _OVERTIME)
            resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
            for answer in _answers(data, seconds, opening):
                _say(answer.encode("utf-8", "replace"))


def _say(said: bytes) -> None:
    try:
        sys.stdout.buffer.write(_LENGTH.pack(len(said)) + said)
        sys.stdout.buffer.flush()
    except ConnectionError:
        os._exit(0)  # the main process is gone: nobody waits for an answer


def _answers(data: bytes, seconds: float, opening: float) -> Iterator[str]:
    try:
        signal.setitimer(signal.ITIMER_PROF, opening)
        opened = pdf.check(data)
    except InvalidData as error:
        yield error.message
        return
    except _OutOfTime:
        yield "the PDF does not open within its processor time"
        return
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    yield ""
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        made = pdf.made(opened)
        said = {"text": pdf.text(opened), "made": made.isoformat() if made else "", "unread": False}
    except (_OutOfTime, MemoryError):
        said = {"unread": True}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    yield json.dumps(said)


def _end_of_time(*_: object) -> None:
    raise _OutOfTime
