"""Shares of this node in what a destination takes from all nodes together: its associations, and its bandwidth."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from router.catalogue import Catalogue
from router.errors import RouterError

_log = logging.getLogger(__name__)


class Sharing:
    """Leases of this node, for several threads; `keep` is called a few times in each lease.

    Of a node that is `alone` on its database everything is its own, and no statement is spent on it.
    """

    def __init__(self, catalogue: Catalogue, owner: str, lease: timedelta, *, alone: bool) -> None:
        self._catalogue = catalogue
        self._owner = owner
        self._lease = lease
        self._alone = alone
        self._lock = threading.Lock()
        self._held = 0
        self._owed: list[tuple[str, int]] = []  # given back while the database took nothing
        self._senders: Mapping[str, int] = {}
        self._asked = False

    def slots(self, destination: str) -> "SharedSlots | None":
        """The destination's, or None where nobody shares them."""
        return None if self._alone else SharedSlots(self, destination)

    def senders(self, destination: str) -> int:
        """How many nodes send there, this one among them, as it was at the last `keep`."""
        self._asked = True
        return max(self._senders.get(destination, 1), 1)

    def start(self) -> None:
        """Give back what a former life had."""
        if not self._alone:
            self._catalogue.association_leases.free(self._owner)

    def keep(self) -> None:
        """Extend the leases, give back what is owed, look who else sends."""
        while self._owed:
            destination, number = self._owed[-1]
            self._catalogue.association_leases.give(destination, number, self._owner)
            self._owed.pop()
        if self._held:
            self._catalogue.association_leases.renew(self._owner, self._lease)
        if self._asked and not self._alone:
            self._asked = False
            self._senders = self._catalogue.queue.senders()

    def take(self, destination: str, limit: int) -> int | None:
        """A slot's number; None when all are taken."""
        number = self._catalogue.association_leases.take(destination, limit, self._owner, self._lease)
        with self._lock:
            self._held += number is not None
        return number

    def give(self, destination: str, number: int) -> None:
        """Back from use."""
        with self._lock:
            self._held -= 1
        try:
            self._catalogue.association_leases.give(destination, number, self._owner)
        except RouterError as error:
            _log.info("a slot of %s is given back later: %s", destination, error)
            self._owed.append((destination, number))

    def room(self, destination: str, limit: int) -> bool:
        """Whether other nodes leave any slot."""
        return self._catalogue.association_leases.of_others(destination, self._owner) < limit


@dataclass(frozen=True, slots=True)
class SharedSlots:
    """Those of one destination, as router.dicom.scu.association_limit wants them."""

    sharing: Sharing
    destination: str

    def take(self, limit: int) -> int | None:
        """A slot's number; None when all are taken. TransientError when the database does not answer."""
        return self.sharing.take(self.destination, limit)

    def give(self, number: int) -> None:
        """Back from use."""
        self.sharing.give(self.destination, number)

    def room(self, limit: int) -> bool:
        """Whether other nodes leave any slot; asked before a delivery is claimed."""
        return self.sharing.room(self.destination, limit)
