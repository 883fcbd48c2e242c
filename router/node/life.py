"""Life of a node from start to end: its name and process, and the file in the data folder that names both."""

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from router.config.file import ConfigFile
from router.config.sections import Config
from router.storage.running import Listener, Running, RunningFiles

_log = logging.getLogger("router")


class Life:
    """The life of the process that holds the node's lock. `file`: the configuration file as read, None without one."""

    def __init__(self, config: Config, started: datetime, file: ConfigFile | None) -> None:
        self._files = RunningFiles(config.node.data)
        self._node = config.node.owner
        self._scheme = "http" if config.admin.tls is None else "https"
        self._started = started.isoformat()
        self._file = file
        self._listeners: Sequence[Listener] = ()
        self._files.remove(self._node)

    def identity(self) -> Mapping[str, object]:
        """The node's name, and two values that no other life of the node has together."""
        return {"node": self._node, "pid": os.getpid(), "started": self._started}

    @property
    def configuration(self) -> Path | None:
        """The configuration file that was read last; None where the node was started without one."""
        return None if self._file is None else self._file.path

    def listens(self, listeners: Sequence[Listener]) -> None:
        """Write down where the node listens."""
        self._listeners = listeners
        self._write()

    def read(self, file: ConfigFile) -> None:
        """Write down that this configuration file was read and applied."""
        self._file = file
        self._write()

    def end(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # a reader asks the node all the same
            self._files.remove(self._node)

    def _write(self) -> None:
        """Without the file commands look for the node where the configuration says."""
        path, digest = ("", "") if self._file is None else (str(self._file.path), self._file.digest)
        running = Running(
            node=self._node, pid=os.getpid(), started=self._started, listeners=self._listeners, scheme=self._scheme,
            configuration=path, digest=digest, host=socket.gethostname(),
        )  # fmt: skip
        try:
            self._files.write(running)
        except OSError as error:
            _log.warning("where the node listens cannot be written to the data folder: %s", error.strerror)
