"""What the node reports once a day by itself, and the gaps that it raises an alarm for."""

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from router.alarms import Alarm
from router.events import Kind
from router.intake.exam_reader import ExamReader
from router.model import Head
from router.reports.pdf.reader import Readers
from router.review.reconcile import Reconciliation
from router.upkeep.daily import Daily, outstanding
from support.exam_workflow import CLOUD, ExamWorkflow
from support.intake_folder import CONFIG

ZONE = ZoneInfo("Asia/Shanghai")
AT = time(6, 30)
MONDAY = date(2026, 3, 2)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("now", "done", "expected"),
    [
        ("2026-03-03 06:29", [], [date(2026, 3, 1)]),
        ("2026-03-03 06:30", [], [MONDAY]),
        ("2026-03-03 06:30", [MONDAY], []),
        ("2026-03-03 23:59", [date(2026, 2, 27)], [date(2026, 2, 28), date(2026, 3, 1), MONDAY]),
        ("2026-03-03 07:00", [date(2025, 3, 2)], [MONDAY - timedelta(days=n) for n in range(6, -1, -1)]),
        ("2026-03-03 07:00", [date(2026, 3, 1), date(2030, 1, 1)], [MONDAY]),
    ],
)
def test_days_that_are_over_are_reported_on_once(now: str, done: list[date], expected: list[date]) -> None:
    assert outstanding(at(now), AT, done) == expected


def test_a_clock_that_goes_back_reports_on_no_day_twice() -> None:
    assert outstanding(at("2026-02-20 07:00"), AT, [date(2026, 2, 19), MONDAY]) == []


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    (tmp_path / "router.toml").write_text(CONFIG + CLOUD, encoding="utf-8")
    (tmp_path / "k").touch()
    made = ExamWorkflow(tmp_path, readers)
    yield made
    made.catalogue.engine.close_thread()


def daily(clinic: ExamWorkflow) -> Daily:
    accounts = Reconciliation(clinic.catalogue, ExamReader(clinic.config), clinic.storage.reports.read)
    known = (clinic.config, clinic.catalogue, clinic.bus, clinic.clock)
    return Daily(*known, reconciliation=accounts, dailies=clinic.storage.dailies)


def test_the_heads_of_the_audit_trails_are_in_the_days_text_and_in_what_is_mailed(clinic: ExamWorkflow) -> None:
    for n, node in ((3, "node-1"), (7, "node-1"), (5, "node-2")):
        head = Head(node=node, n=n, seal="ab", at="2026-03-02", chain="k", key="12", signature="c2ln")
        clinic.catalogue.audit_heads.add(head)
    clinic.later(days=1)
    daily(clinic).step()
    lines = [f"Audit head {head} of 2026-03-02, signed by 12: c2ln" for head in ("node-1:7:ab", "node-2:5:ab")]
    (text,) = clinic.storage.dailies.folder.glob("*.txt")
    assert text.read_text().splitlines()[-2:] == lines
    (event,) = [event for event in clinic.events if event.kind == Kind.REPORTED]
    assert event.fields["heads"] == lines


@pytest.mark.ends("gaps")
@pytest.mark.fires("gaps")
def test_a_day_with_a_gap_is_written_down_and_an_alarm_until_there_is_none(clinic: ExamWorkflow) -> None:
    day = clinic.clock.now().astimezone(clinic.config.node.timezone).date()
    approved = (clinic.clock.now().astimezone(ZONE) - timedelta(minutes=1)).strftime("%Y-%m-%d %H:%M:%S")
    clinic.ris(Study__StudyInstanceUIDs=["1.2.3"], Report__ApproveTime=approved)
    clinic.later(days=1)
    one = daily(clinic)
    one.step()
    one.step()
    folder = clinic.storage.dailies.folder
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{day}-deliveries.csv",
        f"{day}-gaps.csv",
        f"{day}.txt",
    ]
    text = (folder / f"{day}.txt").read_text()
    assert f"due on {day}: 0 met, 0 pending, 0 missed by us" in text
    assert "1 exam(s) at 1 destination(s), 1 exam(s) with gaps" in text
    with io.StringIO((folder / f"{day}-gaps.csv").read_text("utf-8-sig"), newline="") as table:
        (row,) = csv.DictReader(table)
    assert (row["destination"], row["received"]) == ("cloud", "0")
    assert "image" in row["gaps"]
    assert len(clinic.told(Kind.REPORTED)) == 1
    assert clinic.catalogue.alarms.standing()[-1].alarm == Alarm.GAPS

    for delivery in clinic.catalogue.queue.of_exam(clinic.case().exam):
        clinic.catalogue.queue.update(delivery, state="cancelled")
    clinic.later(days=1)
    one.step()
    assert Alarm.GAPS not in [standing.alarm for standing in clinic.catalogue.alarms.standing()]


def test_reports_older_than_the_audit_trail_are_removed(clinic: ExamWorkflow) -> None:
    old, day = date(2020, 1, 1), clinic.clock.now().date()
    clinic.storage.dailies.write(old, {"gaps": b""}, "")
    clinic.storage.dailies.write(day - timedelta(days=2), {}, "")
    clinic.later(hours=12)
    daily(clinic).step()
    assert old not in clinic.storage.dailies.done()
    assert not list(clinic.storage.dailies.folder.glob(f"{old}*"))
    assert day - timedelta(days=2) in clinic.storage.dailies.done()
