"""Two nodes' shares of a destination."""

from datetime import timedelta

import pytest

from router.catalogue import Catalogue
from router.catalogue.queue.association_leases import AssociationLeases
from router.delivery.sharing import Sharing
from router.errors import TransientError
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, delivery, exam

LEASE = timedelta(seconds=60)


def test_two_nodes_have_no_more_slots_than_the_destination_and_each_other_s_when_given_back(
    catalogue: Catalogue,
) -> None:
    a, b = (Sharing(catalogue, name, LEASE, alone=False).slots(CLOUD) for name in "ab")
    assert a is not None
    assert b is not None
    assert [a.take(2), b.take(2), a.take(2), b.take(2)] == [1, 2, None, None]
    assert (a.room(2), b.room(1)) == (True, False), "its own ones are room for itself"
    a.give(1)
    assert b.take(2) == 1
    assert not a.room(2)


def test_a_slot_that_could_not_be_given_back_is_at_the_next_look(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharing = Sharing(catalogue, "a", LEASE, alone=False)
    mine = sharing.slots(CLOUD)
    assert mine is not None
    number = mine.take(1)
    assert number == 1

    def down(*_: object) -> None:
        raise TransientError("the database did not answer")

    with monkeypatch.context() as outage:
        outage.setattr(AssociationLeases, "give", down)
        mine.give(number)
        with pytest.raises(TransientError):
            sharing.keep()
    assert catalogue.association_leases.of_others(CLOUD, "b") == 1
    sharing.keep()
    assert catalogue.association_leases.of_others(CLOUD, "b") == 0


def test_a_node_that_starts_gives_back_what_its_former_life_had(catalogue: Catalogue) -> None:
    catalogue.association_leases.take(CLOUD, 1, "a", LEASE)
    Sharing(catalogue, "a", LEASE, alone=False).start()
    assert catalogue.association_leases.of_others(CLOUD, "b") == 0


def test_who_sends_is_looked_up_for_those_who_ask(catalogue: Catalogue) -> None:
    sharing = Sharing(catalogue, "a", LEASE, alone=False)
    for n, owner in enumerate("ab"):
        delivery(catalogue, exam(catalogue, f"E{n}"), State.READY, due=NOW)
        assert catalogue.queue.claim(CLOUD, Channel.IMAGES, owner, NOW, LEASE)
    assert sharing.senders(CLOUD) == 1
    sharing.keep()
    assert (sharing.senders(CLOUD), sharing.senders("other")) == (2, 1)
