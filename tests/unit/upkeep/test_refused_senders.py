"""Refusals added up, and which of them are alarms: pure, with the time as an argument."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from router.catalogue.node.refusals import ASSOCIATIONS, IMAGES, OTHERS, RefusalCount, RefusedSender
from router.correlator.refused import by_sender, by_study, nobodys, with_refusals, worth_a_hint
from router.dicom.scp.store import Received, Refused
from router.model import InstanceUids
from router.refusals import Why, meaning, remedy, sender
from router.upkeep.refusals import MOST_ALARMS, MOST_INSTANCES, MOST_KEYS, Gathering, judge, kind_of, subject_of

NOW = datetime(2026, 3, 1, 15, 50, tzinfo=UTC)  # 23:50 in Beijing
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CT01, PACS2 = ("CT01", "10.1.2.3"), ("PACS2", "10.1.2.4")
ZONE = ZoneInfo("Asia/Shanghai")


def image(status: int = 0xA900, sop: str = "1.2.9", study: str = "1.2", reason: str = "no series") -> Refused:
    return Refused(
        calling_ae=CT01[0],
        address=CT01[1],
        reason=reason,
        status=status,
        called_ae="ROUTER",
        study=study,
        sop=sop,
    )


def association(why: Why = Why.CALLED, calling: str = "PACS2", address: str = "10.1.2.4") -> Refused:
    return Refused(calling_ae=calling, address=address, reason="said so", why=why, called_ae="ROUTR")


# -- adding up


def test_refusals_that_are_alike_are_one_row_a_day_by_the_hospitals_clock() -> None:
    gathering = Gathering(zone=ZONE)
    for n in range(30):
        gathering.refused(image(0xA700, f"1.2.{n}"), NOW + n * MINUTE)
    gathering.refused(image(0xA700, study="1.3"), NOW)
    rows = {(one.day, one.study_uid): one for one in gathering.batch().counts}
    assert {key: one.count for key, one in rows.items()} == {
        ("2026-03-01", "1.2"): 10, ("2026-03-02", "1.2"): 20, ("2026-03-01", "1.3"): 1,
    }  # fmt: skip
    first = rows["2026-03-01", "1.2"]
    assert (first.first, first.last, first.why) == (NOW, NOW + 9 * MINUTE, "A700")
    assert gathering.batch().senders == [], "lack of room is the alarm of the disk"


def test_a_sender_is_counted_by_title_and_address_and_an_instance_is_kept_by_its_uid() -> None:
    gathering = Gathering(zone=ZONE)
    for one in (association(), association(), association(address="10.1.2.5"), image(), image(0xC000, "1.2.8")):
        gathering.refused(one, NOW)
    batch = gathering.batch()
    assert [(one.kind, one.address, one.count) for one in batch.senders] == [
        (ASSOCIATIONS, "10.1.2.4", 2), (ASSOCIATIONS, "10.1.2.5", 1), (IMAGES, "10.1.2.3", 2),
    ]  # fmt: skip
    assert [one.sop_uid for one in batch.instances] == ["1.2.9", "1.2.8"]


def test_an_association_that_was_merely_idle_refuses_nothing() -> None:
    gathering = Gathering(zone=ZONE)
    gathering.refused(association(Why.IDLE), NOW)
    assert gathering.is_empty


def test_a_flood_of_titles_studies_and_instances_is_a_batch_of_bounded_size_that_counts_all() -> None:
    gathering = Gathering(zone=ZONE)
    for n in range(30_000):
        gathering.refused(association(calling=f"AE{n}"), NOW)
        gathering.refused(image(study=f"1.2.{n}", sop=f"1.3.{n}"), NOW)
    batch = gathering.batch()
    assert len(batch.counts) <= MOST_KEYS + 2
    assert len(batch.senders) <= MOST_KEYS + 2
    assert len(batch.instances) == MOST_INSTANCES
    assert sum(one.count for one in batch.counts) == 60_000
    assert sum(one.count for one in batch.senders) == 60_000
    assert sum(one.untracked for one in batch.senders) == 30_000 - MOST_INSTANCES
    assert {one.calling for one in batch.counts[MOST_KEYS:]} == {OTHERS}


def test_an_instance_without_a_uid_cannot_be_waited_for() -> None:
    gathering = Gathering(zone=ZONE)
    gathering.refused(image(sop=""), NOW)
    (one,) = gathering.batch().senders
    assert (one.count, one.untracked, gathering.batch().instances) == (1, 1, [])


def test_an_instance_that_is_refused_again_after_it_came_is_missing_again() -> None:
    gathering = Gathering(zone=ZONE)
    received = Received(
        uids=InstanceUids("1.2", "1.2.1", "1.2.9"), sop_class="1.2.840", calling_ae=CT01[0], address=CT01[1], size=10
    )
    gathering.stored(received, NOW, awaited=True)
    gathering.refused(image(), NOW)
    assert gathering.batch().came == {}
    gathering.stored(received, NOW, awaited=True)
    assert list(gathering.batch().came) == ["1.2.9"]
    assert list(gathering.batch().stored) == [CT01]


@pytest.mark.parametrize(("code", "kind"), [
    ("A900", IMAGES), ("C000", IMAGES), ("0122", IMAGES), ("A700", ""), (Why.SENDER, ASSOCIATIONS),
    (Why.TLS, ASSOCIATIONS), (Why.COMMITMENT, ""), (Why.STOPPING, ""), (Why.IDLE, ""), (Why.QUARANTINE, ""),
])  # fmt: skip
def test_which_refusals_are_an_alarm(code: str, kind: str) -> None:
    assert kind_of(code) == kind


# -- alarms


def refused_sender(calling: str = "PACS2", why: str = Why.CALLED, **changes: object) -> RefusedSender:
    one = RefusedSender(
        kind=ASSOCIATIONS, calling=calling, address="10.1.2.4", called="ROUTR", why=why, reason="said so", count=3,
        untracked=0, first=NOW - 5 * MINUTE, last=NOW,
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


def standing(one: RefusedSender, now: datetime = NOW) -> str:
    found = judge([one], now)
    return "over" if found.over else "told" if found.alarming else "others" if found.others else "quiet"


Make = Callable[[], RefusedSender]


@pytest.mark.parametrize(("make", "now", "expected"), [
    (refused_sender, NOW, "told"),
    (refused_sender, NOW + 23 * HOUR, "told"),
    (refused_sender, NOW + 24 * HOUR, "over"),
    (lambda: refused_sender(stored=NOW + MINUTE), NOW + 2 * MINUTE, "quiet"),
    # refused again soon after it stored: told once nothing was stored for ten minutes
    (lambda: refused_sender(stored=NOW - MINUTE), NOW, "quiet"),
    (lambda: refused_sender(stored=NOW - MINUTE), NOW + 9 * MINUTE, "told"),
    (lambda: refused_sender(why=Why.FULL), NOW, "quiet"),
    (lambda: refused_sender(why=Why.SENDER_FULL), NOW + 5 * MINUTE, "told"),
    (lambda: refused_sender(why=Why.SLOW), NOW + 5 * MINUTE, "told"),
    (lambda: refused_sender(dismissed=NOW), NOW + HOUR, "quiet"),
    (lambda: refused_sender(dismissed=NOW - timedelta(days=7)), NOW, "told"),
    (lambda: refused_sender(kind=IMAGES, missing=1), NOW + 99 * HOUR, "told"),
    (lambda: refused_sender(kind=IMAGES, untracked=1), NOW + 99 * HOUR, "told"),
    (lambda: refused_sender(kind=IMAGES), NOW, "over"),
    (lambda: refused_sender(OTHERS), NOW, "others"),
])  # fmt: skip
def test_when_a_refused_sender_is_an_alarm(make: Make, now: datetime, expected: str) -> None:
    assert standing(make(), now) == expected


def test_of_many_the_known_senders_are_told_first_and_the_rest_is_one_row() -> None:
    scan = [refused_sender(f"X{n:03}", first=NOW - n * MINUTE) for n in range(200)]
    found = judge([*scan, refused_sender("PACS2", first=NOW)], NOW, {"PACS2"})
    assert len(found.alarming) == MOST_ALARMS
    assert found.alarming[0].calling == "PACS2"
    assert [one.calling for one in found.alarming[1:3]] == ["X199", "X198"]
    assert len(found.others) == 201 - MOST_ALARMS


def test_the_subject_shows_what_a_terminal_would_obey() -> None:
    assert subject_of(refused_sender("EVIL\x1b[2J")) == r"sender EVIL\x1b[2J (10.1.2.4)"
    assert subject_of(refused_sender("")) == "sender 10.1.2.4"


# -- words


@pytest.mark.parametrize("why", [*Why, "A700", "A900", "C000", "0122"])
def test_every_cause_has_words_and_whoever_can_act_is_told_what_to_do(why: str) -> None:
    assert "said" in meaning(why, "said so", "ROUTR") or len(meaning(why, "said so", "ROUTR")) > 15
    assert (remedy(why) == "") == (why in (Why.IDLE, Why.STOPPING, Why.COMMITMENT, Why.QUARANTINE))


def test_a_called_title_is_shown_and_never_obeyed() -> None:
    assert meaning(Why.CALLED, "", "\x1b[2J") == r"it calls \x1b[2J, which is not [receive] ae_title"
    assert sender("\x07", "10.1.2.3") == r"\x07 (10.1.2.3)"


# -- what people are told


def row(day: int = 1, study: str = "1.2", **changes: object) -> RefusalCount:
    at = datetime(2026, 3, day, 8, tzinfo=UTC)
    one = RefusalCount(
        day=f"2026-03-{day:02}", calling="CT01", address="10.1.2.3", called="ROUTER", why="A700", study_uid=study,
        reason="no room", count=60, first=at, last=at + HOUR,
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


def test_days_are_added_up_by_study_and_studies_by_sender() -> None:
    rows = [row(1), row(2), row(2, study="1.3"), row(2, study="", why="A900")]
    assert [(one.study_uid, one.count) for one in by_study(rows)] == [("1.2", 120), ("1.3", 60), ("", 60)]
    assert [(one.why, one.count, one.studies) for one in by_sender(rows)] == [("A700", 180, 2), ("A900", 60, 0)]
    (whole,) = by_study([row(2), row(1)])
    assert (whole.first, whole.last) == (row(1).first, row(2).last)


def test_knocks_without_a_name_are_no_hint_unless_tls_kept_the_name_from_us() -> None:
    rows = [
        row(study="", calling="", why=Why.PROTOCOL), row(study="", calling=OTHERS, why=Why.CALLED),
        row(study="", calling="", why=Why.TLS, address="10.1.2.9"), row(study="", calling="PACS2", why=Why.SENDER),
    ]  # fmt: skip
    assert {one.who for one in worth_a_hint(rows, nobodys, "")} == {"10.1.2.9", "PACS2 (10.1.2.3)"}


def test_missing_images_name_what_was_refused_of_them_else_what_was_refused_meanwhile() -> None:
    own, hints = by_study([row()]), by_sender([row(study="", calling="PACS2", why=Why.SENDER)])
    assert with_refusals("missing", [], []) == "missing"
    assert (
        with_refusals("missing", own, hints)
        == "missing; this node refused images of it from CT01 (10.1.2.3): A700, no room"
    )
    assert with_refusals("missing", [], hints) == (
        "missing; this node refused PACS2 (10.1.2.3) in that time: its AE title and address are not in [receive]"
        " senders"
    )
