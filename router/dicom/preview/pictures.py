"""Pictures of images, made by a program with little time, memory and rights: a hostile file costs that one only."""

import threading
from pathlib import Path

from router.errors import InvalidData, TransientError
from router.process.limited import WALL, LimitedProgram

_TRIES = 2
_MOST_WAITING = 6  # threads of the administrator's listener, which has others for its pages
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from router.dicom.preview.program import main
main(int(sys.argv[1]), float(sys.argv[2]))
"""
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Pictures:
    """One program, so that pictures never take more than one processor. `seconds` of its time, `memory` in bytes."""

    def __init__(self, seconds: float = 5.0, memory: int = 768 * 2**20) -> None:
        self._seconds = seconds
        self._program = LimitedProgram(_PROGRAM, memory, seconds, variables=_ONE_THREAD)
        self._one_at_a_time = threading.Lock()
        self._places = threading.Semaphore(_MOST_WAITING)

    def of(self, path: Path) -> bytes:
        """A JPEG of the file's middle frame. InvalidData: there is none, and why. TransientError: too many wait."""
        if not self._places.acquire(blocking=False):
            raise TransientError("too many pictures are asked for at once")
        try:
            with self._one_at_a_time:
                return self._made(path)
        finally:
            self._places.release()

    def _made(self, path: Path) -> bytes:
        for _ in range(_TRIES):  # what ended the program need not have been this file
            self._program.start()
            try:
                reason, made = self._asked(path)
            except OSError:
                self._program.end()
                continue
            if reason:
                raise InvalidData(reason)
            return made
        raise InvalidData("its image does not open within the limits of time and memory")

    def _asked(self, path: Path) -> tuple[str, bytes]:
        """Why there is no picture, or "", and the picture. OSError when the program is lost."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise InvalidData("its file cannot be read") from error
        with file:
            self._program.give_file(file.fileno(), self._seconds * WALL)
        return self._program.answer(self._seconds * WALL).decode(), self._program.answer(self._seconds * WALL)

    def close(self) -> None:
        """End the program, unless it is at work: it ends with the node then."""
        if self._one_at_a_time.acquire(blocking=False):
            self._program.end()
            self._one_at_a_time.release()
