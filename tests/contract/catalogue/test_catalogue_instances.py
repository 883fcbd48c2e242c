"""The contract of the index of instances."""

from dataclasses import replace
from datetime import timedelta

import pytest

from router.catalogue import Catalogue
from router.catalogue.images.instances import Known, NewInstance, Recorded
from router.catalogue.images.ledger import Undecided
from router.model import InstanceUids, Patient
from support.catalogue_rows import MINUTE, NOW, SQLITE_VARIABLES, Database, driver, exam, instance, key


def _checked(catalogue: Catalogue, *exams: int) -> None:
    """Close the evaluation of these exams, so that a later touch shows."""
    for number in exams:
        assert catalogue.exams.checked(catalogue.exams.case(number), None, None, "")


def test_what_was_added_is_known_by_its_sop_instance_uid(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1), instance(2), instance(1, "1.3")])
    found = catalogue.instances.known(["1.2.1.1", "1.3.1.1", "1.2.1.9"])
    unnumbered = {sop: [replace(row, key=0) for row in rows] for sop, rows in found.items()}
    assert unnumbered == {
        "1.2.1.1": [Known(key=0, study_uid="1.2", version=1, digest="1.2/1/1", series_uid="1.2.1", pixels="p")],
        "1.3.1.1": [Known(key=0, study_uid="1.3", version=1, digest="1.3/1/1", series_uid="1.3.1", pixels="p")],
    }


def test_more_uids_are_asked_for_than_a_statement_has_variables(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    assert list(catalogue.instances.known(["1.2.1.1", *(f"9.{n}" for n in range(SQLITE_VARIABLES))])) == ["1.2.1.1"]


def test_an_instance_is_never_entered_twice_and_the_batch_is_all_or_nothing(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1)])
    with pytest.raises(Exception, match=r"(?i)unique"):
        catalogue.instances.add([instance(2), instance(1)])
    assert [row.uids.sop for row in catalogue.instances.walk()] == ["1.2.1.1"]


def test_only_the_newest_version_counts_in_whatever_order_they_are_added(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(2, version=2), instance(3), instance(3, version=2)])
    catalogue.instances.add([instance(1, version=2), instance(2, version=1)])
    newest = {one.key for one in catalogue.ledger.undecided(number, "cloud")}
    assert len(newest) == 3
    versions = {"1.2.1.1": 2, "1.2.1.2": 2, "1.2.1.3": 2}
    catalogue.ledger.decide("cloud", [(key, True, "all") for key in newest], NOW)
    assert {one.uids.sop: one.version for one in catalogue.ledger.to_send(number, "cloud", 9)} == versions
    assert [known.version for known in catalogue.instances.known(["1.2.1.2"])["1.2.1.2"]] == [2]


def test_of_an_instance_that_came_a_thousand_times_only_what_decides_is_read(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1, version=n) for n in range(1, 1001)])
    elsewhere = instance(1, "1.3", version=2)
    uids = replace(elsewhere.header.uids, sop="1.2.1.1")
    catalogue.instances.add([replace(elsewhere, header=replace(elsewhere.header, uids=uids))])
    found = catalogue.instances.known(["1.2.1.1"])["1.2.1.1"]
    assert [(one.study_uid, one.version) for one in found] == [("1.3", 2), ("1.2", 1000)]
    again = catalogue.instances.known(["1.2.1.1"], ["1.2/1/7", "other"])
    assert [(one.study_uid, one.version) for one in again["1.2.1.1"]] == [("1.3", 2), ("1.2", 7), ("1.2", 1000)]


def test_a_study_is_described_by_its_first_instance_and_counted_by_its_newest(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1), instance(2, modality="SR"), instance(3, modality="")])
    catalogue.instances.add([instance(1, version=2, accession="A9", received=NOW + MINUTE)])
    (study,) = catalogue.exams.links.studies(["1.2", "1.9"]).values()
    assert (study.uid, study.accession_number, study.study_date) == ("1.2", "A1", "20260301")
    assert (study.instances, study.modalities) == (3, ("CT", "SR"))
    assert study.last_received == NOW + MINUTE


def test_an_older_instance_does_not_set_the_last_arrival_back(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1, received=NOW)])
    catalogue.instances.add([instance(2, received=NOW - MINUTE)])
    assert catalogue.exams.links.studies(["1.2"])["1.2"].last_received == NOW


def test_the_same_identity_is_kept_once_and_another_one_beside_it(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1), instance(2)])
    catalogue.instances.add([instance(3), instance(4, patient=Patient("P2")), instance(5, others=("B2", "B1"))])
    identities = catalogue.exams.links.studies(["1.2"])["1.2"].identities
    assert [i.patient.patient_id for i in identities] == ["P1", "P2", "P1"]
    assert identities[2].other_accession_numbers == ("B1", "B2")


def test_exams_that_list_the_study_or_name_its_accession_number_are_evaluated(catalogue: Catalogue) -> None:
    listed, own, other, none = (exam(catalogue, name) for name in ("LISTED", "OWN", "OTHER", "NONE"))
    catalogue.exams.links.link(listed, ["1.2"], "listed", NOW)
    for number, accession in ((own, "A1"), (other, "R7"), (none, "A")):
        assert catalogue.exams.describe(number, key(accession))
    _checked(catalogue, listed, own, other, none)
    catalogue.instances.add([instance(1, others=("R7",), received=NOW + MINUTE)])
    assert sorted(catalogue.exams.to_check(NOW + MINUTE, 9)) == [listed, own, other]


def test_a_doubt_marks_the_study_and_has_its_exams_evaluated(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1), instance(1, "1.3")])
    mine, other = exam(catalogue, "E1", "1.2"), exam(catalogue, "E2", "1.3")
    _checked(catalogue, mine, other)
    catalogue.instances.doubt(["1.2"], "lies in two studies", NOW)
    assert catalogue.exams.to_check(NOW, 9) == [mine]
    assert catalogue.exams.case(mine).studies["1.2"].doubt == "lies in two studies"
    assert catalogue.exams.case(other).studies["1.3"].doubt == ""


def test_every_row_is_walked_over_page_by_page(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.catalogue.images.instances._PAGE", 2)
    catalogue.instances.add([instance(n) for n in range(5)])
    rows = list(catalogue.instances.walk())
    assert rows[4] == Recorded(InstanceUids("1.2", "1.2.1", "1.2.1.4"), 1, "1.2/4/1")
    assert len(rows) == len({row.uids.sop for row in rows}) == 5


def test_header_texts_that_a_database_cannot_hold_lose_only_what_it_cannot(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1, patient=Patient("P1\0", "Li\ud800"), accession="A1\0")])
    (study,) = catalogue.exams.links.candidates("A1")
    assert study.identities[0].patient == Patient("P1", "Li?")


def test_what_is_read_back_of_an_instance_is_what_was_written(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1)])
    (one,) = catalogue.ledger.undecided(number, "cloud")
    assert one == Undecided(
        key=one.key, study_uid="1.2", series_uid="1.2.1", sop_uid="1.2.1.1", facts=one.facts, version=1, received=NOW
    )


def test_a_batch_is_added_by_a_few_statements_that_read_no_table_through(sqlite: Database) -> None:
    catalogue = sqlite.open()
    exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(0)])
    statements: list[str] = []
    driver(catalogue).connection().set_trace_callback(statements.append)
    catalogue.instances.add([instance(n, received=NOW + timedelta(seconds=1)) for n in range(64)[1:]])
    driver(catalogue).connection().set_trace_callback(None)
    assert 5 < len(statements) < 25
    for statement in statements:
        if statement.startswith(("SELECT", "UPDATE")):
            plan = driver(catalogue).execute_sql(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            assert [row for row in plan if row[3].startswith("SCAN")] == [], statement
    catalogue.engine.close_thread()


def _of_device(number: int, modality: str, station: str) -> NewInstance:
    new = instance(number, modality=modality)
    header = replace(new.header, station_name=station, device_serial_number=f"S-{station}", sending_ae=f"AE-{station}")
    return replace(new, header=header)


@pytest.mark.parametrize("order", [("SR", "CT"), ("CT", "SR"), ("KO", "SR", "CT"), ("SR", "CT", "MR")])
@pytest.mark.parametrize("together", [True, False])
def test_the_first_image_not_a_structured_report_tells_of_the_device(
    catalogue: Catalogue, order: tuple[str, ...], together: bool
) -> None:
    news = [_of_device(number, modality, modality) for number, modality in enumerate(order)]
    for batch in [news] if together else [[new] for new in news]:
        catalogue.instances.add(batch)
    (study,) = catalogue.exams.links.studies(["1.2"]).values()
    assert (study.station_name, study.serial_number, study.sending_ae) == ("CT", "S-CT", "AE-CT")
