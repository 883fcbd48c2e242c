"""The contract of facts and classes, and of what key objects and rejection notes refer to; and the selection on it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from router.catalogue import Catalogue
from router.catalogue.db.steps import forget_expired
from router.catalogue.images.instances import NewInstance
from router.catalogue.images.ledger import Fate, Outcome
from router.config.file import shipped
from router.config.salvage import salvaged
from router.config.sections import Destination, Thin
from router.events import Event, EventBus, Kind
from router.images.selection import Selection
from router.images.series_report import lines_of
from router.model import SeriesClass, SeriesFacts
from router.series.classify import Rulebook, classify
from router.series.rules import load
from router.series.study import Marks
from support.catalogue_rows import CLOUD, MINUTE, NOW, exam, instance

CT, KOS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.59"
BOOK = Rulebook(load(shipped("series_rules.toml")))
THIN, KEY, IMAGE = SeriesClass.THIN, SeriesClass.KEY, SeriesClass.IMAGE
ASKED = (THIN, KEY, SeriesClass.SCOUT, SeriesClass.DOSE)


def new(number: int, facts: SeriesFacts, study: str = "1.2", **header: object) -> NewInstance:
    plain = instance(number, study, received=NOW)
    uids = replace(plain.header.uids, series=f"{study}.{header.pop('series', 1)}")
    rule = classify(facts, BOOK)
    read = replace(plain.header, uids=uids, sop_class=facts.sop_class_uid, facts=facts, **header)  # type: ignore[arg-type]  # the caller names the header's fields
    return replace(plain, header=read, series_class=rule.series_class, rule=rule.name)


def slices(count: int, step: float, thickness: float | None = None, **facts: object) -> list[NewInstance]:
    first = int(str(facts.pop("first", 0)))
    own = SeriesFacts("CT", CT, slice_thickness=thickness, image_orientation="1\\0\\0\\0\\1\\0", **facts)  # type: ignore[arg-type]  # as above
    return [new(first + n, own, position=n * step, series=first + 1) for n in range(count)]


def document(number: int, code: int, *uids: str, study: str = "1.2") -> NewInstance:
    facts = SeriesFacts("KO", KOS, concept_name=f"{code}|DCM|x")
    return new(number, facts, study, series=900, references=uids)


class Scene:
    """One exam with one study, and a destination."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.events: list[Event] = []
        self.exam = exam(catalogue, "E1", "1.2")
        self.selection = Selection(salvaged("", base=Path()), catalogue, lambda _: BOOK, EventBus(self.events.append))

    def select(
        self, *classes: SeriesClass, complete: bool = True, thin: tuple[Thin, ...] = (),
        late_after: datetime | None = None,
    ) -> bool:  # fmt: skip
        destination = Destination(name=CLOUD, classes=classes or ASKED, thin=thin)
        case = self.catalogue.exams.case(self.exam)
        return self.selection.select(destination, case, complete=complete, now=NOW, late_after=late_after)

    def fates(self) -> dict[str, tuple[Fate, str]]:
        entries = self.catalogue.ledger.entries(self.exam, CLOUD)
        return {one.uids.sop.removeprefix("1.2.1."): (one.fate, one.rule) for one in entries}

    def going(self) -> set[str]:
        return {name for name, (fate, _) in self.fates().items() if fate != Fate.FILTERED}

    def send_all(self) -> None:
        waiting = self.catalogue.ledger.to_send(self.exam, CLOUD, 99)
        self.catalogue.ledger.record(
            [Outcome(key=one.key, fate=Fate.SENT, status=0, association="a") for one in waiting], NOW
        )


@pytest.fixture
def scene(catalogue: Catalogue) -> Scene:
    return Scene(catalogue)


def test_facts_are_kept_once_and_come_back_as_they_were(catalogue: Catalogue) -> None:
    facts = SeriesFacts("CT", CT, image_type=("DERIVED", "SECONDARY", "", "MPR"), series_number=3, slice_thickness=0.5,
                        series_description="冠状 \ud800")  # fmt: skip
    catalogue.instances.add([new(1, facts, position=1.5), new(2, facts)])
    catalogue.instances.add([new(3, facts), new(4, facts, "1.3")])
    members = [one.member for one in catalogue.series_members.of_study("1.2")]
    assert [one.position for one in members] == [1.5, None, None]
    (number,) = {one.facts for one in members}
    assert catalogue.series_members.facts([number]) == {number: facts}
    assert catalogue.series_members.of_study("1.3")[0].member.facts != number


def test_a_batch_in_which_nothing_is_new_changes_nothing(catalogue: Catalogue) -> None:
    catalogue.instances.add([])
    assert catalogue.series_members.of_study("1.2") == []


def test_a_study_is_settled_in_the_light_of_its_series(scene: Scene) -> None:
    scene.catalogue.instances.add(slices(6, 1.0))
    assert {one.series_class for one in scene.catalogue.series_members.of_study("1.2")} == {IMAGE}
    for _ in range(2):
        scene.selection.settle("1.2")
        settled = {(one.series_class, one.rule) for one in scene.catalogue.series_members.of_study("1.2")}
        assert settled == {(THIN, "thin slices by their distance")}


def test_what_the_rules_make_of_a_study_is_told_with_its_facts(scene: Scene) -> None:
    scene.catalogue.instances.add([*slices(6, 1.0), document(50, 113000, "1.2.1.2")])
    told = {(one.series_class, one.rule, one.used, one.count) for one in lines_of(scene.catalogue, "1.2", BOOK)}
    assert told == {
        (THIN, "thin slices by their distance", f"sop_class_uid={CT}, slice_distance=1.0", 5),
        (KEY, "a key object refers to it", "", 1),
        (KEY, "key object by title", f"sop_class_uid={KOS}, concept_name=113000|DCM|x", 1),
    }


@pytest.mark.parametrize("order", [lambda a, b: (a, b), lambda a, b: (b, a)])
def test_what_a_key_object_refers_to_is_key_in_any_order(
    scene: Scene, order: Callable[[list[NewInstance], list[NewInstance]], tuple[list[NewInstance], ...]]
) -> None:
    thick = slices(3, 5.0, 5.0)
    for batch in order([*thick, *slices(3, 1.0, 1.0, first=10)], [document(50, 113000, "1.2.1.1")]):
        scene.catalogue.instances.add(batch)
        scene.select(complete=False)
    scene.select()
    assert scene.going() == {"1", "10", "11", "12", "50"}
    scene.selection.settle("1.2")
    assert {o.member.sop_uid for o in scene.catalogue.series_members.of_study("1.2") if o.series_class is KEY} == {
        "1.2.1.1", "1.2.1.50"
    }  # fmt: skip


def test_a_key_object_that_comes_late_takes_back_that_an_instance_was_left_out(scene: Scene) -> None:
    scene.catalogue.instances.add([*slices(3, 5.0, 5.0), *slices(3, 1.0, 1.0, first=10)])
    scene.select()
    assert scene.going() == {"10", "11", "12"}
    scene.catalogue.instances.add([document(50, 113013, "1.2.1.0")])
    scene.select()
    assert scene.fates()["0"] == (Fate.SELECTED, "a key object refers to it")


def test_a_key_object_sends_nothing_that_the_selection_would_keep_back(scene: Scene) -> None:
    first = slices(3, 1.0, 1.0)
    scene.catalogue.instances.add(first)
    scene.select()
    scene.send_all()
    thick = replace(first[1].header.facts, slice_thickness=5.0)
    other = replace(first[1].header.patient, patient_id="P2", name="Li^Si")
    same, foreign, note, late = (
        replace(first[0], version=2, digests=replace(first[0].digests, data_set="again")),
        replace(new(1, thick, patient=other, position=9.0), version=2, digests=instance(1, digest="other").digests),
        document(40, 113001, "1.2.1.77"),
        new(41, thick, series=41),
    )
    scene.catalogue.instances.add([same, foreign, note, late])
    scene.select()
    assert scene.going() == {"2"}
    scene.catalogue.instances.add([document(50, 113000, "1.2.1.0", "1.2.1.1", "1.2.1.40", "1.2.1.41")])
    scene.events.clear()
    for _ in range(2):
        scene.select(late_after=NOW - MINUTE)
    entries = scene.catalogue.ledger.entries(scene.exam, CLOUD)
    assert {(one.uids.sop.removeprefix("1.2.1."), one.version): one.fate for one in entries} == {
        ("0", 1): Fate.SENT, ("0", 2): Fate.FILTERED, ("1", 1): Fate.SENT, ("1", 2): Fate.HELD, ("2", 1): Fate.SENT,
        ("40", 1): Fate.FILTERED, ("41", 1): Fate.LATE, ("50", 1): Fate.LATE,
    }  # fmt: skip
    assert scene.events == []


def test_what_is_held_for_a_person_is_left_out_once_a_note_rejects_it(scene: Scene) -> None:
    first = slices(2, 1.0, 1.0)
    scene.catalogue.instances.add(first)
    scene.select()
    scene.send_all()
    other = replace(first[1].header.patient, patient_id="P2", name="Li^Si")
    foreign = new(1, first[1].header.facts, patient=other, position=9.0)
    digests = instance(1, digest="other").digests
    fates = []
    for news in (replace(foreign, version=2, digests=digests), document(50, 113001, "1.2.1.1")):
        scene.catalogue.instances.add([news])
        scene.select()
        entries = scene.catalogue.ledger.entries(scene.exam, CLOUD)
        fates += [one.fate for one in entries if (one.uids.sop, one.version) == ("1.2.1.1", 2)]
    assert fates == [Fate.HELD, Fate.FILTERED]


def test_a_document_of_another_study_counts_and_has_the_exam_evaluated(scene: Scene) -> None:
    scene.catalogue.instances.add(slices(3, 5.0, 5.0))
    case = scene.catalogue.exams.case(scene.exam)
    scene.catalogue.exams.checked(case, None, None, "")
    scene.catalogue.instances.add([document(1, 113000, "1.2.1.2", study="1.9")])
    assert scene.catalogue.exams.to_check(NOW + MINUTE, 9) == [scene.exam]
    assert scene.catalogue.references.marks(["1.2"]) == Marks(key=frozenset({"1.2.1.2"}))
    assert scene.catalogue.references.marks(["1.9"]) == Marks()


@pytest.mark.parametrize("code", [113001, 113037, 113038])
@pytest.mark.parametrize("note_first", [True, False])
def test_a_rejection_note_keeps_back_what_it_refers_to_in_any_order(scene: Scene, code: int, note_first: bool) -> None:
    batches = [[document(50, code, "1.2.1.1")], slices(3, 1.0, 1.0)]
    for batch in batches if note_first else reversed(batches):
        scene.catalogue.instances.add(batch)
        scene.select(*SeriesClass, complete=False)
    assert scene.going() == {"0", "2"}
    assert scene.fates()["1"][1] == "a rejection note refers to it"
    assert scene.fates()["50"][1] == "a rejection note is not sent"
    assert [event for event in scene.events if event.kind == Kind.ALARM] == []


@pytest.mark.parametrize("note_first", [True, False])
def test_a_note_of_expired_retention_keeps_nothing_back_and_is_not_sent(scene: Scene, note_first: bool) -> None:
    batches = [[document(50, 113039, "1.2.1.1")], slices(3, 1.0, 1.0)]
    for batch in batches if note_first else reversed(batches):
        scene.catalogue.instances.add(batch)
        scene.select(*SeriesClass, complete=False)
    assert scene.going() == {"0", "1", "2"}
    assert scene.fates()["50"] == (Fate.FILTERED, "a rejection note is not sent")


def test_what_a_note_of_expired_retention_rejected_before_is_rejected_no_more(scene: Scene) -> None:
    scene.catalogue.instances.add(
        [*slices(3, 1.0, 1.0), document(50, 113001, "1.2.1.1"), document(51, 113001, "1.2.1.2")]
    )
    changed = "UPDATE facts SET body = replace(body, '113001|', '113039|') WHERE id = (SELECT facts_id FROM instance"
    scene.catalogue.engine.execute(f"{changed} WHERE sop_uid = '1.2.1.50')", ())
    forget_expired(scene.catalogue.engine)
    assert "1.2.1.1" not in scene.catalogue.references.marks(["1.2"]).rejected


def test_a_note_of_expired_retention_is_no_news_of_what_was_sent(scene: Scene) -> None:
    scene.catalogue.instances.add(slices(3, 1.0, 1.0))
    scene.select()
    scene.send_all()
    scene.catalogue.instances.add([document(50, 113039, "1.2.1.0")])
    scene.select()
    assert [event for event in scene.events if event.kind == Kind.ALARM] == []


def test_what_was_sent_before_it_is_rejected_is_alarmed_once(scene: Scene) -> None:
    scene.catalogue.instances.add(slices(3, 1.0, 1.0))
    scene.select()
    scene.send_all()
    scene.catalogue.instances.add([document(50, 113037, "1.2.1.0", "1.2.1.2")])
    scene.select()
    scene.select()
    assert [(event.text, event.exam) for event in scene.events if event.kind == Kind.ALARM] == [
        (f"a note rejects 2 instance(s) that {CLOUD} already has", scene.exam)
    ]
    assert scene.fates()["0"] == (Fate.SENT, "sent; a rejection note refers to it")


def test_a_note_that_a_newer_version_replaces_says_no_more(scene: Scene) -> None:
    scene.catalogue.instances.add([*slices(2, 1.0, 1.0), document(50, 113001, "1.2.1.0")])
    later = replace(document(50, 113001, "1.2.1.1"), version=2, digests=instance(50, digest="later").digests)
    scene.catalogue.instances.add([later])
    assert scene.catalogue.references.marks(["1.2"]).rejected == {"1.2.1.1"}


def test_choices_between_stacks_wait_until_the_study_is_complete(scene: Scene) -> None:
    scene.catalogue.instances.add([*slices(3, 5.0, 5.0), *slices(3, 8.0, 8.0, first=10)])
    assert scene.select(complete=False) is True
    assert scene.going() == set()
    assert scene.select(complete=True) is False
    assert scene.going() == {"0", "1", "2"}


def test_a_destination_may_have_limits_of_its_own(scene: Scene) -> None:
    scene.catalogue.instances.add([*slices(3, 1.0, 1.0), *slices(3, 2.0, 2.0, first=10)])
    scene.select(THIN, thin=(Thin(modality="CT", up_to=2.0),))
    assert scene.going() == {"0", "1", "2", "10", "11", "12"}
    scene.selection.settle("1.2")
    assert scene.catalogue.ledger.classes(scene.exam, CLOUD) == {THIN, IMAGE}
