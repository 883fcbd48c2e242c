"""Identities that were read by former rules, on both engines."""

from dataclasses import replace

from router.catalogue import Catalogue
from router.catalogue.exams.readings import Outdated
from router.model import InstanceUids, Patient
from support.catalogue_rows import driver, instance

OLD, NEW = Patient("P1", "ÕÅÈý", "19491231", "F"), Patient("P1", "张三", "19491231", "F")


def of_before(catalogue: Catalogue, *patients: Patient) -> list[int]:
    """Instances of one study, catalogued by former rules; the numbers of what is to be read again."""
    catalogue.instances.add([instance(n, patient=patient) for n, patient in enumerate(patients, 1)])
    driver(catalogue).execute_sql("UPDATE study_identity SET reading = 0")
    return [one.identity for one in catalogue.readings.outdated("1.2")]


def names(catalogue: Catalogue) -> list[str]:
    return [one.patient.name for one in catalogue.exams.links.studies(["1.2"])["1.2"].identities]


def test_what_is_not_ascii_is_read_again_from_a_file_that_is_there(catalogue: Catalogue) -> None:
    of_before(catalogue, Patient("P1", "Zhang^San"), OLD)
    assert catalogue.exams.links.studies(["1.2"])["1.2"].outdated
    assert [replace(one, identity=0) for one in catalogue.readings.outdated("1.2")] == [
        Outdated(0, InstanceUids("1.2", "1.2.1", "1.2.1.2"), 1)
    ]


def test_what_was_read_by_the_rules_of_today_is_not_read_again(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(patient=OLD)])
    assert catalogue.readings.outdated("1.2") == []
    assert not catalogue.exams.links.studies(["1.2"])["1.2"].outdated


def test_a_renewed_identity_says_what_the_header_says(catalogue: Catalogue) -> None:
    (number,) = of_before(catalogue, OLD)
    catalogue.readings.renew(number, instance(patient=NEW, accession="检查1").header)
    assert names(catalogue) == ["张三"]
    assert [study.uid for study in catalogue.exams.links.candidates("检查1")] == ["1.2"]
    assert catalogue.readings.outdated("1.2") == []


def test_a_renewed_identity_that_there_is_already_is_one_with_it(catalogue: Catalogue) -> None:
    (number,) = of_before(catalogue, OLD)
    catalogue.instances.add([instance(2, patient=NEW)])
    catalogue.readings.renew(number, instance(patient=NEW).header)
    assert names(catalogue) == ["张三"]
    assert catalogue.readings.outdated("1.2") == []
