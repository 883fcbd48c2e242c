"""The first exam: a small CT study and its report through a node of this installation, to a reference platform.

Both run on ports of their own in a folder of their own: nothing reaches the configured destinations.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from router.catalogue import open_catalogue
from router.clock import SystemClock
from router.config.sections import Hospital
from router.crypto.keys import new_folder
from router.errors import RouterError, TransientError
from router.events import EventBus
from router.review.deliveries import Review
from router.trial.demo.check import Finding, check
from router.trial.demo.pacs import Pacs
from router.trial.demo.report import accession_number, exam_json, plain_pdf
from router.trial.demo.scenes import Order, Scene
from router.trial.demo.stage import Stage, set_up
from router.trial.demo.standing import delivered, expected, remainder
from router.trial.demo.studies import derived_uid, make_ct_study, read_studies

_EXAM = "FIRST-EXAM-0001"
_SLICES = 10
_SECONDS = 120.0  # on a machine that does much else
_PAUSE = 0.2
_FINDINGS = "This is the test exam of an installation. No finding."
_IMPRESSION = "Test exam of an installation."


def deliver(language: str, hospital: Hospital) -> Sequence[Finding]:
    """Send the exam through; the platform's findings. TransientError when it does not arrive in time.

    The folder with the logs is kept then, and named.
    """
    folder = Path(tempfile.mkdtemp(prefix="first-exam-"))
    try:
        findings = _through(folder, language, hospital)
    except RouterError as error:
        raise TransientError(error.message, hint=f"the logs are in {folder}") from error
    shutil.rmtree(folder, ignore_errors=True)
    return findings


def _through(folder: Path, language: str, hospital: Hospital) -> Sequence[Finding]:
    scene = _scene(folder)
    new_folder(folder / "keys")
    with set_up(folder, language, hospital) as stage:
        stage.open(frozenset({"CT"}))
        return _delivered(stage, scene)


def _scene(folder: Path) -> Scene:
    files = make_ct_study(
        folder / "ct", _SLICES, study_uid=derived_uid("first exam", str(time.time_ns())), patient_id="P0001",
        name="Zhang^San=张^三", accession="A0001",
    )  # fmt: skip
    [study] = read_studies(files)
    return Scene(Order.IMAGES_FIRST, _EXAM, study)


def _delivered(stage: Stage, scene: Scene) -> Sequence[Finding]:
    pacs = Pacs(stage.node.ports["dicom"])
    pacs.send(scene.study)
    for _, why in pacs.refused:
        raise TransientError(f"the node did not take an instance: {why}")
    _drop(stage, scene)
    catalogue = open_catalogue("", stage.config.node.data, EventBus())
    try:
        review = Review(catalogue, SystemClock())
        _wait(lambda: delivered(review.listed([], None, None)) == expected([scene]))
        left = remainder(review.listed([], None, None), [scene])
    finally:
        catalogue.engine.close_thread()
    if left:
        raise TransientError(f"the test exam did not arrive: {'; '.join(f'{one.channel}: {one.why}' for one in left)}")
    return check(stage, [scene])[:2]


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _SECONDS
    while not condition() and time.monotonic() < until:
        time.sleep(_PAUSE)


def _drop(stage: Stage, scene: Scene) -> None:
    now = datetime.now(stage.config.node.timezone).replace(microsecond=0, tzinfo=None)
    document = exam_json(scene.study, stage.config.hospital[0], exam_id=_EXAM, submitted=now, approved=now)
    document["Report"] |= {"Findings": _FINDINGS, "Impression": _IMPRESSION}
    names = f"Exam: {_EXAM}", f"Accession number: {accession_number(scene.study)}"
    report = plain_pdf([*names, "Patient: Zhang San", _FINDINGS, _IMPRESSION])
    for ending, content in (("pdf", report), ("json", json.dumps(document, ensure_ascii=False).encode())):
        hidden = stage.config.reports.folder / f".{_EXAM}.{ending}"
        hidden.write_bytes(content)
        hidden.rename(hidden.with_name(hidden.name[1:]))
