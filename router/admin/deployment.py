"""Installing on this machine: the former program is kept, the database copied first; the way back; removal."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from router import __version__
from router.admin import installation
from router.admin.installation import COMMAND, TEMPLATE, Site
from router.admin.instances import installed
from router.admin.status.finder import Presence, find_node
from router.catalogue.db.backup import DATABASE, Backups
from router.clock import SystemClock
from router.config.salvage import salvage
from router.errors import ConfigurationError, RouterError
from router.storage.incoming import unfiled_in

_RECORD = "installed.json"  # in the program's folder, written last
_KEPT = "outside"  # in a former program's folder: its unit and its command

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An installed program: its version, its places, and the copy of the database that was made before it came."""

    version: str
    settings: str
    data: str
    reports: str
    account: str
    folder: str = ""
    copy: str = ""
    instance: str = ""

    @classmethod
    def of(cls, program: Path) -> "Record | None":
        """The record in a program's folder; None where there is none that reads."""
        try:
            return cls(**json.loads((program / _RECORD).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None


def former(program: Path) -> Path:
    """Where the former program is kept."""
    return program.with_name(f"{program.name}.former")


def install(
    site: Site,
    source: Path,
    python: str,
    tell: Tell,
    *,
    trial_keys: bool = False,
    is_configured: bool = True,
    is_copied: bool = False,
) -> None:
    """Make account, folders, files and program, with the node stopped and its database copied unless it `is_copied`.

    A failure leaves the program that was there. The node runs again afterwards if it did. ConfigurationError if a step
    fails.
    """
    with stopped(site):
        copy = "" if is_copied else _copied(site, tell)
        installation.run(installation.account_commands(site))
        _keep_outside(site)
        with _renewed(site):
            for line in installation.write(site, Path("/"), trial_keys=trial_keys, is_configured=is_configured):
                tell(line)
            installation.run(installation.program_commands(site, source, sys.executable, python))
            _note(site, Record(version=__version__, copy=copy, **_places(site)))
        installation.run(installation.owner_commands(site))


def configure(site: Site, tell: Tell, *, trial_keys: bool = False) -> None:
    """Write folders and files for the program that is there."""
    for line in installation.write(site, Path("/"), trial_keys=trial_keys):
        tell(line)
    installation.run([*installation.account_commands(site), *installation.owner_commands(site)])


def _places(site: Site) -> dict[str, str]:
    names = {name: str(getattr(site, name)) for name in ("settings", "data", "reports", "account")}
    return {**names, "folder": str(site.folder or ""), "instance": site.instance}


def _note(site: Site, record: Record) -> None:
    fields = {name: getattr(record, name) for name in Record.__dataclass_fields__}
    if not record.instance:
        del fields["instance"]  # versions before it read no such key
    part = site.program / f"{_RECORD}.part"
    part.write_text(json.dumps(fields, ensure_ascii=False, indent=1), encoding="utf-8")
    part.replace(site.program / _RECORD)


@contextmanager
def stopped(site: Site) -> Iterator[None]:
    """The node stopped meanwhile. ConfigurationError when it runs and no service runs it.

    After a failure the service starts again, too.
    """
    was_active = site.unit is not None and _systemctl("is-active", "--quiet", site.service)
    if was_active:
        installation.run([["systemctl", "stop", site.service]])
    elif site.config.exists() and find_node(salvage(site.config)).presence not in (Presence.STOPPED, Presence.CRASHED):
        raise ConfigurationError("the node runs", hint="stop it first; a PACS sends again what it could not send")
    try:
        yield
    finally:
        if was_active:
            installation.run([["systemctl", "start", site.service]])


def _systemctl(*arguments: str) -> bool:
    if not installation.has_systemd():
        return False
    return subprocess.run(["systemctl", *arguments], check=False).returncode == 0  # noqa: S603, S607 systemd's own


# -- the database's copy


def _copied(site: Site, tell: Tell) -> str:
    """Copy the database, if there is one; the copy's path."""
    config = salvage(site.config)
    if config.database.url:
        return _dumped(site, config.database.url, tell)
    data = _data(site)
    if not (data / DATABASE).exists():
        return ""
    made = Backups(data).make(SystemClock().now()).path
    kept = made.with_name(f"before-{__version__}-{made.name}")  # the node does not prune this name
    made.rename(kept)
    if os.geteuid() == 0:
        owner = data.stat()
        for path in (kept.parent, *kept.parent.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid)
    tell(f"copied the database to {kept}")
    return str(kept)


def _data(site: Site) -> Path:
    """The data folder that the node's configuration names."""
    return salvage(site.config).node.data if site.config.exists() else site.data


def _dumped(site: Site, url: str, tell: Tell) -> str:
    target = _data(site) / f"before-{__version__}.dump"
    program = shutil.which("pg_dump")
    if program is None:
        tell("not copied: the database is on PostgreSQL, and pg_dump is not here; see that a copy of it exists")
        return ""
    # As the node's account, which may log in to the database, and write to a data folder on a share.
    account = ["runuser", "-u", site.account, "--"] if site.folder is None else []
    call = [*account, program, "--format=custom", f"--file={target}", f"--dbname={url}"]
    if subprocess.run(call, check=False, umask=0o077).returncode:  # noqa: S603 PostgreSQL's own
        hint = "the lines above say why; with a copy of your own: install --copied"
        raise ConfigurationError("pg_dump could not copy the database", hint=hint)
    tell(f"copied the database to {target}")
    return str(target)


def _schema(database: Path) -> int | None:
    """The version of a database's tables; None when it does not say."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
            return int(opened.execute("SELECT version FROM schema").fetchone()[0])
    except (sqlite3.Error, TypeError):
        return None


# -- the program that was there


@contextmanager
def _renewed(site: Site) -> Iterator[None]:
    """Set the program aside, to be made again by the caller; a failure puts it back.

    An unfinished program of an interrupted installation never takes the place of the former one.
    """
    before = former(site.program)
    unfinished = Record.of(site.program) is None and before.exists()
    if unfinished:
        shutil.rmtree(site.program, ignore_errors=True)
    elif site.program.exists():
        shutil.rmtree(before, ignore_errors=True)
        site.program.rename(before)
    try:
        yield
    except (RouterError, OSError, KeyboardInterrupt):
        if before.exists():
            shutil.rmtree(site.program, ignore_errors=True)
            before.rename(site.program)
            _put_outside_back(site)
        raise


def _keep_outside(site: Site) -> None:
    """Keep unit and command of the program that is there, before they are renewed: they go back with it."""
    if not site.program.exists() or (Record.of(site.program) is None and former(site.program).exists()):
        return
    kept = site.program / _KEPT
    kept.mkdir(exist_ok=True)
    for path in _outside(site):
        if path.exists():
            shutil.copy2(path, kept / path.name)


def _put_outside_back(site: Site) -> None:
    for path in _outside(site):
        if (kept := site.program / _KEPT / path.name).exists():
            path.parent.mkdir(exist_ok=True)
            shutil.copy2(kept, path)


def _outside(site: Site) -> list[Path]:
    return [path for path in (site.unit, site.own_places, site.on_path) if path is not None]


def go_back(site: Site, tell: Tell) -> None:
    """Put the former program back, and the database's copy if the tables have changed since.

    ConfigurationError when there is no former program, or images are in a journal, whose form it may not know.
    """
    before, undone = former(site.program), site.program.with_name(f"{site.program.name}.undone")
    if not before.is_dir():
        raise ConfigurationError(f"{before} is not there: no former version is kept", hint="install it by its bundle")
    record = Record.of(site.program)
    with stopped(site):
        if unfiled_in(_data(site) / "incoming"):
            hint = "start it, so that they get their files, stop it, and go back then"
            raise ConfigurationError("the node ended in a crash and its journal holds images", hint=hint)
        shutil.rmtree(undone, ignore_errors=True)
        if site.program.exists():
            site.program.rename(undone)
        before.rename(site.program)
        _put_outside_back(site)
        if site.unit is not None and installation.has_systemd():
            installation.run([["systemctl", "daemon-reload"]])
        _restore(site, Path(record.copy) if record and record.copy else None, tell)
        shutil.rmtree(undone, ignore_errors=True)
    came = Record.of(site.program)
    tell(f"the former program{f', {came.version},' if came else ''} is back in {site.program}")


def _restore(site: Site, copy: Path | None, tell: Tell) -> None:
    """Put the copy back with the former program, which knows its tables, unless the tables are as they were."""
    if copy is None or not copy.exists():
        tell("no copy of the database is known: see `backup list` if the former version refuses the tables")
    elif copy.suffix == ".dump":
        tell(f"if the tables have changed: pg_restore --clean -d NAME {copy}")
        tell(f"then {COMMAND} verify --rebuild --restored")
    elif _schema(copy) == _schema(_data(site) / DATABASE):
        tell("the tables are the former version's: the database stays as it is")
    else:
        call = [str(site.program / "bin" / COMMAND), "backup", "restore", str(copy), "--config", str(site.config)]
        as_account = ["runuser", "-u", site.account, "--"] if site.folder is None else []
        installation.run([[*as_account, *call]])
        tell(f"the database is that of {copy}")


def remove(site: Site, tell: Tell, *, with_data: bool) -> None:
    """Remove program, unit and command; configuration, keys and data only `with_data`.

    The drop folder stays unless it is empty: it is the RIS's.
    """
    with_service = site.unit is not None and installation.has_systemd()
    if with_service:
        _systemctl("disable", "--now", site.service)
    with stopped(site):
        others = {one.name for one in installed() if one.name != site.instance}
        for path in _outside(site):
            if path.name != TEMPLATE or not others - {""}:  # the other instances need it
                path.unlink(missing_ok=True)
        if site.own_places is not None and site.own_places.parent.is_dir():
            site.own_places.parent.rmdir()
        folders: Sequence[Path] = (site.program, former(site.program))
        for folder in (*folders, *((site.data, site.settings) if with_data else ())):
            shutil.rmtree(folder, ignore_errors=True)
            tell(f"removed {folder}")
    if with_service:
        installation.run([["systemctl", "daemon-reload"]])
    kept = [folder for folder in (site.settings, site.data, site.reports) if folder.exists()]
    if kept:
        tell(f"kept: {', '.join(map(str, kept))}; the account {site.account}")
