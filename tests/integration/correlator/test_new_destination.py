"""A destination that is configured while exams are here: which of them it gets."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from router.catalogue.images.ledger import Fate, Outcome
from router.model import Channel
from router.policy.states import OPEN, State
from router.reports.pdf.reader import Readers
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1, START

STUDY = "1.2.3"
APPROVED = f"{START + timedelta(hours=7, minutes=59):%Y-%m-%d %H:%M:%S}"  # a minute ago, in Beijing


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers)
    yield made
    made.catalogue.engine.close_thread()


def ris(clinic: ExamWorkflow, **changes: object) -> None:
    clinic.ris(E1, Study__StudyInstanceUIDs=[STUDY], Report__ApproveTime=APPROVED, **changes)


def deliver_all(clinic: ExamWorkflow) -> None:
    """The destination confirms what there is."""
    clinic.later(minutes=31)
    queue, now, exam = clinic.catalogue.queue, clinic.clock.now(), clinic.case().exam
    for name in destinations(clinic):
        rows = clinic.catalogue.ledger.to_send(exam, name, 9)
        assert rows
        clinic.catalogue.ledger.record(
            [Outcome(key=one.key, fate=Fate.SENT, status=0, association="a") for one in rows], now
        )
    for one in queue.of_exam(exam):
        for to in (State.READY, State.SENDING, State.DELIVERED):
            found = queue.get(one.id)
            assert found is not None
            if found.state != to:
                assert queue.move(found, to, now, "said by the test", changes={"delivered": found.wanted})


def add(clinic: ExamWorkflow, name: str) -> None:
    first = clinic.config.destination[0]
    more = clinic.config.model_copy(update={"destination": (first, first.model_copy(update={"name": name}))})
    clinic.correlator.reconfigure(more)


def destinations(clinic: ExamWorkflow) -> set[str]:
    return {one.destination for one in clinic.catalogue.queue.of_exam(clinic.case().exam)}


def test_it_gets_an_exam_that_is_on_its_way(clinic: ExamWorkflow) -> None:
    ris(clinic)
    add(clinic, "second")
    clinic.later(minutes=31)
    assert destinations(clinic) == {"cloud", "second"}


def test_it_does_not_get_an_exam_that_was_delivered_whenever_that_is_evaluated_again(clinic: ExamWorkflow) -> None:
    ris(clinic)
    clinic.pacs(STUDY)
    deliver_all(clinic)
    add(clinic, "second")
    clinic.exams.request_evaluation([clinic.case().exam], clinic.clock.now())
    clinic.later(hours=2)
    assert destinations(clinic) == {"cloud"}


def test_it_gets_a_delivered_exam_that_changes(clinic: ExamWorkflow) -> None:
    ris(clinic)
    clinic.pacs(STUDY)
    deliver_all(clinic)
    add(clinic, "second")
    clinic.pacs(STUDY, number=2)
    assert destinations(clinic) == {"cloud", "second"}
    second = [o for o in clinic.catalogue.queue.of_exam(clinic.case().exam) if o.destination == "second"]
    assert {one.channel for one in second} == set(Channel)
    assert all(one.state in OPEN for one in second)


def test_one_that_takes_the_place_of_another_gets_a_delivered_exam_that_changes(clinic: ExamWorkflow) -> None:
    """The deliveries to the one that is gone stay, so their number says nothing."""
    add(clinic, "gone")
    ris(clinic)
    clinic.pacs(STUDY)
    deliver_all(clinic)
    add(clinic, "second")
    clinic.pacs(STUDY, number=2)
    assert destinations(clinic) == {"cloud", "gone", "second"}


def rename(clinic: ExamWorkflow, name: str) -> None:
    """The one destination has another name in the configuration."""
    first = clinic.config.destination[0]
    renamed = clinic.config.model_copy(update={"destination": (first.model_copy(update={"name": name}),)})
    clinic.correlator.reconfigure(renamed)


def test_a_correction_goes_to_a_destination_that_was_renamed_once_a_person_says_so_and_nothing_goes_twice(
    clinic: ExamWorkflow,
) -> None:
    ris(clinic)
    clinic.pacs(STUDY)
    deliver_all(clinic)
    rename(clinic, "cloud-2")
    ris(clinic, Report__Impression="纠正后的结论")
    clinic.later(minutes=31)
    assert all(one.state == State.DELIVERED for one in clinic.catalogue.queue.of_exam(clinic.case().exam))
    assert destinations(clinic) == {"cloud"}, "nobody knows that it is the same receiver"
    clinic.catalogue.renaming.rename("cloud", "cloud-2", clinic.clock.now())
    clinic.later(minutes=31)
    states = {one.channel: one.state for one in clinic.catalogue.queue.of_exam(clinic.case().exam)}
    assert destinations(clinic) == {"cloud-2"}
    assert states[Channel.REPORT] in OPEN, "the correction is on its way"
    assert states[Channel.IMAGES] == State.DELIVERED
    assert not clinic.catalogue.ledger.to_send(clinic.case().exam, "cloud-2", 9)
