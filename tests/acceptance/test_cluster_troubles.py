"""Two nodes on one database, one with its clock twenty minutes ahead, then frozen within a transaction, then dead."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from router.catalogue.db.engine import _NAME_LOCK
from router.policy.states import State
from support import wrong_clock
from support.cluster import Cluster
from support.harness import command_here, make_exam, send_all, wait_for
from support.postgres import Server

AHEAD = 1200
SKEWED = (wrong_clock.__file__, str(AHEAD))
# Of a session that has the lock of a study and waits for a table.
_WAITS = f"""
    SELECT mine.pid FROM pg_locks mine JOIN pg_locks other ON other.pid = mine.pid
    WHERE mine.locktype = 'advisory' AND mine.classid = {_NAME_LOCK} AND mine.granted
    AND other.locktype = 'relation' AND NOT other.granted
"""
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


class Pair(Cluster):
    """Two nodes, the first with a wrong clock; `config` is that of the second, which is well."""

    def __init__(self, folder: Path, url: str) -> None:
        import psycopg

        super().__init__(folder, url, 2, program=wrong_clock.program(AHEAD))
        self.config = folder / "node2.toml"
        self.database: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.database.execute(sql.encode()).fetchall()

    def alarms(self, kind: str) -> dict[str, str]:
        return dict(self.rows(f"SELECT subject, text FROM open_alarm WHERE alarm = '{kind}'"))

    def catalogued(self, study: str) -> int:
        joined = f"FROM instance i JOIN study s ON s.id = i.study_id WHERE s.uid = '{study}'"
        ((found,),) = self.rows(f"SELECT COUNT(*) {joined}")
        return int(found)

    def status(self) -> list[str]:
        return command_here("status", "--config", self.config).stdout.splitlines()

    def forget(self, name: str) -> "subprocess.CompletedProcess[str]":
        return command_here("queue", "node", "forget", name, "--why", "scrapped", "--config", self.config)

    def stop(self) -> None:
        if self.site.node.running:
            os.kill(self.site.node.number, signal.SIGCONT)
        super().stop()
        self.database.close()


@pytest.fixture(scope="module")
def pair(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    found = Pair(tmp_path_factory.mktemp("troubles"), server.new_schema())
    try:
        yield found
    finally:
        found.stop()


def test_a_node_twenty_minutes_ahead_holds_nothing_up_and_is_told_of(pair: Pair) -> None:
    site = pair.site
    exam = make_exam(site, 1, instances=6, side=10)
    for port, half in zip(pair.ports, (exam.study.files[:3], exam.study.files[3:]), strict=True):
        send_all(port, half)
    site.report(exam)
    site.wait_for(State.DELIVERED, exam.id)
    site.assert_images_equal(exam.study)
    now = datetime.now(UTC)
    for table, column in (("instance", "received"), ("event", "at"), ("delivery", "changed")):
        ((least, most),) = pair.rows(f"SELECT MIN({column}), MAX({column}) FROM {table}")
        for found in (least, most):
            assert abs(datetime.fromtimestamp(found / 1e6, UTC) - now) < timedelta(minutes=3), (table, column)
    alarms = pair.alarms("clock")
    assert list(alarms) == ["clock of node1"]
    assert "s ahead of the database's" in alarms["clock of node1"]

    call = [sys.executable, *SKEWED, "doctor", "--json", "--config", str(site.config_file)]
    told = json.loads(subprocess.run(call, capture_output=True, text=True, timeout=40, check=False).stdout)
    (clock,) = [one for one in told if "the database's" in one["text"]]
    assert (clock["verdict"], clock["text"][:20]) == ("fail", "this machine's is 12")
    told = json.loads(command_here("doctor", "--json", "--config", pair.config).stdout)
    assert [one["verdict"] for one in told if "the database's" in one["text"]] == ["ok"]


def test_a_node_that_freezes_within_a_transaction_stops_nobody_and_is_missed_until_it_goes_on_or_is_forgotten(
    pair: Pair,
) -> None:
    site, exam = pair.site, make_exam(pair.site, 2, instances=6, side=10)
    with pair.database.transaction():
        pair.database.execute("LOCK TABLE instance IN ACCESS EXCLUSIVE MODE")
        send_all(pair.ports[0], exam.study.files[:1])
        wait_for(lambda: bool(pair.rows(_WAITS)), 20)
        ((session,),) = pair.rows(_WAITS)
        os.kill(site.node.number, signal.SIGSTOP)
    send_all(pair.ports[1], exam.study.files[1:])  # of the study that node1 has locked
    site.wait_until(lambda: pair.catalogued(exam.study.uid) == 5, "node2 goes on", 30)
    assert pair.rows(f"SELECT 1 FROM pg_stat_activity WHERE pid = {session}") == []
    assert pair.waiting(1) == 1
    site.wait_until(lambda: "node node1" in pair.alarms("node-silent"), "node1 is missed")
    assert any("node1" in line and "silent" in line for line in pair.status())
    lives = pair.forget("node2")
    assert (lives.returncode, "lives" in lives.stderr) == (1, True)

    os.kill(site.node.number, signal.SIGCONT)
    site.wait_until(lambda: not pair.alarms("node-silent"), "node1 is back")
    site.report(exam)
    site.wait_for(State.DELIVERED, exam.id, seconds=40)
    site.assert_images_equal(exam.study)
    assert pair.waiting(1) == 0
    assert max(site.stored_requests().values()) == 1
    assert len(site.receipts(exam.id)) == 1

    site.node.kill()
    site.wait_until(lambda: "is dead" in pair.alarms("node-silent").get("node node1", ""), "it is told that it is dead")
    assert "went over to the node node2" in pair.alarms("node-silent")["node node1"]
    assert any(line.startswith("Absent nodes: node1 dead") for line in pair.status())
    gone = pair.forget("node1")
    assert (gone.returncode, gone.stdout) == (0, "the node node1 is forgotten\n")
    assert (pair.alarms("node-silent"), pair.alarms("clock")) == ({}, {})
    assert pair.rows("SELECT who != 'node' FROM event WHERE text = 'the node node1 was removed: scrapped'") == [(True,)]
    assert not any("node1" in line for line in pair.status() if line.startswith(("Nodes", "Absent")))
    assert pair.further[0].stop() == 0
