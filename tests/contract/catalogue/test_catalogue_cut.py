"""The contract of instances that are cut off: which version counts, what is set aside and what is released."""

from dataclasses import replace
from datetime import timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.images.instances import NewInstance
from router.catalogue.images.ledger import Fate, Outcome, Tally
from router.events import Event, EventBus, Kind
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, Database, delivery, driver, exam, instance

HALF = "the pixel data has 16 of 32 bytes"


def cut(new: NewInstance) -> NewInstance:
    return replace(new, header=replace(new.header, cut=HALF))


def undecided(catalogue: Catalogue, number: int) -> list[tuple[str, int, str]]:
    return [(one.sop_uid, one.version, one.cut) for one in catalogue.ledger.undecided(number, CLOUD)]


def set_aside(catalogue: Catalogue, number: int, fate: Fate = Fate.CUT) -> None:
    found = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.hold(CLOUD, fate, {one.key: f"a rule; {one.cut}" for one in found if one.cut}, NOW)
    catalogue.ledger.decide(CLOUD, [(one.key, True, "a rule") for one in found if not one.cut], NOW)


def tally(catalogue: Catalogue, number: int) -> Tally:
    return catalogue.ledger.tallies([number])[number, CLOUD]


def fates(catalogue: Catalogue, number: int) -> dict[int, Fate]:
    return {one.version: one.fate for one in catalogue.ledger.entries(number, CLOUD)}


def test_the_newest_version_is_the_last_that_is_whole_in_whatever_batches_they_come(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([cut(instance(1)), instance(2)])
    assert undecided(catalogue, number) == [("1.2.1.1", 1, HALF), ("1.2.1.2", 1, "")]
    catalogue.instances.add([cut(instance(1, version=2)), cut(instance(2, version=2))])
    assert undecided(catalogue, number) == [("1.2.1.2", 1, ""), ("1.2.1.1", 2, HALF)]
    catalogue.instances.add([instance(1, version=3), cut(instance(1, version=4))])
    assert undecided(catalogue, number) == [("1.2.1.2", 1, ""), ("1.2.1.1", 3, "")]
    catalogue.instances.add([cut(instance(1, version=5)), instance(2, version=3)])
    assert undecided(catalogue, number) == [("1.2.1.1", 3, ""), ("1.2.1.2", 3, "")]
    known = catalogue.instances.known(["1.2.1.1"])["1.2.1.1"]
    assert [(one.version, one.cut) for one in known] == [(3, False), (5, True)]


def test_what_is_set_aside_is_counted_apart_until_a_person_releases_it(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([cut(instance(1)), instance(2)])
    set_aside(catalogue, number)
    assert tally(catalogue, number) == Tally(selected=1, cut=1)
    assert catalogue.ledger.set_aside(["1.2", "1.3"]) == {"1.2"}
    assert [one.uids.sop for one in catalogue.ledger.to_send(number, CLOUD, 9)] == ["1.2.1.2"]
    catalogue.ledger.release(number, CLOUD, Fate.LATE, NOW)
    assert tally(catalogue, number).cut == 1
    catalogue.ledger.release(number, CLOUD, Fate.CUT, NOW)
    assert tally(catalogue, number) == Tally(selected=2)
    assert catalogue.ledger.set_aside(["1.2"]) == set()
    assert next(e.rule for e in catalogue.ledger.entries(number, CLOUD)) == f"a rule; {HALF}; released by a person"


def test_a_whole_version_takes_the_place_of_what_is_set_aside(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([cut(instance(1))])
    set_aside(catalogue, number)
    catalogue.instances.add([instance(1, version=2)])
    set_aside(catalogue, number)
    assert fates(catalogue, number) == {1: Fate.FILTERED, 2: Fate.SELECTED}
    assert tally(catalogue, number) == Tally(selected=1)


def test_what_was_sent_counts_while_a_later_one_is_set_aside(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([cut(instance(1))])
    set_aside(catalogue, number)
    catalogue.ledger.release(number, CLOUD, Fate.CUT, NOW)
    [one] = catalogue.ledger.to_send(number, CLOUD, 9)
    catalogue.ledger.record([Outcome(key=one.key, fate=Fate.SENT, status=0, association="a")], NOW)
    catalogue.instances.add([cut(instance(1, version=2))])
    set_aside(catalogue, number)
    assert tally(catalogue, number) == Tally(selected=1, sent=1, cut=1)


def test_one_that_was_held_for_another_reason_is_set_aside_when_that_is_released(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([cut(instance(1)), instance(2)])
    found = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.hold(CLOUD, Fate.HELD, {one.key: "contradicts" for one in found}, NOW)
    catalogue.ledger.release(number, CLOUD, Fate.HELD, NOW)
    assert tally(catalogue, number) == Tally(selected=1, cut=1)


def test_a_study_has_cut_instances_while_nothing_takes_their_place(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    assert not catalogue.instances.has_cut("1.2")
    catalogue.instances.add([cut(instance(1)), cut(instance(1, "1.3"))])
    assert catalogue.instances.has_cut("1.2")
    assert catalogue.instances.has_cut("1.2", undecided=True)
    set_aside(catalogue, number)
    assert not catalogue.instances.has_cut("1.2", undecided=True)
    catalogue.instances.add([instance(1, version=2)])
    assert not catalogue.instances.has_cut("1.2")
    assert catalogue.instances.has_cut("1.3")


def test_the_alarm_goes_with_the_study_and_a_packed_row_keeps_where_it_breaks_off(database: Database) -> None:
    events: list[Event] = []
    catalogue = database.open(events.append)
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([cut(instance(1))])
    set_aside(catalogue, number)
    bus = EventBus(events.append)
    bus.guard(catalogue.alarms.is_news)
    bus.record(Event(NOW, Kind.ALARM, "x", alarm=Alarm.CUT_OFF, subject="study 1.2"))
    catalogue.ledger.release(number, CLOUD, Fate.CUT, NOW)
    [one] = catalogue.ledger.to_send(number, CLOUD, 9)
    catalogue.ledger.record([Outcome(key=one.key, fate=Fate.SENT, status=0, association="a")], NOW)
    delivery(catalogue, number, State.READY, State.SENDING, State.DELIVERED)
    driver(catalogue).execute_sql("UPDATE exam SET check_at = NULL")
    later = NOW + timedelta(days=31)
    [old] = catalogue.purge.delivered(NOW + timedelta(days=1), later, 9)
    assert catalogue.purge.take(old, NOW + timedelta(days=1), later) is not None
    assert not catalogue.alarms.stands(Alarm.CUT_OFF, "study 1.2")
    [known] = catalogue.instances.known(["1.2.1.1"])["1.2.1.1"]
    assert (known.cut, known.purged) == (True, True)
    assert catalogue.ledger.undecided(number, CLOUD) == []
    catalogue.engine.close_thread()
