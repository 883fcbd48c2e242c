"""The exception tree. Every error of the node is one of five kinds, which say what happens next.

    RouterError
    +-- ConfigurationError   the installation is wrong: nothing starts until a person mends it
    +-- InvalidData          what came in is not what it should be: refused or set aside with a reason
    |   +-- CutOff           it breaks off before its end
    +-- TransientError       a peer or a resource is not available now: tried again by the queue
    |   +-- DestinationDown  nothing can go to this destination now, not only this item
    |   +-- Crowded          other nodes have all that the destination takes: given back, for them to go on
    |   +-- UnprovedRefusal  a refusal for good that nothing proves to be the platform's: a person decides
    +-- PermanentError       a peer refused this item for good: failed until a person or new data mends it
    +-- IntegrityError       what was stored or received does not match its digest or signature
    |   +-- Damaged          a stored report document is not what came: the report is held
    |   +-- Unproven         an answer is not proved to be the platform's, for this message

Messages and fields hold UIDs and the node's own ids only, never patient data.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePath


class Outage(StrEnum):
    """Why a destination takes nothing, as far as it decides who can change that; `trouble` passes by itself."""

    TROUBLE = "trouble"
    CONNECTION = "connection"
    ADDRESS = "address"
    CERTIFICATE = "certificate"
    CREDENTIALS = "credentials"
    KEYS = "keys"
    ASSOCIATION = "association"
    SERVICE = "service"
    PROTOCOL = "protocol"


# Outages that may pass without anybody's doing.
PASSING = frozenset({Outage.TROUBLE, Outage.CONNECTION})


class RouterError(Exception):
    """Root of the tree. `hint` tells the operator what to do, `fields` holds the data."""

    def __init__(self, message: str, *, hint: str = "", **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields: Mapping[str, object] = fields

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigurationError(RouterError):
    """The configuration, a key file or a rule file is wrong. `faults` lists every fault found."""

    def __init__(self, message: str, *, faults: tuple[str, ...] = (), hint: str = "", **fields: object) -> None:
        super().__init__(message, hint=hint, **fields)
        self.faults = faults

    def __str__(self) -> str:
        return "\n  ".join([super().__str__(), *self.faults])


class InvalidData(RouterError):
    """Data from outside does not read as what it claims to be."""


class WrongUse(InvalidData):
    """A command may mean several things, or nothing that can be done."""


class CutOff(InvalidData):
    """A data set is shorter than it says, or than its pixels need."""


class TransientError(RouterError):
    """Try again later. `retry_after` is the peer's own wish in seconds, if it named one."""

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str = "", **fields: object) -> None:
        super().__init__(message, hint=hint, **fields)
        self.retry_after = retry_after


class DutyLost(TransientError):
    """Another node has this work by now: what was begun of it is taken back here."""


class DestinationDown(TransientError):
    """The destination as a whole takes nothing now: no connection, or our account is refused. `outage` says which."""

    def __init__(self, message: str, *, outage: Outage = Outage.TROUBLE, hint: str = "", **fields: object) -> None:
        super().__init__(message, retry_after=None, hint=hint, **fields)
        self.outage = outage


class Crowded(TransientError):
    """Other nodes have all the associations that the destination takes at a time."""


class UnprovedRefusal(TransientError):
    """An answer refuses this item for good, and nothing proves that it is the platform's. `faults` are its words."""

    def __init__(
        self, message: str, *, faults: tuple[tuple[str, str], ...] = (), hint: str = "", **fields: object
    ) -> None:
        super().__init__(message, retry_after=None, hint=hint, **fields)
        self.faults = faults


class PermanentError(RouterError):
    """The peer refused this item for good. `faults` are (path, message) pairs it named."""

    def __init__(
        self, message: str, *, faults: tuple[tuple[str, str], ...] = (), hint: str = "", **fields: object
    ) -> None:
        super().__init__(message, hint=hint, **fields)
        self.faults = faults


class IntegrityError(RouterError):
    """A digest, a tag or a signature does not match."""


class Damaged(IntegrityError):
    """A stored report document is gone or is not what came; the field `part` says which: exam or report."""


class Unproven(IntegrityError):
    """An answer is not proved to be the platform's, for this message: nothing is known to be delivered."""


def traceback_of(error: BaseException) -> str:
    """Where it was raised, innermost last, without the message, which may hold a value out of somebody's data."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-4:])


def hide_messages() -> None:
    """Have the process tell what nobody caught, in any thread, by kind and place: the message may hold a value."""
    sys.excepthook = lambda kind, error, _: _tell(kind, error)
    threading.excepthook = lambda found: _tell(found.exc_type, found.exc_value)


def _tell(kind: type[BaseException], error: BaseException | None) -> None:
    place = "" if error is None else traceback_of(error)
    logging.getLogger("router").error("a defect that nobody caught: %s at %s", kind.__name__, place)
