"""The contract of what pages sum up for readers of some hospitals: rates, senders, reports, the latest studies."""

from dataclasses import replace
from datetime import date, timedelta

from router.catalogue import Catalogue
from router.catalogue.images.instances import NewInstance
from router.policy.completeness import Completeness
from router.review.sources import sources_of
from router.review.statistics import By, statistics_of
from support.catalogue_rows import NOW, instance
from support.console_rows import late, row

DAY = date(2026, 3, 1)


def brought(study: str, hospital: str, ae: str, minutes: int) -> NewInstance:
    new = instance(1, study, received=NOW + timedelta(minutes=minutes))
    return replace(new, hospital=hospital, header=replace(new.header, sending_ae=ae))


def test_statistics_of_some_hospitals_are_theirs_alone(catalogue: Catalogue) -> None:
    catalogue.outcomes.write([
        row(1, DAY, hospital="a"), late(2, DAY, hospital="a"), row(3, DAY, hospital="b"),
        late(4, DAY, hospital="c", miss="sending was paused"),
    ])  # fmt: skip
    for hospitals, due, on_time in (((), 4, 2), (("a",), 2, 1), (("a", "b"), 3, 2), (("x",), 0, 0)):
        found = statistics_of(catalogue, DAY, DAY, By.HOSPITAL, hospitals)
        assert (found.total.due, found.total.on_time) == (due, on_time)
        assert found.total.states[Completeness.ON_TIME] == on_time
        assert found.total.report_took == ({12: due} if due else {})
        assert {one.group for one in found.rows} <= set(hospitals or "abc")
        assert ("sending was paused" in {one.reason for one in found.misses}) == (not hospitals)


def test_a_sender_of_several_hospitals_counts_for_each_what_it_brought_of_it(catalogue: Catalogue) -> None:
    catalogue.instances.add([
        brought("1.1", "a", "PACS", 0), brought("1.2", "a", "PACS", 1), brought("1.3", "b", "PACS", 2),
        brought("1.4", "b", "CT", 3), brought("1.5", "", "CT", 4),
    ])  # fmt: skip
    now = NOW + timedelta(hours=1)
    for hospitals, counts in (
        ((), {"PACS": 3, "CT": 2}), (("a",), {"PACS": 2}), (("b",), {"PACS": 1, "CT": 1}), (("x",), {}),
    ):  # fmt: skip
        found = catalogue.sources.senders(NOW - timedelta(days=1), hospitals)
        assert {one.name: sum(one.hours.values()) for one in found} == counts
        assert len(sources_of(catalogue, now, hospitals).senders) == len(counts)


def test_the_latest_studies_are_the_last_that_came_with_who_brought_them(catalogue: Catalogue) -> None:
    for minutes, (study, hospital) in enumerate([("1.1", "a"), ("1.2", "b"), ("1.3", ""), ("1.4", "a")]):
        catalogue.instances.add([brought(study, hospital, "CT", minutes)])
    recent = catalogue.series_members.recent
    assert [one.uid for one in recent(3)] == ["1.4", "1.3", "1.2"]
    assert [(one.uid, one.hospitals, one.sender) for one in recent(9, ("a",))] == [
        ("1.4", frozenset("a"), "CT"), ("1.1", frozenset("a"), "CT"),
    ]  # fmt: skip
