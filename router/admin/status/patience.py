"""Patience with a database or a disk that may hang: an answer in time, or none."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from router.errors import TransientError

_T = TypeVar("_T")


def within(seconds: float, what: str, ask: Callable[[], _T]) -> _T:
    """The answer, asked for in a separate thread: a lock or a disk that hangs blocks the thread that asks.

    TransientError if it does not come in time, and for an error of the operating system.
    """
    answer: Future[_T] = Future()
    threading.Thread(target=_give, args=(answer, ask), daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError as error:
        raise TransientError(f"{what} does not answer within {seconds:.0f} s") from error
    except OSError as error:
        raise TransientError(f"{what} cannot be read: {error.strerror}") from error


def _give(answer: "Future[_T]", ask: Callable[[], _T]) -> None:
    try:
        answer.set_result(ask())
    except BaseException as error:  # noqa: BLE001  # raised again where the answer is waited for
        answer.set_exception(error)
