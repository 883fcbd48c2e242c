"""The node with its main process profiled: `profiled.py FILE COMMAND...` writes JSON to FILE when the command ends.

A hundred times a second it is seen where each thread is, and how much processor time it has had since it was last seen.
"""

import json
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

from router import cli

_LOOK_SECONDS = 0.01
_HOUSE = Path(cli.__file__).parents[1]
_DOORS = ("catalogue/dialect.py",)  # where every query passes says nothing: what asked does
_NOT_THE_WORK = ("sampler", "MainThread")  # the main thread starts and stops the node


class Sampler:
    """Seconds by thread and by the innermost function of the node: on a processor, waiting for one, for the disk."""

    def __init__(self) -> None:
        self._spent: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0, 0.0]))
        self._before: dict[int, tuple[float, float]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> dict[str, dict[str, list[float]]]:
        """Thread to function to the three."""
        self._ended.set()
        self._thread.join()
        return self._spent

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(_LOOK_SECONDS):
            passed, last = time.monotonic() - last, time.monotonic()
            frames = sys._current_frames()
            for thread in threading.enumerate():
                if thread.name not in _NOT_THE_WORK and thread.ident in frames and thread.native_id is not None:
                    self._look(thread.name, Path(f"/proc/self/task/{thread.native_id}"), frames[thread.ident], passed)

    def _look(self, name: str, task: Path, frame: FrameType, passed: float) -> None:
        try:
            running, queued = (int(word) / 1e9 for word in (task / "schedstat").read_text(encoding="ascii").split()[:2])
            state = (task / "stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
        except OSError:  # it has ended
            return
        number = int(task.name)
        before = self._before.get(number, (running, queued))
        self._before[number] = running, queued
        seconds = self._spent[name][_place(frame)]
        for column, more in enumerate((running - before[0], queued - before[1], passed if state == "D" else 0.0)):
            seconds[column] += more


def _place(frame: FrameType) -> str:
    at: FrameType | None = frame
    while at is not None:
        path = Path(at.f_code.co_filename)
        if path.is_relative_to(_HOUSE) and path.relative_to(_HOUSE).as_posix() not in _DOORS:
            module = path.relative_to(_HOUSE).with_suffix("").as_posix().replace("/", ".")
            return f"{module} {at.f_code.co_qualname}"
        at = at.f_back
    return "outside the node"


if __name__ == "__main__":
    sampler = Sampler()
    sampler.start()
    try:
        cli.main(sys.argv[2:])
    finally:
        Path(sys.argv[1]).write_text(json.dumps(sampler.stop()), encoding="utf-8")
