"""Reconciliation of a day's exams."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from router.catalogue.images.ledger import Fate, Outcome
from router.model import Channel
from router.policy.states import State
from router.reports.pdf.reader import Readers
from support.exam_workflow import CLOUD, ExamWorkflow
from support.harness import command_here
from support.intake_folder import CONFIG, E1, E2, START

STUDY = "1.2.3"
APPROVED = f"{START + timedelta(hours=7, minutes=59):%Y-%m-%d %H:%M:%S}"  # a minute ago, in Beijing
EXAM: dict[str, object] = {"Study__StudyInstanceUIDs": [STUDY], "Report__ApproveTime": APPROVED}


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    (tmp_path / "router.toml").write_text(CONFIG + CLOUD, encoding="utf-8")
    (tmp_path / "k").touch()
    made = ExamWorkflow(tmp_path, readers)
    yield made
    made.catalogue.engine.close_thread()


def reconciled(folder: Path, *options: str) -> tuple[int, Any]:
    answer = command_here("queue", "reconcile", "--config", folder / "router.toml", "--json", *options)
    return answer.returncode, json.loads(answer.stdout)


def sent(clinic: ExamWorkflow, fate: Fate = Fate.SENT) -> None:
    exam = clinic.delivery().exam
    rows = clinic.catalogue.ledger.to_send(exam, "cloud", 99)
    clinic.catalogue.ledger.record(
        [Outcome(key=one.key, fate=fate, status=0, association="a") for one in rows], clinic.clock.now()
    )


def delivered(clinic: ExamWorkflow) -> None:
    for channel in Channel:
        while (one := clinic.delivery(E1, channel)).state != State.DELIVERED:
            to = {State.WAITING: State.READY, State.READY: State.SENDING}.get(one.state, State.DELIVERED)
            assert clinic.catalogue.queue.move(one, to, clinic.clock.now(), "on the way")


def test_an_exam_of_which_all_is_confirmed_has_no_gap(clinic: ExamWorkflow, tmp_path: Path) -> None:
    clinic.ris(Study__ImageCount=2, **EXAM)
    for number in (1, 2):
        clinic.pacs(STUDY, number=number)
    sent(clinic)
    delivered(clinic)
    status, answer = reconciled(tmp_path, "--day", "2026-03-02")
    [account] = answer["accounts"]
    assert (status, account["gaps"]) == (0, [])
    assert [account[name] for name in ("expected", "received", "selected", "sent", "confirmed")] == [2, 2, 2, 2, 2]
    assert (account["report"], account["images"]) == ("delivered", "delivered")


def test_every_gap_is_named(clinic: ExamWorkflow, tmp_path: Path) -> None:
    clinic.ris(Study__ImageCount=3, **EXAM)
    clinic.pacs(STUDY, number=1)
    sent(clinic, Fate.STORED)
    clinic.pacs(STUDY, number=2)
    status, answer = reconciled(tmp_path, "--day", "2026-03-02")
    [account] = answer["accounts"]
    assert (status, answer["gaps"]) == (1, 1)
    assert [account[name] for name in ("expected", "received", "selected", "sent", "confirmed")] == [3, 2, 2, 1, 0]
    assert account["gaps"][:3] == [
        "2 images have come, the exam JSON's ImageCount (影像数量) says 3", "1 selected, not sent",
        "1 sent, not confirmed",
    ]  # fmt: skip
    assert any(gap.startswith("report waiting") for gap in account["gaps"])
    shown = command_here("queue", "reconcile", "--config", tmp_path / "router.toml", "--day", "2026-03-02")
    assert shown.returncode == 1
    assert "1 exam(s) at 1 destination(s), 1 exam(s) with gaps" in shown.stdout


def test_only_exams_approved_on_the_day_count_and_none_that_is_not_shared(clinic: ExamWorkflow, tmp_path: Path) -> None:
    clinic.ris(**EXAM)
    clinic.ris(E2, **(EXAM | {"Order__Status": "Registered", "Study__StudyInstanceUIDs": ["1.2.9"]}))
    for channel in Channel:
        one = clinic.delivery(E1, channel)
        assert clinic.catalogue.queue.move(one, State.CANCELLED, clinic.clock.now(), "test patient")
    assert reconciled(tmp_path, "--day", "2026-03-02") == (0, {"accounts": [], "gaps": 0})
    assert reconciled(tmp_path, "--day", "2026-03-01") == (0, {"accounts": [], "gaps": 0})
