"""The database: what came in, what was decided, what was sent. The only door to peewee."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from router.catalogue.db.engine import Engine
from router.catalogue.db.schema import Database, open_database
from router.catalogue.db.sessions import DEFAULT, Limits
from router.catalogue.exams.corrections import Corrections
from router.catalogue.exams.decisions import Decisions
from router.catalogue.exams.exams import Exams
from router.catalogue.exams.expiry import Expiry
from router.catalogue.exams.provenance import Arrivals
from router.catalogue.exams.readings import Readings
from router.catalogue.exams.retrievals import Retrievals
from router.catalogue.exams.search import Search
from router.catalogue.images.damages import Damages
from router.catalogue.images.instances import Instances
from router.catalogue.images.ledger import Ledger
from router.catalogue.images.purge import Purge
from router.catalogue.images.references import References
from router.catalogue.images.series_members import SeriesMembers
from router.catalogue.images.sources import Sources
from router.catalogue.images.unreported import Unreported
from router.catalogue.images.versions import Versions
from router.catalogue.images.withheld import Withheld
from router.catalogue.node.alarm_news import NewsOfAlarms
from router.catalogue.node.alarms import Alarms
from router.catalogue.node.audit_heads import AuditHeads
from router.catalogue.node.history import History
from router.catalogue.node.nodes import Nodes
from router.catalogue.node.notifications import Notifications
from router.catalogue.node.refusals import Refusals
from router.catalogue.node.settings import Settings
from router.catalogue.node.traffic import Traffic
from router.catalogue.node.users import Users
from router.catalogue.queue.association_leases import AssociationLeases
from router.catalogue.queue.attention import OpenDeliveries
from router.catalogue.queue.backfills import Backfills
from router.catalogue.queue.backlog import Backlog
from router.catalogue.queue.breakers import Breakers
from router.catalogue.queue.commitments import Commitments
from router.catalogue.queue.compared_images import ComparedImages
from router.catalogue.queue.comparisons import Comparisons
from router.catalogue.queue.delivered import Delivered
from router.catalogue.queue.late import LateResults
from router.catalogue.queue.outcomes import Outcomes
from router.catalogue.queue.outlook import Outlooks
from router.catalogue.queue.pauses import Pauses
from router.catalogue.queue.prospects import Prospects
from router.catalogue.queue.queue import Queue
from router.catalogue.queue.renaming import Renaming
from router.catalogue.queue.survey import Survey
from router.catalogue.queue.throughput import Throughputs
from router.catalogue.queue.unknown_words import UnknownWords
from router.catalogue.queue.uploads import Uploads
from router.catalogue.queue.withdrawals import Withdrawals
from router.events import EventBus


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The tables, each behind the noun it is about, over one engine."""

    engine: Engine
    instances: Instances
    series_members: SeriesMembers
    references: References
    exams: Exams
    queue: Queue
    breakers: Breakers
    pauses: Pauses
    backfills: Backfills
    prospects: Prospects
    throughputs: Throughputs
    ledger: Ledger
    versions: Versions
    commitments: Commitments
    uploads: Uploads
    history: History
    alarms: Alarms
    purge: Purge
    expiry: Expiry
    decisions: Decisions
    arrivals: Arrivals
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
    audit_heads: AuditHeads
    users: Users
    alarm_news: NewsOfAlarms
    notifications: Notifications
    unreported: Unreported
    refusals: Refusals
    open_deliveries: OpenDeliveries
    renaming: Renaming
    late: LateResults
    unknown_words: UnknownWords
    association_leases: AssociationLeases
    outcomes: Outcomes
    sources: Sources
    traffic: Traffic
    outlooks: Outlooks
    search: Search
    comparisons: Comparisons
    compared_images: ComparedImages
    withdrawals: Withdrawals


def open_catalogue(
    url: str,
    data: Path,
    bus: EventBus,
    prepare: Callable[[Database], None] = Database.require_current,
    *,
    limits: Limits = DEFAULT,
) -> Catalogue:
    """Open the database, make what is missing, and keep the event bus's events as rows from now on.

    `prepare` sees the database first, whose tables may be of a former version; without it they must be current, or it
    is a ConfigurationError.
    `limits` are those of a server's sessions.
    """
    database = open_database(url, data, limits=limits)
    engine = database.engine
    try:
        prepare(database)
    except BaseException:  # an interrupt, too, must leave no session open; raised again
        engine.close_thread()
        raise
    history, alarms = History(engine), Alarms(engine)
    bus.guard(alarms.is_news)
    bus.subscribe(history.keep)
    refusals, queue = Refusals(engine), Queue(engine, bus)
    bus.subscribe(refusals.keep)
    return Catalogue(
        engine=engine, instances=Instances(engine), series_members=SeriesMembers(engine), references=References(engine),
        exams=Exams(engine), queue=queue, breakers=Breakers(engine, bus), pauses=Pauses(engine, bus),
        backfills=Backfills(engine, bus), prospects=Prospects(engine), throughputs=Throughputs(engine),
        ledger=Ledger(engine), versions=Versions(engine), commitments=Commitments(engine), uploads=Uploads(engine),
        history=history, alarms=alarms, purge=Purge(engine, bus), expiry=Expiry(engine, bus),
        decisions=Decisions(engine), arrivals=Arrivals(engine), survey=Survey(engine), nodes=Nodes(engine),
        retrievals=Retrievals(engine), backlog=Backlog(engine), readings=Readings(engine), damages=Damages(engine),
        settings=Settings(engine), delivered=Delivered(engine), corrections=Corrections(engine),
        withheld=Withheld(engine), audit_heads=AuditHeads(engine), users=Users(engine), alarm_news=NewsOfAlarms(engine),
        notifications=Notifications(engine), unreported=Unreported(engine), refusals=refusals,
        open_deliveries=OpenDeliveries(engine), renaming=Renaming(engine), late=LateResults(engine),
        association_leases=AssociationLeases(engine), outcomes=Outcomes(engine), sources=Sources(engine),
        unknown_words=UnknownWords(engine, bus, queue), traffic=Traffic(engine), outlooks=Outlooks(engine),
        search=Search(engine), comparisons=Comparisons(engine, bus), withdrawals=Withdrawals(engine, bus),
        compared_images=ComparedImages(engine),
    )  # fmt: skip
