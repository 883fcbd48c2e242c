"""The contract of hospitals and studies: no link joins an exam to a study of others, in any order of arrival."""

from dataclasses import replace

import pytest

from router.catalogue import Catalogue
from router.catalogue.exams.decisions import Alias
from router.catalogue.images.instances import NewInstance
from router.matching.images.join import JoinedBy
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, around_json, instance, key

STUDY = "1.2"


def brought(hospital: str, study: str = STUDY, number: int = 1, accession: str = "A1") -> NewInstance:
    return replace(instance(number, study, accession=accession), hospital=hospital)


def exam_of(catalogue: Catalogue, hospital: str, *studies: str, exam_id: str = "E1") -> int:
    """An exam of the hospital; its branch and ExamId are every hospital's."""
    number = catalogue.exams.number_of(hospital, "01", exam_id, NOW)
    catalogue.exams.describe(number, replace(key(), hospital=hospital, exam_id=exam_id))
    catalogue.exams.links.link(number, studies, JoinedBy.LISTED, NOW)
    return number


def due(catalogue: Catalogue, *checked: int) -> set[int]:
    """The exams that are to be evaluated, after these were."""
    for exam in checked:
        catalogue.exams.checked(catalogue.exams.case(exam), None, None, "")
    return set(catalogue.exams.to_check(NOW, 100))


def test_the_same_branch_and_exam_id_are_an_exam_of_each_hospital(catalogue: Catalogue) -> None:
    one, other = exam_of(catalogue, "a"), exam_of(catalogue, "b")
    assert one != other
    assert around_json(catalogue, replace(key(), hospital="b")).exam == other


def test_a_study_of_a_sole_hospital_has_no_row(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(study=STUDY)])
    assert catalogue.instances.hospitals_of(STUDY) == frozenset()
    exam = exam_of(catalogue, "", STUDY)
    assert catalogue.exams.case(exam).studies[STUDY].hospitals == frozenset()


def test_an_exam_is_not_joined_to_a_study_of_another_hospital_and_says_that_it_lists_it(catalogue: Catalogue) -> None:
    catalogue.instances.add([brought("b")])
    case = catalogue.exams.case(exam_of(catalogue, "a", STUDY))
    assert not case.links
    assert not case.studies
    assert case.foreign == {STUDY}
    assert catalogue.exams.case(exam_of(catalogue, "b", STUDY)).studies[STUDY].hospitals == {"b"}


def test_a_link_ends_when_the_study_turns_out_to_be_another_hospitals(catalogue: Catalogue) -> None:
    one, other = exam_of(catalogue, "a", STUDY), exam_of(catalogue, "b", STUDY)
    catalogue.instances.add([brought("")])  # of the shared PACS: nobody's yet
    assert catalogue.exams.case(one).links
    assert due(catalogue, one, other) == set()
    catalogue.instances.add([brought("b", number=2)])
    assert due(catalogue) == {one, other}
    assert not catalogue.exams.case(one).links
    assert catalogue.exams.case(one).foreign == {STUDY}
    assert catalogue.exams.case(other).links
    assert not catalogue.ledger.undecided(one, CLOUD)


def test_an_exam_that_lists_it_is_evaluated_and_joined_once_its_own_hospital_sends_the_study(
    catalogue: Catalogue,
) -> None:
    catalogue.instances.add([brought("b")])
    exam = exam_of(catalogue, "a", STUDY)
    assert due(catalogue, exam) == set()
    catalogue.instances.note_hospitals({STUDY: {"a"}}, NOW)  # the same images, from a CD
    assert due(catalogue) == {exam}
    assert catalogue.exams.links.link(exam, [STUDY], JoinedBy.LISTED, NOW) == [STUDY]
    assert catalogue.exams.case(exam).foreign == frozenset()
    assert catalogue.exams.case(exam).studies[STUDY].hospitals == {"a", "b"}


def test_what_is_noted_again_is_no_news(catalogue: Catalogue) -> None:
    catalogue.instances.add([brought("a")])
    exam = exam_of(catalogue, "a", STUDY)
    due(catalogue, exam)
    catalogue.instances.note_hospitals({STUDY: {"a"}}, NOW)
    assert due(catalogue) == set()


def test_a_study_that_the_json_no_longer_lists_is_foreign_no_more(catalogue: Catalogue) -> None:
    catalogue.instances.add([brought("b")])
    exam = exam_of(catalogue, "a", STUDY)
    catalogue.exams.links.unlink(exam, [STUDY])
    assert catalogue.exams.case(exam).foreign == frozenset()


def test_exams_of_one_hospital_share_a_study_and_those_of_two_claim_one_that_is_nobodys(catalogue: Catalogue) -> None:
    one, fellow = exam_of(catalogue, "a", STUDY), exam_of(catalogue, "a", STUDY, exam_id="E2")
    other = exam_of(catalogue, "b", STUDY)
    case = catalogue.exams.case(one)
    assert [sibling.exam for sibling in case.siblings] == [fellow]
    assert [rival.exam for rival in case.rivals] == [other]
    catalogue.instances.add([brought("a"), brought("b", number=2)])  # each sent it
    case = catalogue.exams.case(one)
    assert [sibling.exam for sibling in case.siblings] == [fellow]
    assert case.rivals == ()


def test_candidates_by_accession_number_are_of_the_hospital_or_of_none(catalogue: Catalogue) -> None:
    catalogue.instances.add([brought("a", "1.1"), brought("b", "1.2"), brought("", "1.3")])
    assert [study.uid for study in catalogue.exams.links.candidates("A1", "a")] == ["1.1", "1.3"]
    assert [study.uid for study in catalogue.exams.links.candidates("A1", "?")] == ["1.3"]


def test_images_have_exams_of_their_own_hospital_evaluated_by_accession_number(catalogue: Catalogue) -> None:
    one, other = exam_of(catalogue, "a"), exam_of(catalogue, "b")
    assert due(catalogue, one, other) == set()
    catalogue.instances.add([brought("a")])
    assert due(catalogue) == {one}


def test_a_study_that_only_another_hospitals_exam_lists_waits_for_its_report(catalogue: Catalogue) -> None:
    catalogue.instances.add([brought("b")])
    exam_of(catalogue, "a", STUDY)
    assert [(one.study_uid, one.hospital) for one in catalogue.unreported.waiting()] == [(STUDY, "b")]
    exam_of(catalogue, "b", STUDY)
    assert catalogue.unreported.waiting() == []


def test_numbers_are_one_patients_in_one_hospital(catalogue: Catalogue) -> None:
    catalogue.decisions.alias(Alias(hospital="a", old="P1", new="P2", why="merged", who="wang", at=NOW))
    assert catalogue.decisions.classes("a") == {"P1": "P1", "P2": "P1"}
    assert catalogue.decisions.classes("b") == {}
    assert not catalogue.decisions.unalias("b", "P1", "P2")
    assert catalogue.decisions.unalias("a", "P1", "P2")


def test_exams_studies_and_numbers_of_before_are_of_the_former_hospital(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(study=STUDY)])
    exam = exam_of(catalogue, "", STUDY)
    catalogue.decisions.alias(Alias(old="P1", new="P2", why="merged", who="wang", at=NOW))
    catalogue.exams.adopt_former("a")
    case = catalogue.exams.case(exam)
    assert case.hospital == "a"
    assert case.studies[STUDY].hospitals == {"a"}
    assert catalogue.decisions.classes("a")
    assert catalogue.exams.case(exam_of(catalogue, "b", STUDY)).foreign == {STUDY}


@pytest.mark.parametrize(("hospital", "found"), [("a", 1), ("b", 1), ("c", 0), (None, 2)])
def test_lists_are_of_one_hospital_or_of_all(catalogue: Catalogue, hospital: str | None, found: int) -> None:
    for name in ("a", "b"):
        catalogue.queue.make(exam_of(catalogue, name), [(CLOUD, Channel.IMAGES)], NOW)
    assert len(catalogue.exams.find("E1", hospital=hospital)) == found
    assert len(catalogue.exams.find("E1", exam_id=True, hospital=hospital)) == found
    assert len(catalogue.queue.find("E1", hospital)) == found
    assert len(catalogue.queue.in_state([State.WAITING], hospital=hospital)) == found
    assert len(catalogue.queue.in_state([State.WAITING], limit=9, hospital=hospital)) == found
    assert sum(sum(place.states.values()) for place in catalogue.survey.places(NOW, hospital)) == found
