"""The alarm about a source that fell silent, on real rows: it comes, stands over a restart, and ends."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.clock import FakeClock
from router.correlator.holidays import Holidays
from router.events import Kind
from router.reports.pdf.reader import Readers
from router.review.decisions import OperatorReason
from router.review.sources import dismiss_source, lines
from router.upkeep.sources import SourceWatch
from support.catalogue_rows import document, studies_at
from support.exam_workflow import ExamWorkflow

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)  # 08:00 by the hospital's clock
NOON = MONDAY + timedelta(days=14, hours=4)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
WANG = OperatorReason("wang", "sold")
USUAL = [MONDAY + day * DAY + 10 * n * MINUTE for day in range(14) for n in range(54)]
TODAY = [MONDAY + 14 * DAY + 10 * n * MINUTE for n in range(24)]


class Rooms(ExamWorkflow):
    """Two weeks of senders; it is Monday noon."""

    def __init__(self, folder: Path, readers: Readers) -> None:
        super().__init__(folder, readers)
        self.clock = FakeClock(NOON)
        self.restart()

    def _open(self) -> None:
        super()._open()
        self.watch = SourceWatch(self.config, self.catalogue, self.bus, self.clock)

    def send(self, name: str, times: list[datetime]) -> None:
        studies_at(self.catalogue, name, times)

    def report(self, times: list[datetime]) -> None:
        number = self.catalogue.exams.number_of("", "01", "X", MONDAY)
        with self.catalogue.engine.write():
            for n, at in enumerate(times):
                taken = replace(document("json", f"in/{n}", f"d{n}"), arrived=at)
                self.catalogue.exams.documents.add(taken, f"p{n}", number, n + 1, at)

    def standing(self) -> set[str]:
        self.watch.step()
        return {one.subject for one in self.catalogue.alarms.standing() if one.alarm == Alarm.SILENT_SOURCE}


@pytest.fixture
def rooms(tmp_path: Path, readers: Readers) -> Iterator[Rooms]:
    made = Rooms(tmp_path, readers)
    made.send("CT2", USUAL + TODAY)
    yield made
    made.catalogue.engine.close_thread()


@pytest.mark.ends("silent-source")
@pytest.mark.fires("silent-source")
def test_a_scanner_that_usually_sends_is_an_alarm_until_it_sends_again(rooms: Rooms) -> None:
    rooms.send("CT1", USUAL)
    assert rooms.standing() == {"sender CT1"}
    assert "usually 2" in rooms.told(Kind.ALARM)[-1]
    rooms.restart()
    assert rooms.standing() == {"sender CT1"}
    rooms.clock.advance(30 * DAY.total_seconds())
    rooms.restart()
    assert rooms.standing() >= {"sender CT1"}, "also once its four weeks are over"
    rooms.clock.advance(60)
    rooms.send("CT1", [rooms.clock.now()])
    assert "sender CT1" not in rooms.standing()


def test_a_node_that_was_down_misses_nobody_before_it_has_listened_for_a_while(rooms: Rooms) -> None:
    rooms.send("CT1", USUAL)
    rooms.clock.advance(5 * 3600)
    rooms.restart()
    assert rooms.standing() == set()


def test_reports_are_missed_while_images_come_and_not_while_none_do(rooms: Rooms) -> None:
    rooms.report(USUAL)
    assert rooms.standing() == {"reports"}
    rooms.send("CT2", [])
    with rooms.catalogue.engine.write():
        rooms.catalogue.engine.execute(f"DELETE FROM study WHERE first_received >= {int(TODAY[0].timestamp() * 1e6)}")
        rooms.catalogue.engine.execute("DELETE FROM open_alarm")
    rooms.restart()
    assert "reports" not in rooms.standing()


def test_a_dismissed_source_is_waited_for_again_once_it_has_sent(rooms: Rooms) -> None:
    rooms.send("CT1", USUAL)
    rooms.standing()
    assert dismiss_source(rooms.catalogue, rooms.bus, rooms.clock, "CT1", WANG) == "sender CT1"
    assert rooms.standing() == set()
    days = Holidays(rooms.config.study.holidays).reading().days
    (mine,) = [one for one in lines(rooms.config, rooms.catalogue, days, NOON) if one.name == "sender CT1"]
    assert (mine.usual, mine.dismissed, mine.silent) == (54, True, False)
    rooms.clock.advance(60)
    rooms.send("CT1", [rooms.clock.now()])
    rooms.standing()
    assert rooms.catalogue.sources.dismissed() == []
    rooms.clock.advance(5 * 3600)
    rooms.send("CT2", [rooms.clock.now() - n * 10 * MINUTE for n in range(29)])
    assert rooms.standing() == {"sender CT1"}
