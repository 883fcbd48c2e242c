"""The contract of images that come again after retention removed their files: what nobody has is taken once more."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome, Tally
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, delivery, driver, exam, instance

LATER = NOW + timedelta(days=31)
BEFORE = LATER - timedelta(days=30)
CANCELLED, DELIVERED = (State.CANCELLED,), (State.READY, State.SENDING, State.DELIVERED)
SOPS = ["1.2.1.1", "1.2.1.2"]
Act = Callable[[Catalogue, int], object]


def purged(catalogue: Catalogue, *way: State, act: Act = lambda *_: None) -> int:
    """An exam of two images whose delivery went `way`; `act` decided about them before they were removed."""
    catalogue.instances.add([instance(1), instance(2)])
    number = exam(catalogue, "E1", "1.2")
    delivery(catalogue, number, *way)
    act(catalogue, number)
    purge(catalogue)
    return number


def purge(catalogue: Catalogue) -> None:
    driver(catalogue).execute_sql("UPDATE exam SET check_at = NULL")
    for old in [*catalogue.purge.delivered(BEFORE, LATER, 9), *catalogue.purge.unmatched(BEFORE, 9)]:
        while (files := catalogue.purge.take(old, BEFORE, LATER)) is not None:
            with catalogue.purge.removing(files):
                pass


def choose(catalogue: Catalogue, number: int, *, goes: bool = True) -> None:
    undecided = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.decide(CLOUD, [(one.key, goes, "a rule") for one in undecided], NOW)


def leave_out(catalogue: Catalogue, number: int) -> None:
    choose(catalogue, number, goes=False)


def answer(catalogue: Catalogue, number: int, fate: Fate, count: int = 2) -> None:
    choose(catalogue, number)
    rows = catalogue.ledger.to_send(number, CLOUD, 9)[:count]
    catalogue.ledger.record([Outcome(key=one.key, fate=fate, status=0, association="a") for one in rows], NOW)


def sent(catalogue: Catalogue, number: int) -> None:
    answer(catalogue, number, Fate.SENT)


def refused(catalogue: Catalogue, number: int) -> None:
    answer(catalogue, number, Fate.REFUSED)


def half_sent(catalogue: Catalogue, number: int) -> None:
    answer(catalogue, number, Fate.SENT, 1)


def damaged(catalogue: Catalogue, number: int) -> None:
    choose(catalogue, number)
    for one in catalogue.ledger.to_send(number, CLOUD, 9):
        catalogue.damages.set_aside(one.instance, "other bytes", NOW)


def come_again(catalogue: Catalogue, *sops: str) -> list[str]:
    """Have them come again; the SOP instance UIDs of those that are taken."""
    known = [row for rows in catalogue.instances.known(sops).values() for row in rows]
    taken = catalogue.instances.returns.awaited([row.key for row in known if row.purged])
    catalogue.instances.returns.take([row.key for row in known if row.key in taken], LATER)
    return sorted(one.uids.sop for one in catalogue.instances.walk())


@pytest.mark.parametrize(
    ("way", "act", "taken"),
    [(CANCELLED, lambda *_: None, SOPS), (CANCELLED, choose, SOPS), (CANCELLED, leave_out, SOPS),
     (CANCELLED, refused, SOPS), (CANCELLED, damaged, SOPS), (CANCELLED, half_sent, SOPS[1:]), (CANCELLED, sent, []),
     (DELIVERED, sent, []), (DELIVERED, leave_out, []), (DELIVERED, lambda *_: None, SOPS),
     ((State.NOT_SHARED,), lambda *_: None, SOPS), ((State.EXCLUDED,), lambda *_: None, SOPS)],
)  # fmt: skip
def test_what_comes_again_is_taken_unless_it_is_confirmed_or_its_delivery_ended_without_it(
    catalogue: Catalogue, way: tuple[State, ...], act: Act, taken: list[str]
) -> None:
    purged(catalogue, *way, act=act)
    assert come_again(catalogue, *SOPS) == taken


def test_what_one_destination_has_is_taken_while_another_may_still_ask_for_it(catalogue: Catalogue) -> None:
    def cancel_region(catalogue: Catalogue, number: int) -> None:
        sent(catalogue, number)
        catalogue.queue.make(number, [("region", Channel.IMAGES)], NOW)
        (region,) = [one for one in catalogue.queue.of_exam(number) if one.destination == "region"]
        assert catalogue.queue.move(region, State.CANCELLED, NOW, "a person cancelled it")

    number = purged(catalogue, *DELIVERED, act=cancel_region)
    assert come_again(catalogue, *SOPS) == SOPS
    assert catalogue.ledger.undecided(number, CLOUD) == []
    assert len(catalogue.ledger.undecided(number, "region")) == 2


def test_a_report_that_was_delivered_does_not_stand_for_the_images(catalogue: Catalogue) -> None:
    def report_too(catalogue: Catalogue, number: int) -> None:
        catalogue.queue.make(number, [(CLOUD, Channel.REPORT)], NOW)
        for to in DELIVERED:
            (report,) = [one for one in catalogue.queue.of_exam(number) if one.channel == Channel.REPORT]
            assert catalogue.queue.move(report, to, NOW, "on the way")

    purged(catalogue, State.CANCELLED, act=report_too)
    assert come_again(catalogue, *SOPS) == SOPS


def test_of_a_study_that_lost_its_exam_what_was_not_sent_is_taken(catalogue: Catalogue) -> None:
    def unlinked(catalogue: Catalogue, number: int) -> None:
        half_sent(catalogue, number)
        catalogue.exams.links.unlink(number, ["1.2"])

    purged(catalogue, State.CANCELLED, act=unlinked)
    assert come_again(catalogue, *SOPS) == SOPS[1:]


@pytest.mark.parametrize("act", [choose, damaged])
def test_it_is_chosen_as_before_and_kept_for_its_time_once_more(catalogue: Catalogue, act: Act) -> None:
    number = purged(catalogue, State.CANCELLED, act=act)
    come_again(catalogue, *SOPS)
    assert [one.uids.sop for one in catalogue.ledger.to_send(number, CLOUD, 9)] == SOPS
    assert catalogue.ledger.tallies([number]) == {(number, CLOUD): Tally(selected=2)}
    assert catalogue.exams.to_check(LATER, 9) == [number], "its exam is evaluated"
    purge(catalogue)
    assert len(list(catalogue.instances.walk())) == 2, "not in the same night"


def test_of_those_that_did_not_come_again_none_is_to_be_sent(catalogue: Catalogue) -> None:
    number = purged(catalogue, State.CANCELLED, act=choose)
    come_again(catalogue, SOPS[0])
    assert [one.uids.sop for one in catalogue.ledger.to_send(number, CLOUD, 9)] == SOPS[:1]
    assert catalogue.ledger.tallies([number]) == {(number, CLOUD): Tally(selected=2, gone=1)}


def cut(catalogue: Catalogue, number: int) -> None:
    undecided = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.hold(CLOUD, Fate.CUT, {one.key: "cut off" for one in undecided}, NOW)


@pytest.mark.parametrize("act", [refused, cut])
def test_a_person_s_retry_or_release_chooses_what_has_its_file(catalogue: Catalogue, act: Act) -> None:
    number = purged(catalogue, State.CANCELLED, act=act)
    come_again(catalogue, SOPS[0])
    catalogue.ledger.reselect_refused(number, CLOUD, LATER)
    catalogue.ledger.release(number, CLOUD, Fate.CUT, LATER)
    assert [one.uids.sop for one in catalogue.ledger.to_send(number, CLOUD, 9)] == SOPS[:1]


def test_images_that_were_removed_before_any_choice_are_counted_as_removed(catalogue: Catalogue) -> None:
    number = purged(catalogue, State.CANCELLED)
    returns, whole = catalogue.instances.returns, Tally(selected=3, sent=1)
    assert returns.counted(whole, number, CLOUD) == Tally(selected=5, sent=1, gone=2)
    come_again(catalogue, SOPS[0])
    assert returns.counted(whole, number, CLOUD).gone == 1
    assert [one.sop_uid for one in catalogue.ledger.undecided(number, CLOUD)] == SOPS[:1]


def test_nothing_is_missed_of_what_was_sent_or_left_out(catalogue: Catalogue) -> None:
    number = purged(catalogue, *DELIVERED, act=half_sent)
    assert catalogue.instances.returns.counted(Tally(), number, CLOUD) == Tally()


def test_what_was_removed_and_came_again_is_removed_once_more_when_nobody_asks_for_it(catalogue: Catalogue) -> None:
    number = purged(catalogue, State.CANCELLED, act=choose)
    before = catalogue.ledger.entries(number, CLOUD)
    come_again(catalogue, *SOPS)
    driver(catalogue).execute_sql("UPDATE exam SET check_at = NULL")
    much_later = LATER + timedelta(days=31)
    (old,) = catalogue.purge.delivered(LATER + timedelta(days=1), much_later, 9)
    while catalogue.purge.take(old, LATER + timedelta(days=1), much_later) is not None:
        pass
    assert list(catalogue.instances.walk()) == []
    assert [one.fate for one in catalogue.ledger.entries(number, CLOUD)] == [one.fate for one in before]


def test_a_backfill_waits_until_all_that_was_removed_has_come_again(catalogue: Catalogue) -> None:
    purged(catalogue, State.NOT_SHARED)
    assert catalogue.backfills.purged(["1.2"])
    come_again(catalogue, SOPS[0])
    assert catalogue.backfills.purged(["1.2"])
    come_again(catalogue, SOPS[1])
    assert not catalogue.backfills.purged(["1.2"])
