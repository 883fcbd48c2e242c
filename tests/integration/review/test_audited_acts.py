"""What a person does is in the audit trail before it is done: no crash in between leaves an act unaudited."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router.catalogue.db.engine import Engine
from router.catalogue.queue.queue import Delivery
from router.cli.opened import opened, trail_of
from router.clock import SystemClock
from router.errors import TransientError
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.review.decisions import Decisions
from router.review.deliveries import Review
from support.exam_workflow import WANG, ExamWorkflow
from support.intake_folder import E1


class PowerLost(BaseException):
    """Nothing after this point happens."""


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    """An exam that is held, since its images bear another patient's number."""
    made = ExamWorkflow(tmp_path, readers)
    made.ris(Study__StudyInstanceUIDs=["1.2.3"])
    made.pacs("1.2.3", patient_id="P9", name="李^四")
    assert made.delivery().state == State.HELD
    yield made
    made.catalogue.engine.close_thread()


def audited(clinic: ExamWorkflow) -> list[str]:
    return [one.message for one in trail_of(clinic.config, clinic.config.node.owner).records()]


def told(clinic: ExamWorkflow) -> list[str]:
    return [event.text for _, event in clinic.catalogue.history.of([clinic.case(E1).exam], [])]


def resolve(clinic: ExamWorkflow) -> None:
    with opened(clinic.config) as (catalogue, bus):
        decisions = Decisions(clinic.config.identity, catalogue, bus, SystemClock())
        decisions.resolve(E1, WANG)


def alias(clinic: ExamWorkflow) -> None:
    with opened(clinic.config) as (catalogue, bus):
        decisions = Decisions(clinic.config.identity, catalogue, bus, SystemClock())
        decisions.alias("P0001", "P9", WANG)


def review(act: Callable[[Review, Delivery, str, str], bool]) -> Callable[[ExamWorkflow], None]:
    def run(clinic: ExamWorkflow) -> None:
        with opened(clinic.config) as (catalogue, _):
            found = Review(catalogue, SystemClock())
            chosen = found.named([E1])
            found.each(chosen, lambda one: act(found, one, "asked the ward", "wang"), lambda _: None)

    return run


ACTS = {
    "hold": review(Review.hold), "release": review(Review.confirm), "cancel": review(Review.cancel),
    "resolve": resolve, "alias": alias,
}  # fmt: skip


@pytest.mark.parametrize("name", ACTS)
def test_power_that_fails_before_the_commit_leaves_the_act_audited_and_not_done(
    clinic: ExamWorkflow, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clinic.delivery(), told(clinic)

    def failing(engine: Engine, seal: Callable[[], None]) -> None:
        def fail() -> None:
            seal()
            if any("asked the ward" in message for message in audited(clinic)):
                raise PowerLost

        engine._seal = fail

    monkeypatch.setattr(Engine, "before_commit", failing)
    with pytest.raises(PowerLost):
        ACTS[name](clinic)
    assert any("asked the ward" in message for message in audited(clinic))
    assert (clinic.delivery(), told(clinic)) == before


@pytest.mark.parametrize("name", ACTS)
def test_an_act_that_cannot_be_audited_is_not_done(clinic: ExamWorkflow, name: str) -> None:
    before = clinic.delivery(), told(clinic)
    shutil.rmtree(clinic.config.node.data / "audit", ignore_errors=True)
    (clinic.config.node.data / "audit").write_text("not a folder")
    with pytest.raises(TransientError, match="audited"):
        ACTS[name](clinic)
    assert (clinic.delivery(), told(clinic)) == before
    assert not clinic.catalogue.decisions.aliases()


def test_each_act_is_audited_once_in_one_chain(clinic: ExamWorkflow) -> None:
    for act in ACTS.values():
        act(clinic)
    messages = [message for message in audited(clinic) if "asked the ward" in message]
    assert len(messages) >= len(ACTS)
    assert len(set(messages)) == len(messages)
    assert trail_of(clinic.config, clinic.config.node.owner).verify().faults == ()
