"""The contract of the search that people do for exams, on both engines."""

from dataclasses import replace
from datetime import timedelta

import pytest

from router.catalogue import Catalogue
from router.catalogue.exams.search import Wanted
from support.catalogue_rows import NOW, described, driver, instance, key

DAY = timedelta(days=1)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def filled(catalogue: Catalogue) -> Catalogue:
    """Exam E100 of today by CT1, E200 of three days ago by MR1, E300 without images, approved yesterday."""
    exams = []
    for number, (accession, patient) in enumerate((("A1", "P1"), ("A22", "P22"), ("A3", "P3")), 1):
        like = replace(key(accession, patient_id=patient), exam_id=f"E{number}00")
        exams.append(described(catalogue, like))
    for number, (sender, came) in enumerate((("CT1", NOW), ("MR1", NOW - 3 * DAY)), 1):
        new = instance(1, f"1.2.{number}00", received=came, accession=f"B{number}")
        catalogue.instances.add([replace(new, header=replace(new.header, sending_ae=sender))])
        catalogue.exams.links.link(exams[number - 1], [f"1.2.{number}00"], "listed", NOW)
    instant = round((MIDNIGHT - timedelta(hours=1)).timestamp() * 1e6)
    driver(catalogue).execute_sql(f"UPDATE exam SET approved_at = {instant} WHERE id = {exams[2]}")
    return catalogue


def found_by(catalogue: Catalogue, wanted: Wanted, most: int = 9) -> list[int]:
    """The first digits of the ExamIds."""
    exams = catalogue.search.exams(wanted, most)
    names = catalogue.exams.names(exams)
    return [int(names[exam][1]) for exam in exams]


@pytest.mark.parametrize(("text", "found"), [
    ("E100", [1]), ("E10", [1]), ("100", [1]), ("00", []), ("A22", [2]), ("A1", [1]), ("P3", [3]), ("张三", [3, 2, 1]),
    ("张", []), ("1.2.200", [2]), ("1.2.2", [2]), ("B2", [2]), ("nobody", []), ("E%", []), ("x" * 2000, []),
])  # fmt: skip
def test_an_exam_is_found_by_its_names_its_patient_and_its_study(
    filled: Catalogue, text: str, found: list[int]
) -> None:
    assert found_by(filled, Wanted(text=text, patient=True)) == found


def test_an_exact_name_comes_before_parts_of_others(filled: Catalogue) -> None:
    described(filled, replace(key("A220"), exam_id="E9"))
    assert found_by(filled, Wanted(text="A22")) == [2]
    assert found_by(filled, Wanted(text="A220")) == [9]


def test_a_patient_is_found_only_where_patients_may_be_searched(filled: Catalogue) -> None:
    for text in ("P3", "张三"):
        assert found_by(filled, Wanted(text=text)) == []


@pytest.mark.parametrize(("wanted", "found"), [
    (Wanted(sender="CT1"), [1]), (Wanted(sender="MR1"), [2]), (Wanted(sender="XX"), []),
    (Wanted(day=MIDNIGHT), [1]), (Wanted(day=MIDNIGHT - DAY), [3]), (Wanted(day=MIDNIGHT - 3 * DAY), [2]),
    (Wanted(day=MIDNIGHT - 3 * DAY, sender="MR1"), [2]), (Wanted(day=MIDNIGHT, sender="MR1"), []),
    (Wanted(text="张三", patient=True, sender="MR1"), [2]), (Wanted(text="E100", day=MIDNIGHT - DAY), []),
    (Wanted(sender="CT1", hospitals=("H1",)), []), (Wanted(sender="CT1", hospitals=("",)), [1]), (Wanted(), []),
])  # fmt: skip
def test_exams_are_found_by_sender_and_day_and_these_narrow_a_name(
    filled: Catalogue, wanted: Wanted, found: list[int]
) -> None:
    assert found_by(filled, wanted) == found


def test_not_more_are_given_than_asked_for_the_newest_first(filled: Catalogue) -> None:
    assert found_by(filled, Wanted(text="张三", patient=True), 2) == [3, 2]


def test_senders_are_those_of_the_last_days(filled: Catalogue) -> None:
    assert filled.search.senders(NOW - DAY) == ["CT1"]
    assert filled.search.senders(NOW - 4 * DAY) == ["CT1", "MR1"]
