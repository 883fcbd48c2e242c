"""Results that the database takes late: by what was sent, and never against what is newer."""

from dataclasses import replace
from datetime import timedelta

import pytest

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome
from router.catalogue.queue.late import LateAnswer, LateReceipt
from router.model import InstanceUids
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, NOW, delivery, exam, instance

SENT = LateAnswer(
    destination=CLOUD, uids=InstanceUids("1.2", "1.2.1", "1.2.1.1"), version=1, checksum="1.2/1/1", fate=Fate.SENT,
    status=0, association="a1", reason="", ask_at=None, at=NOW + MINUTE,
)  # fmt: skip
REFUSED = replace(SENT, fate=Fate.REFUSED, status=0xC000)


@pytest.fixture
def number(catalogue: Catalogue) -> int:
    """An exam with two instances that are selected for two destinations."""
    found = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(2)])
    for name in (CLOUD, "other"):
        undecided = catalogue.ledger.undecided(found, name)
        catalogue.ledger.decide(name, [(one.key, True, "all") for one in undecided], NOW)
    return found


def fates(catalogue: Catalogue, number: int, destination: str = CLOUD) -> list[Fate]:
    return [one.fate for one in catalogue.ledger.entries(number, destination)]


def test_a_late_result_is_of_that_version_at_that_destination_and_written_once(
    catalogue: Catalogue, number: int
) -> None:
    assert catalogue.late.write([SENT]) == [SENT]
    assert catalogue.late.write([SENT]) == []
    assert fates(catalogue, number) == [Fate.SENT, Fate.SELECTED]
    assert fates(catalogue, number, "other") == [Fate.SELECTED, Fate.SELECTED]
    entry = catalogue.ledger.entries(number, CLOUD)[0]
    assert (entry.status, entry.at) == (0, NOW + MINUTE)


@pytest.mark.parametrize(
    "other",
    [
        replace(SENT, checksum="other bytes"), replace(SENT, version=2), replace(SENT, destination="nowhere"),
        replace(SENT, uids=InstanceUids("1.3", "1.2.1", "1.2.1.1")), replace(SENT, at=NOW - timedelta(seconds=1)),
    ],
    ids=["bytes", "version", "destination", "study", "a decision is newer"],
)  # fmt: skip
def test_a_late_result_that_does_not_fit_changes_nothing(catalogue: Catalogue, number: int, other: LateAnswer) -> None:
    assert catalogue.late.write([other]) == []
    assert fates(catalogue, number) == [Fate.SELECTED, Fate.SELECTED]


def test_who_has_the_delivery_by_now_does_not_matter(catalogue: Catalogue, number: int) -> None:
    delivery(catalogue, number, State.READY, State.SENDING, State.READY, State.CANCELLED)
    assert catalogue.late.write([SENT]) == [SENT]


def test_what_was_taken_is_not_taken_back_by_a_late_refusal(catalogue: Catalogue, number: int) -> None:
    first, _ = catalogue.ledger.to_send(number, CLOUD, 9)
    catalogue.ledger.record([Outcome(key=first.key, fate=Fate.SENT, status=0, association="a2")], NOW)
    assert catalogue.late.write([REFUSED, replace(SENT, fate=Fate.STORED)]) == []
    assert fates(catalogue, number)[0] == Fate.SENT


def test_what_another_was_refused_and_had_taken_before_is_sent(catalogue: Catalogue, number: int) -> None:
    first, _ = catalogue.ledger.to_send(number, CLOUD, 9)
    catalogue.ledger.record([Outcome(key=first.key, fate=Fate.REFUSED, status=0x0111, association="a2")], NOW)
    assert catalogue.late.write([SENT]) == [SENT]


def test_an_older_version_that_gave_way_meanwhile_was_sent_all_the_same(catalogue: Catalogue, number: int) -> None:
    catalogue.instances.add([instance(1, version=2)])
    undecided = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.decide(CLOUD, [(one.key, True, "all") for one in undecided], NOW + 2 * MINUTE)
    assert catalogue.late.write([REFUSED]) == []
    assert catalogue.late.write([SENT]) == [SENT]
    of_first = [one for one in catalogue.ledger.entries(number, CLOUD) if one.uids.sop == SENT.uids.sop]
    assert {one.version: one.fate for one in of_first} == {1: Fate.SENT, 2: Fate.SELECTED}


def test_a_late_receipt_is_of_that_upload(catalogue: Catalogue, number: int) -> None:
    one = delivery(catalogue, number)
    catalogue.uploads.freeze(one.id, 1, "abc", "json=1", exam_place="e", pdf_place="p", now=NOW)
    receipt = LateReceipt(delivery=one.id, n=1, idem="abc", receipt="r1", place="receipt.json", at=NOW + MINUTE)
    assert catalogue.late.write([replace(receipt, idem="other")]) == []
    assert catalogue.late.write([receipt]) == [receipt]
    assert catalogue.late.write([replace(receipt, receipt="r2")]) == []
    [found] = catalogue.uploads.of(one.id)
    assert (found.receipt, found.receipt_place, found.confirmed) == ("r1", "receipt.json", NOW + MINUTE)
