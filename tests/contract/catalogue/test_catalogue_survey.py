"""The contract of the survey: what `status` counts, on both engines."""

from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.queue.survey import Reload
from router.events import Event, Kind
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, NOW, delivery, driver, exam

HOUR = timedelta(hours=1)


def approved(catalogue: Catalogue, number: int, ago: timedelta) -> int:
    """An exam approved so long ago."""
    made = exam(catalogue, f"E{number}")
    instant = (NOW - ago).timestamp()
    driver(catalogue).execute_sql(f"UPDATE exam SET approved_at = {round(instant * 1e6)} WHERE id = {made}")
    return made


def test_open_deliveries_are_counted_by_age_and_all_by_state(catalogue: Catalogue) -> None:
    for number, minutes in enumerate((5, 30, 90, 120, 600)):
        delivery(
            catalogue, approved(catalogue, number, minutes * MINUTE), State.READY, due=NOW + (60 - minutes) * MINUTE
        )
    delivery(catalogue, exam(catalogue, "draft"))
    done = approved(catalogue, 9, 600 * MINUTE)
    delivery(catalogue, done, State.READY, State.SENDING, State.DELIVERED, due=NOW - HOUR)
    (place,) = catalogue.survey.places(NOW)
    assert (place.destination, place.channel) == (CLOUD, Channel.IMAGES)
    assert place.states == {State.READY: 5, State.WAITING: 1, State.DELIVERED: 1}
    assert place.ages == (1, 1, 2, 1)
    assert place.late == 3


def test_a_place_without_anything_open_has_no_age(catalogue: Catalogue) -> None:
    delivery(catalogue, approved(catalogue, 1, HOUR), State.READY, State.SENDING, State.DELIVERED)
    (place,) = catalogue.survey.places(NOW)
    assert (place.ages, place.late, place.trouble) == ((0, 0, 0, 0), 0, "")


def test_the_reason_of_what_was_put_off_last_is_the_place_s_trouble(catalogue: Catalogue) -> None:
    for number, text in enumerate(("older", "newer")):
        made = delivery(catalogue, approved(catalogue, number, HOUR), State.READY, State.SENDING)
        later = NOW + number * MINUTE
        assert catalogue.queue.move(made, State.DEFERRED, later, "no answer", changes={"error": text})
    (place,) = catalogue.survey.places(NOW)
    assert place.trouble == "newer"


def test_what_is_due_soon_comes_first_and_is_counted_whole(catalogue: Catalogue) -> None:
    for number, minutes in enumerate((40, 20, -5)):
        delivery(catalogue, approved(catalogue, number, HOUR), State.READY, due=NOW + minutes * MINUTE)
    count, first = catalogue.survey.due_soon(NOW + 30 * MINUTE, 1)
    assert count == 2
    assert [(one.exam_id, one.due) for one in first] == [("E2", NOW - 5 * MINUTE)]


def test_what_is_delivered_or_cancelled_presses_no_more(catalogue: Catalogue) -> None:
    for number, way in enumerate(((State.READY, State.SENDING, State.DELIVERED), (State.READY, State.CANCELLED))):
        delivery(catalogue, approved(catalogue, number, HOUR), *way, due=NOW - HOUR)
    assert catalogue.survey.due_soon(NOW, 10) == (0, [])


def test_a_node_is_shown_with_its_last_sign_of_life(catalogue: Catalogue) -> None:
    catalogue.nodes.beat("node-1")
    (sign,) = catalogue.survey.nodes()
    assert sign.node == "node-1"
    assert abs(sign.ago) < timedelta(seconds=20)


def test_what_a_node_said_when_it_was_configured_anew_counts_until_it_starts_again(catalogue: Catalogue) -> None:
    for node, kind, text in (
        ("n1", Kind.STARTED, "n1 listens"), ("n1", Kind.RELOADED, "first"), ("n1", Kind.RELOADED, "second"),
        ("n2", Kind.RELOADED, "of a former life"), ("n2", Kind.STARTED, "n2 listens"), ("", Kind.RELOADED, "rules"),
    ):  # fmt: skip
        catalogue.history.keep(Event(NOW, kind, text, subject=node))
    assert catalogue.survey.reloads(["n1", "n2", "n3"]) == [Reload("n1", NOW, "second")]
