"""Claims, breakers and paces where several hospitals send: each by its own account, or in turn by the same way."""

from datetime import timedelta
from functools import partial

import pytest

from router.catalogue import Catalogue
from router.catalogue.queue.queue import Delivery
from router.model import Channel
from router.policy import breaker
from router.policy.states import State
from router.policy.turns import TURN_EVERY, Turns
from support.catalogue_rows import CLOUD, MINUTE, NOW, driver

REPORT, LEASE = Channel.REPORT, timedelta(seconds=60)


def ready(catalogue: Catalogue, hospital: str, exam_id: str, minutes: float | None, channel: Channel = REPORT) -> int:
    """A delivery of the hospital that is due then, or has no due time."""
    number = catalogue.exams.number_of(hospital, "01", exam_id, NOW)
    catalogue.queue.make(number, [(CLOUD, channel)], NOW)
    (made,) = catalogue.queue.of_exam(number)
    due = None if minutes is None else NOW + minutes * MINUTE
    assert catalogue.queue.move(made, State.READY, NOW, "go", changes={"due": due})
    return made.id


def claim(
    catalogue: Catalogue, *hospitals: str, turns: Turns | None = None, at_most: int | None = None, missed: bool = False
) -> Delivery | None:  # fmt: skip
    return catalogue.queue.claim(
        CLOUD, REPORT, "node1", NOW, LEASE, at_most, hospitals=hospitals, turns=turns or Turns(), missed_first=missed
    )


def test_an_account_claims_only_the_deliveries_of_its_hospitals(catalogue: Catalogue) -> None:
    mine, other = ready(catalogue, "renmin", "E1", 20), ready(catalogue, "xiehe", "E1", 10)
    nobodys = ready(catalogue, "?", "E1", 5)
    found = claim(catalogue, "renmin")
    assert found is not None
    assert (found.id, found.hospital) == (mine, "renmin")
    assert claim(catalogue, "renmin") is None
    assert claim(catalogue, "xiehe", at_most=1) is not None
    assert claim(catalogue, "xiehe", at_most=1) is None
    assert catalogue.queue.under_way(CLOUD, REPORT, ["renmin"]) == 1
    assert catalogue.queue.under_way(CLOUD, REPORT, ["renmin", "xiehe"]) == 2
    assert claim(catalogue, "renmin", "xiehe") is None
    left = catalogue.queue.in_state([State.READY])
    assert [one.id for one in left] == [nobodys]
    assert other != nobodys


@pytest.mark.parametrize("minutes", [5, -5, None], ids=["timely", "missed", "undated"])
def test_one_hospital_that_floods_does_not_starve_another(catalogue: Catalogue, minutes: float | None) -> None:
    for n in range(3 * TURN_EVERY):
        ready(catalogue, "floods", f"E{n}", minutes if minutes is None else minutes + n / 100)
    turns, waits = Turns(), []
    for n in range(2):
        small = ready(catalogue, "small", f"S{n}", minutes if minutes is None else minutes + 1)
        for waited in range(TURN_EVERY):
            found = claim(catalogue, "floods", "small", "idle", turns=turns)
            assert found is not None
            turns = turns.after(found.hospital)
            if found.id == small:
                waits.append(waited)
    assert len(waits) == 2


def test_what_is_missed_comes_after_what_any_hospital_can_still_make(catalogue: Catalogue) -> None:
    missed, timely = ready(catalogue, "a", "E1", -5), ready(catalogue, "b", "E1", 30)
    found = [claim(catalogue, "a", "b"), claim(catalogue, "a", "b")]
    assert [one.id for one in found if one is not None] == [timely, missed]


def test_its_turn_is_offered_to_what_is_missed_of_any_hospital(catalogue: Catalogue) -> None:
    missed, _ = ready(catalogue, "a", "E1", -5), ready(catalogue, "b", "E1", 30)
    found = claim(catalogue, "a", "b", missed=True)
    assert found is not None
    assert found.id == missed


def test_another_hospitals_delivery_takes_over_from_one_that_has_had_its_time(catalogue: Catalogue) -> None:
    ready(catalogue, "a", "E1", 10)
    mine = claim(catalogue, "a", "b")
    assert mine is not None
    ready(catalogue, "b", "E1", 60)
    urgent = partial(catalogue.queue.as_urgent, mine, NOW)
    assert (urgent(["a", "b"]), urgent(["a"])) == (True, False)


def test_a_delivery_follows_its_exam_to_another_name(catalogue: Catalogue) -> None:
    ready(catalogue, "", "E1", 10)
    catalogue.queue.rename_hospital("", "renmin")
    assert claim(catalogue) is None
    found = claim(catalogue, "renmin")
    assert found is not None
    catalogue.engine.execute("UPDATE exam SET hospital = 'other'")
    assert catalogue.queue.move(found, State.READY, NOW, "given back")
    assert [one.hospital for one in catalogue.queue.these([found.id])] == ["other"]


def test_a_claim_is_a_few_steps_of_the_index_however_many_wait(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(catalogue, "a", "E1", 10)
    statements: list[tuple[str, object]] = []
    execute, is_file = driver(catalogue).execute_sql, driver(catalogue).param == "?"

    def noted(sql: str, params: object = None, *more: object) -> object:
        statements.append((sql, params))
        return execute(sql, params, *more)

    with monkeypatch.context() as patched:
        patched.setattr(driver(catalogue), "execute_sql", noted)
        assert claim(catalogue, "a", "b") is not None
    asked = [one for one in statements if "MIN(due)" in one[0] or 'ORDER BY "t1"."due"' in one[0]]
    assert len(asked) == 2
    if not is_file:  # it goes by statistics, which a table of one row does not have: leave it this index alone
        catalogue.engine.execute("SET enable_seqscan = off")
        catalogue.engine.execute("DROP INDEX delivery_state_due")
    for sql, params in asked:
        plan = str(execute(("EXPLAIN QUERY PLAN " if is_file else "EXPLAIN ") + sql, params).fetchall())
        assert "delivery_destination_channel_state_hospital_due" in plan, plan


def test_each_account_has_a_breaker_and_a_pace_of_its_own(catalogue: Catalogue) -> None:
    catalogue.breakers.change(CLOUD, REPORT, NOW, lambda one: breaker.down(one, NOW, "403", 0.0), "renmin")
    assert catalogue.breakers.of(CLOUD, REPORT, "renmin").position == breaker.Position.OPEN
    assert catalogue.breakers.of(CLOUD, REPORT) == catalogue.breakers.of(CLOUD, REPORT, "xiehe") == breaker.CLOSED
    assert [(one.channel, one.account) for one in catalogue.breakers.tripped()] == [(REPORT, "renmin")]
    (alarm,) = catalogue.alarms.standing()
    assert (alarm.subject, alarm.destination) == (f"report to {CLOUD} for renmin", CLOUD)
    catalogue.throughputs.add(CLOUD, REPORT, 10, 5.0, NOW, "renmin")
    assert catalogue.throughputs.of(CLOUD, REPORT, "renmin").rate == pytest.approx(2)
    assert catalogue.throughputs.of(CLOUD, REPORT).rate is None
    catalogue.breakers.forget(CLOUD, REPORT, "renmin")
    assert not catalogue.breakers.tripped()
