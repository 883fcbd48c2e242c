"""What is withheld until another exam is approved, and what is known of that exam."""

from dataclasses import replace

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate
from router.catalogue.images.withheld import Request
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, NOW, document, exam, instance

STUDY = "1.2"
OTHERS = ("A2",)


def entered(catalogue: Catalogue, number: int, *named: str) -> None:
    catalogue.instances.add([instance(number, others=named)])


def fates(catalogue: Catalogue, number: int) -> list[Fate]:
    return sorted(one.fate for one in catalogue.ledger.entries(number, CLOUD))


def select_all(catalogue: Catalogue, number: int) -> None:
    choices = [(one.key, True, "thin") for one in catalogue.ledger.undecided(number, CLOUD)]
    catalogue.ledger.decide(CLOUD, choices, NOW)


def test_requests_are_told_by_identity_and_only_where_there_are_any(catalogue: Catalogue) -> None:
    entered(catalogue, 1)
    entered(catalogue, 2, "A1", "A2")
    entered(catalogue, 3, "A1", "A2")
    catalogue.instances.add([instance(1, "1.3", others=("A9",))])
    (found,) = catalogue.withheld.requests([STUDY])
    assert (found.study_uid, sorted(found.named)) == (STUDY, ["A1", "A2"])


def test_what_names_a_request_is_withheld_whether_it_was_selected_or_not_decided(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", STUDY)
    entered(catalogue, 1)
    entered(catalogue, 2, *OTHERS)
    select_all(catalogue, number)
    entered(catalogue, 3, *OTHERS)
    requests = catalogue.withheld.requests([STUDY])
    assert catalogue.withheld.wanted(CLOUD, requests)
    assert not catalogue.withheld.any([STUDY])
    catalogue.withheld.withhold(CLOUD, requests, NOW)
    assert fates(catalogue, number) == [Fate.SELECTED, Fate.WITHHELD, Fate.WITHHELD]
    assert catalogue.withheld.any([STUDY])
    assert not catalogue.withheld.wanted(CLOUD, requests)
    tally = catalogue.ledger.tallies([number])[number, CLOUD]
    assert (tally.selected, tally.unsent, tally.withheld) == (1, 1, 2)
    assert len(catalogue.ledger.to_send(number, CLOUD, 9)) == 1


def test_what_is_given_back_is_decided_anew_and_the_rest_stays(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", STUDY)
    entered(catalogue, 1, "A2")
    entered(catalogue, 2, "A3")
    requests = {next(iter(one.named)): one for one in catalogue.withheld.requests([STUDY])}
    catalogue.withheld.withhold(CLOUD, list(requests.values()), NOW)
    catalogue.withheld.give_back(CLOUD, [STUDY], [requests["A3"]])
    assert fates(catalogue, number) == [Fate.WITHHELD]
    assert [one.sop_uid for one in catalogue.ledger.undecided(number, CLOUD)] == [f"{STUDY}.1.1"]
    catalogue.withheld.give_back(CLOUD, [STUDY], [])
    assert not catalogue.withheld.any([STUDY])


def test_another_destination_and_another_study_are_left_alone(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", STUDY, "1.3")
    entered(catalogue, 1, *OTHERS)
    catalogue.instances.add([instance(1, "1.3", others=OTHERS)])
    select_all(catalogue, number)
    catalogue.withheld.withhold("elsewhere", catalogue.withheld.requests([STUDY]), NOW)
    catalogue.withheld.give_back(CLOUD, [STUDY], [])
    assert fates(catalogue, number) == [Fate.SELECTED, Fate.SELECTED]


def test_a_newer_version_takes_the_place_of_one_that_is_withheld(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", STUDY)
    entered(catalogue, 1, *OTHERS)
    catalogue.withheld.withhold(CLOUD, catalogue.withheld.requests([STUDY]), NOW)
    catalogue.instances.add([instance(1, version=2)])
    select_all(catalogue, number)
    assert fates(catalogue, number) == [Fate.FILTERED, Fate.SELECTED]


def test_nothing_is_asked_where_no_request_is_named(catalogue: Catalogue) -> None:
    nobody: list[Request] = []
    catalogue.withheld.withhold(CLOUD, nobody, NOW)
    assert not catalogue.withheld.wanted(CLOUD, nobody)
    assert catalogue.withheld.companions([]) == []


def test_a_companion_is_known_by_its_deliveries_and_its_last_file(catalogue: Catalogue) -> None:
    first, second = exam(catalogue, "E1"), exam(catalogue, "E2")
    catalogue.queue.make(first, [(CLOUD, channel) for channel in Channel], NOW)
    late = replace(document(), arrived=NOW + MINUTE)
    catalogue.exams.documents.add(late, "place", first, 1, NOW)
    deliveries = catalogue.queue.of_exam(first)
    assert catalogue.queue.move(deliveries[0], State.CANCELLED, NOW, "not to be reported")
    one, two = catalogue.withheld.companions({first, second})
    assert (one.deliveries, one.closed, one.changed) == (
        tuple(sorted(d.id for d in deliveries)), False, NOW + MINUTE,
    )  # fmt: skip
    assert (two.deliveries, two.closed, two.approved, two.changed) == ((), False, False, NOW)
    assert catalogue.queue.move(deliveries[1], State.CANCELLED, NOW, "not to be reported")
    assert catalogue.withheld.companions({first})[0].closed
