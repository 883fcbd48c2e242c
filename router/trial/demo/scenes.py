"""The demo's scenes: the order in which each study and the documents of its report arrive."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from router.config.sections import Config, Hospital
from router.text.language import N_
from router.trial.demo.report import accession_number, exam_json, report_pdf, spoken_name
from router.trial.demo.studies import DemoStudy


class Order(StrEnum):
    """Orders of arrival, in the words of the demo's table."""

    IMAGES_FIRST = N_("images, then JSON, then PDF")
    PDF_FIRST = N_("PDF, then JSON, images after the report")
    JSON_FIRST = N_("JSON, then PDF, images last")
    APPROVED_LATER = N_("draft JSON and PDF, approval by a second JSON")
    NO_REPORT = N_("images without a report: must not leave")
    OTHER_PATIENT = N_("JSON with another patient's id: must not leave")


LEAVES = frozenset({Order.IMAGES_FIRST, Order.PDF_FIRST, Order.JSON_FIRST, Order.APPROVED_LATER})


@dataclass(frozen=True, slots=True)
class Scene:
    """One study and the order in which it and its report arrive."""

    order: Order
    exam_id: str
    study: DemoStudy


@dataclass(frozen=True, slots=True)
class Act:
    """One event of the story: a line for the screen, and the function that does it."""

    text: str
    do: Callable[[], None]


def cast(studies: Sequence[DemoStudy]) -> list[Scene]:
    """A scene for each study: every order of arrival appears, the two that must not leave once each."""
    turns = [Order.IMAGES_FIRST, Order.PDF_FIRST, Order.APPROVED_LATER, Order.NO_REPORT, Order.OTHER_PATIENT]
    rest = [Order.JSON_FIRST, Order.PDF_FIRST, Order.IMAGES_FIRST, Order.APPROVED_LATER]
    scenes = []
    for n, study in enumerate(studies):
        order = turns[n] if n < len(turns) else rest[n % len(rest)]
        scenes.append(Scene(order, f"V{n + 1:06d}_CT001", study))
    return scenes


def acts(scenes: Sequence[Scene], config: Config, send: Callable[[DemoStudy], None], *, first: bool) -> list[Act]:
    """The acts of the first or second half of these scenes, in order. `send`: the PACS sends a study to the node."""
    ris = _Ris(config.hospital[0], config.reports.folder, config.node.timezone)
    return [act for scene in scenes for act in _acts(scene, ris, send, first)]


def _acts(scene: Scene, ris: "_Ris", send: Callable[[DemoStudy], None], first: bool) -> list[Act]:
    """The acts of a scene's first half or of its second."""
    images = Act(f"{scene.exam_id}: {len(scene.study.files)} instance(s) by C-STORE", lambda: send(scene.study))
    pdf = Act(f"{scene.exam_id}: report PDF", lambda: ris.drop_pdf(scene))
    exam = Act(f"{scene.exam_id}: exam JSON, approved", lambda: ris.drop_json(scene, approved=True))
    draft = Act(f"{scene.exam_id}: exam JSON, not approved yet", lambda: ris.drop_json(scene, approved=False))
    halves: dict[Order, tuple[list[Act], list[Act]]] = {
        Order.IMAGES_FIRST: ([images], [exam, pdf]),
        Order.PDF_FIRST: ([pdf, exam], [images]),
        Order.JSON_FIRST: ([exam, pdf], [images]),
        Order.APPROVED_LATER: ([images, draft, pdf], [exam]),
        Order.NO_REPORT: ([images], []),
        Order.OTHER_PATIENT: ([images, exam, pdf], []),
    }
    return halves[scene.order][0 if first else 1]


@dataclass(frozen=True, slots=True)
class _Ris:
    hospital: Hospital
    folder: Path
    zone: ZoneInfo

    def drop_pdf(self, scene: Scene) -> None:
        path = self.folder / f"{scene.exam_id}.pdf"
        hidden = path.with_name(f".{path.name}")
        report_pdf(
            hidden, hospital=self.hospital.HospitalName, patient_name=spoken_name(scene.study),
            exam_id=scene.exam_id, accession_number=accession_number(scene.study),
        )  # fmt: skip
        hidden.rename(path)

    def drop_json(self, scene: Scene, *, approved: bool) -> None:
        now = datetime.now(self.zone).replace(microsecond=0, tzinfo=None)
        document = exam_json(
            scene.study, self.hospital, exam_id=scene.exam_id, submitted=now, approved=now if approved else None
        )
        if scene.order == Order.OTHER_PATIENT:
            document["Patient"]["PatientId"] = "P-ANOTHER-PATIENT"
        path = self.folder / f"{scene.exam_id}.json"
        hidden = path.with_name(f".{path.name}")
        hidden.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
        hidden.rename(path)
