"""Commands in the node's language: Chinese unless it is set, the same columns, and JSON in English in any case."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from router.alarms import Alarm
from router.catalogue import open_catalogue
from router.events import Event, EventBus, Kind
from support.bulk_rows import fill
from support.catalogue_rows import NOW
from support.harness import command_here

CONFIGURATION = """
[node]
data = "data"
name = "node"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[receive]
port = 1
[admin]
port = 0
"""
DOUBT = "identity: study 1.2.3 differs from the exam in patient id"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chinese")
    (folder / "data").mkdir()
    (folder / "router.toml").write_text(CONFIGURATION, encoding="utf-8")
    fill(folder / "data")
    bus = EventBus()
    catalogue = open_catalogue("", folder / "data", bus)
    bus.record(Event(NOW, Kind.ALARM, DOUBT, exam=5, alarm=Alarm.DOUBT, subject="e5"))
    catalogue.engine.close_thread()
    return folder / "router.toml"


def said(config: Path, *words: str) -> str:
    return command_here(*words, "--config", config).stdout


def test_status_is_chinese_unless_another_language_is_set(config: Path) -> None:
    shown = said(config, "status")
    for word in ("节点 node", "磁盘：", "等待人工处理：", "告警：当前 1 条", "待发送", "患者身份存疑", "e5"):
        assert word in shown, word
    assert "身份：检查影像 1.2.3 与检查在以下方面不同：患者ID" in shown
    assert "`queue resolve`" in shown, "commands are what is typed"


def test_json_is_english_in_any_language(config: Path) -> None:
    found = json.loads(said(config, "status", "--json"))
    assert [(one["alarm"], one["about"], one["text"]) for one in found["alarms"]] == [("doubt", "e5", DOUBT)]
    listed = json.loads(said(config, "queue", "list", "--limit", "1", "--json"))
    assert (listed[0]["state"], listed[0]["channel"]) == ("ready", "images")
    assert all(one["verdict"] in ("ok", "warn", "fail") for one in json.loads(said(config, "doctor", "--json")))


def test_the_queue_s_columns_stand_below_one_another_in_chinese(config: Path) -> None:
    head, *rows = said(config, "queue", "list", "--limit", "3").splitlines()
    start = cell_len(head[: head.index("状态")])
    assert len(rows) == 3
    for row in rows:
        at = row.index("待发送")
        assert cell_len(row[:at]) == start


def test_an_exam_s_story_is_chinese(config: Path) -> None:
    shown = said(config, "queue", "explain", "e5")
    for word in ("检查 E5（分院 01，本节点编号 5）", "影像到 cloud：已挂起", "告警 患者身份存疑", "事件", "将重新评估"):
        assert word in shown, word
    assert "since" not in shown


def test_doctor_is_chinese(config: Path) -> None:
    shown = said(config, "doctor")
    for word in ("正常  密码算法", "警告  共用影像", "磁盘", "未配置目的地"):
        assert word in shown, word


@pytest.mark.parametrize(("environment", "encoding"), [
    ({"LC_ALL": "C"}, "utf-8"), ({"PYTHONIOENCODING": "ascii"}, "utf-8"), ({"PYTHONIOENCODING": "gb18030"}, "gb18030"),
])  # fmt: skip
def test_the_terminal_s_locale_does_not_matter(config: Path, environment: dict[str, str], encoding: str) -> None:
    command = [sys.executable, "-m", "router.cli", "status", "--config", str(config)]
    done = subprocess.run(command, check=False, capture_output=True, env={**os.environ, **environment})
    assert done.stderr == b""
    assert "等待人工处理" in done.stdout.decode(encoding)


def test_english_is_a_setting(config: Path) -> None:
    english = config.with_name("english.toml")
    english.write_text(CONFIGURATION.replace("[node]", '[node]\nlanguage = "en"'), encoding="utf-8")
    assert "Waits for a person: " in said(english, "status")
    english.write_text(CONFIGURATION.replace("[node]", '[node]\nlanguage = "de"'), encoding="utf-8")
    answer = command_here("queue", "list", "--config", english)
    assert answer.returncode == 2
    assert "node.language" in answer.stderr
