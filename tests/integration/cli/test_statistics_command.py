"""`queue statistics` and `queue sources`: the contract's rows, a CSV for Excel, JSON, words for people."""

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from router.clock import SystemClock
from router.model import Channel
from router.policy.states import State
from router.reports.pdf.reader import Readers
from support.catalogue_rows import studies_at
from support.exam_workflow import CLOUD, ExamWorkflow
from support.harness import command_here
from support.intake_folder import CONFIG, E1, E2

SPAN = ("--from", "2026-03-01", "--to", "2026-03-03")
APPROVED: dict[str, object] = {
    "Report__SubmitTime": "2026-03-02 17:30:00", "Report__ApproveTime": "2026-03-02 18:00:00",
    "Order__ExecDepartmentName": "放射科",
}  # fmt: skip


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    """Of two exams one is delivered and the other, a critical value, is held; a study has no report."""
    made = ExamWorkflow(tmp_path, readers)
    (tmp_path / "router.toml").write_text(CONFIG + CLOUD, encoding="utf-8")
    for uid in ("1.2.3", "1.2.4", "1.2.5"):
        made.pacs(uid, accession=f"A{uid}")
    first = APPROVED | {"Study__StudyInstanceUIDs": ["1.2.3"], "Order__AccessionNumber": "A1.2.3"}
    second = APPROVED | {
        "Study__StudyInstanceUIDs": ["1.2.4"], "Order__AccessionNumber": "A1.2.4", "Report__IsCritical": True,
    }  # fmt: skip
    made.ris(E1, **first)
    made.ris(E2, **second)
    for exam in (E1, E2):
        for one in made.catalogue.queue.of_exam(made.case(exam).exam):
            way = [State.HELD] if exam == E2 else _way(one.state)
            for to in way:
                (here,) = [d for d in made.catalogue.queue.of_exam(one.exam) if d.id == one.id]
                changes = {"held_by": "person"} if to == State.HELD else {}
                assert made.catalogue.queue.move(here, to, made.clock.now(), "on the way", changes=changes)
    yield made
    made.catalogue.engine.close_thread()


def _way(state: State) -> list[State]:
    way = [State.WAITING, State.READY, State.SENDING, State.DELIVERED]
    return way[way.index(state) + 1 :]


def answered(clinic: ExamWorkflow, tmp_path: Path, *arguments: object) -> str:
    answer = command_here("queue", *arguments, "--config", tmp_path / "router.toml")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_rows_are_the_contract_s_and_held_exams_are_due(clinic: ExamWorkflow, tmp_path: Path) -> None:
    found = json.loads(answered(clinic, tmp_path, "statistics", *SPAN, "--by", "department", "--json"))
    rows = {one["group"]: one for one in found["rows"]}
    counts = ("due", "uploaded", "report_on_time", "images_on_time", "accepted_first_time", "unreported")
    assert [rows["放射科"][name] for name in counts] == [2, 1, 1, 1, 1, 0]
    assert [rows[""][name] for name in counts] == [0, 0, 0, 0, 0, 1]
    total = found["total"]
    assert (total["upload_rate"], total["on_time_rate"], total["first_time_rate"]) == (0.5, 0.5, 1.0)
    assert total["exams"] == sum(total["states"].values()) == 3
    assert (found["critical"]["due"], found["critical"]["uploaded"]) == (1, 0)
    assert found["misses"] == [{"reason": "person", "exams": 1, "whose": "ours"}]
    assert total["report_minutes"]["p50"] == total["images_minutes"]["p50"] is not None
    assert rows[""]["upload_rate"] is None


def test_the_csv_opens_in_excel_with_chinese_headings(clinic: ExamWorkflow, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    answered(clinic, tmp_path, "statistics", *SPAN, "--by", "day", "--csv", file)
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))
    assert [row["日期"] for row in rows] == ["2026-03-02", "合计", "危急值"]
    assert [rows[0][name] for name in ("应上传数", "已上传数", "上传率", "及时率", "合格率")] == [
        "2", "1", "50.00%", "50.00%", "100.00%",
    ]  # fmt: skip
    assert (rows[0]["待人工处理"], rows[0]["未出报告"], rows[0]["总数"]) == ("1", "1", "3")


def test_people_read_the_rates_the_states_and_why(clinic: ExamWorkflow, tmp_path: Path) -> None:
    told = answered(clinic, tmp_path, "statistics", *SPAN, "--by", "month")
    for words in ("2026-03", "50.00%", "critical values", "waits for a person", "held by a person", "ours"):
        assert words in told
    chinese = (CONFIG + CLOUD).replace('language = "en"', 'language = "zh_CN"')
    (tmp_path / "router.toml").write_text(chinese, encoding="utf-8")
    told = answered(clinic, tmp_path, "statistics", *SPAN, "--by", "month")
    for words in ("上传率", "危急值", "待人工处理", "未出报告", "本方"):
        assert words in told
    assert "张三" not in told


def test_a_delivery_after_the_count_is_in_the_next_answer(clinic: ExamWorkflow, tmp_path: Path) -> None:
    answered(clinic, tmp_path, "statistics", *SPAN)
    for channel in Channel:
        for to in (State.WAITING, State.READY, State.SENDING, State.DELIVERED):
            assert clinic.catalogue.queue.move(clinic.delivery(E2, channel), to, clinic.clock.now(), "on the way")
    found = json.loads(answered(clinic, tmp_path, "statistics", *SPAN, "--json"))
    assert (found["total"]["uploaded"], found["misses"]) == (2, [])


def test_days_the_wrong_way_round_and_a_pacs_that_is_not_configured_are_said(
    clinic: ExamWorkflow, tmp_path: Path
) -> None:
    config = ("--config", tmp_path / "router.toml")
    assert command_here("queue", "statistics", "--from", "2026-03-03", "--to", "2026-03-01", *config).returncode == 2
    assert command_here("queue", "statistics", *SPAN, "--pacs", *config).returncode == 2


def test_sources_are_listed_with_what_is_usual_and_one_is_dismissed(clinic: ExamWorkflow, tmp_path: Path) -> None:
    today = SystemClock().now().astimezone(clinic.config.node.timezone)
    start = today.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=20)
    times = [start + timedelta(days=day, minutes=30 * n) for day in range(20) for n in range(48)]
    studies_at(clinic.catalogue, "CT7", times)
    rows = {one["name"]: one for one in json.loads(answered(clinic, tmp_path, "sources", "--json"))}
    assert rows["sender CT7"]["usual"] == 48
    assert not rows["sender CT7"]["dismissed"]
    assert "sender CT7" in answered(clinic, tmp_path, "sources")
    assert "sender CT7" in answered(clinic, tmp_path, "sources", "--dismiss", "CT7", "--why", "sold")
    rows = {one["name"]: one for one in json.loads(answered(clinic, tmp_path, "sources", "--json"))}
    assert rows["sender CT7"]["dismissed"]
    unknown = command_here(
        "queue", "sources", "--dismiss", "CT9", "--why", "x", "--config", tmp_path / "router.toml"
    )  # fmt: skip
    assert unknown.returncode != 0
