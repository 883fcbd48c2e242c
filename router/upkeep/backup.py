"""Hourly copy of the database, and the alarm when there has been none for long."""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue.db.backup import Backup, Backups, Original, Stopped
from router.clock import Clock, zoned
from router.config.sections import Config
from router.errors import RouterError, TransientError
from router.events import Event, EventBus, Kind

EVERY = timedelta(hours=1)
_LONG = 3 * EVERY


class BackupJob:
    """The duty to copy the database; `stopping` ends a copy that is being made."""

    def __init__(self, config: Config, bus: EventBus, clock: Clock, stopping: Callable[[], bool]) -> None:
        self._backups = Backups(config.node.data)
        self._kept = config.backup
        self._spare = config.receive.min_free
        self._bus = bus
        self._clock = clock
        self._stopping = stopping
        self._data = config.node.data
        self._zone = config.node.timezone
        self._original: Original | None = None
        self._saved = ""

    @property
    def fate(self) -> str:
        """The change of the database's file since the node opened it, in words; "" while it is the same."""
        return "" if self._original is None else self._original.fate

    def close(self) -> None:
        """Close the database's file."""
        if self._original is not None:
            self._original.close()
            self._original = None

    def step(self) -> None:
        """Make a copy when the last one is an hour old."""
        now = self._clock.now()
        if self._original is None:
            self._original = self._open()
        if fate := self._original.fate:
            self._save(self._original, fate, now)
            return
        self._record(Kind.CLEARED, "the database's file is the one that was opened", now, Alarm.DATABASE)
        last = next(iter(self._backups.listed()), None)
        if last is None or not timedelta(0) <= now - last.at < EVERY:
            try:
                self._backups.make(now, self._stopping, spare=self._spare)
            except Stopped:
                return
            except (RouterError, OSError):
                self._miss(last, now)
                raise
            self._backups.prune(self._kept.hourly, self._kept.daily)
        self._record(Kind.CLEARED, "there is a copy of the database", now)

    def _open(self) -> Original:
        try:
            return Original(self._data)
        except (OSError, sqlite3.Error) as error:
            raise TransientError("the database's file cannot be opened for its copy") from error

    def _save(self, original: Original, fate: str, now: datetime) -> None:
        """Raise the alarm and copy the open file, at once and then hourly: its data ends with the process."""
        last = next(iter(self._backups.listed()), None)
        if self._saved != fate or last is None or not timedelta(0) <= now - last.at < EVERY:
            try:
                copy = self._backups.make(now, self._stopping, source=original)
            except Stopped:
                return
            except (RouterError, OSError, sqlite3.Error) as error:
                self._record(Kind.ALARM, f"the database's file {fate}, and no copy can be made", now, Alarm.DATABASE)
                raise TransientError("the database's file cannot be copied") from error
            self._saved = fate
            text = f"the database's file {fate}; what was in it is copied to {copy.path.name}"
            self._record(Kind.ALARM, text, now, Alarm.DATABASE)

    def _miss(self, last: Backup | None, now: datetime) -> None:
        if last is None:
            self._record(Kind.ALARM, "there is no copy of the database, and none can be made", now)
        elif not timedelta(0) <= now - last.at < _LONG:
            self._record(Kind.ALARM, f"the newest copy of the database is of {zoned(last.at, self._zone)}", now)

    def _record(self, kind: Kind, text: str, now: datetime, alarm: Alarm = Alarm.BACKUP) -> None:
        self._bus.record(Event(now, kind, text, alarm=alarm, subject="database"))
