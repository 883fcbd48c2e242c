"""The daily report where there are several hospitals: by hospital, and in all."""

import csv
import io
from datetime import timedelta
from pathlib import Path

from router.clock import FakeClock
from router.intake.exam_reader import ExamReader
from router.review.reconcile import Reconciliation
from router.storage import open_storage
from router.upkeep.daily import Daily
from support.catalogue_rows import NOW
from support.hospital_rows import District, configure, ordinary


def report(district: District) -> dict[str, str]:
    """The files of the day on which everything was entered, by their endings."""
    config, catalogue = district.config, district.catalogue
    storage, clock = open_storage(config.node.data, "node"), FakeClock(NOW + timedelta(days=1))
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


def test_with_one_alone_neither_text_nor_tables_name_it(tmp_path: Path) -> None:
    district = District(tmp_path, NOW)
    for path in (tmp_path / "hospitals").iterdir():
        path.unlink()
    configure(tmp_path, ())
    district.delivery("", "A1", 60)
    assert "hospital" not in "".join(report(district).values())
    district.close()
