"""The database: what came in, what was decided, what was sent. The only door to peewee."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from router.catalogue.alarms import Alarms
from router.catalogue.attention import Open
from router.catalogue.backfills import Backfills
from router.catalogue.backlog import Backlog
from router.catalogue.breakers import Breakers
from router.catalogue.commitments import Commitments
from router.catalogue.corrections import Corrections
from router.catalogue.damages import Damages
from router.catalogue.decisions import Decisions
from router.catalogue.delivered import Delivered
from router.catalogue.dialect import Engine, open_engine
from router.catalogue.exams import Exams
from router.catalogue.heads import Heads
from router.catalogue.history import History
from router.catalogue.instances import Instances
from router.catalogue.late import LateResults
from router.catalogue.ledger import Accounts
from router.catalogue.members import Members
from router.catalogue.news import News
from router.catalogue.nodes import Nodes
from router.catalogue.notes import Notes
from router.catalogue.notifications import Notifications
from router.catalogue.paces import Paces
from router.catalogue.pauses import Pauses
from router.catalogue.prospects import Prospects
from router.catalogue.purge import Purge
from router.catalogue.queue import Queue
from router.catalogue.readings import Readings
from router.catalogue.records import Records
from router.catalogue.refusals import Refusals
from router.catalogue.renaming import Renaming
from router.catalogue.retrievals import Retrievals
from router.catalogue.sessions import DEFAULT, Limits
from router.catalogue.settings import Settings
from router.catalogue.slots import Slots
from router.catalogue.survey import Survey
from router.catalogue.traces import Traces
from router.catalogue.unreported import Unreported
from router.catalogue.uploads import Uploads
from router.catalogue.versions import Versions
from router.catalogue.withheld import Withheld
from router.events import Journal


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The tables, each behind the noun it is about, over one engine."""

    engine: Engine
    instances: Instances
    members: Members
    notes: Notes
    exams: Exams
    queue: Queue
    breakers: Breakers
    pauses: Pauses
    backfills: Backfills
    prospects: Prospects
    paces: Paces
    accounts: Accounts
    versions: Versions
    commitments: Commitments
    uploads: Uploads
    history: History
    alarms: Alarms
    purge: Purge
    records: Records
    decisions: Decisions
    traces: Traces
    survey: Survey
    nodes: Nodes
    retrievals: Retrievals
    backlog: Backlog
    readings: Readings
    damages: Damages
    settings: Settings
    delivered: Delivered
    corrections: Corrections
    withheld: Withheld
    heads: Heads
    news: News
    notifications: Notifications
    unreported: Unreported
    refusals: Refusals
    open: Open
    renaming: Renaming
    late: LateResults
    slots: Slots


def open_catalogue(
    url: str,
    data: Path,
    journal: Journal,
    prepare: Callable[[Engine], None] = Engine.require_current,
    *,
    limits: Limits = DEFAULT,
) -> Catalogue:
    """Open the database, make what is missing, and keep the journal's events as rows from now on.

    `prepare` sees the engine first, whose tables may be of a former version: without one that is a ConfigurationError.
    `limits` are those of a server's sessions.
    """
    engine = open_engine(url, data, limits=limits)
    try:
        prepare(engine)
    except BaseException:
        engine.close_thread()
        raise
    history, alarms = History(engine), Alarms(engine)
    journal.guard(alarms.is_news)
    journal.subscribe(history.keep)
    refusals = Refusals(engine)
    journal.subscribe(refusals.keep)
    return Catalogue(
        engine, Instances(engine), Members(engine), Notes(engine), Exams(engine), Queue(engine, journal),
        Breakers(engine, journal),
        Pauses(engine, journal),
        Backfills(engine, journal),
        Prospects(engine),
        Paces(engine),
        Accounts(engine), Versions(engine), Commitments(engine), Uploads(engine), history, alarms,
        Purge(engine, journal), Records(engine, journal), Decisions(engine), Traces(engine), Survey(engine),
        Nodes(engine), Retrievals(engine), Backlog(engine), Readings(engine), Damages(engine), Settings(engine),
        Delivered(engine), Corrections(engine),
        Withheld(engine), Heads(engine), News(engine), Notifications(engine), Unreported(engine),
        refusals, Open(engine), Renaming(engine), LateResults(engine), Slots(engine),
    )  # fmt: skip
