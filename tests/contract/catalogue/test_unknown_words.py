"""The contract of rows with a word that nothing writes there: bits have flipped, which no page checksum shows."""

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome
from router.catalogue.queue.queue import Delivery
from router.errors import IntegrityError, UnknownWord
from router.model import Channel, SeriesClass
from router.policy.attention import LEDGER_LOST
from router.policy.states import HeldBy, State
from support.catalogue_rows import CLOUD, MINUTE, NOW, delivery, exam, instance

READY = (State.READY,)
SENT = (State.READY, State.SENDING, State.DELIVERED)


def rot(catalogue: Catalogue, table: str, column: str, number: int, value: str) -> None:
    value = value.replace("'", "''")
    catalogue.engine.execute(f"UPDATE {table} SET {column} = '{value}' WHERE id = {number}")


def found(catalogue: Catalogue, exam: int) -> UnknownWord:
    with pytest.raises(UnknownWord) as caught:
        catalogue.queue.of_exam(exam)
    assert isinstance(caught.value, IntegrityError)
    return caught.value


def now_of(catalogue: Catalogue, one: Delivery) -> Delivery:
    now = catalogue.queue.get(one.id)
    assert now is not None
    return now


def claimed(catalogue: Catalogue) -> Delivery | None:
    return catalogue.queue.claim(CLOUD, Channel.IMAGES, "n1", NOW, MINUTE)


def alarms(catalogue: Catalogue) -> list[str]:
    return [one.text for one in catalogue.alarms.standing() if one.alarm is Alarm.LEDGER]


@pytest.mark.parametrize("value", ["xeady", "", "READY", "ready ", "取消", "selected", "a'b"])
@pytest.mark.parametrize("column", ["state", "channel"])
def test_a_delivery_with_an_unknown_word_is_held_for_a_person(catalogue: Catalogue, column: str, value: str) -> None:
    number = exam(catalogue, "E1", "1.2")
    one = delivery(catalogue, number, *READY)
    rot(catalogue, "delivery", column, one.id, value)
    error = found(catalogue, number)
    assert (error.fields["table"], error.fields["column"], error.fields["row"]) == ("delivery", column, one.id)
    assert f"delivery.{column} of row {one.id}" in error.message
    assert claimed(catalogue) is None
    assert catalogue.unknown_words.hold(error, NOW)
    held = now_of(catalogue, one)
    assert (held.state, held.channel, held.held_by) == (State.HELD, Channel.IMAGES, HeldBy.PERSON)
    assert held.error.startswith(LEDGER_LOST)
    assert error.message in held.error
    assert held.lease > one.lease, "whoever was sending it has lost it"
    assert claimed(catalogue) is None
    assert [f"d{one.id} held" in text for text in alarms(catalogue)] == [True]
    assert not catalogue.unknown_words.hold(error, NOW), "it is right now"


def test_what_stands_there_instead_is_told_to_nobody(catalogue: Catalogue) -> None:
    """A page that was torn may have anything there, a name, too."""
    number = exam(catalogue, "E1", "1.2")
    rot(catalogue, "delivery", "state", delivery(catalogue, number, *READY).id, "Zhang^San")
    error = found(catalogue, number)
    catalogue.unknown_words.hold(error, NOW)
    (one,) = catalogue.queue.of_exam(number)
    events = [text for (text,) in catalogue.engine.execute("SELECT text FROM event")]
    assert not [text for text in [str(error), one.error, *alarms(catalogue), *events] if "Zhang" in text]


def test_a_hold_by_nobody_known_is_a_persons(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    one = delivery(catalogue, number, State.HELD)
    rot(catalogue, "delivery", "held_by", one.id, "pdg")
    catalogue.unknown_words.hold(found(catalogue, number), NOW)
    assert now_of(catalogue, one).held_by == HeldBy.PERSON


@pytest.mark.fires("ledger")
def test_one_that_stops_every_take_over_is_held_and_the_next_one_goes(catalogue: Catalogue) -> None:
    one = delivery(catalogue, exam(catalogue, "E1", "1.2"), State.READY, State.SENDING)
    catalogue.engine.execute("UPDATE delivery SET lease_owner = 'n1'")
    other = delivery(catalogue, exam(catalogue, "E2", "1.3"), State.READY, State.SENDING)
    catalogue.engine.execute("UPDATE delivery SET lease_owner = 'n1', lease_until = 1")
    rot(catalogue, "delivery", "channel", one.id, "\x7f")
    with pytest.raises(UnknownWord) as caught:
        catalogue.queue.take_back("n1", NOW)
    catalogue.unknown_words.hold(caught.value, NOW)
    assert catalogue.queue.take_back("n1", NOW) == 1
    going = claimed(catalogue)
    assert going is not None
    assert going.id == other.id


def test_the_channel_is_the_one_that_the_exam_lacks_at_the_destination(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.queue.make(number, [(CLOUD, Channel.REPORT), (CLOUD, Channel.IMAGES)], NOW)
    for one in catalogue.queue.of_exam(number):
        rot(catalogue, "delivery", "channel", one.id, "rmages")
        catalogue.unknown_words.hold(found(catalogue, number), NOW)
        assert now_of(catalogue, one).channel == one.channel


def test_a_list_shows_one_that_does_not_read_as_held(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    one = delivery(catalogue, number, *SENT)
    rot(catalogue, "delivery", "channel", one.id, "imagds")
    for listed in (
        catalogue.queue.in_state(list(State)), catalogue.queue.in_state(list(State), limit=9),
        catalogue.queue.these([one.id]), catalogue.queue.find("E1"),
    ):  # fmt: skip
        assert [(each.id, each.state, each.held_by) for each in listed] == [(one.id, State.HELD, HeldBy.PERSON)]


@pytest.mark.parametrize(("column", "value"), [("channel", "imagds"), ("channel", ""), ("held_by", "pdg")])
def test_what_is_done_with_is_found_too(catalogue: Catalogue, column: str, value: str) -> None:
    way = SENT if column == "channel" else (State.HELD,)
    one = delivery(catalogue, exam(catalogue, "E1", "1.2"), *way)
    other = delivery(catalogue, exam(catalogue, "E2", "1.3"), *way)
    catalogue.queue.update(other, held_by=HeldBy.PDF)
    rot(catalogue, "delivery", column, one.id, value)
    catalogue.unknown_words.look(NOW)
    assert (now_of(catalogue, one).state, now_of(catalogue, one).held_by) == (State.HELD, HeldBy.PERSON)
    assert now_of(catalogue, other).held_by == HeldBy.PDF


def test_deliveries_in_no_state_are_found_though_no_query_names_their_state(catalogue: Catalogue) -> None:
    words = ["", "a", "dekivered", "delivered\x7f", "readx", "zzz", "Ready", "~"]
    rotten = []
    for place, word in enumerate(words):
        one = delivery(catalogue, exam(catalogue, f"E{place}", f"1.{place}"), *SENT)
        rot(catalogue, "delivery", "state", one.id, word)
        rotten.append(one)
    sound = delivery(catalogue, exam(catalogue, "F", "1.9"), *SENT)
    catalogue.unknown_words.look(NOW)
    assert {now_of(catalogue, one).state for one in rotten} == {State.HELD}
    assert now_of(catalogue, sound) == sound
    events = catalogue.engine.execute("SELECT COUNT(*) FROM event")
    catalogue.unknown_words.look(NOW)
    assert catalogue.engine.execute("SELECT COUNT(*) FROM event") == events


def decided(catalogue: Catalogue, *exams: int) -> int:
    """An instance that went to the destination; the number of its ledger row."""
    catalogue.instances.add([instance(1), instance(2)])
    one, other = catalogue.ledger.undecided(exams[0], CLOUD)
    catalogue.ledger.decide(CLOUD, [(one.key, True, "a rule"), (other.key, False, "another")], NOW)
    (going,) = catalogue.ledger.to_send(exams[0], CLOUD, 9)
    catalogue.ledger.record([Outcome(key=going.key, fate=Fate.SENT, status=0, association="a")], NOW)
    return going.key


def test_a_ledger_row_that_does_not_read_holds_every_delivery_that_it_decides_about(catalogue: Catalogue) -> None:
    first, second = exam(catalogue, "E1", "1.2"), exam(catalogue, "E2", "1.2")
    key = decided(catalogue, first, second)
    done, going = delivery(catalogue, first, *SENT), delivery(catalogue, second, *READY)
    catalogue.queue.make(first, [("other", Channel.IMAGES), (CLOUD, Channel.REPORT)], NOW)
    rot(catalogue, "ledger", "state", key, "rent")
    for ask in (
        lambda: catalogue.ledger.tallies([second]),
        lambda: catalogue.ledger.tally_of(["1.2"], CLOUD),
        lambda: catalogue.ledger.entries(first, CLOUD),
    ):
        with pytest.raises(UnknownWord, match=rf"ledger\.state of row {key} "):
            ask()
    with pytest.raises(UnknownWord) as caught:
        catalogue.ledger.tallies([first])
    assert catalogue.unknown_words.hold(caught.value, NOW)
    assert [now_of(catalogue, one).state for one in (done, going)] == [State.HELD] * 2
    assert {one.state for one in catalogue.queue.of_exam(first) if one.id != done.id} == {State.WAITING}
    (again,) = catalogue.ledger.undecided(first, CLOUD)
    assert again.sop_uid.endswith(".1"), "it is decided about once more"
    assert catalogue.ledger.tallies([first])[first, CLOUD].filtered == 1
    assert not catalogue.unknown_words.hold(caught.value, NOW)


def test_a_ledger_row_whose_commitment_was_asked_for_is_decided_about_again(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    key = decided(catalogue, number)
    catalogue.engine.execute("INSERT INTO commitment (uid, destination, asked) VALUES ('1.9', 'cloud', 1)")
    catalogue.engine.execute(f"INSERT INTO commitment_item (commitment_id, ledger_id) SELECT id, {key} FROM commitment")
    rot(catalogue, "ledger", "state", key, "stoRed")
    with pytest.raises(UnknownWord) as caught:
        catalogue.ledger.tallies([number])
    assert catalogue.unknown_words.hold(caught.value, NOW)
    assert len(catalogue.ledger.undecided(number, CLOUD)) == 1


def test_a_class_that_does_not_read_holds_what_is_on_its_way_and_follows_from_the_facts(catalogue: Catalogue) -> None:
    first, second = exam(catalogue, "E1", "1.2"), exam(catalogue, "E2", "1.2")
    decided(catalogue, first)
    going, done = delivery(catalogue, first, *READY), delivery(catalogue, second, *SENT)
    (one, _) = catalogue.series_members.of_study("1.2")
    rot(catalogue, "instance", "series_class", one.member.key, "phin")
    with pytest.raises(UnknownWord, match=rf"instance\.series_class of row {one.member.key} ") as caught:
        catalogue.series_members.of_study("1.2")
    with pytest.raises(UnknownWord):
        catalogue.ledger.entries(first, CLOUD)
    assert catalogue.unknown_words.hold(caught.value, NOW)
    assert now_of(catalogue, going).state == State.HELD
    assert now_of(catalogue, done).state == State.DELIVERED
    again = catalogue.series_members.of_study("1.2")[0]
    assert (again.series_class, again.rule) == (SeriesClass.OTHER, "")


def test_counts_for_people_leave_out_what_does_not_read(catalogue: Catalogue) -> None:
    sound = delivery(catalogue, exam(catalogue, "E1", "1.2"), *READY)
    rotten = delivery(catalogue, exam(catalogue, "E2", "1.3"), *READY)
    rot(catalogue, "delivery", "state", rotten.id, "weady")
    (place,) = catalogue.survey.places(NOW)
    assert place.states == {State.READY: 1}
    assert [one.id for one in catalogue.queue.in_state([State.READY])] == [sound.id]


def test_a_breaker_that_does_not_read_stands_for_none(catalogue: Catalogue) -> None:
    columns = "destination, channel, account, position, failures, width, since, probe_at, why, outage"
    for account, position, outage in (("a", "oqen", "trouble"), ("b", "open", "tro"), ("c", "open", "trouble")):
        values = f"'cloud', 'images', '{account}', '{position}', 1, 1, 1, 2, '', '{outage}'"
        catalogue.engine.execute(f"INSERT INTO breaker ({columns}) VALUES ({values})")
    assert [one.account for one in catalogue.breakers.tripped()] == ["c"]
