"""Fields of the tables, for values that the two engines would keep in different ways.

Instants are stored as microseconds since 1970 in UTC, so that both engines order and compare them alike.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from peewee import BigIntegerField, TextField

from router.clock import require_aware
from router.errors import UnknownWord

_Word = TypeVar("_Word", bound=StrEnum)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Instants that every zone can show. Others are stored as the nearest of these: one that cannot be read back would stop
# its reader.
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAST, _MOST = ((bound - _EPOCH) // _MICROSECOND for bound in (_FIRST, _LAST))  # as they are stored
_LONGEST_KEY, _SHOWN_OF_KEY = 1000, 100  # bytes; characters


class InstantField(BigIntegerField):
    """An aware datetime of the years 2 to 9998."""

    def db_value(self, value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        return (min(max(require_aware(value), _FIRST), _LAST) - _EPOCH) // _MICROSECOND

    def python_value(self, value: Any) -> Any:
        return None if value is None else instant(value)


def instant(value: int) -> datetime:
    """The instant that a stored value stands for."""
    return _EPOCH + timedelta(microseconds=min(max(value, _LEAST), _MOST))


def storable(value: datetime | None) -> bool:
    """Whether a time that came from outside can be kept as it is."""
    return value is not None and _FIRST < value < _LAST


class CleanTextField(TextField):
    """Text that both engines take: PostgreSQL stores no NUL, neither stores half of a surrogate pair."""

    def db_value(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return value.replace("\0", "").encode("utf-8", "replace").decode()


class WordField(CleanTextField, Generic[_Word]):
    """A word of a closed set, or "" where it has a default of "". SQLite has no checksums of its pages: whoever reads
    a row reads its words by `word`, so that none that has rotted decides anything.
    """

    def __init__(self, words: type[_Word], **options: Any) -> None:
        super().__init__(**options)
        self.words = words

    def word(self, value: str, row: int) -> Any:
        """The member that `value`, of the row of that number, stands for; raises UnknownWord."""
        if value == "" == self.default:
            return value
        try:
            return self.words(value)
        except ValueError:
            raise self.unknown(row) from None

    def unknown(self, row: int) -> UnknownWord:
        """The error about a row whose value is none of the words; it does not say what stands there instead."""
        table = self.model._meta.table_name
        text = f"the database is damaged: {table}.{self.column_name} of row {row} has no word that belongs there"
        return UnknownWord(text, table=table, column=self.column_name, row=row)

    def known(self) -> list[str]:
        """Every word, as it is stored."""
        return [*map(str, self.words), *([""] if self.default == "" else [])]


class KeyField(CleanTextField):
    """Text that is looked up as a whole.

    PostgreSQL's index takes no row of more than 2,704 bytes, and text from outside may be of any length. One that is
    longer than any real key is stored as its beginning and its digest.
    """

    def db_value(self, value: Any) -> Any:
        text = super().db_value(value)
        if not isinstance(text, str) or len(data := text.encode()) <= _LONGEST_KEY:
            return text
        return f"{text[:_SHOWN_OF_KEY]}~{hashlib.sha256(data).hexdigest()}"
