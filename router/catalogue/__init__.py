"""The database: what came in, what was decided, what was sent. The only door to peewee."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from router.catalogue.db.engine import Engine, open_engine
from router.catalogue.db.sessions import DEFAULT, Limits
from router.catalogue.exams.corrections import Corrections
from router.catalogue.exams.decisions import Decisions
from router.catalogue.exams.exams import Exams
from router.catalogue.exams.expiry import Records
from router.catalogue.exams.provenance import Traces
from router.catalogue.exams.readings import Readings
from router.catalogue.exams.retrievals import Retrievals
from router.catalogue.images.damages import Damages
from router.catalogue.images.instances import Instances
from router.catalogue.images.ledger import Accounts
from router.catalogue.images.purge import Purge
from router.catalogue.images.references import Notes
from router.catalogue.images.series_members import Members
from router.catalogue.images.unreported import Unreported
from router.catalogue.images.versions import Versions
from router.catalogue.images.withheld import Withheld
from router.catalogue.node.alarm_news import News
from router.catalogue.node.alarms import Alarms
from router.catalogue.node.audit_heads import Heads
from router.catalogue.node.history import History
from router.catalogue.node.nodes import Nodes
from router.catalogue.node.notifications import Notifications
from router.catalogue.node.refusals import Refusals
from router.catalogue.node.settings import Settings
from router.catalogue.queue.attention import Open
from router.catalogue.queue.backfills import Backfills
from router.catalogue.queue.backlog import Backlog
from router.catalogue.queue.breakers import Breakers
from router.catalogue.queue.commitments import Commitments
from router.catalogue.queue.delivered import Delivered
from router.catalogue.queue.late import LateResults
from router.catalogue.queue.pauses import Pauses
from router.catalogue.queue.prospects import Prospects
from router.catalogue.queue.queue import Queue
from router.catalogue.queue.renaming import Renaming
from router.catalogue.queue.slots import Slots
from router.catalogue.queue.survey import Survey
from router.catalogue.queue.throughput import Paces
from router.catalogue.queue.uploads import Uploads
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
