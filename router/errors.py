"""The exception tree. Every error of the node is one of five kinds, which decide what happens next.

    RouterError
    +-- ConfigurationError   the installation is wrong: nothing starts until a person corrects it
    +-- InvalidData          data from outside is wrong: refused or set aside with a reason
    |   +-- CutOff           the data break off before their end
    +-- TransientError       a peer or a resource is not available now: tried again by the queue
    |   +-- DestinationDown  nothing can go to this destination now, not only this item
    |   +-- Crowded          other nodes have all that the destination takes: given back, for them to go on
    |   +-- NotOffered       the platform does not know this kind of request: nothing of it was done
    |   +-- UnprovedRefusal  a refusal for good that nothing proves to be the platform's: a person decides
    +-- PermanentError       a peer refused this item for good: failed until a person or new data corrects it
    +-- IntegrityError       stored or received data do not match their digest or signature
    |   +-- Damaged          a stored report document has changed since it came: the report is held
    |   +-- UnknownWord      a row of the database has a word that nothing writes there: its exam is held
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
    """Kinds of outage of a destination, by who can end it; `trouble` passes by itself."""

    TROUBLE = "trouble"
    CONNECTION = "connection"
    ADDRESS = "address"
    CERTIFICATE = "certificate"
    CREDENTIALS = "credentials"
    KEYS = "keys"
    ASSOCIATION = "association"
    SERVICE = "service"
    PROTOCOL = "protocol"
    PROFILE = "profile"


# Outages that may pass by themselves.
PASSING = frozenset({Outage.TROUBLE, Outage.CONNECTION})


Faults = tuple[tuple[str, str], ...]  # (path, message) pairs


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
    """Data from outside does not have the form that it claims."""


class WrongUse(InvalidData):
    """A command is ambiguous, or asks for something impossible."""


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
    """The destination as a whole takes nothing now: no connection, or our account is refused. `outage` is the kind."""

    def __init__(self, message: str, *, outage: Outage = Outage.TROUBLE, hint: str = "", **fields: object) -> None:
        super().__init__(message, retry_after=None, hint=hint, **fields)
        self.outage = outage


class Crowded(TransientError):
    """Other nodes use all the associations that the destination allows at a time."""


class NotOffered(TransientError):
    """The platform does not offer what was asked of it (404, 405 or 501), whatever it is asked with."""


class UnprovedRefusal(TransientError):
    """An answer refuses this item for good for its `faults`, and nothing proves that it is the platform's."""

    def __init__(self, message: str, *, faults: Faults = (), hint: str = "", **fields: object) -> None:
        super().__init__(message, retry_after=None, hint=hint, **fields)
        self.faults = faults


class PermanentError(RouterError):
    """The peer refused this item for good, for the `faults` that it named."""

    def __init__(self, message: str, *, faults: Faults = (), hint: str = "", **fields: object) -> None:
        super().__init__(message, hint=hint, **fields)
        self.faults = faults


class IntegrityError(RouterError):
    """A digest, a tag or a signature does not match."""


class Damaged(IntegrityError):
    """A stored report document is gone or has changed since it came; the field `part` is exam or report."""


class UnknownWord(IntegrityError):
    """A row has a word that is none of its column's closed set: a bit has flipped. Fields: table, column and row."""


class Unproven(IntegrityError):
    """Nothing proves that an answer is the platform's, for this message: delivery is not known."""


def traceback_of(error: BaseException) -> str:
    """The places where an error was raised, innermost last, without its message, which may hold patient data."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-4:])


def hide_messages() -> None:
    """Log uncaught errors of any thread by kind and place only: their messages may hold patient data."""
    sys.excepthook = lambda kind, error, _: _log(kind, error)
    threading.excepthook = lambda found: _log(found.exc_type, found.exc_value)


def _log(kind: type[BaseException], error: BaseException | None) -> None:
    place = "" if error is None else traceback_of(error)
    logging.getLogger("router").error("a defect that nobody caught: %s at %s", kind.__name__, place)
