"""Written SQL, for statements that run so often that building them each time would cost more than running them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from peewee import Field, Model

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
    """Many rows into a table, every column but the number given by name; one that is there already is an error."""

    def __init__(self, table: type[Model]) -> None:
        meta: Any = table._meta
        self._fields: Sequence[Any] = [field for field in meta.sorted_fields if field is not meta.primary_key]
        columns = ", ".join(f'"{field.column_name}"' for field in self._fields)
        self._head = f'INSERT INTO "{meta.table_name}" ({columns}) VALUES '  # noqa: S608 our own names

    def run(self, engine: Engine, rows: Sequence[Mapping[str, object]]) -> None:
        """Enter the rows, as many at once as a statement takes."""
        marks = f"({', '.join([engine.database.param] * len(self._fields))})"
        for portion in portions(rows):
            values = [field.db_value(row[field.name]) for row in portion for field in self._fields]
            engine.execute(self._head + ", ".join([marks] * len(portion)), values)


class Among:
    """A query with one `IN (?)`, after all other `?`, that takes any number of values of `field`."""

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
