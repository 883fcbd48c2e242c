"""Withdrawals, their stops, and what destinations confirmed, on both engines."""

from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.queue.comparisons import Compared
from router.catalogue.queue.withdrawals import Source
from router.model import Channel
from router.policy.states import State
from router.policy.withdrawal import Ended
from support.catalogue_rows import CLOUD, MINUTE, NOW

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SOURCE = Source(destination=CLOUD, hospital="", branch="01")


def report(catalogue: Catalogue, exam_id: str, *confirmed: bool) -> int:
    """A delivered report with uploads, of which some are confirmed, each a minute after the one before."""
    exam = catalogue.exams.number_of("", "01", exam_id, NOW)
    catalogue.queue.make(exam, [(CLOUD, Channel.REPORT)], NOW)
    for state in (State.READY, State.SENDING, State.DELIVERED):
        (one,) = catalogue.queue.of_exam(exam)
        assert catalogue.queue.move(one, state, NOW, "on the way")
    for n, has in enumerate(confirmed, 1):
        catalogue.uploads.freeze(one.id, n, f"{exam_id}-{n}", "w", exam_place="e", pdf_place="p", now=NOW)
        if has:
            upload = catalogue.uploads.of(one.id)[-1]
            catalogue.uploads.confirm(upload.id, "r", "p", NOW + n * MINUTE)
    return one.id


def confirmed(catalogue: Catalogue) -> list[str]:
    return [one.idem for one in catalogue.comparisons.ours(CLOUD, "", NOW, NOW + HOUR)]


def test_the_last_confirmed_revision_of_each_report_is_ours(catalogue: Catalogue) -> None:
    for name, uploads in (("A", (True, True)), ("B", (True, False)), ("C", (False,)), ("D", ())):
        report(catalogue, name, *uploads)
    assert confirmed(catalogue) == ["B-1", "A-2"]
    assert catalogue.comparisons.begin(CLOUD, "") == NOW + MINUTE
    assert catalogue.comparisons.begin(CLOUD, "other") is None
    assert catalogue.comparisons.known(CLOUD, ["A-1", "B-2", "C-1", "X"]) == {"A-1", "B-2", "C-1"}
    assert catalogue.comparisons.known("other", ["A-1"]) == set()


def test_what_is_lost_is_noted_once(catalogue: Catalogue) -> None:
    delivery = report(catalogue, "A", True)
    (upload,) = catalogue.uploads.of(delivery)
    assert [catalogue.comparisons.lost(upload.id) for _ in range(2)] == [True, False]
    assert confirmed(catalogue) == []


def test_a_withdrawal_is_frozen_once_and_ends(catalogue: Catalogue) -> None:
    delivery = report(catalogue, "A", True)
    catalogue.withdrawals.ask(delivery, 3, 1, "cancelled", "", NOW)
    (one,) = catalogue.withdrawals.of(delivery)
    for name in ("i1", "i2"):
        catalogue.withdrawals.freeze(one, name, "place", "c")
    assert catalogue.withdrawals.of(delivery)[0].idem == "i1"
    (before,) = catalogue.comparisons.ours(CLOUD, "", NOW, NOW + HOUR)
    catalogue.withdrawals.end(one, Ended.CONFIRMED, NOW, "r", "p")
    (after,) = catalogue.comparisons.ours(CLOUD, "", NOW, NOW + HOUR)
    assert (before.withdrawn, after.withdrawn) == (False, True)
    assert catalogue.withdrawals.of(delivery)[0].ended == Ended.CONFIRMED


def test_a_persons_withdrawal_is_of_one_version(catalogue: Catalogue) -> None:
    delivery = report(catalogue, "A", True)
    catalogue.withdrawals.ask(delivery, 3, 1, "a mistake", "wang", NOW)
    found = catalogue.queue.get(delivery)
    assert found is not None
    assert catalogue.withdrawals.by_person(found.exam, 3) == "a mistake"
    assert catalogue.withdrawals.by_person(found.exam, 4) == ""
    catalogue.withdrawals.end(catalogue.withdrawals.of(delivery)[0], Ended.VOID, NOW)
    assert catalogue.withdrawals.by_person(found.exam, 3) == ""


def test_a_source_is_stopped_until_a_person_confirms_it(catalogue: Catalogue) -> None:
    for name in ("A", "B"):
        catalogue.withdrawals.ask(report(catalogue, name, True), 3, 1, "cancelled", "", NOW)
    kept = catalogue.withdrawals
    assert (kept.asked_since(SOURCE, NOW - HOUR), kept.asked_since(SOURCE, NOW)) == (2, 0)
    assert (kept.delivered_since(SOURCE, NOW - DAY), kept.delivered_since(SOURCE, NOW)) == (2, 0)
    elsewhere = Source(destination=CLOUD, hospital="", branch="02")
    assert kept.asked_since(elsewhere, NOW - HOUR) == 0
    for _ in range(2):
        kept.stop(SOURCE, NOW)
    (stop,) = kept.stops()
    assert (stop.source, stop.waiting, kept.stopped(SOURCE), kept.stopped(elsewhere)) == (SOURCE, 2, True, False)
    assert kept.confirmed_at(SOURCE) is None
    kept.confirm(SOURCE, "wang", "the RIS says so", NOW + HOUR)
    assert (kept.stops(), kept.stopped(SOURCE), kept.confirmed_at(SOURCE)) == ([], False, NOW + HOUR)
    kept.stop(SOURCE, NOW + 2 * HOUR)
    assert kept.stopped(SOURCE)


def test_of_each_day_the_last_comparison_is_kept(catalogue: Catalogue) -> None:
    def compared(missing: int, days: int = 0, channel: Channel = Channel.REPORT) -> Compared:
        return Compared(
            destination=CLOUD, hospital="", channel=channel, day=(NOW + days * DAY).date(), at=NOW, ours=9, theirs=9,
            missing=missing, strange=0, usual=0, whole=True,
        )  # fmt: skip

    kept = catalogue.comparisons
    kept.keep([compared(1), compared(2, days=1)])
    kept.keep([compared(0), images := compared(3, channel=Channel.IMAGES)])
    assert kept.of(CLOUD, "", Channel.REPORT) == [compared(0), compared(2, days=1)]
    assert kept.of(CLOUD, "", Channel.IMAGES) == [images]
    assert kept.of("other", "", Channel.REPORT) == []
    assert kept.last() == [compared(2, days=1), images]
