"""Notes on what the blocks signed, encrypted and proved, for whoever has asked to see a call as it goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One use of a key: `done` ("SM2 signature"), `by` a key's name and id, over `text`. It holds patient data."""

    done: str
    by: str
    text: bytes


_ASKED: ContextVar["Asked | None"] = ContextVar("asked", default=None)
_NOTES: ContextVar[list[Note] | None] = ContextVar("notes", default=None)
_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions of a judge to an answer: paths of fields, and forms of times, in order."""

    paths: dict[str, None]
    forms: dict[str, None]


def asked(*, path: str = "", form: str = "") -> None:
    """Keep what is asked where somebody attends."""
    if (found := _ASKED.get()) is not None:
        found.paths.update({path: None} if path else {})
        found.forms.update({form: None} if form else {})


@contextmanager
def attending(found: Asked) -> Iterator[None]:
    """Add to `found` what is asked inside."""
    token = _ASKED.set(found)
    try:
        yield
    finally:
        _ASKED.reset(token)


def note(done: str, by: str, text: bytes | str) -> None:
    """Keep a note where somebody listens; of a long text its beginning."""
    if (notes := _NOTES.get()) is not None:
        begin = text[:_LONGEST]
        notes.append(Note(done=done, by=by, text=begin.encode() if isinstance(begin, str) else begin))


@contextmanager
def listening() -> Iterator[list[Note]]:
    """The notes that are made inside."""
    notes: list[Note] = []
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)
