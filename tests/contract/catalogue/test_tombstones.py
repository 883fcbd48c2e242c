"""The contract of tombstones: instances whose files are gone take little room, and nothing is forgotten of them."""

import dataclasses
import json
import zlib
from datetime import timedelta

import pytest

from router.catalogue import Catalogue
from router.catalogue.db.tables.images import Tombstone
from router.catalogue.images.instances import NewInstance
from router.catalogue.images.ledger import Fate, Outcome
from router.catalogue.images.purge import BATCH
from router.events import Kind
from router.model import SeriesClass
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, delivery, driver, exam, instance

LATER = NOW + timedelta(days=31)
BEFORE = LATER - timedelta(days=30)
KEY_OBJECT, REJECTED = "1.2.840.10008.5.1.4.1.1.88.59", "113001|Rejected for Quality Reasons"


def sent(catalogue: Catalogue, *news: NewInstance) -> int:
    """An exam of study 1.2 with these instances, everything of it sent."""
    catalogue.instances.add(news)
    number = exam(catalogue, "E1", "1.2")
    delivery(catalogue, number, State.READY, State.SENDING, State.DELIVERED)
    send(catalogue, number)
    return number


def send(catalogue: Catalogue, number: int) -> None:
    undecided = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.decide(CLOUD, [(one.key, True, "a rule") for one in undecided], NOW)
    outcomes = [
        Outcome(key=one.key, fate=Fate.SENT, status=0, association="a")
        for one in catalogue.ledger.to_send(number, CLOUD, 9999)
    ]
    catalogue.ledger.record(outcomes, NOW)
    driver(catalogue).execute_sql("UPDATE exam SET check_at = NULL")


def purge(catalogue: Catalogue) -> list[str]:
    """Purge what may go; the SOP instance UIDs of the files that go."""
    gone: list[str] = []
    for old in catalogue.purge.delivered(BEFORE, LATER, 10):
        while (files := catalogue.purge.take(old, BEFORE, LATER)) is not None:
            with catalogue.purge.removing(files) as left:
                gone += [uids.sop for uids, _ in left.instances]
    return gone


def rows(catalogue: Catalogue, table: str) -> int:
    return int(driver(catalogue).execute_sql(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def purges(catalogue: Catalogue) -> int:
    return [event.kind for _, event in catalogue.history.of([], ["1.2"])].count(Kind.PURGED)


def test_a_purged_study_has_no_rows_of_instances_and_is_told_as_before(catalogue: Catalogue) -> None:
    number = sent(catalogue, *(instance(n) for n in range(3)), instance(9, series_class=SeriesClass.KEY))
    accounts, traces = catalogue.ledger, catalogue.arrivals
    before = (accounts.tallies([number]), accounts.entries(number, CLOUD), traces.arrivals(["1.2"]),
              accounts.classes(number, CLOUD), catalogue.exams.links.studies(["1.2"]))  # fmt: skip
    purge(catalogue)
    assert (rows(catalogue, "instance"), rows(catalogue, "ledger"), rows(catalogue, "tombstone")) == (0, 0, 1)
    after = (accounts.tallies([number]), accounts.entries(number, CLOUD), traces.arrivals(["1.2"]),
             accounts.classes(number, CLOUD), catalogue.exams.links.studies(["1.2"]))  # fmt: skip
    assert after == before
    assert rows(catalogue, "instance") == 0


def test_a_duplicate_of_a_purged_instance_is_known_and_packed_again_without_a_word(catalogue: Catalogue) -> None:
    number = sent(catalogue, instance(1), instance(2))
    before = catalogue.ledger.entries(number, CLOUD)
    assert len(purge(catalogue)) == 2
    assert [known.digest for known in catalogue.instances.known(["1.2.1.1"])["1.2.1.1"]] == ["1.2/1/1"]
    assert catalogue.ledger.undecided(number, CLOUD) == []
    assert list(catalogue.instances.walk()) == []
    assert catalogue.ledger.entries(number, CLOUD) == before
    assert purge(catalogue) == []
    assert (rows(catalogue, "instance"), rows(catalogue, "tombstone"), purges(catalogue)) == (0, 1, 1)


def test_a_new_version_of_a_purged_instance_is_compared_with_what_was_sent(catalogue: Catalogue) -> None:
    number = sent(catalogue, instance(1))
    purge(catalogue)
    catalogue.instances.known(["1.2.1.1"])
    catalogue.instances.add([instance(1, version=2, pixels="q", received=LATER)])
    (new,) = catalogue.ledger.undecided(number, CLOUD)
    ((there, here),) = catalogue.versions.renewed(CLOUD, [new.key]).values()
    assert (there.pixels, here.pixels, there.identity == here.identity) == ("p", "q", True)


def test_a_late_instance_finds_its_study_whole_and_alone_has_a_file(catalogue: Catalogue) -> None:
    number = sent(catalogue, instance(1), instance(2))
    purge(catalogue)
    catalogue.instances.add([instance(3, received=LATER)])
    assert [one.sop_uid for one in catalogue.ledger.undecided(number, CLOUD)] == ["1.2.1.3"]
    assert len(catalogue.series_members.of_study("1.2")) == 3
    assert [row.uids.sop for row in catalogue.instances.walk()] == ["1.2.1.3"]
    assert catalogue.exams.links.studies(["1.2"])["1.2"].instances == 3


def test_an_instance_of_a_purged_study_that_comes_in_another_study_is_seen_in_both(catalogue: Catalogue) -> None:
    sent(catalogue, instance(1))
    purge(catalogue)
    stray = instance(1, "1.3")
    uids = dataclasses.replace(stray.header.uids, sop="1.2.1.1")
    catalogue.instances.add([dataclasses.replace(stray, header=dataclasses.replace(stray.header, uids=uids))])
    assert {known.study_uid for known in catalogue.instances.known(["1.2.1.1"])["1.2.1.1"]} == {"1.2", "1.3"}


def test_numbers_that_were_given_again_meanwhile_do_no_harm(catalogue: Catalogue) -> None:
    number = sent(catalogue, instance(1), instance(2))
    before = catalogue.ledger.entries(number, CLOUD)
    purge(catalogue)
    catalogue.instances.add([instance(n, "1.3") for n in range(5)])
    catalogue.instances.known(["1.2.1.2"])
    assert catalogue.ledger.entries(number, CLOUD) == before
    assert rows(catalogue, "instance") == 7


def test_versions_in_different_tombstones_count_once(catalogue: Catalogue) -> None:
    number = sent(catalogue, *(instance(n) for n in range(BATCH)))
    catalogue.instances.add([instance(0, version=2, pixels="q")])
    send(catalogue, number)
    before = catalogue.ledger.tallies([number])
    assert before[number, CLOUD].sent == BATCH
    assert len(purge(catalogue)) == BATCH + 1
    assert rows(catalogue, "tombstone") == 2
    assert catalogue.ledger.tallies([number]) == before
    catalogue.instances.known(["1.2.1.0"])
    assert catalogue.ledger.tallies([number]) == before


def note(study: str = "1.3") -> NewInstance:
    """A rejection note about the first instance of study 1.2."""
    one = instance(7, study, modality="KO", series_class=SeriesClass.KEY, received=LATER)
    facts = dataclasses.replace(one.header.facts, sop_class_uid=KEY_OBJECT, concept_name=REJECTED)
    return dataclasses.replace(one, header=dataclasses.replace(one.header, references=("1.2.1.1",), facts=facts))


def test_a_rejection_of_a_purged_instance_finds_what_was_sent(catalogue: Catalogue) -> None:
    number = sent(catalogue, instance(1))
    purge(catalogue)
    catalogue.instances.add([note()])
    assert catalogue.references.marks(["1.2"]).rejected == {"1.2.1.1"}
    assert [one.fate for one in catalogue.references.decided(number, CLOUD, ["1.2.1.1"])] == [Fate.SENT]


def test_a_purged_rejection_note_still_counts(catalogue: Catalogue) -> None:
    sent(catalogue, dataclasses.replace(note("1.2"), received=NOW))
    assert purge(catalogue) == ["1.2.1.7"]
    catalogue.instances.add([instance(1, received=LATER)])
    assert catalogue.references.marks(["1.2"]).rejected == {"1.2.1.1"}


def test_a_study_that_is_partly_purged_when_something_comes_is_whole(catalogue: Catalogue) -> None:
    number = sent(catalogue, *(instance(n) for n in range(BATCH + 1)))
    before = catalogue.ledger.tallies([number])
    (old,) = catalogue.purge.delivered(BEFORE, LATER, 10)
    assert catalogue.purge.take(old, BEFORE, LATER) is not None
    assert catalogue.ledger.tallies([number]) == before
    catalogue.instances.add([instance(BATCH + 1, received=LATER)])
    assert len(catalogue.series_members.of_study("1.2")) == BATCH + 2
    assert len(list(catalogue.instances.walk())) == 2


@pytest.mark.parametrize("again", [False, True])
def test_a_tombstone_ends_with_the_audit(catalogue: Catalogue, again: bool) -> None:
    sent(catalogue, *(instance(n) for n in range(BATCH + 1)))
    purge(catalogue)
    if again:
        catalogue.instances.known(["1.2.1.1"])
        purge(catalogue)
    while catalogue.purge.expire(LATER + timedelta(minutes=1)):
        pass
    for table in ("tombstone", "tombstone_key", "instance", "ledger", "study", "facts"):
        assert rows(catalogue, table) == 0, table


def test_what_was_packed_before_a_column_was_added_or_dropped_is_put_back(catalogue: Catalogue) -> None:
    number = sent(catalogue, instance(1))
    before = catalogue.ledger.entries(number, CLOUD)
    purge(catalogue)
    ((body,),) = driver(catalogue).execute_sql("SELECT body FROM tombstone").fetchall()
    instances, entries = json.loads(zlib.decompress(body))
    del entries["tries"]
    older = zlib.compress(json.dumps([instances | {"dropped": [1]}, entries]).encode())
    catalogue.engine.run(Tombstone.update(body=older))
    assert catalogue.instances.known(["1.2.1.1"])
    assert catalogue.ledger.entries(number, CLOUD) == before
    assert rows(catalogue, "ledger") == 1
