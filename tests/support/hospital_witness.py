"""Histories of several hospitals lived through by the node in memory, with a witness of everything that arrives."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """A history and what became of it: reports and images sent, and what went wrong, None where nothing did."""

    seed: int
    reports: int
    images: int
    wrong: Exception | None = None


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


def live_through(node: NodeInMemory, seed: int) -> Lived:
    """A history to its end, or to where something goes wrong."""
    witness = Witness(node)
    so_far: list[Happening] = []
    wrong: Exception | None = None
    try:
        for one in history(random.Random(seed)):
            so_far.append(one)
            happen(node, one, witness)
            witness.look()
    except Exception as error:  # noqa: BLE001  # of whatever kind, it is shown with the history that led to it
        error.add_note(f"history {seed}:\n" + "\n".join(map(str, so_far)))
        wrong = error
    return Lived(seed=seed, reports=len(node.cloud.reports), images=len(node.cloud.files), wrong=wrong)


def in_memory(seeds: Iterable[int], config: Config) -> Iterator[Lived]:
    """Histories through all decisions; the exam JSON is not filled here, which is most of the time."""
    references = ExamReader(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "fill_for", lambda *_: Filled({}, ()))
        patch.setattr(plan, "json_faults", lambda *_: [])
        for seed in seeds:
            yield live_through(NodeInMemory(config, references), seed)


def configured(base: Path) -> Config:
    """The configuration of the five hospitals."""
    alone = CONFIG[CONFIG.index("[hospital]") : CONFIG.index("[node]")]
    keep = CONFIG.replace(alone, "").replace('folder = "in"', 'folder = "in"\non_pickup = "keep"')
    return parse(keep + HOSPITALS, base=base)
