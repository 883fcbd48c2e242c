"""Rows of the database in which bits have flipped: what they decide is held, and the node goes on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from router.model import Channel
from router.policy.states import State
from support.harness import Exam, Site, command_here, make_exam, send_all

MINE = "exam_id = (SELECT id FROM exam WHERE exam_id = ?) AND channel = ?"


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("rotten-rows"), stable_after="300 ms")
    try:
        yield site.start()
    finally:
        site.stop()


def arrives(site: Site, exam: Exam, *, approved: bool = True) -> None:
    send_all(site.port, exam.study.files)
    site.drop(f"{exam.id}.pdf", exam.pdf(site.folder))
    site.drop(f"{exam.id}.json", exam.json(approved=approved))


def rot(site: Site, column: str, value: bytes, exam: Exam, channel: Channel) -> None:
    """Other bytes in a row of the exam's, perhaps none that are text."""
    with closing(sqlite3.connect(site.data / "router.db", timeout=20)) as connection, connection:
        sql = f"UPDATE delivery SET {column} = CAST(? AS TEXT) WHERE {MINE}"
        assert connection.execute(sql, (value, exam.id, channel)).rowcount == 1


def held(site: Site, exam: Exam, channel: Channel) -> str:
    """Why it is held; "" while it is not."""
    with closing(sqlite3.connect(site.data / "router.db", timeout=20)) as connection:
        sql = f"SELECT error FROM delivery WHERE state = 'held' AND held_by = 'person' AND {MINE}"
        return "".join(error for (error,) in connection.execute(sql, (exam.id, channel)))


def test_what_they_decide_is_held_with_the_place_of_the_damage_and_everything_else_goes(site: Site) -> None:
    done, waits, goes = (make_exam(site, number) for number in (1, 2, 3))
    arrives(site, done)
    arrives(site, waits, approved=False)
    site.wait_for(State.DELIVERED, done.id)
    site.wait_for(State.WAITING, waits.id)
    rot(site, "state", b"\xe4elivered", done, Channel.IMAGES)
    rot(site, "channel", b"", waits, Channel.REPORT)
    site.drop(f"{waits.id}.json", waits.json(minutes_ago=1))
    arrives(site, goes)
    site.wait_for(State.DELIVERED, goes.id)
    site.wait_until(lambda: "delivery.state of row" in held(site, done, Channel.IMAGES), "it is held", 60)
    site.wait_until(lambda: "delivery.channel of row" in held(site, waits, Channel.REPORT), "it is held, too", 60)
    assert site.receipts(waits.id) == []
    assert site.is_in(State.DELIVERED, done.id, [Channel.REPORT])
    assert "defect" not in site.log
    name, why = f"d{site.line(done.id, Channel.IMAGES).delivery.id}", "it is at the platform"
    again = command_here("queue", "release", name, "--why", why, "--yes", "--config", site.config_file)
    assert again.returncode == 0, again.stdout + again.stderr
    site.wait_for(State.DELIVERED, done.id)
    assert set(site.stored_requests().values()) == {1}, "the ledger knows what was sent"
