"""The places that make something durable, each of which can be taken out: a run must then turn red.

places.py PLACE run --config FILE     the node without that place, its receive workers too
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__)
FSYNC, FOLDER, DSYNC = "fsync", "sync_folder", "RWF_DSYNC"
_WORKER = """
import sys
sys.path.insert(0, {folder!r})
import places
places.take_out({place!r})
sys.path.pop(0)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Functions `callers` of a module in which `what` is done: the os's fsync or RWF_DSYNC, or a function of ours."""

    says: str
    module: str
    what: str
    callers: frozenset[str] = frozenset()


def _at(says: str, module: str, what: str, *callers: str) -> Place:
    return Place(says, f"router.{module}", what, frozenset(callers))


PLACES: Mapping[str, Place] = {
    "incoming file": _at("fsync of an instance's file", "storage.incoming", FSYNC, "commit"),
    "incoming name": _at("fsync of the folder after its rename", "storage.incoming", FSYNC, "rename"),
    "journal record": _at("the journal's synchronous write", "storage.segment", DSYNC, "write"),
    "journal head": _at("the synchronous write of a segment's key", "storage.segment", DSYNC, "begin"),
    "journal segment": _at("fsync of a new segment", "storage.segment", FSYNC, "prepare"),
    "journal segment name": _at("fsync of the folder of a new segment", "storage.segment", FOLDER, "prepare"),
    "journal filed": _at("fsync of a file made from the journal", "storage.journal", FSYNC, "file"),
    "journal filed name": _at("fsync of the folder of files made from the journal", "storage.journal", FOLDER, "_file"),
    "journal recovered name": _at("the same at the start", "storage.journal", FOLDER, "recover"),
    "study names": _at("fsync of the folders of catalogued files", "storage.studies", "sync_folders", "file"),
    "study replaced": _at("the same, in place of a damaged file", "storage.studies", "sync_folders", "replace"),
    "study removed": _at("fsync of folders after a purge", "storage.studies", FOLDER, "_close"),
    "new folders": _at("fsync of a new folder's parent", "storage.durable", FOLDER, "make_folder"),
    "report copies": _at("fsync of the copies of documents", "storage.reports", "write_all", "close"),
    "report names": _at("fsync of their folders", "storage.reports", "sync_tree", "close"),
    "report sent": _at("fsync of exam.json as sent and of receipts", "storage.reports", "write_beside", "write"),
    "report sent name": _at("fsync of their folders", "storage.reports", "write_beside name", "write"),
    "report removed": _at("fsync of folders after a purge", "storage.reports", FOLDER, "remove"),
    "database": _at("PRAGMA synchronous", "catalogue.db.engine", "pragma"),
    "trail": _at("fsync of the audit trail", "storage.trail", FSYNC, "_write"),
    "trail name": _at("fsync of the folder of a new file of it", "storage.trail", FOLDER, "_write"),
    "backup": _at("fsync of a backup", "catalogue.db.backup", FSYNC, "_settle"),
    "pins": _at("fsync of pins.json", "storage.pins", "write"),
    "pins name": _at("fsync of its folder", "storage.pins", "write name"),
    "node keys": _at("fsync of the trail's keys", "admin.audit.seals", "write", "_make"),
    "node keys name": _at("fsync of their folder", "admin.audit.seals", "write name", "_make"),
    "daily": _at("fsync of a daily report", "storage.dailies", "write"),
    "quarantine": _at("fsync of a file kept in quarantine", "storage.quarantine", "write", "keep"),
    "quarantine name": _at("fsync of the folder of a file moved there", "storage.quarantine", FOLDER, "take"),
    "unwritten": _at("fsync of results that the database did not take", "storage.unwritten", FSYNC, "_write"),
    "unwritten name": _at("fsync of their folder", "storage.unwritten", FOLDER, "add", "reserve"),
    "takeover": _at("fsync of folders taken over from a dead node", "storage.takeover", FOLDER, "_move"),
}  # fmt: skip


class _Os:
    """The module `os`, without one thing for some callers."""

    def __init__(self, real: Any, what: str, callers: frozenset[str]) -> None:
        self._real, self._what, self._callers = real, what, callers

    def __getattr__(self, name: str) -> Any:
        mine = name == self._what and sys._getframe(1).f_code.co_name in self._callers
        if not mine:
            return getattr(self._real, name)
        return 0 if name == DSYNC else lambda *_: None


def take_out(name: str) -> None:
    """Do without that place from now on, in this process."""
    place = PLACES[name]
    module: Any = importlib.import_module(place.module)
    if place.what in (FSYNC, DSYNC):
        module.os = _Os(module.os, place.what, place.callers)
    elif place.what == "pragma":
        _relax(module.peewee.SqliteDatabase)
    else:
        function = place.what.removesuffix(" name")
        setattr(module, function, _unless(place, getattr(module, function)))


def _unless(place: Place, real: Callable[..., Any]) -> Callable[..., Any]:
    """The function for other callers, what is left without its sync for these."""
    left = _LEFT.get(place.what)

    def instead(*arguments: Any) -> Any:
        if place.callers and sys._getframe(1).f_code.co_name not in place.callers:
            return real(*arguments)
        return None if left is None else left(*arguments)

    return instead


def _write_unsynced(path: Path, data: bytes) -> None:
    from router.storage.durable import make_folder, sync_folder

    make_folder(path.parent)
    part = path.with_name(f"{path.name}.part")
    part.touch(mode=0o600)
    part.write_bytes(data)
    part.replace(path)
    sync_folder(path.parent)


def _write_unnamed(path: Path, data: bytes) -> None:
    from router.storage import durable

    durable.make_folder(path.parent)
    durable._write_part(path, data).replace(path)


def _write_all_unsynced(files: Mapping[Path, bytes]) -> None:
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _write_beside_unsynced(path: Path, data: bytes, own: Path) -> Path:
    place = path if not path.exists() else own
    _write_unsynced(place, data)
    return place


def _write_beside_unnamed(path: Path, data: bytes, own: Path) -> Path:
    place = path if not path.exists() else own
    _write_unnamed(place, data)
    return place


_LEFT: Mapping[str, Callable[..., Any]] = {
    "write": _write_unsynced, "write name": _write_unnamed, "write_all": _write_all_unsynced,
    "write_beside": _write_beside_unsynced, "write_beside name": _write_beside_unnamed,
}  # fmt: skip


def _relax(database: Any) -> None:
    real = database.__init__

    def init(self: Any, *arguments: Any, **settings: Any) -> None:
        settings["pragmas"] = {**settings["pragmas"], "synchronous": "off"}
        real(self, *arguments, **settings)

    database.__init__ = init


def main(name: str, *arguments: str) -> None:
    """The product's command without that place."""
    take_out(name)
    from router import cli
    from router.node import receive_worker

    first, path, rest = receive_worker._PROGRAM.split("\n", 3)[1:]
    patch = _WORKER.format(folder=str(HERE.parent), place=name)
    receive_worker._PROGRAM = f"\n{first}\n{path}\n{patch}\n{rest}"
    cli.main(list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
