"""Queries whose SQL is made once: for those that run so often that making it would cost more than the database does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import peewee

_MOST_LISTED = 16  # values in a list; a query with a longer one, which is rare, is made each time

_Shape = tuple[int, ...]
_ONE = -1  # the shape of a value that is no list


class Prepared:
    """A query of values that `build` makes, the same for all values: it may not look at them.

    A value may be a list, for `in_`. Values are converted as the fields do that they are compared with.
    `prepared(value, ...)` is what an engine runs, as any other query.
    """

    def __init__(self, build: Callable[..., peewee.BaseQuery]) -> None:
        self._build = build
        self._known: dict[tuple[type[peewee.Database], bool, _Shape], _Written] = {}

    def __call__(self, *values: object) -> "Filled":
        """The query with these values."""
        return Filled(self, values)

    def execute(self, database: Any, values: Sequence[object], *, tuples: bool) -> Any:
        """The cursor of its rows."""
        shape = tuple(len(value) if isinstance(value, (list, tuple)) else _ONE for value in values)
        if None in values or not all(_ONE <= size <= _MOST_LISTED and size for size in shape):
            query = self._build(*values)  # None and an empty list have SQL of their own
            return (query.tuples() if tuples else query).execute(database)
        known = self._known.get((type(database), tuples, shape))
        if known is None:
            known = self._written(database, shape, tuples=tuples)
            self._known[type(database), tuples, shape] = known
        flat = [each for value in values for each in (value if isinstance(value, (list, tuple)) else (value,))]
        given = [one.of(flat) if isinstance(one, _Given) else one for one in known.values]
        return known.query._get_cursor_wrapper(database.execute_sql(known.sql, given))

    def _written(self, database: Any, shape: _Shape, *, tuples: bool) -> "_Written":
        places = map(_Place, range(sum(map(abs, shape))))
        query = self._build(*_shaped(shape, places))
        query = query.tuples() if tuples else query
        sql, values = database.get_sql_context().sql(query).query()
        return _Written(sql, tuple(values), query)


@dataclass(frozen=True, slots=True)
class Filled:
    """A prepared query and its values, with the part of peewee's interface that engines use."""

    prepared: Prepared
    values: Sequence[object]
    as_tuples: bool = False

    def tuples(self) -> "Filled":
        """The same, each row a tuple."""
        return Filled(self.prepared, self.values, as_tuples=True)

    def execute(self, database: Any) -> Any:
        """The cursor of its rows."""
        return self.prepared.execute(database, self.values, tuples=self.as_tuples)


@dataclass(frozen=True, slots=True)
class _Written:
    """The SQL, its values with what is given among them, and the query, which knows how to read the rows."""

    sql: str
    values: tuple[object, ...]
    query: Any


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that is given, by its number, and how it is converted."""

    number: int
    converter: Callable[[object], object] | None

    def of(self, values: Sequence[object]) -> object:
        """Its value for the database."""
        value = values[self.number]
        return value if self.converter is None else self.converter(value)


class _Place(peewee.Node):
    """A place for a value, in a query of peewee."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __sql__(self, ctx: Any) -> Any:
        return ctx.value(_Given(self._number, ctx.state.converter), False)


def _shaped(shape: _Shape, places: Iterator[_Place]) -> Iterator[object]:
    for size in shape:
        yield next(places) if size == _ONE else [next(places) for _ in range(size)]
