"""The cataloguer and files that retention removed: what may still have to go has a file again, what went has none."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.catalogue.images.ledger import Fate, Outcome
from router.events import Kind
from router.policy.states import State
from support.catalogue_rows import CLOUD, delivery, driver, exam
from support.cataloguer_folder import CataloguerFolder, data_set, file

MONTH = timedelta(days=31)
SENT, UNSENT = "1.8", "1.9"
BOTH = [file(sop, data_set(sop)) for sop in (SENT, UNSENT)]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[CataloguerFolder]:
    """Two images of an exam, of which one was sent before a person cancelled; both were removed."""
    made = CataloguerFolder(tmp_path)
    made.receive(*BOTH)
    number = exam(made.catalogue, "E1", "1.2.3")
    delivery(made.catalogue, number, State.CANCELLED)
    ledger, now = made.catalogue.ledger, datetime.now(UTC)
    ledger.decide(CLOUD, [(one.key, True, "a rule") for one in ledger.undecided(number, CLOUD)], now)
    (first,) = [one for one in ledger.to_send(number, CLOUD, 9) if one.uids.sop == SENT]
    ledger.record([Outcome(key=first.key, fate=Fate.SENT, status=0, association="a")], now)
    remove(made)
    assert here(made) == []
    yield made
    made.catalogue.engine.close_thread()


def strike(ward: CataloguerFolder) -> None:
    """Retention, a month ahead, as far as the rows."""
    driver(ward.catalogue).execute_sql("UPDATE exam SET check_at = NULL")
    purge, now = ward.catalogue.purge, datetime.now(UTC) + MONTH
    for old in purge.delivered(now, now, 9):
        while purge.take(old, now, now) is not None:
            continue


def remove(ward: CataloguerFolder) -> None:
    """Retention, a month ahead."""
    strike(ward)
    erase(ward)


def erase(ward: CataloguerFolder) -> None:
    """Remove the files that the rows name."""
    for files in ward.catalogue.purge.removals():
        with ward.catalogue.purge.removing(files) as left:
            ward.storage.studies.remove(ward.storage.studies.path(*one) for one in left.instances)


def here(ward: CataloguerFolder) -> list[str]:
    """The instances with a file, which must be those whose rows say so."""
    said = sorted(one.uids.sop for one in ward.catalogue.instances.walk())
    assert sorted(path.stem for path in ward.storage.studies.walk()) == said
    return said


def test_only_what_was_never_confirmed_has_a_file_again_and_it_is_as_it_came(ward: CataloguerFolder) -> None:
    ward.receive(*BOTH)
    assert here(ward) == [UNSENT]
    (path,) = ward.storage.studies.walk()
    assert path.read_bytes() == BOTH[1]
    told = [event.fields["instance"] for event in ward.events if event.kind is Kind.RECEIVED and "again" in event.text]
    assert told == [UNSENT]
    ward.receive(*BOTH)
    assert here(ward) == [UNSENT]


def test_what_comes_again_before_its_file_is_gone_keeps_the_file(ward: CataloguerFolder) -> None:
    ward.receive(*BOTH)
    strike(ward)
    ward.receive(*BOTH)
    erase(ward)
    assert here(ward) == [UNSENT]


def test_a_damaged_copy_that_was_removed_gives_way_to_what_comes_again(ward: CataloguerFolder) -> None:
    ward.receive(*BOTH)
    for one in ward.catalogue.ledger.to_send(1, CLOUD, 9):
        ward.catalogue.damages.set_aside(one.instance, "other bytes", datetime.now(UTC))
    remove(ward)
    ward.receive(*BOTH)
    assert here(ward) == [UNSENT]
    assert [one.uids.sop for one in ward.catalogue.ledger.to_send(1, CLOUD, 9)] == [UNSENT]
