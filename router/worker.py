"""A receive worker as a program of its own: it serves the connections that come over a descriptor, into its folder."""

import logging
import os
import signal
import sys
from pathlib import Path

from router.dicom.workers import WorkerCommands, work
from router.storage.incoming import Incoming, IncomingFolder

# the modules of the process that starts it, wherever it was started from
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from router.worker import main
main(*sys.argv[1:])
"""


def commands(incoming: Incoming, count: int, min_free: int) -> WorkerCommands:
    """How to start `count` workers, each with a folder of `incoming`; `min_free` in bytes."""
    program = (sys.executable, "-P", "-c", _PROGRAM, os.pathsep.join(sys.path))
    return WorkerCommands(tuple((*program, str(incoming.worker_folder(n + 1)), str(min_free)) for n in range(count)))


def main(folder: str, min_free: str, descriptor: str) -> None:
    """Signals are the main process's business: it stops its workers in order, and they end when it dies."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    work(int(descriptor), IncomingFolder(Path(folder), int(min_free)))
