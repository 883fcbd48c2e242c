"""Settings of pydicom and pynetdicom, which must not print the values they read."""

import logging
import warnings
from functools import cache

from pydicom import config
from pynetdicom import _config


@cache
def settle() -> None:
    """Apply the settings, once in a process.

    Messages of both below ERROR, and pydicom's Python warnings, quote values, so patient data. pynetdicom's errors
    quote bytes of a peer, with a traceback each: a hostile peer could fill the log.
    """
    config.settings.reading_validation_mode = config.IGNORE
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
