"""What the libraries must not do: print what they read."""

import logging
import warnings
from functools import cache

from pydicom import config
from pynetdicom import _config


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
