"""What is kept of report PDFs for the next evaluation, on both engines."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from catalogue_rows import NOW, document, exam
from router.catalogue import Catalogue
from router.catalogue.db.fields import storable
from router.catalogue.exams.exams import Chosen
from router.matching.exam.versions import Unread


def test_a_source_learns_from_each_pdf_once(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    known = catalogue.exams.calibrations
    pdfs = [
        catalogue.exams.documents.add(document(digest=f"d{n}"), f"reports/1/{n}/report.pdf", number, n, NOW)
        for n in (1, 2)
    ]
    for pdf in (*pdfs, *pdfs):
        known.learn(pdf, "folder", agreed=pdf == pdfs[0], offset=pdf, labels=["检查号"])
    found = known.of("folder")
    assert (found.agreed, found.offsets, found.labels) == ("yn", tuple(pdfs), {"检查号": 2})
    assert known.of("mllp").agreed == ""
    assert all(pdf.learnt for pdf in catalogue.exams.case(number).pdfs)


def test_how_a_pdf_was_chosen_comes_back_with_the_case(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    chosen = Chosen(evidence="chosen by order", pdf=3, weighed=5)
    catalogue.exams.checked(catalogue.exams.case(number), None, None, "", chosen)
    assert catalogue.exams.case(number).chosen == chosen


def test_a_text_is_unread_until_its_second_try_and_for_good_after_it(catalogue: Catalogue) -> None:
    number, exams = exam(catalogue), catalogue.exams
    taken = [replace(document(digest=f"d{n}"), words=frozenset(), unread=True) for n in (1, 2)]
    slow = [
        exams.documents.add(one, f"reports/1/{one.digest}/report.pdf", number, n, NOW) for n, one in enumerate(taken, 1)
    ]
    one, other = exams.documents.unread(NOW)
    assert [one.document, other.document] == slow
    assert exams.documents.unread_pdf(one.document) == one
    exams.documents.reread(one, frozenset({"E1"}), NOW, read=True)
    exams.documents.reread(other, frozenset(), NOW, read=False)
    assert exams.documents.unread(NOW) == []
    assert [pdf.unread for pdf in exams.case(number).pdfs] == [None, Unread.FOR_GOOD]
    assert [pdf.vouched for pdf in exams.case(number).pdfs] == [False, False]  # E1 is too short to name an exam by


def test_another_exams_and_patients_numbers_are_known(catalogue: Catalogue) -> None:
    one, other = exam(catalogue, "V1000"), exam(catalogue, "V2000")
    assert catalogue.exams.pdf_names.known_number("V2000", one, "")
    assert not catalogue.exams.pdf_names.known_number("V2000", other, "")
    assert not catalogue.exams.pdf_names.known_number("V3000", one, "")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), False),
        (datetime(9999, 12, 31, tzinfo=UTC), False),
        (datetime(1900, 1, 1, tzinfo=UTC), True),
        (None, False),
    ],
)
def test_a_time_that_cannot_be_given_back_is_not_kept(value: datetime | None, kept: bool) -> None:
    assert storable(value) == kept


def test_a_time_of_before_that_cannot_be_given_back_reads_as_the_nearest(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    catalogue.engine.execute("UPDATE exam SET check_at = -62135625600000000", ())
    assert catalogue.exams.to_check(NOW, 9) == [number]
    assert catalogue.exams.next_check() is not None
