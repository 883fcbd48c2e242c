"""The contract of refusals: added up by every node of a database, bounded, and over when their cause is."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.node import refusals
from router.catalogue.node.refusals import (
    ASSOCIATIONS,
    IMAGES,
    OTHERS,
    Batch,
    RefusalCount,
    RefusedInstance,
    RefusedSender,
)
from router.clock import FakeClock
from router.config.sections import Config
from router.dicom.scp.store import Received, Refused
from router.events import Event, EventBus, Kind
from router.model import InstanceUids
from router.refusals import Why
from router.upkeep.refusals import RefusalRecorder, RefusalWatch
from support.catalogue_rows import MINUTE, NOW, Database, at_once, exam, instance

DAY = timedelta(days=1)
CT01, PACS2 = ("CT01", "10.1.2.3"), ("PACS2", "10.1.2.4")


def count(study: str = "1.2", at: datetime = NOW, **changes: object) -> RefusalCount:
    one = RefusalCount(
        day=f"{at:%Y-%m-%d}", calling="CT01", address="10.1.2.3", called="ROUTER", why="A700", study_uid=study,
        reason="no room", count=2, first=at, last=at,
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


def refused_sender(
    kind: str = ASSOCIATIONS, calling: str = "PACS2", at: datetime = NOW, **more: object
) -> RefusedSender:
    one = RefusedSender(
        kind=kind, calling=calling, address="10.1.2.4", called="ROUTR", why=Why.CALLED, reason="said so", count=1,
        untracked=0, first=at, last=at,
    )  # fmt: skip
    return replace(one, **more)  # type: ignore[arg-type]


# -- rows


def test_what_nodes_refuse_at_once_is_one_row_with_every_refusal_counted(catalogue: Catalogue) -> None:
    at_once(catalogue, [lambda: catalogue.refusals.write(Batch(counts=[count()], senders=[refused_sender()]))] * 4)
    (row,) = catalogue.refusals.of_studies(["1.2"])
    (one,) = catalogue.refusals.senders()
    assert (row.count, one.count) == (8, 4)


def test_first_and_last_time_are_kept_and_the_last_words(catalogue: Catalogue) -> None:
    catalogue.refusals.write(Batch(counts=[count()]))
    catalogue.refusals.write(Batch(counts=[count(last=NOW + MINUTE, reason="cannot write: disk full")]))
    (row,) = catalogue.refusals.since(NOW + MINUTE)
    assert (row.first, row.last, row.count, row.reason) == (NOW, NOW + MINUTE, 4, "cannot write: disk full")
    assert catalogue.refusals.since(NOW + 2 * MINUTE) == []


def test_refusals_with_and_without_a_study_are_told_apart(catalogue: Catalogue) -> None:
    catalogue.refusals.write(Batch(counts=[count(), count("1.3"), count("", why=Why.SENDER, calling="PACS2")]))
    assert [row.calling for row in catalogue.refusals.without_study(NOW)] == ["PACS2"]
    assert {row.study_uid for row in catalogue.refusals.of_studies(["1.2", "1.3", "1.4"])} == {"1.2", "1.3"}


def test_a_flood_fills_no_more_rows_than_a_day_may_have_and_hides_no_study(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MOST_UNNAMED", 10)
    monkeypatch.setattr(refusals, "MOST_NAMED", 5)
    monkeypatch.setattr(refusals, "MOST_SENDERS", 20)
    scan = [count("", why=Why.CALLED, calling=f"X{n}", count=1) for n in range(100)]
    knocks = [refused_sender(calling=f"X{n}") for n in range(100)]
    named = [count(f"1.{n}", count=1) for n in range(8)]
    for _ in range(2):
        catalogue.refusals.write(Batch(counts=[*scan, *named], senders=knocks))
    rows = catalogue.refusals.since(NOW)
    assert len([row for row in rows if row.study_uid]) == 5
    assert len(rows) <= 10 + 5 + 2
    assert sum(row.count for row in rows) == 216
    assert sum(row.count for row in rows if row.calling == OTHERS and row.why == Why.CALLED) == 180
    assert len(catalogue.refusals.senders()) == 21
    assert sum(one.count for one in catalogue.refusals.senders()) == 200


def test_texts_from_outside_are_kept_whatever_they_are(catalogue: Catalogue) -> None:
    wild = count("", calling="\x00\x1b[2J\ud800", called="名" * 16, reason="x" * 200)
    catalogue.refusals.write(Batch(counts=[wild]))
    (row,) = catalogue.refusals.since(NOW)
    assert row.called == "名" * 16
    assert row.calling.startswith("\x1b[2J")


def test_the_exams_of_a_study_are_evaluated_when_it_is_refused_for_the_first_time_on_a_day(
    catalogue: Catalogue,
) -> None:
    mine, other = exam(catalogue, "E1", "1.2"), exam(catalogue, "E2", "1.3")
    for one in (mine, other):
        catalogue.exams.checked(catalogue.exams.case(one), None, None, "")
    for expected in ([mine], []):
        catalogue.refusals.write(Batch(counts=[count()]))
        assert catalogue.exams.to_check(NOW + MINUTE, 10) == expected
        catalogue.exams.checked(catalogue.exams.case(mine), None, None, "")


def test_the_oldest_days_go_and_what_lies_in_quarantine_stays_until_it_is_deleted(catalogue: Catalogue) -> None:
    bus = EventBus(catalogue.refusals.keep)
    fields = {"folder": "20260301-unreadable", "calling_ae": "CT01"}
    bus.record(Event(NOW, Kind.QUARANTINED, "cannot be read", study_uid="1.2", fields=fields))
    catalogue.refusals.write(Batch(counts=[count(), count(at=NOW + 9 * DAY)]))
    catalogue.refusals.expire(NOW + 9 * DAY)
    kept = {(row.why, row.place, row.day) for row in catalogue.refusals.of_studies(["1.2"])}
    assert kept == {(Why.QUARANTINE, "20260301-unreadable", "2026-03-01"), ("A700", "", "2026-03-10")}
    bus.record(Event(NOW, Kind.PURGED, "deleted", fields={"folder": "20260301-unreadable"}))
    assert [row.why for row in catalogue.refusals.of_studies(["1.2"])] == ["A700"]


# -- instances that are waited for


def images(sop: str, at: datetime = NOW) -> Batch:
    return Batch(
        senders=[refused_sender(IMAGES, "CT01", at, address="10.1.2.3", why="A900")],
        instances=[RefusedInstance(sop, *CT01, at)],
    )


def missing(catalogue: Catalogue) -> int:
    catalogue.refusals.settle()
    return sum(one.missing for one in catalogue.refusals.senders())


def test_an_instance_is_missing_until_it_is_here_whole_after_its_refusal(catalogue: Catalogue) -> None:
    catalogue.refusals.write(images("1.2.1.1"))
    assert missing(catalogue) == 1
    before = instance(1, received=NOW - MINUTE)
    catalogue.instances.add([before])
    assert missing(catalogue) == 1, "it was here before the one that was refused"
    cut = instance(1, version=2, received=NOW + MINUTE)
    catalogue.instances.add([replace(cut, header=replace(cut.header, cut="the pixel data has 1 of 2 bytes"))])
    assert missing(catalogue) == 1, "what came is cut off"
    catalogue.instances.add([instance(1, version=3, received=NOW + 2 * MINUTE)])
    assert missing(catalogue) == 0


def test_an_instance_that_came_again_as_it_was_here_is_not_missing(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1, received=NOW - MINUTE)])
    catalogue.refusals.write(images("1.2.1.1"))
    catalogue.refusals.write(Batch(came={"1.2.1.1": NOW + MINUTE}))
    assert catalogue.refusals.missing() == frozenset()
    assert missing(catalogue) == 0
    catalogue.refusals.write(images("1.2.1.1", NOW + 2 * MINUTE))
    assert missing(catalogue) == 1, "it was refused again since"


def test_of_too_many_missing_instances_the_rest_is_counted(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MOST_INSTANCES", 3)
    for n in range(5):
        catalogue.refusals.write(images(f"1.{n}"))
    (one,) = catalogue.refusals.senders()
    assert (one.missing, one.untracked, one.count) == (3, 2, 5)


# -- alarms, by nodes that end and begin


class Node:
    """What a node does with refusals; another one on the same database is another object."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.told: list[Event] = []
        bus = EventBus(self.told.append)
        self.catalogue = open_catalogue(database.url, database.data, bus)
        config = Config.model_validate(
            {"hospital": {"USCI": "1", "HospitalCode": "H", "HospitalName": "N", "HospitalBranchCode": "01"}}
        )
        self.clock = clock
        self.recorder = RefusalRecorder(self.catalogue.refusals, config.node.timezone, clock)
        self.watch = RefusalWatch(config, self.catalogue, bus, clock)

    def refuse(self, *found: Refused) -> None:
        for one in found:
            self.recorder.refused(one)
        self.step()

    def store(self, sop: str = "1.9", who: tuple[str, str] = PACS2) -> None:
        uids = InstanceUids("1.2", "1.2.1", sop)
        self.recorder.stored(Received(uids=uids, sop_class="1.2.840", calling_ae=who[0], address=who[1], size=10))
        self.step()

    def step(self, seconds: float = 11) -> None:
        self.clock.advance(seconds)
        self.watch.step(news=self.recorder.write())

    def alarms(self) -> dict[str, str]:
        return {one.subject: one.text for one in self.catalogue.alarms.standing()}

    def end(self) -> None:
        self.catalogue.engine.close_thread()


@pytest.fixture
def node(database: Database) -> Iterator[Node]:
    made = Node(database, FakeClock(NOW))
    yield made
    made.end()


def refused(who: tuple[str, str], reason: str, **more: Any) -> Refused:
    return Refused(calling_ae=who[0], address=who[1], reason=reason, **more)


WRONG = refused(PACS2, "called AE title not recognised", why=Why.CALLED, called_ae="ROUTR")
BAD = refused(CT01, "the data set lacks (0020,000D)", status=0xA900, called_ae="ROUTER", sop="1.2.1.1")
SUBJECT = "sender PACS2 (10.1.2.4)"


@pytest.mark.ends("refused-sender")
@pytest.mark.fires("refused-sender")
def test_a_refused_sender_is_one_alarm_however_often_until_it_stores_an_image(node: Node) -> None:
    for _ in range(20):
        node.refuse(WRONG, WRONG)
    raised = [event for event in node.told if event.kind == Kind.ALARM]
    assert [event.subject for event in raised] == [SUBJECT]
    assert raised[0].text == "PACS2 (10.1.2.4) is refused: it calls ROUTR, which is not [receive] ae_title (2 so far)"
    node.store(who=("PACS2", "10.1.2.99"))
    node.store(who=("CT01", "10.1.2.4"))
    assert list(node.alarms()) == [SUBJECT], "others have stored"
    node.store()
    assert node.alarms() == {}
    assert [event.kind for event in node.told] == [Kind.ALARM, Kind.CLEARED]


def test_the_count_in_the_text_is_renewed_every_ten_minutes_and_nobody_is_told(node: Node) -> None:
    for _ in range(120):  # 22 minutes
        node.refuse(WRONG)
    counts = {node.alarms()[SUBJECT]}
    assert len(node.told) == 1
    texts = []
    for _ in range(60):
        node.refuse(WRONG)
        texts.append(node.alarms()[SUBJECT])
    assert len(set(texts) - counts) == 1
    assert int(texts[-1].split("(")[-1].split()[0]) > 120


def test_it_ends_after_a_day_of_silence_also_when_another_node_has_the_duty_by_then(
    node: Node, database: Database
) -> None:
    node.refuse(WRONG)
    node.clock.advance(23 * 3600)
    other = Node(database, node.clock)
    other.step()
    assert SUBJECT in other.alarms()
    other.step(3600)
    assert other.alarms() == {}
    assert other.catalogue.refusals.senders() == []
    other.end()


def test_another_node_that_takes_its_images_ends_it(node: Node, database: Database) -> None:
    node.refuse(WRONG)
    other = Node(database, node.clock)
    other.step()
    other.store()
    node.step()
    assert node.alarms() == {}
    other.end()


def test_a_sender_that_is_refused_and_let_in_by_turns_is_no_flutter(node: Node) -> None:
    for _ in range(30):
        node.refuse(WRONG)
        node.store()
    assert [event.kind for event in node.told] == [Kind.ALARM, Kind.CLEARED]


def test_a_peer_whose_name_tls_kept_from_us_is_known_by_its_address(node: Node) -> None:
    node.refuse(
        Refused(
            calling_ae="", address="10.1.2.4", reason="no TLS connection: the sender does not speak TLS", why=Why.TLS
        )
    )
    assert node.alarms() == {
        "sender 10.1.2.4": "10.1.2.4 is refused: no TLS connection: the sender does not speak TLS (1 so far)"
    }
    node.store(who=("PACS2", "10.1.2.5"))
    assert len(node.alarms()) == 1
    node.store()
    assert node.alarms() == {}


def test_too_many_associations_are_an_alarm_only_where_nothing_is_stored_for_ten_minutes(node: Node) -> None:
    full = refused(PACS2, "too many associations", why=Why.FULL)
    for _ in range(60):
        node.refuse(full)
        node.store()
    assert node.told == []
    for _ in range(60):
        node.refuse(full)
    assert list(node.alarms()) == [SUBJECT]


def test_a_scan_is_fifty_alarms_and_one_of_the_others(node: Node) -> None:
    for n in range(300):
        node.recorder.refused(Refused(calling_ae=f"X{n}\x1b", address="10.6.6.6", reason="no", why=Why.SENDER))
    node.step()
    assert len(node.alarms()) == 51
    assert node.alarms()["other senders"] == "250 further senders are refused (250 so far)"
    assert r"sender X0\x1b (10.6.6.6)" in node.alarms()
    told = len(node.told)
    for n in range(300):
        node.recorder.refused(Refused(calling_ae=f"Y{n}", address="10.6.6.6", reason="no", why=Why.SENDER))
    node.step()
    assert len(node.told) == told
    node.step(24 * 3600)
    assert node.alarms() == {}


def test_a_dismissed_sender_is_quiet_until_it_is_refused_for_another_cause_or_a_week_is_over(node: Node) -> None:
    node.refuse(WRONG)
    (one,) = node.catalogue.refusals.senders()
    node.catalogue.refusals.dismiss(one, "li: an old workstation", NOW)
    node.refuse(WRONG)
    assert node.alarms() == {}
    node.refuse(replace(WRONG, why=Why.SENDER))
    assert "[receive] senders" in node.alarms()[SUBJECT]
    (one,) = node.catalogue.refusals.senders()
    node.catalogue.refusals.dismiss(one, "li: again", node.clock.now())
    for _ in range(8):
        node.clock.advance(23 * 3600)
        node.refuse(replace(WRONG, why=Why.SENDER))
    assert SUBJECT in node.alarms()


@pytest.mark.ends("refused-images")
@pytest.mark.fires("refused-images")
def test_refused_images_are_an_alarm_until_each_of_them_came_whole(node: Node, database: Database) -> None:
    node.refuse(BAD, replace(BAD, sop="1.2.1.2", status=0xC000, reason="the data set is cut off"))
    subject = "sender CT01 (10.1.2.3)"
    assert node.alarms() == {subject: "images of CT01 (10.1.2.3) are refused: C000, the data set is cut off (2 so far)"}
    node.store("1.2.1.1", CT01)
    node.catalogue.instances.add([instance(1, received=node.clock.now())])
    node.step()
    assert list(node.alarms()) == [subject]
    again = Node(database, node.clock)
    again.catalogue.instances.add([instance(2, received=node.clock.now())])
    again.step()
    assert again.alarms() == {}
    again.end()


def test_dismissed_images_are_no_alarm_and_further_ones_are(node: Node) -> None:
    node.refuse(BAD)
    (one,) = node.catalogue.refusals.senders()
    node.catalogue.refusals.dismiss(one, "li: a phantom", NOW)
    node.step()
    assert node.alarms() == {}
    node.refuse(replace(BAD, sop="1.2.1.7"))
    assert len(node.alarms()) == 1


def test_lack_of_room_is_the_alarm_of_the_disk_alone(node: Node) -> None:
    node.refuse(replace(BAD, status=0xA700))
    assert node.alarms() == {}
    assert [row.why for row in node.catalogue.refusals.since(NOW)] == ["A700"]


def test_what_the_database_did_not_take_is_written_the_next_time(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    write = node.catalogue.refusals.write

    def fails(_: Batch) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(node.catalogue.refusals, "write", fails)
    for _ in range(3):
        node.recorder.refused(WRONG)
        with pytest.raises(ZeroDivisionError):
            node.recorder.write()
    monkeypatch.setattr(node.catalogue.refusals, "write", write)
    node.step()
    node.step()
    assert sum(row.count for row in node.catalogue.refusals.since(NOW)) == 3
    assert Alarm.REFUSED_SENDER in [one.alarm for one in node.catalogue.alarms.standing()]
