"""The contract of the pauses: known to every node at once, kept for ever, each begun and ended by a person."""

from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.queue.queue import Delivery
from router.events import Event, Kind
from router.model import Channel
from router.policy.pause import EVERY, Pause
from router.policy.states import State
from support.catalogue_rows import CLOUD, LEASE_FOR, MINUTE, NOW, Database, at_once, delivery, exam

IMAGES = Channel.IMAGES


def claim(catalogue: Catalogue) -> Delivery | None:
    return catalogue.queue.claim(CLOUD, IMAGES, "node1", NOW, LEASE_FOR)


def test_what_is_paused_by_one_is_claimed_by_nobody_until_it_ends(database: Database) -> None:
    mine, other = database.open(), database.open()
    delivery(mine, exam(mine), State.READY, due=NOW + MINUTE)
    assert mine.pauses.begin(CLOUD, "wang", "moves house", NOW)
    assert claim(other) is None
    assert other.pauses.standing() == [Pause(destination=CLOUD, since=NOW, who="wang", why="moves house")]
    assert other.pauses.end(CLOUD, "li", "", NOW + MINUTE)
    assert claim(mine) is not None
    for one in (mine, other):
        one.engine.close_thread()


def test_a_pause_of_all_keeps_everything_and_one_of_another_destination_nothing(catalogue: Catalogue) -> None:
    delivery(catalogue, exam(catalogue), State.READY)
    assert catalogue.pauses.begin("other", "wang", "x", NOW)
    assert catalogue.pauses.begin(EVERY, "wang", "y", NOW)
    assert claim(catalogue) is None
    assert catalogue.pauses.end(EVERY, "wang", "", NOW)
    assert claim(catalogue) is not None


def test_a_pause_of_one_hospital_keeps_its_exams_and_lets_those_of_others_go(catalogue: Catalogue) -> None:
    for name, minutes in (("a", 1), ("b", 2), ("a", 3)):
        number = catalogue.exams.number_of(name, "01", f"E{minutes}", NOW)
        delivery(catalogue, number, State.READY, due=NOW + minutes * MINUTE)

    def claimed() -> str:
        found = catalogue.queue.claim(CLOUD, IMAGES, "node1", NOW, LEASE_FOR, hospitals=("a", "b"))
        return found.hospital if found else ""

    assert catalogue.pauses.begin(CLOUD, "wang", "a's key", NOW, "a")
    assert not catalogue.pauses.begin(CLOUD, "li", "again", NOW + MINUTE, "a")
    assert (claimed(), claimed()) == ("b", "")
    assert catalogue.pauses.begin(CLOUD, "wang", "all", NOW)  # beside the other one, of the same instant
    assert [(one.hospital, one.why) for one in catalogue.pauses.standing()] == [("", "all"), ("a", "a's key")]
    assert catalogue.pauses.end(CLOUD, "li", "", NOW, "a")
    assert claimed() == ""
    assert catalogue.pauses.end(CLOUD, "li", "", NOW)
    assert (claimed(), claimed()) == ("a", "a")


def test_of_many_that_pause_at_once_one_does_and_what_is_not_paused_does_not_end(catalogue: Catalogue) -> None:
    jobs = [lambda n=n: catalogue.pauses.begin(CLOUD, f"w{n}", "x", NOW + n * MINUTE) for n in range(4)]
    assert sum(at_once(catalogue, jobs)) == 1
    assert not catalogue.pauses.end(EVERY, "li", "", NOW)
    assert catalogue.pauses.end(CLOUD, "li", "", NOW)
    assert not catalogue.pauses.end(CLOUD, "li", "", NOW)


def test_begin_and_end_are_told_with_who_and_why(database: Database) -> None:
    told: list[Event] = []
    catalogue = database.open(told.append)
    catalogue.pauses.begin(CLOUD, "wang", "moves house", NOW)
    catalogue.pauses.end(CLOUD, "li", "moved", NOW)
    catalogue.pauses.begin(EVERY, "wang", "a test", NOW)
    assert [(one.kind, one.who, one.text) for one in told] == [
        (Kind.DECIDED, "wang", "sending is paused to cloud: moves house"),
        (Kind.DECIDED, "li", "sending goes on to cloud: moved"),
        (Kind.DECIDED, "wang", "sending is paused to all destinations: a test"),
    ]
    catalogue.engine.close_thread()


def test_a_pause_that_has_ended_is_known_for_what_was_late_by_it(catalogue: Catalogue) -> None:
    catalogue.pauses.begin(CLOUD, "wang", "x", NOW)
    catalogue.pauses.end(CLOUD, "li", "", NOW + MINUTE)
    catalogue.pauses.begin(CLOUD, "wang", "again", NOW + 2 * MINUTE)
    known = catalogue.pauses.since(NOW)
    assert [(one.since, one.until) for one in known] == [(NOW, NOW + MINUTE), (NOW + 2 * MINUTE, None)]
    assert len(catalogue.pauses.since(NOW + timedelta(minutes=1))) == 1
