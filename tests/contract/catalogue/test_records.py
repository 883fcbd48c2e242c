"""The contract of how reports and the records of exams end."""

from datetime import timedelta

import pytest

from router.catalogue import Catalogue
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, around_pdf, document, driver, exam, instance, restore

LATER = NOW + timedelta(days=31)
BEFORE = LATER - timedelta(days=30)
DONE = (State.READY, State.SENDING, State.DELIVERED)
CHANNELS = (Channel.REPORT, Channel.IMAGES)


def reported(catalogue: Catalogue, exam_id: str = "E1", *way: State, study: str = "") -> int:
    """An exam with JSON and PDF and an upload; both of its deliveries went `way`."""
    number = exam(catalogue, exam_id, *([study] if study else []))
    for revision, kind in enumerate(("json", "pdf"), 1):
        place = f"reports/{number}/{revision}/{kind}"
        catalogue.exams.documents.add(
            document(kind, f"in/{exam_id}", f"{kind} {exam_id}"), place, number, revision, NOW
        )
    catalogue.queue.make(number, [(CLOUD, channel) for channel in CHANNELS], NOW)
    for one in catalogue.queue.of_exam(number):
        catalogue.uploads.freeze(one.id, 1, f"i{one.id}", "w", exam_place="e", pdf_place="p", now=NOW)
        moved = one
        for to in way:
            assert catalogue.queue.move(moved, to, NOW, "on the way")
            moved = catalogue.queue.get(one.id) or moved
    driver(catalogue).execute_sql("UPDATE exam SET check_at = NULL")
    return number


def rows(catalogue: Catalogue, table: str) -> int:
    return int(driver(catalogue).execute_sql(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def test_copies_of_a_delivered_exam_s_pdfs_go_and_nothing_else_of_it(catalogue: Catalogue) -> None:
    number = reported(catalogue, "E1", *DONE)
    assert catalogue.expiry.with_copies(NOW, LATER, 10) == []
    assert catalogue.expiry.with_copies(BEFORE, LATER, 10) == [number]
    files = catalogue.expiry.take_copies(number, BEFORE, LATER)
    assert files is not None
    assert [list(one.places) for one in catalogue.purge.removals()] == [[f"reports/{number}/2"]] == [list(files.places)]
    with catalogue.purge.removing(files) as left:
        assert left.places == files.places
    assert catalogue.purge.removals() == []
    assert [pdf.here for pdf in catalogue.exams.case(number).pdfs] == [False]
    assert catalogue.expiry.with_copies(BEFORE, LATER, 10) == []
    assert rows(catalogue, "document") == 2
    texts = [event.text for _, event in catalogue.history.of([number], []) if event.kind == "purged"]
    assert len(texts) == 1
    assert texts[0].startswith(f"e{number}: 1 copy(s)")


@pytest.mark.parametrize(
    "way",
    [(), (State.READY,), (State.READY, State.SENDING), (State.READY, State.SENDING, State.DEFERRED),
     (State.READY, State.SENDING, State.FAILED), (State.HELD,), (*DONE, State.WAITING)],
)  # fmt: skip
def test_nothing_of_an_exam_goes_that_has_work_before_it(catalogue: Catalogue, way: tuple[State, ...]) -> None:
    number = reported(catalogue, "E1", *way)
    reported(catalogue, "E2", *way)
    assert catalogue.expiry.with_copies(BEFORE, LATER, 10) == []
    assert catalogue.expiry.old(BEFORE, LATER, 10) == []
    assert catalogue.expiry.take_copies(number, BEFORE, LATER) is None
    assert catalogue.expiry.drop(number, BEFORE, LATER) is None
    assert (rows(catalogue, "exam"), rows(catalogue, "forgotten")) == (2, 0)


def test_an_exam_with_one_open_delivery_or_a_look_due_stays(catalogue: Catalogue) -> None:
    number = reported(catalogue, "E1", *DONE)
    catalogue.queue.make(number, [("another", Channel.REPORT)], NOW)
    second = reported(catalogue, "E2", *DONE)
    reported(catalogue, "E3", *DONE)
    catalogue.exams.request_evaluation([second], NOW)
    assert catalogue.expiry.take_copies(number, BEFORE, LATER) is None
    assert catalogue.expiry.old(BEFORE, LATER, 10) == []


def test_all_records_of_an_exam_go_and_that_there_was_one_stays_known(catalogue: Catalogue) -> None:
    number = reported(catalogue, "E1", *DONE)
    stays = reported(catalogue, "E2", *DONE)
    assert catalogue.expiry.old(BEFORE, LATER, 10) == [number], "the last exam's number must not be given again"
    files = catalogue.expiry.drop(number, BEFORE, LATER)
    assert files is not None
    assert list(files.places) == [f"reports/{number}"]
    for table, left in (("exam", 1), ("delivery", 2), ("upload", 2), ("document", 2)):
        assert rows(catalogue, table) == left, table
    kept = [event for _, event in catalogue.history.of([number], [])]
    assert [event.kind for event in kept] == ["purged"]
    assert catalogue.exams.known("", "01", "E1") is None
    again = exam(catalogue, "E1")
    assert again > stays
    assert [catalogue.exams.case(n).forgotten for n in (again, stays)] == [True, False]


def test_records_stay_while_files_of_its_images_are_here(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    number = reported(catalogue, "E1", *DONE, study="1.2")
    reported(catalogue, "E2", *DONE)
    assert catalogue.expiry.old(BEFORE, LATER, 10) == []
    for old in catalogue.purge.delivered(BEFORE, LATER, 10):
        assert catalogue.purge.take(old, BEFORE, LATER)
    assert catalogue.expiry.old(BEFORE, LATER, 10) == [number]


def test_a_pdf_is_missed_only_while_its_exam_has_something_to_do(catalogue: Catalogue) -> None:
    number = reported(catalogue, "E1", *DONE)
    assert around_pdf(catalogue, digest="pdf E1").lost is None
    catalogue.expiry.take_copies(number, BEFORE, LATER)
    assert around_pdf(catalogue, digest="pdf E1").lost is None
    report = next(one for one in catalogue.queue.of_exam(number) if one.channel == Channel.REPORT)
    catalogue.queue.move(report, State.WAITING, LATER, "late images")
    missed = around_pdf(catalogue, digest="pdf E1").lost
    assert missed is not None
    restore(catalogue, missed)
    (pdf,) = catalogue.exams.case(number).pdfs
    assert (pdf.here, pdf.document) == (True, missed.document)
    assert around_pdf(catalogue, digest="pdf E1").lost is None
