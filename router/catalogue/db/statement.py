"""Written SQL, for statements that run so often that building them each time would cost more than running them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from peewee import SQL, Field, Model

from router.catalogue.db.engine import Engine, PostgresEngine, SqliteEngine, portions

_NOW = re.compile(r"\bNOW\b")


class Statement:
    """One statement for both engines: `?` is a value, converted as its field does, `NOW` the database's clock."""

    def __init__(self, sql: str, *fields: Field) -> None:
        self._sql = {
            "?": _NOW.sub(SqliteEngine.now, sql),
            "%s": _NOW.sub(PostgresEngine.now, sql.replace("?", "%s")),
        }
        self._fields: tuple[Any, ...] = fields

    def run(self, engine: Engine, *values: object) -> list[tuple[Any, ...]]:
        """Execute it; the rows, if it gives any."""
        given = [field.db_value(value) for field, value in zip(self._fields, values, strict=True)]
        return engine.execute(self._sql[engine.database.param], given)


def listed(words: Iterable[str]) -> str:
    """Words of our own as SQL: `('held', 'late')`."""
    return "(" + ", ".join(f"'{word}'" for word in sorted(words)) + ")"


class Insert:
    """One row into a table, every column but the number given by name; columns left out have their defaults."""

    def __init__(self, table: type[Model]) -> None:
        meta: Any = table._meta
        self._number = meta.primary_key
        self._fields: Sequence[Field] = [field for field in meta.sorted_fields if field is not self._number]
        self._defaults = {field.name: field.default for field in self._fields}
        columns = ", ".join(f'"{field.column_name}"' for field in self._fields)
        marks = ", ".join("?" for _ in self._fields)
        returning = f'RETURNING "{self._number.column_name}"'
        sql = f'INSERT INTO "{meta.table_name}" ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING {returning}'  # noqa: S608 our own names
        self._statement = Statement(sql, *self._fields)

    def run(self, engine: Engine, **row: object) -> int | None:
        """The row's number; None where the table has such a row already."""
        values = self._defaults | row
        made = self._statement.run(engine, *(values[field.name] for field in self._fields))
        return int(made[0][0]) if made else None


class InsertMany:
    """Many rows into a table, every column but the number given by name; columns left out have their defaults.

    A row that is there already is an error, or is left as it is (`known_stay`).
    """

    def __init__(self, table: type[Model], *, known_stay: bool = False) -> None:
        meta: Any = table._meta
        self._fields: Sequence[Any] = [field for field in meta.sorted_fields if field is not meta.primary_key]
        self._defaults = {field.name: field.default for field in self._fields}
        columns = ", ".join(f'"{field.column_name}"' for field in self._fields)
        self._head = f'INSERT INTO "{meta.table_name}" ({columns}) VALUES '  # noqa: S608 our own names
        self._tail = " ON CONFLICT DO NOTHING" if known_stay else ""

    def run(self, engine: Engine, rows: Sequence[Mapping[str, object]]) -> None:
        """Enter the rows, as many at once as a statement takes."""
        marks = f"({', '.join([engine.database.param] * len(self._fields))})"
        for portion in portions([self._defaults | dict(row) for row in rows]):
            values = [field.db_value(row[field.name]) for row in portion for field in self._fields]
            engine.execute(self._head + ", ".join([marks] * len(portion)) + self._tail, values)


class Update:
    """A change of the rows that meet a condition, written once for each set of columns that changes.

    The condition is SQL with `?` for values, converted as these `fields` do; `also` is one more assignment as SQL. A
    change may be SQL itself, one of a few texts.
    """

    def __init__(self, table: type[Model], where: str, *fields: Field, also: str = "") -> None:
        self._meta: Any = table._meta
        self._where = where
        self._fields = fields
        self._also = [also] if also else []
        self._known: dict[tuple[tuple[str, str], ...], Statement] = {}

    def run(self, engine: Engine, changes: Mapping[str, object], *values: object) -> int:
        """Set the columns to `changes`, where the condition with these `values` holds; how many rows there were."""
        form = tuple((name, value.sql if isinstance(value, SQL) else "?") for name, value in changes.items())
        if form not in self._known:
            self._known[form] = self._written(form)
        given = [value for value in changes.values() if not isinstance(value, SQL)]
        return len(self._known[form].run(engine, *given, *values))

    def _written(self, form: Sequence[tuple[str, str]]) -> Statement:
        fields = self._meta.fields
        assigned = ", ".join([*(f'"{fields[name].column_name}" = {value}' for name, value in form), *self._also])
        returning = f'RETURNING "{self._meta.primary_key.column_name}"'
        sql = f'UPDATE "{self._meta.table_name}" SET {assigned} WHERE {self._where} {returning}'  # noqa: S608 our own names
        return Statement(sql, *(fields[name] for name, value in form if value == "?"), *self._fields)


class Among:
    """A query, or a change, with one `IN (?)`, after all other `?`, that takes any number of values of `field`."""

    def __init__(self, sql: str, field: Field) -> None:
        self._sql = sql
        self._field: Any = field

    def run(self, engine: Engine, values: Sequence[object], *before: object) -> list[tuple[Any, ...]]:
        """The rows for all `values`; `before` are those that stand before them, as the database has them."""
        found = []
        param = engine.database.param
        for portion in portions(values):
            given = [self._field.db_value(value) for value in portion]
            sql = self._sql.replace("IN (?)", f"IN ({', '.join('?' * len(given))})").replace("?", param)
            found += engine.execute(sql, [*before, *given])
        return found
