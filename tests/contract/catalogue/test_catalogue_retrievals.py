"""The questions to the PACS, on each engine."""

from router.catalogue import Catalogue
from support.catalogue_rows import MINUTE, NOW, exam


def test_a_question_is_due_at_its_time_and_once_asked_not_any_more(catalogue: Catalogue) -> None:
    number, retrievals = exam(catalogue), catalogue.retrievals
    assert retrievals.of(number) is None
    retrievals.plan(number, "no image", NOW + MINUTE)
    retrievals.plan(number, "two images", NOW)
    assert retrievals.due(NOW - MINUTE) is None
    (due,) = [retrievals.due(NOW)]
    assert due is not None
    assert (due.exam, due.tries, due.missing, due.at) == (number, 0, "two images", None)
    retrievals.asked(number, "it has none", NOW)
    assert retrievals.due(NOW + MINUTE) is None
    known = retrievals.of(number)
    assert known is not None
    assert (known.tries, known.said, known.at, known.ask_at) == (1, "it has none", NOW, None)
    assert catalogue.exams.to_check(NOW, 9) == [number]


def test_the_last_count_of_a_study_is_kept(catalogue: Catalogue) -> None:
    catalogue.retrievals.count("1.2", 7)
    catalogue.retrievals.count("1.2", 9)
    assert catalogue.retrievals.counts(["1.2", "1.3"]) == {"1.2": 9}
