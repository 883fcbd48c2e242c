"""The contract of renaming a destination: deliveries and ledger go on under the other name, and nothing twice."""

from dataclasses import replace
from typing import Any

import pytest

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome
from router.catalogue.queue import renaming
from router.catalogue.queue.survey import former
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, NOW, document, exam, instance

NEW = "cloud-2"
DONE = (State.READY, State.SENDING, State.DELIVERED)


def delivered(catalogue: Catalogue, exam_id: str, study: str, *, to: str = CLOUD) -> int:
    """An exam of one study and two instances, all of which are there."""
    number = exam(catalogue, exam_id, study)
    catalogue.queue.make(number, [(to, channel) for channel in Channel], NOW)
    catalogue.instances.add([instance(1, study), instance(2, study)])
    catalogue.ledger.decide(to, [(one.key, True, "a rule") for one in catalogue.ledger.undecided(number, to)], NOW)
    sent = catalogue.ledger.to_send(number, to, 9)
    catalogue.ledger.record([Outcome(key=one.key, fate=Fate.SENT, status=0, association="a") for one in sent], NOW)
    for one in catalogue.queue.of_exam(number):
        for state in DONE if one.destination == to else ():
            found: Any = catalogue.queue.get(one.id)
            assert catalogue.queue.move(found, state, NOW + MINUTE, "said by the test")
    settle(catalogue)
    return number


def settle(catalogue: Catalogue) -> None:
    for number in catalogue.exams.to_check(NOW + 9 * MINUTE, 99):
        catalogue.exams.checked(catalogue.exams.case(number), None, NOW, "")


def places(catalogue: Catalogue, number: int) -> list[tuple[str, Channel, State]]:
    return sorted((one.destination, one.channel, one.state) for one in catalogue.queue.of_exam(number))


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renaming, "_EXAMS_AT_ONCE", 2)


def test_what_was_delivered_is_known_to_be_there_under_the_other_name(catalogue: Catalogue) -> None:
    numbers = [delivered(catalogue, f"E{n}", f"1.2.{n}") for n in range(1, 6)]
    other = delivered(catalogue, "E9", "1.2.9", to="elsewhere")
    assert former(catalogue.survey.places(NOW), ["elsewhere", NEW]) == {CLOUD: 5}
    found = catalogue.renaming.rename(CLOUD, NEW, NOW + 2 * MINUTE)
    assert (found.deliveries, found.left) == (10, 0)
    for number in numbers:
        assert places(catalogue, number) == [(NEW, channel, State.DELIVERED) for channel in sorted(Channel)]
        assert [one.fate for one in catalogue.ledger.entries(number, NEW)] == [Fate.SENT, Fate.SENT]
        assert catalogue.ledger.undecided(number, NEW) == [], "nothing is sent twice"
        assert catalogue.ledger.entries(number, CLOUD) == []
    assert places(catalogue, other) == [("elsewhere", channel, State.DELIVERED) for channel in sorted(Channel)]
    assert former(catalogue.survey.places(NOW), ["elsewhere", NEW]) == {}
    assert catalogue.exams.to_check(NOW + 9 * MINUTE, 99) == [], "nothing came after what was delivered"
    assert catalogue.renaming.rename(CLOUD, NEW, NOW).deliveries == 0


def test_exams_of_which_something_came_after_their_delivery_are_evaluated_anew(catalogue: Catalogue) -> None:
    same, corrected, late, waits = (delivered(catalogue, f"E{n}", f"1.2.{n}") for n in range(1, 5))
    catalogue.exams.documents.add(replace(document("json"), arrived=NOW + 2 * MINUTE), "p", corrected, 1, NOW)
    catalogue.instances.add([instance(3, "1.2.3", received=NOW + 2 * MINUTE)])
    for one in catalogue.queue.of_exam(waits):
        assert catalogue.queue.move(one, State.WAITING, NOW + MINUTE, "a new revision")
    settle(catalogue)
    catalogue.renaming.rename(CLOUD, NEW, NOW + 3 * MINUTE)
    assert sorted(catalogue.exams.to_check(NOW + 9 * MINUTE, 99)) == [corrected, late, waits]
    assert same not in (corrected, late, waits)


def test_an_exam_that_the_other_name_has_already_keeps_both_and_its_images_count_as_sent(catalogue: Catalogue) -> None:
    number = delivered(catalogue, "E1", "1.2")
    catalogue.queue.make(number, [(NEW, Channel.IMAGES)], NOW)
    (first, _) = catalogue.ledger.undecided(number, NEW)
    catalogue.ledger.decide(NEW, [(first.key, True, "a rule")], NOW)
    found = catalogue.renaming.rename(CLOUD, NEW, NOW)
    assert (found.deliveries, found.left) == (1, 1)
    assert places(catalogue, number) == [
        (CLOUD, Channel.IMAGES, State.DELIVERED), (NEW, Channel.IMAGES, State.WAITING),
        (NEW, Channel.REPORT, State.DELIVERED),
    ]  # fmt: skip
    assert [one.fate for one in catalogue.ledger.entries(number, NEW)] == [Fate.SENT, Fate.SENT]
    assert catalogue.ledger.to_send(number, NEW, 9) == []


def test_deliveries_are_counted_by_state(catalogue: Catalogue) -> None:
    delivered(catalogue, "E1", "1.2")
    assert catalogue.renaming.counts(CLOUD) == {State.DELIVERED: 2}
    assert not catalogue.renaming.counts("nobody")
