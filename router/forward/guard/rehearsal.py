"""Rehearsal of a declared profile: every call once with a sample exam, every judge with answers of all kinds."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from router.config.file import shipped
from router.crypto.envelope import new_nonce
from router.forward.account_keys import KEY_SETTINGS
from router.forward.answer import Answer
from router.forward.blocks.declaration import Call, Declaration, Parts, Rate
from router.forward.blocks.message import Message
from router.forward.blocks.values import Document, Page, Piece
from router.forward.spoken import Spoken, SpokenTurn

NOTICE = {
    "ExamId": "E1", "HospitalBranchCode": "01", "Revision": "1", "WithdrawnTime": "2026-11-20 08:00:00", "Reason": "-",
    "Idem": "0" * 32, "Receipt": "R-1",
}  # fmt: skip
_PDF = b"%PDF-1.4\n%%EOF\n"
_ANSWERS = [
    Answer(status, {}, body)
    for status, body in (
        (200, b""), (200, b"<html>"), (200, b"{}"), (200, b'{"code": null, "data": []}'), (200, b"[1]"),
        (200, b'{"code": {"a": 1}, "data": "x", "success": true, "token": 5}'), (200, b"\xff\xfe"), (302, b""),
        (400, b"{}"), (401, b""), (403, b"{}"), (404, b"not found"), (409, b""), (413, b""), (422, b"{}"), (429, b""),
        (500, b"<html>"), (503, b""),
    )
]  # fmt: skip


def sample_page(at: datetime) -> Page:
    """The first page of the day before."""
    return Page(begin=at - timedelta(days=1), end=at)


class AnyKept(dict[str, str]):
    """A value under every name: earlier calls may have kept any."""

    def __missing__(self, name: str) -> str:
        return "kept"

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


def declared_faults(found: object) -> list[str]:
    """Faults of a declaration itself."""
    if not isinstance(found, Declaration):
        return [f"PROFILE is {type(found).__name__}, not a Declaration"]
    calls = [*found.upload, *found.withdraw, *(one for one in (found.token, found.inventory) if one is not None)]
    if not calls or not all(isinstance(one, Call) for one in calls):
        return ["token, upload, withdraw and inventory are Calls, and upload has at least one"]
    names = [one.name for one in calls]
    return [
        *([] if found.upload else ["upload is empty: nothing would be sent"]),
        *(
            []
            if re.fullmatch(r"[A-Za-z0-9._/-]{1,64}", str(found.name))
            else ["name: letters, digits and . _ / - only"]
        ),
        *[f"keys: {one} is none of {', '.join(KEY_SETTINGS)}" for one in found.keys if one not in KEY_SETTINGS],
        *[f"two calls are named {one}" for one in sorted({one for one in names if names.count(one) > 1})],
        *[
            f"call {one.name}: a name is a short word"
            for one in calls
            if not re.fullmatch(r"[a-z0-9-]{1,40}", one.name)
        ],
        *[f"call {one.name}: {fault}" for one in calls for fault in _call_faults(one)],
        *[f"call {one.name}: only a call of upload is Parts" for one in calls if _is_parts_elsewhere(one, found)],
    ]


def _is_parts_elsewhere(call: Call, found: Declaration) -> bool:
    return isinstance(call, Parts) and not any(call is one for one in found.upload)


def _call_faults(call: Call) -> Iterator[str]:
    if not callable(call.request) or not callable(call.judge):
        yield "request and judge are functions"
    if isinstance(call, Parts) and not (isinstance(call.size, int) and call.size >= 1024):
        yield "size is at least 1024 bytes"
    if call.rate is not None and not (isinstance(call.rate, Rate) and call.rate.times >= 1 and call.rate.seconds > 0):
        yield "rate is Rate(times=1 or more, seconds=more than 0)"


def rehearse(spoken: Spoken, sample: Message, told: Callable[[BaseException], str]) -> list[str]:
    """The faults of every call: what it raises by `told`, and what is no request or verdict."""
    (sample.spool / "exam.json").write_bytes(shipped("exam.json").read_bytes())
    (sample.spool / "report.pdf").write_bytes(_PDF)
    exam, report = (Document.whole(sample.spool / name) for name in ("exam.json", "report.pdf"))
    message = replace(
        sample, exam=exam, report=report, kept=AnyKept(), token=new_nonce(bytes(16)), notice=NOTICE,
        piece=Piece(number=1, count=1, offset=0, data=report), page=sample_page(sample.at),
    )  # fmt: skip
    faults = []
    for call in spoken.declared.calls():
        try:
            turn = spoken.turn(call.name, message)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a profile raises is its fault
            faults.append(f"request of {call.name} {told(error)}")
            continue
        faults += _judged(turn, call.name, told)
    return faults


def _judged(turn: SpokenTurn, name: str, told: Callable[[BaseException], str]) -> Iterator[str]:
    seen = set()
    for answer in _ANSWERS:
        try:
            turn.judge(answer)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # likewise
            text = f"judge of {name} {told(error)}"
            if text not in seen:
                seen.add(text)
                yield f"{text}, for an answer {answer.status} {json.dumps(answer.body.decode('latin-1'))}"
