"""Recorded sessions: every call of an upload with what is needed to have it made and judged again."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from router.errors import InvalidData
from router.forward.blocks.message import Message
from router.forward.blocks.request import Form, Request
from router.forward.blocks.values import Document
from router.forward.blocks.verdict import Verdict
from router.forward.conversation import Said
from router.forward.guard import wire
from router.forward.profiles import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The calls to one destination, by the account of a hospital or "", with the documents that went."""

    destination: str
    account: str
    exam: bytes
    report: bytes
    calls: tuple[Said, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One call again: the verdict of then and of the profile as it is, and what of the request differs."""

    call: str
    then: Verdict
    again: Verdict
    differs: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether it is judged as before, by the same rule."""
        return type(self.then) is type(self.again) and self.then.rule == self.again.rule


def save(file: Path, session: Session) -> None:
    """Write a session to a new file that only its owner reads: it holds patient data and tokens."""
    calls = [
        {"call": one.call, "message": one.message, "request": _held(one.request), "answer": one.answer,
         "verdict": one.verdict}
        for one in session.calls
    ]  # fmt: skip
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as sink:
        wire.write(sink, {
            "destination": session.destination, "account": session.account, "exam": session.exam,
            "report": session.report, "calls": calls,
        })  # fmt: skip


def load(file: Path) -> Session:
    """The session of a file; InvalidData when it holds none."""
    try:
        found = wire.read(io.BytesIO(file.read_bytes()))
        calls = tuple(Said(notes=(), **one) for one in found["calls"])
        return Session(**{name: found[name] for name in ("destination", "account", "exam", "report")}, calls=calls)
    except (EOFError, TypeError, KeyError, InvalidData) as error:
        raise InvalidData(f"{file} is not a recorded session") from error


def replay(session: Session, profile: Profile, folder: Path) -> Sequence[Replayed]:
    """Have every call made and judged again. DestinationDown where the profile does not."""
    (folder / "exam.json").write_bytes(session.exam)
    (folder / "report.pdf").write_bytes(session.report)
    found = []
    for said in session.calls:
        turn = profile.turn(said.call, _here(said.message, folder))
        differs = tuple(_differences(said.request, _held(turn.request)))
        found.append(Replayed(call=said.call, then=said.verdict, again=turn.judge(said.answer), differs=differs))
    return found


def _here(message: Message, folder: Path) -> Message:
    exam = Document.whole(folder / "exam.json") if message.exam else None
    report = Document.whole(folder / "report.pdf") if message.report else None
    piece = message.piece
    if piece is not None and report is not None:
        piece = replace(piece, data=report.piece(piece.data.offset, piece.data.size))
    return replace(message, exam=exam, report=report, piece=piece, spool=folder)


def _held(request: Request) -> Request:
    """The request with the bytes of its documents."""
    body = request.body
    if isinstance(body, Form):
        parts = tuple(replace(one, content=_bytes(one.content)) for one in body.parts)
        return replace(request, body=Form(parts))
    return replace(request, body=_bytes(body))


def _bytes(content: bytes | Document) -> bytes:
    return content.read() if isinstance(content, Document) else content


def _differences(then: Request, again: Request) -> list[str]:
    """The differences; a signature of SM2 differs each time, and whatever it is in."""
    found = [name for name in ("method", "path") if getattr(then, name) != getattr(again, name)]
    names = sorted({*then.headers, *again.headers})
    found += [f"header {name}" for name in names if then.headers.get(name) != again.headers.get(name)]
    return [*found, *(["body"] if then.body != again.body else [])]
