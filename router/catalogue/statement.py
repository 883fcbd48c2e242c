"""SQL that is written once: for what is done so often that building the query anew would cost more than running it."""

from collections.abc import Sequence
from typing import Any

from peewee import Field, Model

from router.catalogue.dialect import Engine


class Statement:
    """One statement for both engines, `?` for each value; values are converted as their fields do."""

    def __init__(self, sql: str, *fields: Field) -> None:
        self._sql = {param: sql.replace("?", param) for param in ("?", "%s")}
        self._fields: tuple[Any, ...] = fields

    def run(self, engine: Engine, *values: object) -> list[tuple[Any, ...]]:
        """Execute it; the rows, if it gives any."""
        given = [field.db_value(value) for field, value in zip(self._fields, values, strict=True)]
        return engine.execute(self._sql[engine.database.param], given)


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
