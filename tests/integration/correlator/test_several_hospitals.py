"""Nothing crosses between hospitals: generated histories of five whose numbers are all alike."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from router.config.file import parse
from router.config.sections import Config
from router.correlator import plan
from router.exam.fill import Filled
from router.intake.exam_reader import ExamReader
from router.matching.images.hospital import may_join
from router.model import Header
from support.hospital_mixups import HOSPITALS, Happening, Paper, Picture, Report, history
from support.node_in_memory import NodeInMemory
from support.node_without_sockets import CONFIG
from support.patient_mixups import Pause


class Witness:
    """Looks at everything that arrives at the destination, as it comes."""

    def __init__(self, node: NodeInMemory) -> None:
        self._node = node
        self._shown: dict[Header, str] = {}
        self._reports = self._images = 0

    def saw(self, picture: Picture) -> None:
        known = self._shown.setdefault(picture.header, picture.who)
        assert known == picture.who, "the history itself is wrong"

    def look(self) -> None:
        cloud, memory = self._node.cloud, self._node.memory
        for report in cloud.reports[self._reports :]:
            note = report.exam["Order"]["Note"]
            assert note == report.pdf.split("%")[1], "the PDF of another exam"
            assert note.split()[0] == memory.entries[report.number].hospital, "a report under another hospital"
        for exam, name in cloud.files[self._images :]:
            study, _, file = name.partition("/")
            sop, version = file.removesuffix(".dcm").split("~")
            said = cast(dict[str, Any], self._node.counting(exam))["Order"]["Note"]
            shown = self._shown[memory.instances[study, sop][int(version) - 1].header]
            assert said.split()[-1] == shown, "an image of another patient"
        for entry in memory.entries.values():
            for uid in entry.links:
                assert may_join(entry.hospital, frozenset(memory.hospitals.get(uid, ()))), "a study of another hospital"
        self._reports, self._images = len(cloud.reports), len(cloud.files)


def happen(node: NodeInMemory, one: Happening, witness: Witness) -> None:
    if isinstance(one, Report):
        node.drop(f"{one.visit.stem}.json", one.data(), one.origin)
    elif isinstance(one, Paper):
        node.drop(f"{one.pdf.stem}.pdf", one.pdf.text.encode(), None)
    elif isinstance(one, Picture):
        witness.saw(one)
        node.receive(one.header)
    elif isinstance(one, Pause):
        if one.restart:
            node.restart()
        node.wait(one.seconds)
    node.settle()


def live_through(node: NodeInMemory, seed: int) -> tuple[int, int]:
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


def in_memory(seeds: Iterable[int], config: Config) -> tuple[int, int]:
    """Histories through all decisions; the exam JSON is not filled here, which is most of the time."""
    references = ExamReader(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "fill_for", lambda *_: Filled({}, ()))
        patch.setattr(plan, "json_faults", lambda *_: [])
        sent = [live_through(NodeInMemory(config, references), seed) for seed in seeds]
    return sum(reports for reports, _ in sent), sum(images for _, images in sent)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    alone = CONFIG[CONFIG.index("[hospital]") : CONFIG.index("[node]")]
    keep = CONFIG.replace(alone, "").replace('folder = "in"', 'folder = "in"\non_pickup = "keep"')
    return parse(keep + HOSPITALS, base=tmp_path)


@pytest.mark.parametrize("part", range(4))
def test_nothing_crosses_between_hospitals_in_hundreds_of_histories(config: Config, part: int) -> None:
    reports, images = in_memory(range(500 * part, 500 * (part + 1)), config)
    assert reports > 100
    assert images > 100


@pytest.mark.torture
@pytest.mark.parametrize("part", range(20))
def test_nothing_crosses_between_hospitals_in_a_hundred_thousand_histories(config: Config, part: int) -> None:
    first = random.SystemRandom().randrange(10**9)
    reports, images = in_memory(range(first, first + 5000), config)
    print(f"histories {first} to {first + 4999}: {reports} reports, {images} images")  # noqa: T201  # the figures
