"""Associations of a destination, leased to nodes: never more than the limit, whoever asks."""

import time
from datetime import timedelta
from functools import partial

from router.catalogue import Catalogue
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, at_once, delivery, exam

LONG, SHORT = timedelta(seconds=60), timedelta(milliseconds=1)


def test_of_many_nodes_that_want_a_slot_at_once_no_more_get_one_than_there_are(catalogue: Catalogue) -> None:
    jobs = [partial(catalogue.association_leases.take, CLOUD, 2, f"node{n}", LONG) for n in range(6)]
    at_once(catalogue, jobs)
    found = [catalogue.association_leases.take(CLOUD, 2, f"later{n}", LONG) for n in range(2)]
    assert found[-1] is None
    assert catalogue.association_leases.of_others(CLOUD, "nobody") == 2


def test_a_slot_given_back_is_the_next_one_s_and_each_destination_has_its_own(catalogue: Catalogue) -> None:
    slots = catalogue.association_leases
    assert [slots.take(CLOUD, 2, node, LONG) for node in ("a", "b", "c")] == [1, 2, None]
    assert slots.take("other", 2, "c", LONG) == 1
    slots.give(CLOUD, 1, "b")
    assert slots.take(CLOUD, 2, "c", LONG) is None, "it was not b's to give"
    slots.give(CLOUD, 1, "a")
    assert slots.take(CLOUD, 2, "c", LONG) == 1
    assert (slots.of_others(CLOUD, "a"), slots.of_others(CLOUD, "b")) == (2, 1)


def test_a_slot_whose_lease_has_run_out_is_another_s_and_its_holder_cannot_have_it_back(catalogue: Catalogue) -> None:
    slots = catalogue.association_leases
    slots.take(CLOUD, 1, "frozen", SHORT)
    time.sleep(0.02)
    assert slots.take(CLOUD, 1, "b", LONG) == 1
    slots.renew("frozen", LONG)
    slots.give(CLOUD, 1, "frozen")
    assert slots.take(CLOUD, 1, "c", LONG) is None


def test_a_lease_that_is_renewed_does_not_run_out(catalogue: Catalogue) -> None:
    slots = catalogue.association_leases
    slots.take(CLOUD, 1, "a", LONG)
    slots.renew("a", SHORT)
    time.sleep(0.02)
    assert slots.of_others(CLOUD, "b") == 0
    slots.take(CLOUD, 1, "a", LONG)
    slots.renew("a", LONG)
    assert slots.of_others(CLOUD, "b") == 1


def test_a_node_that_is_forgotten_leaves_its_slots(catalogue: Catalogue) -> None:
    catalogue.nodes.beat("dead")
    catalogue.association_leases.take(CLOUD, 1, "dead", LONG)
    catalogue.nodes.forget("dead")
    assert catalogue.association_leases.take(CLOUD, 1, "b", LONG) == 1


def test_those_who_send_to_a_destination_are_counted_once_each(catalogue: Catalogue) -> None:
    for n in range(4):
        delivery(catalogue, exam(catalogue, f"E{n}"), State.READY, due=NOW)
    for owner, lease in (("a", LONG), ("a", LONG), ("b", LONG), ("late", timedelta(0))):
        assert catalogue.queue.claim(CLOUD, Channel.IMAGES, owner, NOW, lease)
    time.sleep(0.02)
    assert catalogue.queue.senders() == {CLOUD: 2}


def test_time_in_which_two_nodes_sent_counts_once_for_the_pace(catalogue: Catalogue) -> None:
    paces, second = catalogue.throughputs, timedelta(seconds=1)
    paces.add(CLOUD, Channel.IMAGES, 600, 60, NOW)
    paces.add(CLOUD, Channel.IMAGES, 600, 60, NOW + second)
    found = paces.of(CLOUD, Channel.IMAGES)
    assert (found.units, found.seconds) == (1200, 61)
    paces.add(CLOUD, Channel.IMAGES, 10, 5, NOW + 60 * second)
    assert paces.of(CLOUD, Channel.IMAGES).seconds == 66, "a pause of both is no time of sending"
    paces.add(CLOUD, Channel.IMAGES, 1, 1, NOW)
    assert paces.of(CLOUD, Channel.IMAGES).units == 1211
