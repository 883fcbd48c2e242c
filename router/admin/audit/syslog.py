"""The audit trail sent on to a syslog server (PS3.15 A.6; RFC 5424 over TLS, RFC 5425).

The number of the last record sent is kept beside the trail, so that none is left out after a restart. A record on its
way when a connection broke is sent again.
"""

import logging
import socket
import threading

from router.config.sections import Syslog as SyslogConfig
from router.dicom.ul.tls import client_context
from router.storage.trail import Record, Trail

_PRIORITY = 10 * 8 + 5  # facility security/authorization, severity notice (PS3.15 A.6.1)
_ROUND, _LONGEST_PAUSE, _TIMEOUT = 1.0, 60.0, 10.0
_MESSAGE_ID = "DICOM+RFC3881"
_log = logging.getLogger("router")


def framed(record: Record, node: str) -> bytes:
    """The record as a syslog message with its length before it (RFC 5425 4.3)."""
    head = f"<{_PRIORITY}>1 {record.at} {node} router - {_MESSAGE_ID} - "
    body = head.encode() + b"\xef\xbb\xbf" + record.message.encode()
    return f"{len(body)} ".encode() + body


class Syslog:
    """A thread that keeps the server up to date."""

    def __init__(self, config: SyslogConfig, trail: Trail, node: str) -> None:
        self._config = config
        self._context = client_context(config.tls) if config.tls is not None else None
        self._trail = trail
        self._node = node
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="syslog", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Send the rest if the server takes it at once, and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_TIMEOUT)

    def _run(self) -> None:
        pause, reported = _ROUND, False
        while True:
            stopping = self._stopping.wait(pause)
            try:
                self._send()
                pause, reported = _ROUND, False
            except (OSError, ValueError) as error:
                if not reported:
                    _log.error("the syslog server takes no audit messages, it is tried again: %s", error)
                pause, reported = min(pause * 2, _LONGEST_PAUSE), True
            if stopping:
                return

    def _send(self) -> None:
        waiting = list(self._trail.after(self._trail.sent()))
        if not waiting:
            return
        host, port = self._config.host, self._config.port
        connection = socket.create_connection((host, port), _TIMEOUT)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_hostname=host)
        with connection:
            for record in waiting:
                connection.sendall(framed(record, self._node))
        self._trail.note_sent(waiting[-1].n)
