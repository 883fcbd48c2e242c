"""Withdrawals and comparisons of one hospital of several: names, stops and places are its alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue.queue.withdrawals import Source
from router.clock import FakeClock
from router.correlator.withdrawing import subject_of
from router.errors import InvalidData
from router.events import Event, Kind
from router.policy.account import fields_of
from router.policy.withdrawal import Ended
from router.review.decisions import OperatorReason
from router.review.withdrawals import WithdrawalsByHand
from support.catalogue_rows import CLOUD
from support.confirmed_reports import confirm
from support.harness import command_here
from support.hospital_rows import District

NOW = datetime(2026, 3, 9, 8, tzinfo=UTC)
REASON = OperatorReason("wang", "the RIS says so")
BOTH = ("fuxing", "renmin")


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    """Each of two hospitals has a delivered report, whose withdrawal waits with its source's."""
    made = District(tmp_path, NOW)
    for name in BOTH:
        confirm(made.catalogue, 1, NOW - timedelta(hours=1), timedelta(0), hospital=name)
        (exam,) = made.catalogue.exams.find(f"{name}E1", exam_id=True)
        (delivery,) = made.catalogue.queue.of_exam(exam)
        made.catalogue.withdrawals.ask(delivery.id, 1, 1, "Withdrawn", "", NOW)
        source = source_of(name)
        made.catalogue.withdrawals.stop(source, NOW)
        event = Event(NOW, Kind.ALARM, "too many", fields=fields_of(CLOUD, name), alarm=Alarm.WITHDRAWALS,
                      subject=subject_of(source))  # fmt: skip
        made.bus.record(event)
    yield made
    made.catalogue.engine.close_thread()


def source_of(name: str) -> Source:
    return Source(destination=CLOUD, hospital=name, branch="01")


def stopped(district: District) -> list[str]:
    return [one.source.hospital for one in district.catalogue.withdrawals.stops()]


def test_the_withdrawals_of_one_hospital_are_confirmed_and_the_others_wait(district: District) -> None:
    words = ("queue", "withdraw", "--confirm", "--why", "so", "--yes", "--config", district.file)
    assert command_here(*words, "--hospital", "xiehe").returncode == 1
    done = command_here(*words, "--hospital", "renmin")
    assert (done.returncode, "1 exam(s)" in done.stdout, stopped(district)) == (0, True, ["fuxing"])
    (alarm,) = [one for one in district.catalogue.alarms.standing() if one.alarm == Alarm.WITHDRAWALS]
    assert alarm.hospital == "fuxing"
    assert command_here(*words).returncode == 0
    assert stopped(district) == []


def test_a_name_means_an_exam_of_that_hospital_alone(district: District) -> None:
    by_hand = WithdrawalsByHand(district.catalogue, district.bus, FakeClock(NOW), "renmin")
    with pytest.raises(InvalidData):
        by_hand.given("fuxingE1")
    (given,) = by_hand.given("renminE1")
    by_hand.withdraw([given], REASON)
    (kept,) = district.catalogue.withdrawals.of(given.delivery.id)
    assert (kept.who, kept.ended) == ("wang", Ended.OPEN)


def test_a_hospital_that_is_not_registered_is_refused(district: District) -> None:
    for words in (("reconcile", "--remote"), ("withdraw", "e1", "--why", "so", "--yes")):
        done = command_here("queue", *words, "--hospital", "nobody", "--config", district.file)
        assert (done.returncode, "no hospital is called nobody" in done.stderr) == (2, True)
