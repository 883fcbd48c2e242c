"""Never the wrong patient: generated histories with mistakes, through the whole node but for its sockets."""

import os
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from router.config.file import parse
from router.config.sections import Config
from router.correlator import plan
from router.exam.fill import Filled
from router.intake.exam_reader import ExamReader
from router.model import Channel, Header, InstanceUids, Patient, SeriesFacts
from router.policy.states import State
from support.node_in_memory import NodeInMemory
from support.node_without_sockets import CONFIG, Node
from support.patient_mixups import EXCLUDED, PEOPLE, Happening, Image, Json, Pause, Pdf, history


class Witness:
    """Looks at everything that arrives at the destination, as it comes."""

    def __init__(self, node: Node | NodeInMemory) -> None:
        self._node = node
        self._people: dict[str, int] = {}
        self._excluded: set[str] = set()
        self._last: dict[int, str] = {}
        self._reports = self._images = 0

    def saw(self, image: Image) -> None:
        known = self._people.setdefault(image.header.uids.sop, image.person)
        assert known == image.person, "the history itself is wrong"
        if image.header.patient.patient_id.startswith("TEST"):
            self._excluded.add(image.header.uids.sop)
        else:
            self._excluded.discard(image.header.uids.sop)

    def look(self) -> None:
        cloud = self._node.cloud
        for report, idem in list(zip(cloud.reports, cloud.idems, strict=True))[self._reports :]:
            assert self._last.get(report.number) != idem, "a report was sent twice"
            self._last[report.number] = idem
            assert report.exam["Order"]["Status"] == "Reported", "sent before it was approved"
            assert report.exam["Order"]["Note"] == report.pdf.split("%")[1], "the PDF of another patient"
        for exam, name in cloud.files[self._images :]:
            said = cast(dict[str, Any], self._node.counting(exam))
            assert said["Order"]["Status"] == "Reported", "an image was sent before the approval"
            sop = Path(name).stem.split("~")[0]
            person = self._people[sop]
            assert said["Order"]["Note"] == f"of {person}", "an image of another patient"
            assert sop not in self._excluded, "an excluded image was sent"
        files = [name for _, name in cloud.files]
        assert len(set(files)) == len(files), "an instance was sent twice"
        self._reports, self._images = len(cloud.reports), len(cloud.files)


def happen(node: Node | NodeInMemory, one: Happening, witness: Witness) -> None:
    if isinstance(one, Json):
        node.drop(f"{one.stem}.json", one.data())
    elif isinstance(one, Pdf):
        node.drop(f"{one.stem}.pdf", one.text.encode())
    elif isinstance(one, Image):
        witness.saw(one)
        node.receive(one.header)
    elif isinstance(one, Pause):
        if one.restart:
            node.restart()
        node.wait(one.seconds)
    node.settle()


def live_through(node: Node | NodeInMemory, seed: int) -> tuple[int, int]:
    """A history; how many reports and images were sent."""
    witness = Witness(node)
    so_far: list[Happening] = []
    try:
        for one in history(random.Random(seed)):
            so_far.append(one)
            happen(node, one, witness)
            witness.look()
    except Exception as error:
        error.add_note(f"history {seed}:\n" + "\n".join(map(str, so_far)))
        raise
    return len(node.cloud.reports), len(node.cloud.files)


def whole(folder: Path, seed: int) -> tuple[int, int]:
    """A history through the whole node."""
    folder.mkdir()
    node = Node(folder, EXCLUDED)
    try:
        sent = live_through(node, seed)
        assert not node.alarmed("cannot be evaluated")
        return sent
    finally:
        node.close()


def in_memory(seeds: Iterable[int], config: Config) -> tuple[int, int]:
    """Histories through all decisions; the exam JSON is not filled here, which is most of the time."""
    references = ExamReader(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "fill_for", lambda *_: Filled({}, ()))
        patch.setattr(plan, "json_faults", lambda *_: [])
        sent = [live_through(NodeInMemory(config, references), seed) for seed in seeds]
    return sum(reports for reports, _ in sent), sum(images for _, images in sent)


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is lost here, power is not."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def test_no_wrong_patient_in_some_histories(tmp_path: Path) -> None:
    sent = [whole(tmp_path / str(seed), seed) for seed in range(4)]
    assert sum(reports for reports, _ in sent) > 1
    assert sum(images for _, images in sent) > 1


@pytest.fixture
def config(tmp_path: Path) -> Config:
    keep = CONFIG.replace('folder = "in"', 'folder = "in"\non_pickup = "keep"')
    return parse(keep + EXCLUDED, base=tmp_path)


def test_no_wrong_patient_in_hundreds_of_histories_in_memory(config: Config) -> None:
    reports, images = in_memory(range(150), config)
    assert reports > 50
    assert images > 50


def person(number: int, exam: int, **changes: Any) -> Json:
    """The right JSON of exam `exam` of this person, bent."""
    right = Json(f"r{exam}", number, f"V{exam}", f"A{1000 + exam}", PEOPLE[number], (f"1.2.{exam}",), True, 5, "one")
    return replace(right, **changes)


def bring(tmp_path: Path, *happenings: Happening) -> tuple[Node, Witness]:
    node = Node(tmp_path, EXCLUDED)
    witness = Witness(node)
    for one in happenings:
        happen(node, one, witness)
        happen(node, Pause(60000, restart=True), witness)
        witness.look()
    node.close()
    return node, witness


@pytest.mark.parametrize("text", ["No. A1000", ""])
def test_an_older_version_of_another_patient_brings_no_pdf_to_a_reused_exam_id(tmp_path: Path, text: str) -> None:
    reused = person(1, 1, exam_id="V0")
    older = person(0, 0, approved=False, minute=0)
    node, _ = bring(tmp_path, Pdf("r0", 0, f"{text}\n%of 0"), reused, older)
    assert not node.cloud.reports
    found = node.delivery("V0", Channel.REPORT)
    assert found is not None
    assert (found.state, found.held_by) == (State.HELD, "identity")


def test_an_exam_id_that_was_another_patients_meanwhile_takes_no_pdf_of_that_one(tmp_path: Path) -> None:
    first, last = person(1, 1, minute=1), person(1, 1, minute=3)
    meanwhile = person(0, 0, exam_id="V1", minute=2)
    node, _ = bring(tmp_path, first, meanwhile, last, Pdf("r0", 0, "\n%of 0"))
    assert not node.cloud.reports


def picture(number: int, study: int) -> Image:
    """An image of this person, in the study that exam `study` is of."""
    uid, patient = f"1.2.{study}", PEOPLE[number]
    facts = SeriesFacts("CT", sop_class_uid="1.2.840.10008.5.1.4.1.1.2", image_type=("ORIGINAL", "PRIMARY", "AXIAL"))
    dicom = Patient(patient.patient_id, patient.name, patient.birth_date, patient.sex)
    uids = InstanceUids(uid, f"{uid}.1", f"{uid}.1.1")
    return Image(
        number,
        Header(
            uids=uids,
            sop_class=facts.sop_class_uid,
            transfer_syntax="1.2.840.10008.1.2.1",
            patient=dicom,
            study_date="20260302",
            facts=facts,
        ),
    )


STRANGER = person(0, 0, exam_id="V1", studies=("1.2.1",), minute=1)
RIGHT = person(1, 1, minute=2)


def test_of_two_patients_pdfs_the_one_under_the_name_of_the_right_version_goes(tmp_path: Path) -> None:
    happenings = STRANGER, Pdf("r1", 1, "A1001\n%of 1"), Pdf("r0", 0, "A1000 V1\n%of 0"), RIGHT
    node, _ = bring(tmp_path, picture(1, 1), *happenings)
    assert [report.pdf for report in node.cloud.reports] == ["A1001\n%of 1"]


def test_images_that_say_whose_the_exam_is_do_not_say_whose_the_pdf_is(tmp_path: Path) -> None:
    node, _ = bring(tmp_path, picture(1, 1), RIGHT, STRANGER, Pdf("r0", 0, "\n%of 0"))
    assert not node.cloud.reports
    found = node.delivery("V1", Channel.REPORT)
    assert found is not None
    assert (found.state, found.held_by) == (State.HELD, "pdf")
    assert "names another patient" in found.error


@pytest.mark.torture
@pytest.mark.parametrize("part", range(20))
def test_no_wrong_patient_in_a_hundred_thousand_histories_in_memory(config: Config, part: int) -> None:
    first = random.SystemRandom().randrange(10**9)
    reports, images = in_memory(range(first, first + 5000), config)
    print(f"histories {first} to {first + 4999}: {reports} reports, {images} images")  # noqa: T201  # the figures


@pytest.mark.torture
@pytest.mark.parametrize("part", range(4))
def test_no_wrong_patient_in_many_histories(tmp_path: Path, part: int) -> None:
    first = random.SystemRandom().randrange(10**9)
    for seed in range(first, first + 250):
        whole(tmp_path / f"{part}-{seed}", seed)
