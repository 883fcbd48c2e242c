"""What the node's main thread makes of signals."""

import queue
import signal
import threading

from router.cli.run import _next


def test_a_signal_that_another_thread_takes_is_seen_all_the_same() -> None:
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    former = signal.signal(signal.SIGHUP, lambda number, _: told.put(number))
    asked = threading.Event()

    def take() -> None:
        asked.wait(5)
        signal.pthread_kill(threading.get_ident(), signal.SIGHUP)

    other = threading.Thread(target=take)
    other.start()
    try:
        timer = threading.Timer(0.2, asked.set)
        timer.start()
        assert _next(told) == signal.SIGHUP
    finally:
        other.join()
        timer.join()
        signal.signal(signal.SIGHUP, former)
