"""Upgrade of an older database: a copy, then the conversion, then its event."""

from datetime import datetime

from router.catalogue.db.backup import Backups
from router.catalogue.db.schema import Database
from router.config.sections import Config
from router.events import Event, EventBus, Kind


def bring_up_to_date(database: Database, config: Config, bus: EventBus, now: datetime) -> None:
    """Convert the tables where they are of a former version; SQLite's file is copied to data/backup/ first.

    TransientError when there is no room for the copy or another node is at work; ConfigurationError when the database
    is of a version that this program does not know.
    """
    if not database.outdated():
        return
    copy = None if config.database.url else Backups(config.node.data).make(now, spare=config.receive.min_free)
    done = database.convert(config.node.owner)
    if done is not None:
        kept = "" if copy is None else f"; as it was before it is in backup/{copy.path.name}"
        bus.record(Event(now, Kind.CONFIGURED, f"database converted from schema {done.old} to {done.new}{kept}"))
