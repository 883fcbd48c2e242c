"""The check at the platform: every data set byte for byte, every receipt, and nothing that must not be there."""

import base64
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from router.crypto.keys import load_public
from router.crypto.symmetric import sm3
from router.dicom.dataset.header import digest
from router.text.language import N_
from router.trial.demo.scenes import LEAVES, Scene
from router.trial.demo.stage import Stage
from router.trial.demo.studies import DemoFile

_DATA_SETS = N_("{count} data sets at the platform are equal, byte for byte; none is doubled, none too many")
_REPORTS = N_(
    "{count} reports (诊断报告) with their exam JSON (检查JSON) are decrypted at the platform; "
    "{receipts} receipts (回执) verify with its SM2 key and are known to it"
)
_KEPT_BACK = N_("{count} studies that must not leave are still here only")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its objects with their number, and the faults found."""

    text: str
    faults: tuple[str, ...]


def check(stage: Stage, scenes: Sequence[Scene]) -> list[Finding]:
    """All checks."""
    leaving = [scene for scene in scenes if scene.order in LEAVES]
    staying = [scene for scene in scenes if scene.order not in LEAVES]
    files = [file for scene in leaving for file in scene.study.files]
    receipts = sorted((stage.config.node.data / "reports").glob("*/sent/cloud/*/receipt.json"))
    return [
        Finding(_DATA_SETS.format(count=len(files)), (*_data_sets(stage, files), *_too_many(stage, files))),
        Finding(
            _REPORTS.format(count=len(leaving), receipts=len(receipts)),
            (*_reports(stage, leaving), *_receipts(stage, receipts, len(leaving))),
        ),
        Finding(_KEPT_BACK.format(count=len(staying)), tuple(_kept_back(stage, staying))),
    ]


def _data_sets(stage: Stage, files: Sequence[DemoFile]) -> Iterator[str]:
    for file in files:
        there = stage.platform / "dicom" / file.study / file.series / f"{file.sop_instance}.dcm"
        if not there.exists():
            yield f"{file.sop_instance} is missing"
        elif digest(there) != digest(file.path, even=True):
            yield f"{file.sop_instance} is not what was sent"


def _too_many(stage: Stage, files: Sequence[DemoFile]) -> Iterator[str]:
    wanted = {file.sop_instance for file in files}
    found = Counter(path.stem for path in (stage.platform / "dicom").rglob("*.dcm"))
    return (f"{name} is there twice or should not be" for name, n in found.items() if name not in wanted or n > 1)


def _exam_folders(stage: Stage, scene: Scene) -> list[Path]:
    return sorted((stage.platform / "exams" / scene.exam_id).glob("*/"))


def _reports(stage: Stage, leaving: Sequence[Scene]) -> Iterator[str]:
    for scene in leaving:
        folders = _exam_folders(stage, scene)
        exams = [json.loads((folder / "exam.json").read_bytes()) for folder in folders]
        if not exams or not all((folder / "report.pdf").read_bytes().startswith(b"%PDF-") for folder in folders):
            yield f"{scene.exam_id} has no report"
        elif exams[-1]["Study"]["ImageCount"] != len(scene.study.files):
            yield f"{scene.exam_id}: ImageCount is not the number of its instances"


def _receipts(stage: Stage, paths: Sequence[Path], exams: int) -> Iterator[str]:
    key = load_public(stage.folder / "keys" / "platform-sign.pub.pem")
    receipts = [
        json.loads(line) for line in (stage.platform / "receipts.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    given = {entry["receipt"] for entry in receipts}
    for path in paths:
        receipt = json.loads(path.read_bytes())
        body = base64.b64decode(receipt["body"])
        signed = f"GM1-RESP\n{receipt['status']}\n{receipt['nonce']}\n{sm3(body).hex()}\n".encode()
        if not key.verify(signed, base64.b64decode(receipt["signature"])) or receipt["receipt"] not in given:
            yield f"{path.parent} does not verify"
    if len({path.parents[2] for path in paths}) != exams:
        yield "an exam has no receipt"


def _kept_back(stage: Stage, staying: Sequence[Scene]) -> Iterator[str]:
    for scene in staying:
        if (stage.platform / "dicom" / scene.study.uid).exists() or _exam_folders(stage, scene):
            yield f"{scene.exam_id} has left"
