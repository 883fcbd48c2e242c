"""Tombstones: rows of instances whose files are gone, packed by the batch to about a fifth of their size.

A tombstone holds the rows themselves, so that nothing is lost of them: when one of its instances comes again,
something for its study, or a note that refers to it, the rows are put back (`revive`), and are packed again by the next
purge. Its summary is what can be counted without unpacking.
"""

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from peewee import Model

from router.catalogue.db.engine import Engine, portions
from router.catalogue.db.fields import instant
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.statement import Among, InsertMany
from router.catalogue.db.tables.images import Instance, LedgerRow, Study, Tombstone, TombstoneKey
from router.catalogue.db.tables.queue import CommitmentItem
from router.catalogue.images.fate import Fate

_SOP, _AE, _RECEIVED = "sop_uid", "sending_ae", "received"
_KEY = "instance_id"
_INSTANCE = [field.column_name for field in Instance._meta.sorted_fields]
_LEDGER = [field.column_name for field in LedgerRow._meta.sorted_fields if field.column_name != "id"]
# Whole rows of instances, and of their ledger, to be packed.
_INSTANCES = Among(f"SELECT {', '.join(_INSTANCE)} FROM instance WHERE id IN (?)", Instance.id)  # noqa: S608 our own names
_ENTRIES = Among(f"SELECT {', '.join(_LEDGER)} FROM ledger WHERE instance_id IN (?)", LedgerRow.id)  # noqa: S608 our own names
_NEW_KEYS = InsertMany(TombstoneKey)
_SUMMARIES = Prepared(
    lambda studies: (
        Tombstone.select(Tombstone.study, Tombstone.summary).where(Tombstone.study.in_(studies)).order_by(Tombstone.id)
    )
)
# Studies that may have tombstones of these instances.
_STUDIES = Among("SELECT DISTINCT study FROM tombstone_key WHERE sop IN (?)", TombstoneKey.sop)

Row = dict[str, Any]
Columns = Mapping[str, Sequence[Any]]
Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Counts of packed instances.

    `fates` by destination and state, `classes` by destination and class of what was selected, `newest` versions by
    modality and identity; `arrivals` of each AE: how many, the first and the last.
    """

    study: int
    fates: Mapping[Place, int]
    classes: frozenset[Place]
    newest: Mapping[tuple[str, int], int]
    arrivals: Mapping[str, tuple[int, datetime, datetime]]


def summaries(engine: Engine, studies: Sequence[int]) -> Iterator[Summary]:
    """Summaries of these studies' tombstones; a study may have several."""
    for some in portions(studies):
        for study, text in engine.rows(_SUMMARIES(some)):
            known = json.loads(text)
            yield Summary(
                study=study, fates={(place, state): n for place, state, n in known["fates"]},
                classes=frozenset((place, of) for place, of in known["classes"]),
                newest={(modality, identity): n for modality, identity, n in known["newest"]},
                arrivals={ae: (n, instant(first), instant(last)) for ae, n, first, last in known["arrivals"]},
            )  # fmt: skip


def packed(engine: Engine, studies: Sequence[int]) -> Iterator[tuple[list[Row], list[Row]]]:
    """Rows of instances and of the ledger; a ledger row's `instance_id` is its instance's position beside it."""
    for _, instances, entries in _bodies(engine, studies):
        yield instances, entries


def bury(engine: Engine, study: int, keys: Sequence[int], fates: Mapping[Place, int], now: datetime) -> None:
    """Pack these instances of the study with their ledger, whose counts are `fates`. Inside a transaction."""
    instances = sorted(_rows(_INSTANCE, _INSTANCES.run(engine, keys)), key=lambda row: int(row["id"]))
    for row in instances:
        row["purged"] = row["purged"] or Instance.purged.db_value(now)
    position = {row["id"]: n for n, row in enumerate(instances)}
    entries = [row | {_KEY: position[row[_KEY]]} for row in _rows(_LEDGER, _ENTRIES.run(engine, keys))]
    body = json.dumps([_columns(_INSTANCE, instances), _columns(_LEDGER, entries)], separators=(",", ":"))
    summary = json.dumps(_summary(instances, entries, fates))
    engine.run(Tombstone.insert(study=study, summary=summary, body=zlib.compress(body.encode(), 9)))
    _NEW_KEYS.run(engine, [{"sop": sop, "study": study} for sop in {_key(row[_SOP]) for row in instances}])
    drop_rows(engine, keys)


def drop_rows(engine: Engine, keys: Sequence[int]) -> None:
    """Remove instances that nothing refers to, with their ledger. Inside a transaction."""
    entries = LedgerRow.select(LedgerRow.id).where(LedgerRow.instance.in_(list(keys)))
    engine.run(CommitmentItem.delete().where(CommitmentItem.ledger.in_(entries)))
    engine.run(LedgerRow.delete().where(LedgerRow.instance.in_(list(keys))))
    engine.run(Instance.delete().where(Instance.id.in_(list(keys))))


def of_instances(engine: Engine, sop_uids: Iterable[str]) -> list[int]:
    """Studies that may have tombstones of these instances: two UIDs may, rarely, have one key."""
    return sorted({row[0] for row in _STUDIES.run(engine, [_key(uid) for uid in sop_uids])})


def revive(engine: Engine, studies: Iterable[int]) -> None:
    """Put the rows of these studies' tombstones back; the study counts as not purged until they are packed again."""
    for study in sorted(studies):
        if not has_tombstone(engine, study):
            continue
        with engine.write():
            engine.run(Study.update(purged=None).where(Study.id == study))  # another node that revives it waits here
            for number, instances, entries in _bodies(engine, [study]):
                _put_back(engine, instances, entries)
                _drop(engine, study, number, instances)


def has_tombstone(engine: Engine, study: int) -> bool:
    """Whether something of the study is packed."""
    return engine.has(Tombstone.select(Tombstone.id).where(Tombstone.study == study))


def forget(engine: Engine, study: int) -> int:
    """Remove the study's first tombstone; return how many instances it held. Inside a transaction."""
    for number, instances, _ in _bodies(engine, [study], 1):
        _drop(engine, study, number, instances)
        return len(instances)
    return 0


def _drop(engine: Engine, study: int, number: int, instances: Sequence[Row]) -> None:
    sops = list({_key(row[_SOP]) for row in instances})
    engine.run(TombstoneKey.delete().where(TombstoneKey.sop.in_(sops) & (TombstoneKey.study == study)))
    engine.run(Tombstone.delete().where(Tombstone.id == number))


def _put_back(engine: Engine, instances: Sequence[Row], entries: Sequence[Row]) -> None:
    """Insert the rows again. Those that a former version packed as selected were not sent when their files went."""
    taken = Instance.select(Instance.id).where(Instance.id.in_([row["id"] for row in instances]))
    if engine.has(taken):  # SQLite gives the largest numbers again once their rows are gone
        last = engine.value(Instance.select(Instance.id).order_by(Instance.id.desc()).limit(1))
        instances = [row | {"id": last + n} for n, row in enumerate(instances, 1)]
    _insert(engine, Instance, instances)
    entries = [row | {"state": Fate.GONE} if row["state"] == Fate.SELECTED else row for row in entries]
    _insert(engine, LedgerRow, [row | {_KEY: instances[row[_KEY]]["id"]} for row in entries])


def _insert(engine: Engine, model: type[Model], rows: Sequence[Row]) -> None:
    """Insert packed rows; the tables may have got other columns since."""
    meta: Any = model._meta
    table, fields = meta.table_name, {field.column_name: field for field in meta.sorted_fields}
    names = [name for name in fields if rows and (name in rows[0] or fields[name] is not meta.primary_key)]
    rows = [{name: row.get(name, fields[name].default) for name in names} for row in rows]
    for some in portions(rows):
        marks = f"({', '.join([engine.database.param] * len(some[0]))})"
        sql = f"INSERT INTO {table} ({', '.join(some[0])}) VALUES {', '.join([marks] * len(some))}"  # noqa: S608 our own names
        engine.execute(sql, [value for row in some for value in row.values()])


def _bodies(
    engine: Engine, studies: Sequence[int], limit: int | None = None
) -> Iterator[tuple[int, list[Row], list[Row]]]:
    """Tombstones with their rows unpacked, one after the other."""
    query = Tombstone.select(Tombstone.id, Tombstone.body).where(Tombstone.study.in_(list(studies)))
    for number, body in engine.rows(query.order_by(Tombstone.id).limit(limit)):
        instances, entries = json.loads(zlib.decompress(bytes(body)))
        yield number, _from_columns(instances), _from_columns(entries)


def _key(sop_uid: str) -> int:
    """64 bits of a UID. Keys of one series mostly differ in the last bits, so that they are neighbours in the index."""
    head, _, tail = sop_uid.rpartition(".")
    halves = (hashlib.sha256(part.encode()).digest()[:4] for part in (head, tail))
    return int.from_bytes(b"".join(halves), "big", signed=True)


def _rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[Row]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _columns(names: Sequence[str], rows: Sequence[Row]) -> Columns:
    """The rows column by column, which packs best; numbers that only grow are stored as differences."""
    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in names}
    for name in {"id", _KEY, _RECEIVED, "at"} & columns.keys():
        values = columns[name]
        columns[name] = [value - before for value, before in zip(values, [0, *values], strict=False)]
    return columns


def _from_columns(columns: Columns) -> list[Row]:
    whole = dict(columns)
    for name in {"id", _KEY, _RECEIVED, "at"} & whole.keys():
        whole[name] = list(accumulate(columns[name]))
    return _rows(list(whole), zip(*whole.values(), strict=True))


def _summary(instances: Sequence[Row], entries: Sequence[Row], fates: Mapping[Place, int]) -> Mapping[str, object]:
    selected = {(e["destination"], instances[e[_KEY]]["series_class"]) for e in entries if e["state"] != "filtered"}
    newest = Counter((row["modality"], row["identity"]) for row in instances if row["newest"])
    came: dict[str, list[int]] = {}
    for row in instances:
        came.setdefault(row[_AE], []).append(row[_RECEIVED])
    return {
        "fates": [[*place, n] for place, n in fates.items() if n],
        "classes": sorted(selected),
        "newest": [[*of, n] for of, n in newest.items()],
        "arrivals": [[ae, len(times), min(times), max(times)] for ae, times in came.items()],
    }
