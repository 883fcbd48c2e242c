"""Reading of PDFs in programs of their own with little time, memory and rights: a hostile file costs that one only.

To the program: the length of a PDF (8 bytes), the PDF. From it: why the PDF is refused, or nothing; then, unless it is
refused, what it says, as JSON: `text`, `made`, or that it was not read in its processor time. Both have their length (8
bytes) before them and are UTF-8.
"""

import json
import os
import queue
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pypdf

from router.errors import InvalidData
from router.process.limited import LENGTH, WALL, LimitedProgram, OutOfTime, begin, processor_time, respond, settle
from router.reports.pdf import pdf

_TRIES = 2
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


class Readers:
    """Several programs side by side.

    `patience` is in seconds of processor time: for opening a PDF, for its text. `memory` is in bytes.
    """

    def __init__(self, count: int = 0, patience: tuple[float, float] = (30.0, 10.0), memory: int = 2**30) -> None:
        self._patience = patience
        limits = memory, patience[1], patience[0]
        self._programs = [LimitedProgram(_PROGRAM, *limits) for _ in range(count or len(os.sched_getaffinity(0)))]
        self._free: queue.LifoQueue[LimitedProgram] = queue.LifoQueue()
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

    def _check(self, program: LimitedProgram, data: bytes) -> str:
        for _ in range(_TRIES):  # what ended the program need not have been this PDF
            program.start()
            try:
                program.give(data, self._patience[0] * WALL)
                return program.answer(self._patience[0] * WALL).decode()
            except OSError:
                program.end()
        return "the PDF does not open within the limits of time and memory"

    def _text(self, program: LimitedProgram) -> PdfText:
        try:
            found: dict[str, Any] = json.loads(program.answer(self._patience[1] * WALL))
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
    """The program: reads PDFs until its input ends."""
    settle(memory, Path(pypdf.__file__).parents[1])
    given = sys.stdin.buffer
    with suppress(ConnectionResetError):  # the main process was killed
        while len(head := given.read(LENGTH.size)) == LENGTH.size:
            data = given.read(LENGTH.unpack(head)[0])
            begin(opening + seconds)
            for answer in _answers(data, seconds, opening):
                respond(answer.encode("utf-8", "replace"))


def _answers(data: bytes, seconds: float, opening: float) -> Iterator[str]:
    try:
        with processor_time(opening):
            opened = pdf.check(data)
    except InvalidData as error:
        yield error.message
        return
    except OutOfTime:
        yield "the PDF does not open within its processor time"
        return
    yield ""
    try:
        with processor_time(seconds):
            made = pdf.made(opened)
            said = {"text": pdf.text(opened), "made": made.isoformat() if made else "", "unread": False}
    except (OutOfTime, MemoryError):
        said = {"unread": True}
    yield json.dumps(said)
