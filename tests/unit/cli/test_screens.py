"""What commands print: tables, what they are called, where they find their configuration, how quickly they start."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue.node.alarms import Standing, folded
from router.cli import launched
from router.cli.tables import show, watching
from support.intake_folder import CONFIG

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def test_a_piped_table_has_a_line_for_each_row_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    trouble = "identity: study " + "1.2.840." * 60
    show("Held", ("ID", "检查记录ID", "Trouble"), [("1", "检查一", trouble), ("22", "E2", "-")])
    printed = capsys.readouterr().out
    assert printed == f"\nHeld\nID  检查记录ID  Trouble\n1   检查一      {trouble}\n22  E2          -\n"


def test_a_table_without_rows_says_so_by_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    show("Studies", ("StudyInstanceUID",), [])
    show("", ("ID",), [])
    assert capsys.readouterr().out == "\nStudies: none\n"


@pytest.mark.parametrize("stopped_in", ["telling", "resting"])
def test_watching_ends_quietly_by_ctrl_c_wherever_it_is(stopped_in: str) -> None:
    told: list[str] = []

    def step(name: str) -> None:
        told.append(name)
        if name == stopped_in and len(told) > 2:
            raise KeyboardInterrupt

    watching(lambda: step("telling"), lambda _: step("resting"), again=True)
    assert told[-1] == stopped_in


@pytest.mark.parametrize(("arguments", "usage"), [
    (["queue", "list", "-h"], "Usage: scripts/queue list [OPTIONS]"),
    (["status", "--help"], "Usage: scripts/status [OPTIONS]"),
])  # fmt: skip
def test_a_command_is_named_in_its_help_as_it_is_called(arguments: list[str], usage: str) -> None:
    program = f"from router.cli import launched; launched({arguments!r})"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(usage)


def test_the_configuration_is_the_one_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.setenv("ROUTER_CONFIG", str(tmp_path / "mine.toml"))
    with pytest.raises(SystemExit) as ended:
        launched(["status"])
    assert ended.value.code == 1
    assert f"the database is missing: {tmp_path}" in capsys.readouterr().out


def test_commands_that_only_look_start_without_the_dicom_libraries() -> None:
    code = "import sys, router.cli.queue, router.cli.status; print({'pydicom', 'pynetdicom'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_alarms_of_the_node_come_before_those_of_exams() -> None:
    stand = [
        Standing(alarm=Alarm.MISSED, subject=f"e{n}", text="late", exam=n, delivery=n, since=NOW - timedelta(days=1))
        for n in range(50)
    ]
    disk = Standing(alarm=Alarm.DISK, subject="disk", text="full", exam=None, delivery=None, since=NOW)
    assert [one.alarm for one in folded([*stand, disk])] == [Alarm.DISK, Alarm.MISSED]


def test_alarms_are_folded_by_kind_and_destination_with_count_first_text_and_the_exams() -> None:
    def late(exam: int, destination: str, minutes: int) -> Standing:
        at = NOW + timedelta(minutes=minutes)
        return Standing(
            alarm=Alarm.MISSED,
            subject=f"d{exam}",
            text=f"late {exam}",
            exam=exam,
            delivery=exam,
            since=at,
            destination=destination,
        )

    first, second = folded([late(3, "a", 5), late(1, "a", 1), late(2, "b", 3), late(1, "a", 7)])
    assert (first.destination, first.count, first.since, first.text) == ("a", 3, NOW + timedelta(minutes=1), "late 1")
    assert (first.exams, first.subject) == ((1, 3), "")
    assert (second.destination, second.count, second.subject) == ("b", 1, "d2")
