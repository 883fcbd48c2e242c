"""Associations of a destination: shared fairly here, and with other nodes where there are any."""

from datetime import timedelta
from typing import cast

import pytest

from router.catalogue import Catalogue
from router.delivery.sharing import Sharing
from router.dicom.scu import association_limit
from router.dicom.scu.association_limit import AssociationLimit
from router.dicom.scu.associations import SessionAssociations
from router.dicom.scu.requestor import Requestor
from router.errors import Crowded, DestinationDown, Outage, TransientError
from router.policy.breadth import Exchange

LEASE = timedelta(seconds=30)


class Others:
    """Slots of which other nodes have some; None of `free` is an outage of the database."""

    def __init__(self, *free: int) -> None:
        self.free: list[int] | None = list(free)
        self.asked = 0

    def take(self, limit: int) -> int | None:
        self.asked += 1
        if self.free is None:
            raise TransientError("the database did not answer")
        return next((self.free.pop(n) for n, number in enumerate(self.free) if number <= limit), None)

    def give(self, number: int) -> None:
        assert self.free is not None
        self.free.append(number)

    def room(self, limit: int) -> bool:
        return bool(self.free) and limit > 0


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(association_limit, "_LOOK_AGAIN_SECONDS", 0.001)


def test_no_more_are_taken_than_other_nodes_leave() -> None:
    others = Others(2)
    mine = AssociationLimit(3, others)
    assert mine.room()
    assert mine.take(lambda: False)
    assert not mine.take_spare()
    assert not mine.room()
    mine.give()
    assert others.free == [2]
    assert mine.take_spare()


def test_one_statement_is_spent_on_each_that_is_taken() -> None:
    others = Others(1, 2)
    mine = AssociationLimit(2, others)
    assert mine.take(lambda: False)
    assert mine.take_spare()
    assert not mine.take_spare(), "what is taken here is known here"
    assert others.asked == 2


def test_whoever_waits_in_vain_for_other_nodes_goes_back_and_leaves_nothing_taken() -> None:
    others = Others()
    mine = AssociationLimit(1, others)
    with pytest.raises(Crowded):
        mine.take(lambda: False)
    assert not mine.take(lambda: True)
    assert not mine.wanted
    others.give(1)
    assert mine.take(lambda: False)


def test_an_outage_of_the_database_leaves_nothing_taken() -> None:
    others = Others(1)
    mine = AssociationLimit(1, others)
    free, others.free = others.free, None
    for take in (mine.take_spare, lambda: mine.take(lambda: False)):
        with pytest.raises(TransientError):
            take()
    others.free = free
    assert mine.take(lambda: False)


def test_a_destination_of_which_one_is_asked_for_gets_one_among_all_nodes() -> None:
    others = Others(2, 1)
    mine = AssociationLimit(2, others)
    mine.narrow(1)
    assert mine.take(lambda: False)
    assert others.free == [2]


def test_further_associations_are_had_while_they_carry_more() -> None:
    mine, waiting = AssociationLimit(16), Exchange(1000, 0.02, 0.02)
    held = taken(mine)
    assert held == mine.breadth == 4
    while held < 16:
        for _ in range(1000):
            mine.note(waiting)  # as long over each, however many there are
        held += taken(mine)
        assert held == mine.breadth
    mine.give()
    assert mine.take_spare()
    assert not mine.take_spare()


def test_a_sender_s_own_association_is_had_though_no_further_one_is_worth_having() -> None:
    mine = AssociationLimit(16)
    assert taken(mine) == 4
    assert mine.take(lambda: True)
    assert not mine.take_spare()


def test_a_destination_that_refuses_a_further_association_is_not_asked_again_at_once() -> None:
    mine = AssociationLimit(4)
    assert [mine.take_spare() for _ in range(3)] == [True] * 3
    mine.give()
    mine.refused()
    assert mine.breadth == 2
    assert not mine.take_spare()
    for _ in range(10_000):
        mine.note(Exchange(1000, 0.02, 0.02))
    assert mine.take_spare()


def test_one_that_refuses_the_only_association_says_nothing_about_further_ones() -> None:
    mine = AssociationLimit(4)
    mine.refused()
    assert mine.breadth == 4


@pytest.mark.parametrize(
    ("trouble", "breadth"),
    [
        (TransientError("too busy"), 2),
        (DestinationDown("it rejects it", outage=Outage.ASSOCIATION), 2),
        (DestinationDown("it leaves it unanswered", outage=Outage.PROTOCOL), 2),
        (DestinationDown("the line is broken", outage=Outage.CONNECTION), 4),
        (KeyboardInterrupt(), 4),
    ],
)
def test_what_says_that_a_destination_takes_no_more(trouble: BaseException, breadth: int) -> None:
    def associate(_: object) -> Requestor:
        raise trouble

    mine = AssociationLimit(4)
    assert mine.take_spare()
    assert mine.take_spare()
    with pytest.raises(type(trouble)):
        SessionAssociations(associate, mine).borrow((), mine.take_spare)
    assert mine.breadth == breadth
    assert mine.take_spare() == (breadth == 4), "the slot is given back"


def taken(mine: AssociationLimit) -> int:
    """How many could be had beside those that are taken."""
    return next(n for n in range(100) if not mine.take_spare())


def test_a_node_that_is_alone_on_its_database_spends_no_statement() -> None:
    sharing = Sharing(cast(Catalogue, None), "a", LEASE, alone=True)  # nothing can be asked
    sharing.start()
    assert (sharing.slots("cloud"), sharing.senders("cloud")) == (None, 1)
    sharing.keep()
    mine = AssociationLimit(1, sharing.slots("cloud"))
    assert mine.take(lambda: False)
    mine.give()
    assert mine.room()
