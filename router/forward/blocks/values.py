"""Values that a profile's functions are given: secrets that do not print, and the files of an exam."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from router.crypto.symmetric import sm3, sm3_of


@dataclass(frozen=True, slots=True)
class Secret:
    """A shared secret by its name in the configuration; its bytes are not printed."""

    name: str
    raw: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The secret as text, for the rare platform that has it inside a signed string."""
        return self.raw.decode()

    def from_hex(self) -> "Secret":
        """The bytes that the secret's hex digits stand for; ValueError when they are none."""
        return Secret(self.name, bytes.fromhex(self.text))


@dataclass(frozen=True, slots=True)
class Document:
    """`size` bytes from `offset` of a file: the exam JSON, the report's PDF, a piece of one, or what was made of it."""

    path: Path
    size: int
    offset: int = 0

    @classmethod
    def whole(cls, path: Path) -> "Document":
        """The whole file."""
        return cls(path, path.stat().st_size)

    def read(self) -> bytes:
        """All its bytes."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)

    def sm3(self) -> bytes:
        """Its SM3 digest, 32 bytes; of a whole file in constant memory."""
        if self.offset:
            return sm3(self.read())
        with self.path.open("rb") as file:
            return sm3_of(file) if self.size == self.path.stat().st_size else sm3(self.read())

    def piece(self, offset: int, size: int) -> "Document":
        """At most `size` bytes of it from `offset`."""
        return Document(self.path, max(min(size, self.size - offset), 0), self.offset + offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The part of an upload in parts that a call is about. `number` counts from 1, to `count`; `data` is its bytes."""

    number: int
    count: int
    offset: int
    data: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of an inventory, as it is asked for: of what was accepted from `begin` on and before `end`, at most a day.

    `after` is "" for the first page, else the `next` of the page before.
    """

    begin: datetime
    end: datetime
    after: str = ""
