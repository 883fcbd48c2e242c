"""The instances of a study in the light of each other, and what a destination gets of them."""

from dataclasses import replace
from typing import Any

import pytest

from router.config.file import shipped
from router.model import SeriesClass, SeriesFacts
from router.series.classify import Rulebook
from router.series.read import distance_of
from router.series.rules import load
from router.series.select import Candidate, Choice, candidate, select
from router.series.study import Marks, Member, Verdict, judge, marks_of, outcome, purpose_of

CT, KOS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.59"
THIN, KEY, SCOUT, DOSE = SeriesClass.THIN, SeriesClass.KEY, SeriesClass.SCOUT, SeriesClass.DOSE
IMAGE, OTHER = SeriesClass.IMAGE, SeriesClass.OTHER
BOOK = Rulebook(load(shipped("series_rules.toml")))
AXIAL = SeriesFacts(
    "CT", CT, "SIEMENS", image_type=("ORIGINAL", "PRIMARY", "AXIAL"), image_orientation="1\\0\\0\\0\\1\\0"
)
FULL = frozenset({THIN, KEY, SCOUT, DOSE})


def stack(facts: int, count: int, step: float, series: str = "1", start: int = 0) -> list[Member]:
    return [
        Member(key=start + n, series_uid=series, sop_uid=f"{series}.{start + n}", facts=facts, position=n * step)
        for n in range(count)
    ]


def named(members: list[Member], facts: dict[int, SeriesFacts]) -> dict[tuple[str, int], str]:
    return {group: verdict.rule.name for group, verdict in judge(members, facts, BOOK).items()}


@pytest.mark.parametrize(
    ("positions", "found"),
    [
        ([], (None, None)),
        ([4.0], (1, None)),
        ([4.0, 4.0], (1, None)),
        ([0.0, 1.0, 2.0, 3.0], (4, 1.0)),
        ([3.0, 0.0, 1.0, 1.0, 0.0, 2.0], (4, 1.0)),
        ([0.0, 1.0, 2.0, 5.0, 6.0, 7.0], (6, 1.0)),
        ([0.0, 0.625, 1.2500001, 1.875], (4, 0.62)),
        ([-2.0, 0.004, 2.0], (3, 2.0)),
    ],
)
def test_slices_make_a_stack(positions: list[float], found: tuple[int | None, float | None]) -> None:
    assert distance_of(positions) == found


def test_slices_without_a_thickness_are_thin_by_their_distance() -> None:
    assert named(stack(1, 9, 1.0), {1: AXIAL}) == {("1", 1): "thin slices by their distance"}
    assert named(stack(1, 9, 5.0), {1: AXIAL}) == {("1", 1): "image SOP class"}


def test_thin_sections_with_gaps_are_not_thin_slices() -> None:
    facts = {1: replace(AXIAL, slice_thickness=1.0)}
    assert named(stack(1, 28, 10.0), facts) == {("1", 1): "thin CT slices far apart"}
    assert named(stack(1, 28, 0.7), facts) == {("1", 1): "thin slices"}
    assert named(stack(1, 2, 10.0), facts) == {("1", 1): "thin slices"}  # two of a series that is still to come


def test_thick_slices_that_overlap_stay_thick() -> None:
    assert named(stack(1, 90, 1.25), {1: replace(AXIAL, slice_thickness=5.0)}) == {("1", 1): "thick slices"}


def test_a_scout_inside_an_axial_series_is_told_apart_and_does_not_stretch_the_stack() -> None:
    scout = replace(AXIAL, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"), image_orientation="0\\1\\0\\0\\0\\-1")
    members = [*stack(1, 40, 1.0), Member(key=99, series_uid="1", sop_uid="1.99", facts=2, position=512.0)]
    assert named(members, {1: AXIAL, 2: scout}) == {
        ("1", 1): "thin slices by their distance",
        ("1", 2): "ImageType LOCALIZER",
    }


def test_headers_that_differ_elsewhere_still_make_one_stack() -> None:
    facts = {n: replace(AXIAL, kernel=f"B{n}0f") for n in (1, 2)}
    members = [replace(one, facts=one.key % 2 + 1) for one in stack(1, 20, 1.0)]
    assert set(named(members, facts).values()) == {"thin slices by their distance"}


def test_the_frames_of_a_multi_frame_instance_are_its_stack() -> None:
    own = replace(AXIAL, sop_class_uid=CT + ".1", number_of_frames=90, slice_count=90, slice_distance=0.8)
    verdict = judge([Member(key=1, series_uid="1", sop_uid="1.1", facts=1, position=None)], {1: own}, BOOK)["1", 1]
    assert verdict.rule.name == "thin slices by their distance"
    assert (verdict.facts.instance_count, verdict.facts.slice_count) == (1, 90)


def test_the_number_of_instances_tells_a_scanogram_from_a_stack() -> None:
    facts = {1: SeriesFacts("CT", CT, "TOSHIBA", series_description="2.0")}
    assert named(stack(1, 2, 50.0), facts) == {("1", 1): "Toshiba scanogram by count"}
    assert named(stack(1, 80, 2.0), facts) == {("1", 1): "image SOP class"}


def test_documents_say_why_they_refer_to_instances() -> None:
    note, title = (SeriesFacts("KO", KOS, concept_name=f"{code}|DCM|x") for code in (113001, 113000))
    assert [purpose_of(note, OTHER), purpose_of(title, KEY), purpose_of(AXIAL, OTHER)] == ["rejection", "key", ""]
    marks = marks_of([("key", "1.1"), ("rejection", "1.2"), ("", "1.3")])
    assert marks == Marks(frozenset({"1.1"}), frozenset({"1.2"}))


def test_what_a_key_object_refers_to_is_key_wherever_it_lies() -> None:
    (member,) = stack(1, 1, 1.0)
    verdict = Verdict(BOOK.rules[0], AXIAL)
    assert outcome(member, verdict, Marks(key=frozenset({member.sop_uid}))).series_class is KEY
    assert outcome(member, verdict, Marks()) is BOOK.rules[0]


def one(key: int, series: str, cls: SeriesClass, thickness: float | None = None, **more: Any) -> Candidate:
    return replace(
        Candidate(key=key, series_uid=series, series_class=cls, scan=("CT",), kind=("",), thickness=thickness), **more
    )


def chosen(choices: tuple[Choice, ...]) -> dict[int, bool]:
    return {choice.key: choice.selected for choice in choices}


def why(choices: tuple[Choice, ...], key: int) -> str:
    return next(choice.rule for choice in choices if choice.key == key)


def test_classes_wanted_go_at_once_and_others_stay_with_a_reason() -> None:
    study = [one(0, "1", THIN, 1.0), one(1, "2", SCOUT), one(2, "3", OTHER)]
    choices = select(study, frozenset({THIN, IMAGE}), complete=False)
    assert chosen(choices) == {0: True, 1: False, 2: False}
    assert [c.rule for c in choices] == ["class thin", "class scout is not wanted", "class other is not wanted"]


def test_images_wait_for_the_complete_study_where_thin_slices_may_still_come() -> None:
    study = [one(0, "1", IMAGE, 5.0), one(1, "2", SCOUT)]
    assert chosen(select(study, FULL, complete=False)) == {1: True}
    assert chosen(select(study, FULL, complete=True)) == {0: True, 1: True}


def test_thick_slices_stay_where_thin_ones_of_the_same_scan_go() -> None:
    study = [one(0, "1", THIN, 1.0), one(1, "2", IMAGE, 5.0), one(2, "3", IMAGE, 5.0, scan=("CT", "head"))]
    choices = select(study, FULL, complete=True)
    assert chosen(choices) == {0: True, 1: False, 2: True}
    assert why(choices, 1) == "thin slices of the same scan go instead"


def test_without_thin_slices_the_thinnest_stack_of_each_kind_goes() -> None:
    study = [
        one(0, "1", IMAGE, 5.0), one(1, "2", IMAGE, 3.0), one(2, "3", IMAGE, 3.0), one(3, "4", IMAGE),
        one(4, "5", IMAGE, 8.0, kind=("projection",)), one(5, "6", IMAGE, 10.0, kind=("projection",)),
    ]  # fmt: skip
    choices = select(study, FULL, complete=True)
    assert chosen(choices) == {0: False, 1: True, 2: True, 3: True, 4: True, 5: False}
    assert "thinnest stack of its kind (3 mm)" in why(choices, 1)
    assert why(choices, 3) == "no slices: all go"


def test_a_rejected_thin_stack_does_not_stand_in_for_others() -> None:
    study = [one(0, "1", THIN, 1.0, rejected=True), one(1, "2", IMAGE, 5.0)]
    assert chosen(select(study, FULL, complete=True)) == {0: False, 1: True}


def test_a_modality_for_which_thin_means_nothing_goes_whole_at_once() -> None:
    study = [one(0, "1", IMAGE, 5.0, has_limit=False), one(1, "2", IMAGE, has_limit=False), one(2, "3", THIN, 1.0)]
    assert chosen(select(study, FULL, complete=False)) == {0: True, 1: True, 2: True}


def test_what_a_key_object_refers_to_goes_though_its_class_is_not_wanted() -> None:
    study = [one(0, "1", IMAGE, 5.0, referred=True), one(1, "1", IMAGE, 5.0)]
    assert chosen(select(study, frozenset({KEY}), complete=False)) == {0: True, 1: False}


def test_rejection_notes_and_what_they_refer_to_do_not_go_even_where_everything_is_wanted() -> None:
    study = [one(0, "1", OTHER, note=True), one(1, "2", THIN, rejected=True), one(2, "2", THIN)]
    choices = select(study, frozenset(SeriesClass), complete=False)
    assert chosen(choices) == {0: False, 1: False, 2: True}
    assert [why(choices, 0), why(choices, 1)] == ["a rejection note is not sent", "a rejection note refers to it"]


def test_a_candidate_is_as_thin_as_thickness_and_distance_allow() -> None:
    facts = replace(AXIAL, slice_thickness=1.0, slice_distance=10.0, body_part="CHEST", contrast_agent="Iohexol")
    found = candidate(1, "1", "1.1", Verdict(BOOK.rules[0], facts), BOOK.limits, Marks())
    assert (found.thickness, found.scan, found.has_limit) == (10.0, ("CT", "chest", "contrast"), True)
    plain = candidate(1, "1", "1.1", Verdict(BOOK.rules[0], SeriesFacts("DX")), BOOK.limits, Marks())
    assert (plain.thickness, plain.has_limit) == (None, False)
