"""Results of sending that the database has not taken yet: kept in memory and in a file, until it takes them.

While there are any, nothing more is sent and nothing is claimed. So an outage of the database has no more sent twice
than what was under way when it began, and only where the results reach neither memory nor disk.
"""

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from router.catalogue.images.ledger import Fate
from router.catalogue.queue.late import Late, LateAnswer, LateReceipt, LateResults
from router.clock import Clock
from router.events import Event, EventBus, Kind
from router.model import InstanceUids
from router.storage.unwritten import UnwrittenFiles

_log = logging.getLogger("router")


class Unwritten:
    """Of one node, for several threads. Without `files` results are kept in memory only."""

    def __init__(self, files: UnwrittenFiles | None = None) -> None:
        self._files = files
        self._kept: list[Late] = []
        self._lock, self._writing = threading.Lock(), threading.Lock()

    @property
    def pending(self) -> bool:
        """Whether results wait for the database."""
        return bool(self._kept)

    def take_up(self) -> None:
        """At start, before anything is claimed: what a former life left, and room on the disk for what comes."""
        if self._files is None:
            return
        self._kept = _read(self._files.read())
        try:
            self._files.reserve()
        except OSError as error:
            _log.warning("no room can be kept for results of sending: %s", error.strerror)

    def keep(self, results: Sequence[Late]) -> None:
        """The database did not take these."""
        with self._lock:
            self._kept.extend(results)
            if self._files is None:
                return
            try:
                self._files.add([_document(one) for one in results])
            except OSError as error:
                _log.error("%d result(s) of sending are in memory only: %s", len(results), error.strerror)

    def write_down(self, into: LateResults, bus: EventBus, clock: Clock) -> None:
        """Have the database take what waits; TransientError while it does not."""
        if not self._kept:
            return
        with self._writing:
            taken = list(self._kept)
            written = into.write(taken)
            with self._lock:
                del self._kept[: len(taken)]
                if not self._kept and self._files is not None:
                    _clear(self._files)
        _tell(written, bus, clock.now())

    def adopt(self, into: LateResults, dead: str = "") -> None:
        """Write down what other nodes left in files here; of a `dead` one alone, whose file goes. TransientError."""
        if self._files is None:
            return
        for node in [dead] if dead else self._files.others():
            try:
                found = _read(self._files.read(node))
            except OSError as error:
                _log.warning("unwritten/%s cannot be read: %s", node, error.strerror)
                continue
            if found:
                into.write(found)
            if dead:
                self._files.forget(dead)


def _tell(written: Sequence[Late], bus: EventBus, now: datetime) -> None:
    numbers: dict[str, Counter[str]] = {}
    for one in written:
        if isinstance(one, LateAnswer):
            numbers.setdefault(one.destination, Counter())[str(one.fate)] += 1
    for destination, count in numbers.items():
        text = "instances sent, written down late"
        bus.record(Event(now, Kind.SENT, text, fields={"destination": destination, **count}))


def _clear(files: UnwrittenFiles) -> None:
    try:
        files.clear()
    except OSError as error:  # to write them once more changes nothing
        _log.warning("results of sending that are written down stay in their file: %s", error.strerror)


_INSTANTS = ("at", "ask_at")


def _document(one: Late) -> dict[str, object]:
    found = asdict(one)
    return found | {name: found[name].isoformat() for name in _INSTANTS if found.get(name) is not None}


def _read(documents: Sequence[Mapping[str, Any]]) -> list[Late]:
    found = []
    for one in documents:
        try:
            found.append(_late(dict(one)))
        except (KeyError, TypeError, ValueError):  # of another version of this program
            _log.warning("a result of sending is not understood: what it was about may be sent once more")
    return found


def _late(found: dict[str, Any]) -> Late:
    found |= {name: datetime.fromisoformat(found[name]) for name in _INSTANTS if found.get(name) is not None}
    if "idem" in found:
        return LateReceipt(**found)
    return LateAnswer(**found | {"uids": InstanceUids(**found["uids"]), "fate": Fate(found["fate"])})
