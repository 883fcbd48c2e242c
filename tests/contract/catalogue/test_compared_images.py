"""Images that a destination took, as they are compared, on both engines."""

from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, NOW, delivery, driver, exam, instance

CT = "1.2.840.10008.5.1.4.1.1.2"


def took(catalogue: Catalogue, name: str, study: str) -> tuple[int, int]:
    """An exam of two instances, of which one went in two versions; its number and its delivery's."""
    new = [instance(1, study), instance(2, study), instance(2, study, version=2, digest=f"{study} again")]
    number = exam(catalogue, name, study)
    for some in ([new[0], new[1]], [new[2]]):
        catalogue.instances.add(some)
        keys = [one.key for one in catalogue.ledger.undecided(number, CLOUD)]
        catalogue.ledger.decide(CLOUD, [(key, True, "thin slices") for key in keys], NOW)
        sent(catalogue, number)
    one = delivery(catalogue, number, State.READY, State.SENDING, State.DELIVERED)
    driver(catalogue).execute_sql(f"UPDATE exam SET approved_at = created WHERE id = {number}")
    return number, one.id


def sent(catalogue: Catalogue, number: int) -> None:
    to_go = catalogue.ledger.to_send(number, CLOUD, 10)
    catalogue.ledger.record([Outcome(key=one.key, fate=Fate.SENT, status=0, association="a") for one in to_go], NOW)


def test_an_instance_of_two_versions_counts_once_and_goes_again_as_the_later_one(catalogue: Catalogue) -> None:
    number, of_images = took(catalogue, "E1", "1.5")
    took(catalogue, "E2", "1.6")
    rows = catalogue.compared_images
    assert rows.begin(CLOUD, "") == NOW
    assert (rows.begin(CLOUD, "other"), rows.begin("other", "")) == (None, None)
    first, second = rows.ours(CLOUD, "", NOW, NOW + MINUTE)
    assert (first.exam, first.delivery, first.studies, first.again) == (number, of_images, {"1.5": 2}, frozenset())
    assert second.studies == {"1.6": 2}
    assert rows.ours(CLOUD, "", NOW + MINUTE, NOW + timedelta(days=1)) == []
    lost = next(one for one in rows.sent(CLOUD, "1.5") if one.sop_uid.endswith(".2"))
    with catalogue.engine.write():
        rows.select_again([lost.key], NOW)
    assert [(one.uids.sop, one.version) for one in catalogue.ledger.to_send(number, CLOUD, 10)] == [(lost.sop_uid, 2)]
    sent(catalogue, number)
    assert rows.ours(CLOUD, "", NOW, NOW + MINUTE)[0].again == {"1.5"}
    assert [one.again for one in rows.sent(CLOUD, "1.5")].count(True) == 1
    rows.found(CLOUD, ["1.5"])
    assert rows.ours(CLOUD, "", NOW, NOW + MINUTE)[0].again == frozenset()
    assert (rows.accession("1.5"), rows.accession("1.9"), rows.here(["1.5", "1.9"])) == ("A1", "", {"1.5"})


def test_what_a_report_says_of_sent_instances_is_kept_for_the_comparison_and_changes_no_delivery(
    catalogue: Catalogue,
) -> None:
    took(catalogue, "E1", "1.5")
    first, second = catalogue.compared_images.sent(CLOUD, "1.5")
    assert (first.sop_class, second.sop_class) == (CT, CT)
    commitments, lost = catalogue.commitments, {first.sop_uid: 0, second.sop_uid: 0x0112}
    for transaction in ("2.25.1", "2.25.2"):
        commitments.ask(transaction, CLOUD, [first.key, second.key], NOW)
    assert commitments.reasons(["2.25.1", "2.25.2"]) == {}
    assert commitments.settle("2.25.1", [], NOW, lost) == []
    assert commitments.reasons(["2.25.1", "2.25.2"]) == {first.key: 0, second.key: 0x0112}
    assert commitments.reasons(["2.25.2"]) == {}
    assert (commitments.reported("2.25.1"), commitments.reported("2.25.2"), commitments.waiting()) == (True, False, 0)
    commitments.settle("2.25.1", [], NOW, {second.sop_uid: 0})  # a second report on the same
    assert commitments.reasons(["2.25.1"])[second.key] == 0x0112
    with catalogue.engine.write():
        catalogue.compared_images.select_again([second.key], NOW)
    assert commitments.reasons(["2.25.1"]) == {first.key: 0}
    commitments.forget(["2.25.1", "2.25.2"])
    assert commitments.reasons(["2.25.1"]) == {}
    assert commitments.asked_under("2.25.2") == []  # a report that comes now is known, and finds nothing
