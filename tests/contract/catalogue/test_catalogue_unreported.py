"""The contract of the studies that no exam names, on both engines."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from router.catalogue import Catalogue
from router.catalogue.images.unreported import REPORTED, WAITING
from router.model import Patient
from support.catalogue_rows import MINUTE, NOW, driver, exam, instance

HOUR = timedelta(hours=1)
HERE = datetime.fromisoformat("2026-03-01T09:00:00+00:00")


def study(catalogue: Catalogue, uid: str, *, ae: str = "CT1", address: str = "10.1.2.3", **given: Any) -> None:
    """A study of one instance."""
    date = given.pop("study_date", "20260301")
    new = instance(given.pop("number", 1), uid, **given)
    header = replace(new.header, sending_ae=ae, sending_address=address, study_date=date)
    catalogue.instances.add([replace(new, header=header)])


def uids(catalogue: Catalogue) -> list[str]:
    return [one.study_uid for one in catalogue.unreported.waiting()]


def test_a_study_that_no_exam_names_is_told_with_where_it_came_from(catalogue: Catalogue) -> None:
    study(catalogue, "1.2", modality="MR", received=NOW)
    study(catalogue, "1.2", modality="MR", received=NOW + MINUTE, number=2, ae="PACS", address="10.1.2.4")
    (found,) = catalogue.unreported.waiting()
    assert (found.sender, found.address, found.modality, found.study_date) == ("CT1", "10.1.2.3", "MR", "20260301")
    assert (found.came, found.last) == (NOW, NOW + MINUTE)
    assert catalogue.unreported.waiting_of("1.2") == found
    assert catalogue.unreported.waiting_of("1.3") is None


def test_the_oldest_comes_first_and_one_that_an_exam_names_is_none_at_once(catalogue: Catalogue) -> None:
    study(catalogue, "1.3", received=NOW)
    study(catalogue, "1.2", received=NOW - HOUR)
    assert uids(catalogue) == ["1.2", "1.3"]
    exam(catalogue, "E1", "1.3")
    assert uids(catalogue) == ["1.2"]
    assert catalogue.unreported.waiting_of("1.3") is None


def test_one_that_an_exam_names_no_longer_counts_again(catalogue: Catalogue) -> None:
    study(catalogue, "1.2")
    catalogue.exams.links.unlink(exam(catalogue, "E1", "1.2"), ["1.2"])
    assert uids(catalogue) == ["1.2"]


def test_a_purged_study_is_none(catalogue: Catalogue) -> None:
    study(catalogue, "1.2", received=NOW - HOUR)
    (old,) = catalogue.purge.unmatched(NOW, 10)
    while catalogue.purge.take(old, NOW, NOW):
        pass
    assert uids(catalogue) == []


def test_instances_and_modalities_are_counted_once_whatever_their_versions(catalogue: Catalogue) -> None:
    study(catalogue, "1.2", modality="PT")
    study(catalogue, "1.2", modality="PT", version=2, digest="other")
    study(catalogue, "1.2", modality="CT", number=2)
    study(catalogue, "1.3", modality="CT")
    found = catalogue.unreported.contents(["1.2", "1.3"])
    assert (found["1.2"].instances, found["1.2"].modalities) == (2, ("CT", "PT"))
    assert (found["1.3"].instances, found["1.3"].modalities) == (1, ("CT",))


def test_reports_are_told_by_sender_study_date_and_the_hour_in_which_both_were_here(catalogue: Catalogue) -> None:
    study(catalogue, "1.2", received=HERE)
    study(catalogue, "1.3", received=HERE + MINUTE)
    study(catalogue, "1.4", ae="MR1", received=HERE)
    study(catalogue, "1.5", ae="MR1", study_date="20260228", received=HERE)
    study(catalogue, "1.6", ae="MR1", received=HERE)
    late = catalogue.exams.number_of("", "01", "E2", NOW)
    catalogue.exams.links.link(late, ["1.4"], "listed", HERE + 3 * HOUR + MINUTE)
    early = catalogue.exams.number_of("", "01", "E3", NOW)
    catalogue.exams.links.link(early, ["1.2", "1.3", "1.5"], "listed", HERE - 5 * HOUR)
    again = catalogue.exams.number_of("", "01", "E4", NOW)
    catalogue.exams.links.link(again, ["1.4"], "listed", HERE + 9 * HOUR)
    found = sorted((one.sender, one.study_date, one.came, one.at) for one in catalogue.unreported.reported(HERE))
    assert found == [
        ("CT1", "20260301", HERE, HERE),
        ("MR1", "20260228", HERE, HERE),
        ("MR1", "20260301", HERE, HERE + 3 * HOUR),
    ]
    assert catalogue.unreported.reported(HERE + HOUR) == []


def test_one_number_a_day_is_kept_and_the_last_one_counts(catalogue: Catalogue) -> None:
    for day, number in (("2026-02-28", 3), ("2026-03-01", 4), ("2026-03-01", 7), ("2026-03-02", 9)):
        catalogue.unreported.note(day, number)
    assert catalogue.unreported.numbers("2026-02-01", "2026-03-02") == [3, 7]
    assert catalogue.unreported.numbers("2026-03-01", "2026-03-03") == [7, 9]
    assert catalogue.unreported.numbers("2026-02-01", "2026-03-03") == [7, 9], "what is older is forgotten"


def test_a_dismissal_holds_until_it_is_ended_and_may_be_said_again(catalogue: Catalogue) -> None:
    catalogue.unreported.dismiss("CT1", "for research", "wang", NOW)
    catalogue.unreported.end("CT1", NOW + HOUR)
    (found,) = catalogue.unreported.dismissals()
    assert (found.sender, found.why, found.who, found.until) == ("CT1", "for research", "wang", NOW + HOUR)
    catalogue.unreported.dismiss("CT1", "again", "li", NOW + 2 * HOUR)
    (found,) = catalogue.unreported.dismissals()
    assert (found.why, found.who, found.at, found.until) == ("again", "li", NOW + 2 * HOUR, None)


def test_counting_reads_no_row_of_an_instance(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(n, patient=Patient("P", "N", "", "")) for n in range(1, 4)])
    explain = "EXPLAIN QUERY PLAN" if driver(catalogue).param == "?" else "EXPLAIN"
    for query, values in ((WAITING, []), (REPORTED, [0])):
        sql = f"{explain} {query}".replace("?", driver(catalogue).param)
        plan = " ".join(str(row) for row in catalogue.engine.execute(sql, values)).lower()
        assert "study" in plan
        assert "instance" not in plan
        assert "join" not in plan
