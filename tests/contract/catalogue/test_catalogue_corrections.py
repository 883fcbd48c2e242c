"""The contract of corrections: whose data may have changed since when, and what was sent under which."""

from dataclasses import replace
from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome
from router.model import Patient
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, NOW, delivery, document, exam, instance

ZHANG, LI = Patient("P1", "Zhang^San", "19491231", "F"), Patient("P1", "Li^Si", "19491231", "F")


def jsons(catalogue: Catalogue, name: str, *digests: str, day: int = 0) -> int:
    number = exam(catalogue, name)
    for n, digest in enumerate(digests):
        one = replace(document("json", f"in/{name}", digest), arrived=NOW + timedelta(days=day))
        catalogue.exams.documents.add(one, f"{name}/{n}", number, n + 1, NOW)
    return number


def test_exams_are_candidates_whose_jsons_or_headers_are_not_all_alike_since_then(catalogue: Catalogue) -> None:
    changed = jsons(catalogue, "changed", "a", "b")
    jsons(catalogue, "alike", "c", "c")
    jsons(catalogue, "single", "d")
    jsons(catalogue, "before", "e", "f", day=-2)
    named = exam(catalogue, "named", "1.2")
    exam(catalogue, "other", "1.3")
    catalogue.instances.add([instance(1, "1.2", patient=ZHANG), instance(1, "1.2", version=2, patient=LI)])
    catalogue.instances.add([instance(1, "1.3", patient=ZHANG), instance(2, "1.3", patient=ZHANG)])
    assert catalogue.corrections.candidates(NOW - timedelta(days=1)) == [changed, named]
    assert catalogue.corrections.candidates(NOW + timedelta(days=1)) == []


def test_each_version_says_its_patient_and_where_it_was_sent_also_once_it_is_packed(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    for version, patient in ((1, ZHANG), (2, LI)):
        catalogue.instances.add([instance(1, "1.2", version=version, patient=patient)])
        [(new, *_)] = catalogue.engine.execute("SELECT MAX(id) FROM instance", ())
        catalogue.ledger.decide(CLOUD, [(new, True, "r")], NOW)
        [one] = catalogue.ledger.to_send(number, CLOUD, 9)
        catalogue.ledger.record(
            [Outcome(key=one.key, fate=Fate.SENT, status=0, association="a")], NOW + version * MINUTE
        )
    expected = [("1.2.1.1", 1, ZHANG, {CLOUD: NOW + MINUTE}), ("1.2.1.1", 2, LI, {CLOUD: NOW + 2 * MINUTE})]

    def found() -> list[tuple[object, ...]]:
        sent = catalogue.corrections.sent(["1.2", "1.9"])
        return [(one.sop_uid, one.version, one.patient, dict(one.sent)) for one in sent]

    assert found() == expected
    delivery(catalogue, number, State.READY, State.SENDING, State.DELIVERED)
    catalogue.exams.checked(catalogue.exams.case(number), None, None, "")
    late = NOW + timedelta(days=9)
    [old] = catalogue.purge.delivered(late, late, 9)
    assert catalogue.purge.take(old, late, late)
    assert catalogue.engine.execute("SELECT COUNT(*) FROM instance", ()) == [(0,)]
    assert found() == expected
    assert catalogue.corrections.sent([]) == []
