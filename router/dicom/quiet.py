"""What the libraries must not do: print what they read, or wait without end."""

import logging
import socket
import warnings
from functools import cache

from pydicom import config
from pynetdicom import _config
from pynetdicom.association import Association


@cache
def settle() -> None:
    """Settings of pydicom and pynetdicom, the same for every user of them in the process.

    Their messages below ERROR, and pydicom's Python warnings, quote values as they are read, so patient data.
    pynetdicom's errors quote what a peer sent, with a traceback each: a hostile one could fill the log.
    """
    config.settings.reading_validation_mode = config.IGNORE
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\.")


def prepare(association: Association, seconds: float) -> int:
    """No waiting for more to send (Nagle), a bound on each read and write; returns our port, 0 if already closed."""
    connection = association.dul.socket.socket if association.dul.socket else None
    if connection is None:
        return 0
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(seconds)
    return int(connection.getsockname()[1])
