"""The catalogue as a command opens it: what a person does is in the audit trail and the history, or is not done."""

from collections.abc import Iterator
from contextlib import contextmanager

from router.admin.audit import Audit
from router.catalogue import Catalogue, open_catalogue
from router.clock import SystemClock
from router.config import Config
from router.crypto.symmetric import sm3
from router.events import Journal, Subscriber
from router.storage.trail import Trail


def trail_of(config: Config, node: str) -> Trail:
    """The audit trail of a node on this data folder."""
    return Trail(config.node.data / "audit" / node, sm3)


@contextmanager
def opened(config: Config, *subscribers: Subscriber) -> Iterator[tuple[Catalogue, Journal]]:
    """The catalogue and its journal, until the end of the block."""
    owner = config.node.owner
    audit = Audit(trail_of(config, owner), owner, SystemClock(), config.retention.audit)
    journal = Journal(*subscribers, audit.take)
    catalogue = open_catalogue(config.database.url, config.node.data, journal)
    catalogue.engine.sealed_by(audit.seal)
    try:
        yield catalogue, journal
    finally:
        audit.stop()
        catalogue.engine.close_thread()
