"""A declared profile with its keys, spoken in this process: its functions called, and what they give back checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from router.errors import IntegrityError, InvalidData, Unproven
from router.forward.answer import Answer, Proof
from router.forward.blocks.declaration import Declaration
from router.forward.blocks.message import Keys, Message
from router.forward.blocks.request import Form, FormPart, Request
from router.forward.blocks.trace import Note, listening
from router.forward.blocks.values import Document, Secret
from router.forward.blocks.verdict import VERDICTS, Granted, Untrue, Verdict
from router.forward.outline import Outline
from router.policy.comparison import Theirs

_LONGEST_TOKEN = 30 * 86400.0
_METHODS = ("POST", "PUT", "GET", "DELETE", "PATCH")


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """One call, begun."""

    message: Message
    declared: Declaration
    call: str
    request: Request
    notes: list[Note] | None = None

    def judge(self, answer: Answer) -> Verdict:
        """The verdict of the profile's judge; InvalidData when it is none. What it raises is passed on."""
        try:
            with listening() as notes:
                verdict = self.declared.call(self.call).judge(self.message, answer)
        except Unproven as error:
            return Untrue(why=error.message, hint=error.hint, fields=error.fields)
        except (IntegrityError, InvalidData):
            return Untrue(why="the answer does not decrypt, or is not in the form that it should have")
        if self.notes is not None:
            self.notes.extend(without_secrets(notes, self.message.keys))
        if isinstance(verdict, Granted) and verdict.token == "":
            return Untrue(why="the answer holds no token")
        return checked_verdict(verdict)


class _Settings(dict[str, str]):
    """The settings of a destination, which say what they lack."""

    def __missing__(self, name: str) -> str:
        raise KeyError(f"settings lacks {name}")


class Spoken:
    """A declared profile with the keys of one account."""

    def __init__(self, declared: Declaration, keys: Keys, settings: Mapping[str, str] | None = None) -> None:
        self.declared = declared
        self.keys = keys
        self.settings = _Settings(settings or {})
        self.outline = Outline.of(declared)

    @property
    def name(self) -> str:
        """The declared name."""
        return self.declared.name

    @property
    def files(self) -> tuple[Path, ...]:
        """All key files that were read."""
        return self.keys.files

    @property
    def pinned(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the platform's keys."""
        return self.keys.pinned

    @property
    def digest(self) -> str:
        """None: a built-in profile is part of the package."""
        return ""

    def turn(self, call: str, message: Message, *, noting: bool = False) -> SpokenTurn:
        """Begin a call. DestinationDown when no key is in force; InvalidData when what comes is no request."""
        whole = replace(message, keys=self.keys, settings=self.settings, profile=self.name)
        if not noting:
            return SpokenTurn(whole, self.declared, call, checked_request(self.declared.call(call).request(whole)))
        with listening() as notes:
            request = checked_request(self.declared.call(call).request(whole))
        return SpokenTurn(whole, self.declared, call, request, without_secrets(notes, self.keys))


def without_secrets(notes: Iterable[Note], keys: Keys | None) -> list[Note]:
    """The notes, in which a secret that is part of a signed text is its name."""
    secrets = [] if keys is None else [*keys.secrets.values(), Secret("api_key_file", keys.api_key.hex().encode())]
    return [replace(one, text=_hidden(one.text, secrets)) for one in notes]


def _hidden(text: bytes, secrets: Iterable[Secret]) -> bytes:
    for secret in secrets:
        text = text.replace(secret.raw, f"<secret {secret.name}>".encode())
    return text


def checked_request(found: object) -> Request:
    """The request, if it is one in every field; else InvalidData."""
    if not isinstance(found, Request):
        raise InvalidData(f"request gives {type(found).__name__}, not a Request")
    faults = [
        *([] if isinstance(found.path, str) and found.path.startswith("/") else ['path does not begin with "/"']),
        *([] if found.method in _METHODS else [f"method is none of {', '.join(_METHODS)}"]),
        *_header_faults(found.headers),
        *_body_faults(found.body),
    ]
    if faults:
        raise InvalidData(f"request: {'; '.join(faults)}")
    return found


def _header_faults(headers: object) -> list[str]:
    if not isinstance(headers, Mapping):
        return [f"headers are {type(headers).__name__}, not text under names"]
    return [
        f"header {name} is {type(value).__name__}, not text of one line"
        for name, value in headers.items()
        if not _is_text_map({name: value})
    ]


def _body_faults(body: object) -> list[str]:
    parts = body.parts if isinstance(body, Form) else (FormPart(name="body", content=body),)  # type: ignore[arg-type] # looked at below
    if not isinstance(parts, tuple) or not all(isinstance(one, FormPart) for one in parts):
        return ["the form's parts are not FormParts in a tuple"]
    return [
        f"{one.name}: content is {type(one.content).__name__}, not bytes or a document"
        for one in parts
        if not isinstance(one.content, bytes | Document)
    ]


def _is_text_map(found: object) -> bool:
    return isinstance(found, Mapping) and all(
        isinstance(one, str) and "\r" not in one and "\n" not in one for pair in found.items() for one in pair
    )


def checked_verdict(found: object) -> Verdict:
    """The verdict, if it is one in every field; else InvalidData."""
    if not isinstance(found, VERDICTS):
        raise InvalidData(f"judge gives {type(found).__name__}, not a verdict")
    wrong = [one.name for one in fields(found) if not _fits(one.name, getattr(found, one.name))]
    if wrong:
        raise InvalidData(f"judge gives a {type(found).__name__} with a wrong {', '.join(wrong)}")
    return found


def _fits(name: str, value: Any) -> bool:
    kinds: dict[str, bool] = {
        "seconds": isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LONGEST_TOKEN,
        "after": value is None or (isinstance(value, int | float) and 0 <= value <= 86400),
        "at": value is None or (isinstance(value, datetime) and value.tzinfo is not None),
        "keep": _is_text_map(value),
        "proof": value is None or isinstance(value, Proof),
        "fields": isinstance(value, Mapping),
        "faults": isinstance(value, tuple) and all(_is_pair(one) for one in value),
        "otherwise": value is None or isinstance(value, VERDICTS),
        "what": value in ("token", "time", "upload"),
        "kind": value in ("credentials", "protocol", "trouble"),
        "count": isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        "exams": isinstance(value, tuple) and all(_is_theirs(one) for one in value),
        "token": isinstance(value, str) and value.isascii() and value.isprintable() and 0 < len(value) <= 4096,
    }
    return kinds.get(name, isinstance(value, str))


def _is_theirs(found: object) -> bool:
    return isinstance(found, Theirs) and isinstance(found.revision, int) and all(
        isinstance(one, str) for one in (found.idem, found.receipt, found.state)
    )  # fmt: skip


def _is_pair(found: object) -> bool:
    return isinstance(found, tuple) and len(found) == 2 and all(isinstance(one, str) for one in found)
