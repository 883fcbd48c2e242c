"""What each release left is loaded by today's node: nothing is lost, nothing is sent again."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

import kept_release
from kept_release import FOLDER, Kept
from router.model import Channel
from router.policy.states import State
from support.harness import command_here

_RELEASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
# Columns of every release; what people and destinations decided is in them.
_QUESTIONS = (
    "SELECT id, branch, exam_id, revisions, approved_at FROM exam ORDER BY id",
    "SELECT id, exam_id, destination, channel, state, held_by, delivered_at FROM delivery ORDER BY id",
    "SELECT id, destination, instance_id, study, state, rule, status, association FROM ledger ORDER BY id",
    "SELECT exam_id, digest, text, who, why FROM disagreement WHERE who <> '' ORDER BY exam_id, digest",
    "SELECT id, delivery_id, n, idem, wanted, receipt, receipt_place, confirmed FROM upload ORDER BY id",
    "SELECT id, exam_id, kind, revision, digest, place FROM document ORDER BY id",
    "SELECT exam_id, study_uid FROM exam_study ORDER BY exam_id, study_uid",
    "SELECT id, study_id, sop_uid, version, digest FROM instance ORDER BY id",
)
_STATES = {
    "EXM7183-0001": (State.DELIVERED, State.DELIVERED),
    "EXM7183-0002": (State.DELIVERED, State.DELIVERED),
    "EXM7183-0003": (State.HELD, State.HELD),
    "EXM7183-0004": (State.DELIVERED, State.DELIVERED),
    "EXM7183-0005": (State.FAILED, State.DELIVERED),
    "EXM7183-0006": (State.WAITING, State.WAITING),
    "EXM7183-0007": (State.HELD, State.HELD),
    "EXM7183-0008": (State.DELIVERED, State.DELIVERED),
    "EXM7183-1008": (State.DELIVERED, State.DELIVERED),
}


@pytest.fixture(params=_RELEASES)
def kept(request: pytest.FixtureRequest) -> Path:
    """What a release left."""
    return FOLDER / str(request.param)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, kept: Path, tmp_path: Path) -> Iterator[Kept]:
    """A copy of it, on each engine, not yet started."""
    url = ""
    if request.param == "postgresql":
        url = kept_release.restore(kept, request.getfixturevalue("postgres"), f"kept_{kept.name.replace('.', '_')}")
    found = Kept(kept, tmp_path / "site", url)
    if url:
        (found.data / "router.db").unlink()
        shutil.rmtree(found.data / "backup")
    try:
        yield found
    finally:
        found.stop()


def test_todays_node_finds_everything_that_a_release_left_and_sends_nothing_again(site: Kept) -> None:
    rows, files, trail = _rows(site), _files(site), _trail(site)
    _ask(site, "UPDATE exam SET check_at = 1")
    site.start()
    site.wait_until(lambda: _evaluated(site), "every exam is evaluated, and what may go has gone")
    fresh = site.line("EXM7183-0006", Channel.REPORT).delivery
    assert fresh.waiting_for
    assert {exam: _states(site, exam) for exam in _STATES} == _STATES
    assert _changes(rows, _rows(site)) == []
    assert _ask(site, "SELECT value FROM setting WHERE name = 'checks'") == [("1",)]
    assert files.items() <= _files(site).items()
    assert _trail(site).startswith(trail)
    assert not site.stored_requests()
    assert not list(site.platform_data.glob("exams/*"))

    for call in ("verify", "status", "audit verify"):
        assert _answer(site, *call.split()).returncode == 0
    listed = json.loads(_answer(site, "queue", "list", "--json").stdout)
    assert {one["exam_id"] for one in listed} >= {"EXM7183-0003", "EXM7183-0005", "EXM7183-0006"}
    judged = json.loads(_answer(site, "queue", "recheck", "--since", "36500d", "--json").stdout)
    assert (judged["exams"], judged["held"], judged["not_judged"]) == (6, 0, [])
    told = _answer(site, "queue", "explain", "EXM7183-0004").stdout
    assert "the number was typed wrong at the scanner" in told


def test_what_a_release_left_waiting_goes_with_todays_node(site: Kept) -> None:
    site.start()
    exam = "EXM7183-0006"
    document = json.loads((site.drop_folder / "done" / f"{exam}.json").read_bytes())
    document["Report"]["ApproveTime"] = document["Report"]["SubmitTime"]
    document["Order"]["Status"] = "Reported"
    site.drop(f"{exam}.json", json.dumps(document, ensure_ascii=False).encode())
    site.wait_for(State.DELIVERED, exam, (Channel.IMAGES,))
    assert len(site.stored_requests()) == 2


def _answer(site: Kept, *call: str) -> Any:
    answer = command_here(*call, "--config", site.config_file)
    assert answer.returncode == 0, (call, answer.stdout, answer.stderr)
    return answer


def _states(site: Kept, exam: str) -> tuple[State, ...]:
    return tuple(site.line(exam, channel).delivery.state for channel in (Channel.REPORT, Channel.IMAGES))


def _evaluated(site: Kept) -> bool:
    under_way = "SELECT 1 FROM delivery WHERE state IN ('ready', 'sending', 'deferred')"
    return not _ask(site, f"SELECT 1 FROM exam WHERE check_at = 1 UNION ALL {under_way}")


def _ask(site: Kept, statement: str) -> list[tuple[Any, ...]]:
    if site.url:
        with psycopg.connect(site.url) as connection:
            answer = connection.execute(statement.encode())
            return answer.fetchall() if answer.description else []
    with closing(sqlite3.connect(site.data / "router.db")) as database, database:
        return database.execute(statement).fetchall()


def _rows(site: Kept) -> dict[str, list[tuple[Any, ...]]]:
    return {question: _ask(site, question) for question in _QUESTIONS}


def _changes(before: dict[str, list[tuple[Any, ...]]], after: dict[str, list[tuple[Any, ...]]]) -> list[Any]:
    return [(old, new) for question, rows in before.items() for old, new in zip(rows, after[question], strict=True)
            if old != new]  # fmt: skip


def _files(site: Kept) -> dict[str, bytes]:
    folders = (site.data / "studies", site.data / "reports")
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(site.data)): path.read_bytes() for path in found}


def _trail(site: Kept) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((site.data / "audit").rglob("*.jsonl")))
