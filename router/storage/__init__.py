"""The only door to the data folder: incoming, studies, reports, quarantine, pins, unwritten results."""

from dataclasses import dataclass
from pathlib import Path

from router.storage.dailies import Dailies
from router.storage.durable import make_folder
from router.storage.incoming import Incoming
from router.storage.pins import Pins
from router.storage.quarantine import Quarantine
from router.storage.reports import Reports
from router.storage.scrubbed import Scrubbed
from router.storage.studies import Studies
from router.storage.unwritten import UnwrittenFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The parts of the data folder."""

    incoming: Incoming
    studies: Studies
    reports: Reports
    quarantine: Quarantine
    pins: Pins
    dailies: Dailies
    scrubbed: Scrubbed
    unwritten: UnwrittenFiles
    exchanges: Path


def open_storage(data: Path, owner: str) -> Storage:
    """Make the data folder's parts where they are missing; `owner` is the node's name."""
    make_folder(data)
    return Storage(
        incoming=Incoming(data / "incoming" / owner, data / "incoming"),
        studies=Studies(data / "studies"),
        reports=Reports(data),
        quarantine=Quarantine(data / "quarantine"),
        pins=Pins(data),
        dailies=Dailies(data),
        scrubbed=Scrubbed(data),
        unwritten=UnwrittenFiles(data / "unwritten", owner),
        exchanges=data / "exchanges",
    )
