"""Receive worker, a program of its own: it serves the connections that come over a descriptor, into its folder."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

from router.dicom.scp.whole import WholeOnly
from router.dicom.scp.worker import work
from router.dicom.scp.worker_pool import WorkerCommands
from router.errors import ConfigurationError, hide_messages
from router.process.logs import log_to_stderr
from router.storage.durable import try_write
from router.storage.incoming import Incoming, IncomingFolder
from router.storage.lock import share

_WHOLE, _ANY = "whole", "any"
# it has the modules of the process that starts it, wherever that was started from
_PROGRAM = """
import os, sys
sys.path[:] = sys.argv.pop(1).split(os.pathsep)
from router.node.receive_worker import main
main(*sys.argv[1:])
"""


def commands(
    incoming: Incoming, count: int, min_free: int, journal: int, *, whole_only: bool = False
) -> WorkerCommands:
    """The commands that start `count` workers; sizes in bytes, of each. `whole_only` ones refuse cut-off instances."""
    program = (sys.executable, "-P", "-c", _PROGRAM, os.pathsep.join(sys.path))
    settings = str(min_free), str(journal), _WHOLE if whole_only else _ANY
    calls = tuple((*program, str(incoming.worker_folder(n + 1)), *settings) for n in range(count))
    return WorkerCommands(calls, partial(try_write, incoming.worker_folder(1).parent, durable=True))


def main(folder: str, min_free: str, journal: str, takes: str, descriptor: str) -> None:
    """Serve until the main process ends. Signals are its business: it stops its workers in order."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    log_to_stderr()
    hide_messages()
    try:
        share(Path(folder).parent)
        sink = IncomingFolder(Path(folder), int(min_free), int(journal))
        work(int(descriptor), WholeOnly(sink) if takes == _WHOLE else sink)
    except ConfigurationError as error:
        sys.exit(f"a receive worker cannot serve: {error}")
    except OSError as error:  # a full disk: it is started again until there is room
        sys.exit(f"a receive worker cannot serve: {error.strerror}")
    sink.close()
