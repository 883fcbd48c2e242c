"""Originals below done/ and rejected/ of the drop folder: which of them the node put there, and when."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from router.catalogue.dialect import Engine
from router.catalogue.tables import SetAsideRow
from router.model import SetAside

_AT_ONCE = 100
_BEGUN = "begun"  # the key of a row that stands for no file


class Originals:
    """Files that retention may remove there, each known by its place, inode and size."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def note(self, lying: Sequence[SetAside], at: datetime) -> None:
        """Remember files that were put there at this time; one noted before at the same place is replaced."""
        self._insert([_row(one, at) for one in lying], preserve=[SetAsideRow.mark, SetAsideRow.at])

    def _insert(self, rows: Sequence[dict[str, Any]], **conflict: Any) -> None:
        for begin in range(0, len(rows), _AT_ONCE):
            adding = SetAsideRow.insert_many(rows[begin : begin + _AT_ONCE])
            with self._engine.write():
                self._engine.run(adding.on_conflict(conflict_target=[SetAsideRow.key], **conflict))

    def begun(self) -> bool:
        """Whether what lay there before this database noted anything is noted."""
        found = SetAsideRow.select(SetAsideRow.key).where(SetAsideRow.key == _BEGUN)
        return bool(self._engine.run(found.tuples()))

    def begin(self, lying: Iterable[tuple[SetAside, datetime]], now: datetime) -> None:
        """Note what lies there, once: a former version noted nothing, and a database may be lost."""
        self._insert([_row(one, at) for one, at in lying], action="IGNORE")
        with self._engine.write():
            self._engine.run(SetAsideRow.insert(key=_BEGUN, home="", place="", mark="", at=now))

    def before(self, at: datetime, after: str, limit: int) -> list[tuple[str, SetAside]]:
        """Those that lie there since before `at`, by their keys: the next ones after the key `after`."""
        columns = (SetAsideRow.key, SetAsideRow.home, SetAsideRow.place, SetAsideRow.mark)
        where = (SetAsideRow.at < at) & (SetAsideRow.key > after) & (SetAsideRow.key != _BEGUN)
        query = SetAsideRow.select(*columns).where(where)
        rows: Any = self._engine.run(query.order_by(SetAsideRow.key).limit(limit).tuples())
        return [(key, _read(home, place, mark)) for key, home, place, mark in rows]

    def forget(self, keys: Sequence[str]) -> None:
        """Forget files that are gone, or that somebody has replaced."""
        with self._engine.write():
            self._engine.run(SetAsideRow.delete().where(SetAsideRow.key.in_(list(keys))))


def _row(one: SetAside, at: datetime) -> dict[str, Any]:
    key = hashlib.sha256(one.home + b"\0" + one.place).hexdigest()
    paths = {"home": quote_from_bytes(one.home), "place": quote_from_bytes(one.place)}
    return {"key": key, **paths, "mark": f"{one.inode} {one.size}", "at": at}


def _read(home: str, place: str, mark: str) -> SetAside:
    inode, size = map(int, mark.split())
    return SetAside(home=unquote_to_bytes(home), place=unquote_to_bytes(place), inode=inode, size=size)
