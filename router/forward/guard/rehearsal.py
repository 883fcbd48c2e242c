"""Rehearsal of a declared profile: each call with a sample exam, each judge with answers of all kinds.

A judge is given foreign and broken answers, then those of the platform itself, whose proof is taken as verified.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from router.config.file import shipped
from router.crypto.envelope import new_nonce
from router.errors import InvalidData
from router.forward.account_keys import KEY_SETTINGS
from router.forward.answer import Answer
from router.forward.blocks.codes import Codes
from router.forward.blocks.declaration import Call, Declaration, Parts, Rate
from router.forward.blocks.message import Message
from router.forward.blocks.values import Document, Page, Piece
from router.forward.blocks.verdict import Accepted, Granted, Verdict
from router.forward.guard.exploration import Exploration, Outcome, believed
from router.forward.guard.words import words_of
from router.forward.outline import Outline
from router.forward.spoken import Spoken, SpokenTurn

NOTICE = {
    "ExamId": "E1", "HospitalBranchCode": "01", "Revision": "1", "WithdrawnTime": "2026-11-20 08:00:00", "Reason": "-",
    "Idem": "0" * 32, "Receipt": "R-1",
}  # fmt: skip
_LONGEST = 200
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
    if faults := _tuple_faults(found):
        return faults
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


def _tuple_faults(found: Declaration) -> list[str]:
    """Faults of one thing where several are due: ("x") is a text, ("x",) a tuple."""
    fields = ("upload", "withdraw", "keys", "secrets", "settings")
    return [
        f"{name} is {type(given).__name__}, not a tuple; with one thing in it, it ends with a comma: {name}=(...,)"
        for name in fields
        if not isinstance(given := getattr(found, name), tuple | list)
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


def without(name: str, outline: Declaration | Outline) -> dict[str, Any]:
    """The facts that the call of this name is not given: exam and report are of an upload, a notice of a withdrawal."""
    token, inventory = ([one for one in (call,) if one] for call in (outline.token, outline.inventory))
    uploads, withdraws, tokens, pages = (
        name in [one.name for one in calls] for calls in (outline.upload, outline.withdraw, token, inventory)
    )
    return {
        **({"org": "", "token": ""} if tokens else {}),
        **({"idem": "", "revision": 0} if tokens or pages else {}),
        **({} if uploads else {"exam": None, "report": None, "piece": None}),
        **({} if withdraws else {"notice": {}}),
        **({} if pages else {"page": None}),
    }


class Rehearsal:
    """Every call of a profile with a sample exam, and every judge with answers of all kinds."""

    def __init__(
        self, spoken: Spoken, told: Callable[[BaseException], str], functions: dict[str, Any], text: str
    ) -> None:  # fmt: skip
        """`told` words what a function raises; `functions` and `text` are the profile's module and file."""
        self._spoken = spoken
        self._told = told
        self._functions = functions
        self._words = words_of(text)
        listed = [code for one in functions.values() if isinstance(one, Codes) for code in one.all()]
        self._codes = tuple(dict.fromkeys((*listed, *self._words.codes)))
        self._faults: dict[str, str] = {}

    def run(self, sample: Message) -> tuple[str, ...]:
        """The faults: what functions raise, and what is no request or verdict."""
        (sample.spool / "exam.json").write_bytes(shipped("exam.json").read_bytes())
        (sample.spool / "report.pdf").write_bytes(_PDF)
        exam, report = (Document.whole(sample.spool / name) for name in ("exam.json", "report.pdf"))
        whole = replace(
            sample, exam=exam, report=report, token=new_nonce(bytes(16)), notice=NOTICE,
            piece=Piece(number=1, count=1, offset=0, data=report), page=sample_page(sample.at),
        )  # fmt: skip
        declared = self._spoken.declared
        for calls in ((declared.token,), declared.upload, declared.withdraw, (declared.inventory,)):
            kept: Mapping[str, str] = {}
            for call in calls:
                if call is not None:
                    message = replace(whole, **{**without(call.name, declared), "kept": kept})
                    kept = self._call(call.name, message)
        return tuple(self._faults.values())

    def _call(self, name: str, message: Message) -> Mapping[str, str]:
        """Rehearse one call; what has been kept after it."""
        try:
            turn = self._spoken.turn(name, message)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a profile raises is its fault
            fault = f"request of {name} {self._told(error).removeprefix('request ')}"
            self._faults[fault] = fault
            return AnyKept()
        for answer in _ANSWERS:
            self._verdict(turn, answer)
        kept: dict[str, str] = {}
        accepted: list[Accepted] = []

        def judge(answer: Answer) -> Outcome:
            verdict = self._verdict(trusting, answer)
            if isinstance(verdict, Accepted):
                accepted.append(verdict)
                kept.update(verdict.keep)
            return (str(verdict),) if isinstance(verdict, str) else (type(verdict).__name__, verdict.rule)

        trusting = replace(turn, message=believed(turn.message))
        Exploration(judge, turn.message, self._codes).run(self._functions)
        if not accepted or isinstance(message.kept, AnyKept):
            return AnyKept()  # what a success keeps is not known
        return {**dict.fromkeys(self._words.names, "kept"), **message.kept, **kept}

    def _fitting(self, verdict: Verdict, name: str) -> Verdict:
        token = self._spoken.declared.token
        other = Accepted if token is not None and token.name == name else Granted
        if isinstance(verdict, other):
            raise InvalidData(f"gives {type(verdict).__name__}: of a token call that is Granted, of others Accepted")
        return verdict

    def _verdict(self, turn: SpokenTurn, answer: Answer) -> Verdict | str:
        """The verdict, or the fault."""
        try:
            return self._fitting(turn.judge(answer), turn.call)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # likewise
            fault = f"judge of {turn.call} {self._told(error).removeprefix('judge ')}"
            shown = answer.body.decode("latin-1")[:_LONGEST]
            place = re.sub(r"( at line [0-9]+): .*", r"\1", fault)  # one for each line: the words may hold the answer
            self._faults.setdefault(place, f"{fault}, for an answer {answer.status} {json.dumps(shown)}")
            return fault
