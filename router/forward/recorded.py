"""The last exchange with a platform, masked: which calls went, how each was judged and by which rule.

Kept are names of fields and headers, codes and short numbers; what could name a patient, and every secret, is replaced
by its kind and length.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from router.forward.blocks.request import Content, Form
from router.forward.blocks.values import Document
from router.forward.blocks.verdict import Accepted
from router.forward.conversation import Said

_MOST_CALLS = 12
_DEEPEST = 8
_MOST_ENTRIES = 40
_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "date", "retry-after", "server"})
_TEXT = 40
_LONGEST = 2**22
_OF_CALL = frozenset({"call", "at", "request", "keys", "answer", "verdict", "rule", "why", "receipt"})
_OF_HTTP = frozenset({"method", "path", "status", "headers", "body"})
Masked = dict[str, Any]


def exchange_file(folder: Path, destination: str, account: str = "") -> Path:
    """The file of the last exchange with a destination, by the account of a hospital or the shared one."""
    return folder / (f"{destination}~{account}.json" if account else f"{destination}.json")


def last_exchange(folder: Path, destination: str, account: str = "") -> Sequence[Masked]:
    """The calls of the last exchange as they were kept; none where there was none, or where it cannot be read."""
    try:
        with exchange_file(folder, destination, account).open("rb") as file:
            calls = json.loads(file.read(_LONGEST))["calls"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return [one for one in calls if _is_call(one)] if isinstance(calls, list) else ()


def _is_call(found: object) -> bool:
    """Whether it has all that `masked` gives."""
    if not isinstance(found, dict) or not found.keys() >= _OF_CALL:
        return False
    request, answer = found["request"], found["answer"]
    return isinstance(request, dict) and isinstance(answer, dict) and request.keys() | answer.keys() >= _OF_HTTP


class Recorder:
    """Keeps the calls of the last upload in a file; a call that cannot be written is not missed."""

    def __init__(self, file: Path, first: Callable[[], str]) -> None:
        """`first` is the name of the first call of an upload, with which a new exchange begins."""
        self._file = file
        self._first = first
        self._calls: list[Masked] = []

    def __call__(self, said: Said) -> None:
        """Take a call."""
        if said.call == self._first():
            self._calls = [one for one in self._calls[-1:] if one["verdict"] == "Granted"]
        self._calls = [*self._calls[1 - _MOST_CALLS :], masked(said)]
        text = json.dumps({"masked": True, "calls": self._calls}, ensure_ascii=False, indent=1)
        part = self._file.with_suffix(".part")
        try:
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            part.touch(0o600)
            part.write_text(text, encoding="utf-8")
            part.replace(self._file)
        except OSError:
            return


def masked(said: Said) -> Masked:
    """One call without patient data and secrets."""
    request, answer, verdict = said.request, said.answer, said.verdict
    return {
        "call": said.call,
        "at": said.message.ts,
        "idem": said.message.idem,
        "piece": said.message.piece.number if said.message.piece else None,
        "request": {
            "method": request.method,
            "path": re.sub(r"\?.*", "?...", said.message.base + request.path),
            "headers": _headers(request.headers),
            "body": _body(request.body),
        },
        "keys": [{"done": one.done, "by": one.by, "length": len(one.text)} for one in said.notes],
        "answer": {"status": answer.status, "headers": _headers(answer.headers), "body": _content(answer.body)},
        "verdict": type(verdict).__name__,
        "rule": verdict.rule,
        "why": getattr(verdict, "why", ""),
        "receipt": verdict.receipt if isinstance(verdict, Accepted) else "",
    }


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value if name.lower() in _HEADERS else f"<{len(value)} characters>" for name, value in given.items()}


def _body(body: Content | Form) -> object:
    if isinstance(body, Form):
        return [{"name": one.name, "type": one.content_type, "content": _content(one.content)} for one in body.parts]
    return _content(body)


def _content(content: Content) -> object:
    if isinstance(content, Document):
        return f"<{content.size} bytes>"
    if len(content) > 2**20:
        return f"<{len(content)} bytes>"
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return f"<{len(content)} bytes>"
    return shape(found)


def shape(value: object, depth: int = 0) -> object:
    """The value with names, codes and short numbers only."""
    if isinstance(value, dict) and depth < _DEEPEST:
        return {_name(name): shape(one, depth + 1) for name, one in list(value.items())[:_MOST_ENTRIES]}
    if isinstance(value, list) and depth < _DEEPEST:
        return [shape(one, depth + 1) for one in value[:_MOST_ENTRIES]]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if len(str(value)) <= 6 else f"<number of {len(str(value))} digits>"
    text = str(value)
    harmless = re.fullmatch(rf"[a-z_-]{{1,{_TEXT}}}|[0-9]{{1,6}}|[A-Z_]{{2,{_TEXT}}}", text)
    return text if harmless else f"<text of {len(text)} characters>"


def _name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,60}", name) else f"<name of {len(name)} characters>"
