"""Images that no exam JSON names, through the running node: seen wherever one looks; an alarm until one is named."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from router.clock import SystemClock
from router.config.file import load
from router.correlator.holidays import Holidays
from router.model import Channel
from router.policy.states import State
from support.harness import Exam, Site, command, make_exam, send_all


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, accept_empty=["Patient.IdNo"])
    yield made
    made.stop()


def _long_ago(site: Site) -> date:
    """A working day whose reports are due since yesterday at the latest."""
    config = load(site.config_file)
    days = Holidays(config.study.holidays).reading().days
    back = SystemClock().now().astimezone(config.node.timezone).date() - timedelta(days=5)
    return next(day for n in range(30) if days.has(day := back - timedelta(days=n)))


def _made_then(site: Site, exams: list[Exam], sender: str, day: date) -> None:
    """As if the sender had made and sent them in the morning of that day."""
    zone = load(site.config_file).node.timezone
    came = round(datetime.combine(day, time(9), zone).astimezone(UTC).timestamp() * 1e6)
    with closing(sqlite3.connect(site.data / "router.db")) as database, database:
        for exam in exams:
            values = (sender, f"{day:%Y%m%d}", came, came, exam.study.uid)
            database.execute(
                "UPDATE study SET sending_ae = ?, study_date = ?, first_received = ?, last_received = ? WHERE uid = ?",
                values,
            )
            database.execute("UPDATE exam_study SET since = ? WHERE study_uid = ?", (came, exam.study.uid))


def _status(site: Site) -> Any:
    return json.loads(command("status", "--json", "--config", site.config_file).stdout)


def _alarms(site: Site) -> list[str]:
    return [one["about"] for one in _status(site)["alarms"] if one["alarm"] == "unreported"]


def test_a_sender_whose_reports_never_come_is_told_until_one_comes(site: Site) -> None:
    site.start()
    exams = [make_exam(site, number, instances=1, side=8) for number in range(1, 5)]
    for exam in exams:
        send_all(site.port, exam.study.files)
    *silent, good = exams
    site.report(good)
    site.wait_for(State.DELIVERED, good.id, (Channel.IMAGES,))
    assert site.node.stop() == 0
    day = _long_ago(site)
    _made_then(site, silent, "CT2", day)
    _made_then(site, [good], "CT1", day)

    assert site.node.running
    site.wait_until(lambda: _alarms(site) == ["sender CT2"], "the alarm stands")
    answer = command("queue", "unreported", "--json", "--config", site.config_file)
    listed = json.loads(answer.stdout)
    assert {one["study"] for one in listed} == {exam.study.uid for exam in silent}
    assert {(one["sender"], one["address"], one["recent"]) for one in listed} == {("CT2", "127.0.0.1", True)}
    assert _status(site)["unreported"]["recent"] == 3
    url = f"http://127.0.0.1:{site.node.ports['admin']}/metrics"
    with urllib.request.urlopen(url, timeout=5) as page:
        assert b'router_unreported_studies{sender="CT2"} 3.0' in page.read()

    site.report(silent[0])
    site.wait_until(lambda: _status(site)["unreported"]["count"] == 2, "the report takes its study from the count")
    assert site.node.stop() == 0
    assert site.node.running
    site.wait_until(lambda: _alarms(site) == [], "the alarm has ended")
    for exam in exams:
        for secret in exam.secrets():
            assert secret not in answer.stdout
            assert secret not in site.log
