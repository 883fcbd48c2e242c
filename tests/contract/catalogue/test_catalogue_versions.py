"""The contract of newer versions: what a destination has of them, what is held, and whom a study names now."""

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome, Tally
from router.matching.images.renewal import Fingerprint
from router.matching.patient.identity import StudyIdentity
from router.model import Patient
from support.catalogue_rows import CLOUD, MINUTE, NOW, Database, driver, exam, instance

OTHER = Patient("P2", "Li^Si", "19700101", "M")
P1 = StudyIdentity(Patient("P1", "Zhang^San", "19491231", "F"), "A1")


def keys(catalogue: Catalogue, number: int) -> list[int]:
    return [one.key for one in catalogue.ledger.undecided(number, CLOUD)]


def sent(catalogue: Catalogue, number: int, fate: Fate = Fate.SENT) -> None:
    """Decide all that is open, and have the destination answer."""
    catalogue.ledger.decide(CLOUD, [(key, True, "a rule") for key in keys(catalogue, number)], NOW)
    waiting = catalogue.ledger.to_send(number, CLOUD, 999)
    catalogue.ledger.record([Outcome(key=one.key, fate=fate, status=0, association="assoc-1") for one in waiting], NOW)


def held(catalogue: Catalogue) -> int:
    """An exam with one instance that was sent and one that was not; a newer version of the first is held."""
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1)])
    sent(catalogue, number)
    catalogue.instances.add([instance(1, version=2, patient=OTHER), instance(2)])
    newer, other = keys(catalogue, number)
    catalogue.ledger.hold(CLOUD, Fate.HELD, {newer: "contradicts what was sent in name"}, NOW)
    catalogue.ledger.decide(CLOUD, [(other, True, "a rule")], NOW)
    return number


def to_send(catalogue: Catalogue, number: int) -> list[tuple[str, int]]:
    return [(one.uids.sop, one.version) for one in catalogue.ledger.to_send(number, CLOUD, 99)]


def tally(catalogue: Catalogue, number: int, destination: str = CLOUD) -> Tally:
    return catalogue.ledger.tallies([number])[number, destination]


def test_a_newer_version_is_compared_with_the_one_that_the_destination_has(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(2)])
    sent(catalogue, number)
    catalogue.instances.add([instance(1, version=2, patient=OTHER, accession="A2", others=("R1",), pixels="q")])
    [newer] = keys(catalogue, number)
    there = Fingerprint(P1, "o", "p")
    here = Fingerprint(StudyIdentity(OTHER, "A2", ("R1",)), "o", "q")
    assert catalogue.versions.renewed(CLOUD, [newer]) == {newer: (there, here)}
    assert catalogue.versions.renewed("other", [newer]) == {}


def test_only_what_the_destination_has_counts_and_of_that_the_latest(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    fates = [Fate.SENT, Fate.SENT, Fate.REFUSED, Fate.FILTERED]
    for version, fate in enumerate(fates, 1):
        catalogue.instances.add([instance(1, version=version, pixels=f"p{version}")])
        sent(catalogue, number, fate)
    catalogue.instances.add([instance(1, version=5, orientation="x", pixels="p5"), instance(1, "1.3")])
    [newer] = keys(catalogue, number)
    assert catalogue.versions.renewed(CLOUD, [newer]) == {
        newer: (Fingerprint(P1, "o", "p2"), Fingerprint(P1, "x", "p5"))
    }


def test_what_is_new_has_nothing_to_be_compared_with(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1)])
    assert catalogue.versions.renewed(CLOUD, keys(catalogue, number)) == {}
    assert catalogue.versions.renewed(CLOUD, []) == {}


def test_more_versions_are_compared_than_a_statement_has_variables(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(n) for n in range(600)])
    sent(catalogue, number)
    catalogue.instances.add([instance(n, version=2) for n in range(600)])
    assert len(catalogue.versions.renewed(CLOUD, keys(catalogue, number))) == 600


def test_what_is_held_is_decided_and_not_sent_and_still_counts_as_to_be_sent(catalogue: Catalogue) -> None:
    number = held(catalogue)
    assert keys(catalogue, number) == []
    assert to_send(catalogue, number) == [("1.2.1.2", 1)]
    assert tally(catalogue, number) == Tally(selected=2, held=1)
    assert tally(catalogue, number).unsent == 2
    entries = {(e.uids.sop, e.version): (e.fate, e.rule) for e in catalogue.ledger.entries(number, CLOUD)}
    assert entries["1.2.1.1", 1] == (Fate.SENT, "a rule")
    assert entries["1.2.1.1", 2] == (Fate.HELD, "contradicts what was sent in name")


def test_what_a_person_releases_is_sent_at_that_destination_for_that_exam(catalogue: Catalogue) -> None:
    number, other = held(catalogue), exam(catalogue, "E2", "1.9")
    for wrong in ((number, "other"), (other, CLOUD)):
        catalogue.ledger.release(*wrong, Fate.HELD, NOW)
        assert tally(catalogue, number).held == 1
    catalogue.ledger.release(number, CLOUD, Fate.HELD, NOW + MINUTE)
    assert to_send(catalogue, number) == [("1.2.1.1", 2), ("1.2.1.2", 1)]
    assert tally(catalogue, number) == Tally(selected=2)
    [entry] = [e for e in catalogue.ledger.entries(number, CLOUD) if e.version == 2]
    assert (entry.rule, entry.at) == ("contradicts what was sent in name; released by a person", NOW + MINUTE)


def test_a_held_version_gives_way_to_a_newer_one_whether_that_goes_or_not(catalogue: Catalogue) -> None:
    number = held(catalogue)
    catalogue.instances.add([instance(1, version=3)])
    catalogue.ledger.decide(CLOUD, [(key, False, "as sent") for key in keys(catalogue, number)], NOW)
    assert tally(catalogue, number) == Tally(selected=2, sent=1, filtered=2)
    catalogue.ledger.release(number, CLOUD, Fate.HELD, NOW)
    assert to_send(catalogue, number) == [("1.2.1.2", 1)]


def test_a_refused_version_gives_way_to_one_that_is_as_sent(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    for version, fate in enumerate([Fate.SENT, Fate.REFUSED], 1):
        catalogue.instances.add([instance(1, version=version)])
        sent(catalogue, number, fate)
    assert tally(catalogue, number) == Tally(selected=1, refused=1)
    catalogue.instances.add([instance(1, version=3)])
    catalogue.ledger.decide(CLOUD, [(key, False, "as sent") for key in keys(catalogue, number)], NOW)
    assert tally(catalogue, number) == Tally(selected=1, sent=1, filtered=2)


def test_a_study_names_whom_the_newest_versions_of_its_instances_name(catalogue: Catalogue) -> None:
    def named() -> list[str]:
        return [identity.patient.patient_id for identity in catalogue.exams.links.studies(["1.2"])["1.2"].identities]

    catalogue.instances.add([instance(1), instance(2)])
    catalogue.instances.add([instance(1, version=2, patient=OTHER)])
    assert named() == ["P1", "P2"]
    catalogue.instances.add([instance(2, version=2, patient=OTHER)])
    assert named() == ["P2"]
    catalogue.instances.add([instance(3, modality="SR", patient=OTHER), instance(4, modality="SR")])
    assert named() == ["P1", "P2"]
    study = catalogue.exams.links.studies(["1.2"])["1.2"]
    assert (study.instances, study.modalities) == (4, ("CT", "SR"))


def test_an_older_version_that_comes_late_names_nobody(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1, version=2, patient=OTHER)])
    catalogue.instances.add([instance(1, version=1)])
    [study] = catalogue.exams.links.studies(["1.2"]).values()
    assert [identity.patient for identity in study.identities] == [OTHER]


def test_versions_are_compared_by_indexes_alone(sqlite: Database) -> None:
    catalogue = sqlite.open()
    number = held(catalogue)
    statements: list[str] = []
    connection = driver(catalogue).connection()
    connection.set_trace_callback(statements.append)
    everything = [one.member.key for one in catalogue.series_members.of_study("1.2")]
    assert len(catalogue.versions.renewed(CLOUD, everything)) == 1
    catalogue.ledger.release(number, CLOUD, Fate.HELD, NOW)
    connection.set_trace_callback(None)
    plans = [
        row[3]
        for statement in statements
        if statement.startswith(("SELECT", "UPDATE"))
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert [step for step in plans if step.startswith("SCAN")] == []
    assert len(plans) > 5
    catalogue.engine.close_thread()
