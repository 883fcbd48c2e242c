"""The program of few rights that makes pictures, one file after the other. It opens none: each is given to it open."""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from router.dicom.preview.picture import UnreadPixels, picture
from router.errors import InvalidData
from router.process.limited import OutOfTime, begin, processor_time, respond, settle

_OUT_OF_LIMITS = "its image does not open within the limits of time and memory"
_NICE = 10  # receiving and sending come first


def main(memory: int, seconds: float) -> None:
    """Answer each file with why there is no picture of it, or nothing, then with the picture."""
    os.nice(_NICE)
    settle(memory, Path(np.__file__).parents[1])
    channel = socket.socket(fileno=sys.stdin.fileno())
    with suppress(ConnectionResetError):  # the main process was killed
        going = True
        while going and (handles := socket.recv_fds(channel, 1, 1)[1]):
            begin(seconds)
            reason, made, going = _answer(handles[0], seconds)
            respond(reason.encode())
            respond(made)


def _answer(handle: int, seconds: float) -> tuple[str, bytes, bool]:
    """Why there is no picture, the picture, and whether the program goes on: a decoder that failed may keep memory."""
    try:
        with os.fdopen(handle, "rb") as file, processor_time(seconds):
            return "", picture(file), True
    except UnreadPixels as error:
        return error.message, b"", False
    except InvalidData as error:
        return error.message, b"", True
    except (OutOfTime, MemoryError):
        return _OUT_OF_LIMITS, b"", False
