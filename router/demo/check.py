"""The check at the platform: every data set byte for byte, every receipt, and nothing that must not be there."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from router.crypto.keys import load_public
from router.crypto.symmetric import sm3
from router.demo.scenes import LEAVES, Scene
from router.demo.stage import Stage
from router.dicom.header import digest


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, how many, and what is wrong with it."""

    text: str
    count: int
    faults: tuple[str, ...]


def check(stage: Stage, scenes: Sequence[Scene]) -> list[Finding]:
    """All checks."""
    leaving = [scene for scene in scenes if scene.order in LEAVES]
    staying = [scene for scene in scenes if scene.order not in LEAVES]
    return [_data_sets(stage, leaving), _nothing_else(stage, leaving), _reports(stage, leaving),
            _receipts(stage, leaving), _kept_back(stage, staying)]  # fmt: skip


def _data_sets(stage: Stage, leaving: Sequence[Scene]) -> Finding:
    files = [file for scene in leaving for file in scene.study.files]
    faults = []
    for file in files:
        there = stage.platform / "dicom" / file.study / file.series / f"{file.sop_instance}.dcm"
        if not there.exists():
            faults.append(f"{file.sop_instance} is missing")
        elif digest(there) != digest(file.path, even=True):
            faults.append(f"{file.sop_instance} is not what was sent")
    return Finding("data sets at the platform are equal, byte for byte", len(files), tuple(faults))


def _nothing_else(stage: Stage, leaving: Sequence[Scene]) -> Finding:
    expected = {file.sop_instance for scene in leaving for file in scene.study.files}
    found = [path.stem for path in (stage.platform / "dicom").rglob("*.dcm")]
    extra = [
        f"{name} is there twice or should not be" for name in found if name not in expected or found.count(name) > 1
    ]
    return Finding("objects at the platform, none doubled, none too many", len(found), tuple(extra))


def _exam_folders(stage: Stage, scene: Scene) -> list[Path]:
    return sorted((stage.platform / "exams" / scene.exam_id).glob("*/"))


def _reports(stage: Stage, leaving: Sequence[Scene]) -> Finding:
    faults = []
    for scene in leaving:
        folders = _exam_folders(stage, scene)
        exams = [json.loads((folder / "exam.json").read_bytes()) for folder in folders]
        if not exams or not all((folder / "report.pdf").read_bytes().startswith(b"%PDF-") for folder in folders):
            faults.append(f"{scene.exam_id} has no report")
        elif exams[-1]["Study"]["ImageCount"] != len(scene.study.files):
            faults.append(f"{scene.exam_id}: ImageCount is not the number of its instances")
    return Finding(
        "exam JSON (检查JSON) and report PDF (诊断报告) decrypted at the platform", len(leaving), tuple(faults)
    )


def _receipts(stage: Stage, leaving: Sequence[Scene]) -> Finding:
    key = load_public(stage.folder / "keys" / "platform-sign.pub.pem")
    told = [json.loads(line) for line in (stage.platform / "receipts.jsonl").read_text(encoding="utf-8").splitlines()]
    given = {entry["receipt"] for entry in told}
    paths = sorted((stage.config.node.data / "reports").glob("*/sent/cloud/*/receipt.json"))
    faults = []
    for path in paths:
        receipt = json.loads(path.read_bytes())
        body = base64.b64decode(receipt["body"])
        signed = f"GM1-RESP\n{receipt['status']}\n{receipt['nonce']}\n{sm3(body).hex()}\n".encode()
        if not key.verify(signed, base64.b64decode(receipt["signature"])) or receipt["receipt"] not in given:
            faults.append(f"{path.parent} does not verify")
    if len({path.parents[2] for path in paths}) != len(leaving):
        faults.append("an exam has no receipt")
    return Finding("receipts (回执) verify with the platform's SM2 key and are known to it", len(paths), tuple(faults))


def _kept_back(stage: Stage, staying: Sequence[Scene]) -> Finding:
    left = [
        f"{scene.exam_id} has left"
        for scene in staying
        if (stage.platform / "dicom" / scene.study.uid).exists() or _exam_folders(stage, scene)
    ]
    return Finding("studies that must not leave are still here only", len(staying), tuple(left))
