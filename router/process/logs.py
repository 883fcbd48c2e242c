"""Log of a process: lines on stderr with the time in the hospital's zone."""

import logging
import os
import sys
import time

_LINE, _TIME = "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S%z"


def log_to_stderr(level: int = logging.WARNING, zone: str = "") -> None:
    """Write the log to stderr; `zone` is a name of the zone database, for this process and those it starts."""
    if zone:
        os.environ["TZ"] = zone
        time.tzset()
    logging.basicConfig(stream=sys.stderr, level=level, format=_LINE, datefmt=_TIME, force=True)
