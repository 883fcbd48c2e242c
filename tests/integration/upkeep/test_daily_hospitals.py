"""The daily report where there are several hospitals: by hospital, and in all."""

import csv
import io
from datetime import timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.clock import FakeClock
from router.events import Event, Kind
from router.intake.exam_reader import ExamReader
from router.review.reconcile import Account, Reconciliation
from router.storage import open_storage
from router.upkeep.daily import Daily
from support.catalogue_rows import CLOUD, NOW
from support.hospital_rows import District, configure, ordinary


def report(district: District, days: int = 1) -> dict[str, str]:
    """The files of the day on which everything was entered, by their endings; made so many days later."""
    config, catalogue = district.config, district.catalogue
    storage, clock = open_storage(config.node.data, "node"), FakeClock(NOW + timedelta(days=days))
    accounts = Reconciliation(catalogue, ExamReader(config), storage.reports.read)
    Daily(config, catalogue, district.bus, clock, reconciliation=accounts, dailies=storage.dailies).step()
    day = f"{NOW.astimezone(config.node.timezone):%Y-%m-%d}"
    return {path.name.removeprefix(day): path.read_text("utf-8-sig") for path in storage.dailies.folder.glob(f"{day}*")}


def test_the_day_s_text_has_a_line_for_each_hospital_the_worst_first(tmp_path: Path) -> None:
    district = ordinary(tmp_path, NOW)
    files = report(district)
    lines = files[".txt"].splitlines()
    assert lines[0].startswith("Deliveries that were due on ")
    assert [line.partition(":")[0] for line in lines[1:5]] == ["- ?", "- fuxing", "- xiehe", "- renmin"]
    assert lines[4].startswith("- renmin: 0 met, 0 pending, 0 missed by us"), "registered, and nothing was due"
    with io.StringIO(files["-deliveries.csv"], newline="") as table:
        assert {row["hospital"] for row in csv.DictReader(table)} == {"?", "fuxing", "xiehe"}
    district.close()


def test_gaps_are_an_alarm_of_each_hospital_that_has_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    district = District(tmp_path, NOW)
    found: list[Account] = []
    monkeypatch.setattr(Reconciliation, "ledger", lambda *_: found)

    def alarms(*exams: tuple[int, str]) -> dict[str, tuple[str, str]]:
        """Hospital and text by subject, after the report of the next day with gaps of these exams."""
        found[:] = [
            Account(exam=exam, exam_id="A1", destination=CLOUD, expected=2, received=1, selected=1, sent=1, confirmed=1,
                    report=None, images=None, gaps=("1 of 2 received",), hospital=hospital)
            for exam, hospital in exams
        ]  # fmt: skip
        days.append(len(days) + 1)
        report(district, days[-1])
        standing = district.catalogue.alarms.of([Alarm.GAPS])
        return {one.subject: (one.hospital, one.text.partition(" ")[0]) for one in standing}

    days: list[int] = []
    before = Event(NOW, Kind.ALARM, "2 exam(s)", alarm=Alarm.GAPS, subject="reconciliation")  # of no hospital alone
    district.bus.record(before)
    mine, theirs = ("reconciliation for renmin", ("renmin", "2")), ("reconciliation for xiehe", ("xiehe", "1"))
    assert alarms((1, "renmin"), (1, "renmin"), (2, "renmin"), (3, "xiehe")) == dict([mine, theirs])
    assert alarms((3, "xiehe")) == dict([theirs])
    assert alarms() == {}
    district.close()


def test_with_one_alone_neither_text_nor_tables_name_it(tmp_path: Path) -> None:
    district = District(tmp_path, NOW)
    for path in (tmp_path / "hospitals").iterdir():
        path.unlink()
    configure(tmp_path, ())
    district.delivery("", "A1", 60)
    assert "hospital" not in "".join(report(district).values())
    district.close()
