"""Upgrade of an older database: a copy, then the conversion, then its event."""

from datetime import datetime

from router.catalogue import Catalogue
from router.catalogue.db.backup import Backups
from router.catalogue.db.schema import Database
from router.config.folders import SOLE
from router.config.sections import Config
from router.errors import ConfigurationError
from router.events import Event, EventBus, Kind
from router.intake.origin import prefix_of


def former_of(config: Config) -> str:
    """The hospital that everything is of from before the node had hospitals with names; "" where none is named so."""
    former = config.hospital if len(config.hospital) == 1 else [one for one in config.hospital if one.former]
    return former[0].name if former else ""


def adopt_former(config: Config, catalogue: Catalogue, bus: EventBus, now: datetime) -> None:
    """Give the exams of the only hospital of before its name, once; ConfigurationError where nothing says which it is.

    In one transaction: the exams, their deliveries and studies, and what the sources of their PDFs were calibrated by.
    """
    exams = catalogue.exams
    if not config.several or not exams.any_of(SOLE):
        return
    name = former_of(config)
    if not name:
        raise ConfigurationError(
            "the database has exams from before the node had several hospitals, and nothing says whose they are",
            hint="write former = true in the [[hospital]] that they are of",
        )
    with exams.transaction():
        count = exams.adopt_former(name)
        catalogue.queue.rename_hospital(SOLE, name)
        catalogue.outcomes.rename_hospital(SOLE, name)
        exams.calibrations.adopt(prefix_of(name))
    bus.record(Event(now, Kind.CONFIGURED, f"{count} exam(s) of before are of hospital {name}"))


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
