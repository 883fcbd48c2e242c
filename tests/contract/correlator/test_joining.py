"""The links of an exam to studies, kept true to the JSON that counts."""

from dataclasses import replace

import pytest

from router.catalogue import Catalogue
from router.catalogue.images.instances import NewInstance
from router.config.sections import Identity
from router.correlator.joining import Joining
from router.events import Event, EventBus
from router.exam.key import ExamKey
from router.matching.images.join import JoinedBy
from router.model import Patient
from support.catalogue_rows import NOW, exam, instance, key

LISTED = replace(key(), study_uids=("1.1",))
HAN = Patient("P1", "张^三", "19491231", "F")


class EvaluatedExam:
    """One exam, evaluated again and again."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.exams = catalogue.exams
        self.events: list[Event] = []
        self.exam = exam(catalogue)
        self._joining = Joining(
            exams=catalogue.exams, decisions=catalogue.decisions, config=Identity(), bus=EventBus(self.events.append)
        )

    def join(self, exam_key: ExamKey) -> bool:
        return self._joining.join(self.exams.case(self.exam), exam_key, NOW)

    @property
    def links(self) -> dict[str, str]:
        return dict(self.exams.case(self.exam).links)


@pytest.fixture
def desk(catalogue: Catalogue) -> EvaluatedExam:
    """Two studies of the exam's patient and accession number are here."""
    catalogue.instances.add([_of("1.1"), _of("1.2")])
    return EvaluatedExam(catalogue)


def _of(study: str) -> NewInstance:
    return instance(study=study, patient=HAN)


def test_listed_studies_join_and_those_of_the_accession_number_beside_them(desk: EvaluatedExam) -> None:
    assert desk.join(LISTED)
    assert desk.links == {"1.1": JoinedBy.LISTED, "1.2": JoinedBy.ACCESSION}
    assert {event.study_uid for event in desk.events} == {"1.1", "1.2"}


def test_joining_again_changes_nothing_and_tells_nothing(desk: EvaluatedExam) -> None:
    desk.join(LISTED)
    desk.events.clear()
    assert not desk.join(LISTED)
    assert not desk.events


def test_a_study_that_is_no_longer_listed_stays_joined_by_its_accession_number(desk: EvaluatedExam) -> None:
    desk.join(LISTED)
    assert desk.join(replace(LISTED, study_uids=()))
    assert desk.links == {"1.1": JoinedBy.ACCESSION, "1.2": JoinedBy.ACCESSION}


def test_a_study_that_nothing_names_any_more_is_unlinked(desk: EvaluatedExam) -> None:
    desk.join(LISTED)
    assert desk.join(replace(LISTED, study_uids=(), accession_number="A2"))
    assert desk.links == {}


def test_what_a_person_joined_stays(desk: EvaluatedExam) -> None:
    desk.exams.links.link(desk.exam, ["9.9"], JoinedBy.PERSON, NOW)
    desk.join(LISTED)
    assert not desk.join(LISTED)
    assert desk.links["9.9"] == JoinedBy.PERSON


def test_a_study_that_comes_later_is_found_among_those_that_were_joined_before(
    desk: EvaluatedExam, catalogue: Catalogue
) -> None:
    desk.join(LISTED)
    catalogue.instances.add([_of("1.3")])
    assert desk.join(LISTED)
    assert desk.links["1.3"] == JoinedBy.ACCESSION
