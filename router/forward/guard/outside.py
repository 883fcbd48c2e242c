"""A profile of a file outside the package with the keys of one account; what fails in it stops its destination only."""

import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from router.config.sections import HttpDestination
from router.crypto.envelope import new_nonce
from router.errors import ConfigurationError, DestinationDown, InvalidData, Outage
from router.forward.answer import Answer
from router.forward.blocks.message import Message
from router.forward.blocks.request import Request
from router.forward.blocks.trace import Note
from router.forward.blocks.verdict import Verdict
from router.forward.guard.process import LIMIT, STARTING, Child, Stopped
from router.forward.guard.source import Source, faults_of, read_source, weak_in
from router.forward.meaning import profile_fault
from router.forward.outline import Outline
from router.forward.spoken import checked_request, checked_verdict

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Declarations of a profile: its outline, and the settings and files that it needs."""

    outline: Outline
    keys: tuple[str, ...]
    secrets: tuple[str, ...]
    settings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutsideTurn:
    """One call, begun in the profile's process."""

    profile: "Outside"
    number: int
    request: Request
    notes: list[Note]

    def judge(self, answer: Answer) -> Verdict:
        """The profile's verdict; DestinationDown when it gives none."""
        plain = Answer(answer.status, dict(answer.headers), answer.body)
        found = self.profile.ask({"do": "judge", "turn": self.number, "answer": plain})
        self.notes.extend(found.get("notes", ()))
        return _checked(lambda: checked_verdict(found["verdict"]))


class Outside:
    """A profile in its process; threads share it. A process that failed is started again for the next call."""

    digest: str

    def __init__(self, source: Source, limit: float = LIMIT, variables: Mapping[str, str] | None = None) -> None:
        """ConfigurationError names every fault that shows without keys. `variables` of the environment for its keys."""
        self._source = source
        self._limit = limit
        self._variables = variables or {}
        self.digest = source.digest
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._opened: HttpDestination | None = None
        self.files: tuple[Path, ...] = (source.file,)
        self.pinned: Mapping[str, tuple[str, ...]] = {}
        if faults := faults_of(source):
            raise _faulty(source, faults)
        self.needs = self._load()
        self.outline = self.needs.outline
        if (weak := weak_in(source)) and not self.outline.allow_weak.strip():
            text = f'it uses {", ".join(weak)}: weak, so PROFILE says why by allow_weak = "..."'
            raise _faulty(source, [text])

    @property
    def name(self) -> str:
        """The declared name."""
        return self.outline.name

    def open(self, destination: HttpDestination) -> None:
        """Give it its keys and rehearse every call. ConfigurationError names every fault."""
        faults = [
            *[f"{one}: missing in [destination.http]" for one in self.needs.keys if getattr(destination, one) is None],
            *_missing("secrets", self.needs.secrets, destination.secrets),
            *_missing("settings", self.needs.settings, destination.settings),
        ]
        if faults:
            raise _faulty(self._source, faults)
        with tempfile.TemporaryDirectory(prefix="profile-") as folder, self._lock:
            found = self._ask(_opening(destination, _sample(destination, Path(folder))))
        if rehearsed := found["rehearsed"]:
            raise _faulty(self._source, rehearsed)
        self._opened = destination
        self.files = (self._source.file, *found["files"])
        self.pinned = found["pinned"]

    def turn(
        self, call: str, message: Message, *, noting: bool = False, rehearsing: bool = False
    ) -> OutsideTurn:  # fmt: skip
        """Begin a call; `rehearsing`: calls before it have kept whatever it asks for.

        DestinationDown when no key is in force, or the profile makes no request.
        """
        plain = replace(message, keys=None)
        question = {"do": "turn", "call": call, "message": plain, "noting": noting, "rehearsing": rehearsing}
        found = self.ask(question)
        request = _checked(lambda: checked_request(found["request"]))
        return OutsideTurn(self, int(found["turn"]), request, list(found["notes"]))

    def exchange(self, message: object) -> Any:
        """None by hand: its calls are its own."""
        raise DestinationDown(
            f"profile {self.name} has a wire format of its own, and no such call", outage=Outage.PROFILE
        )

    @property
    def pid(self) -> int | None:
        """The id of its process, None while there is none."""
        return self._child.pid if self._child is not None else None

    def close(self) -> None:
        """End its process; the next call would start it again."""
        with self._lock:
            if self._child is not None:
                self._child.end()
                self._child = None

    def ask(self, question: Mapping[str, object]) -> Mapping[str, Any]:
        """The process's answer; DestinationDown for any other."""
        with self._lock:
            try:
                if self._child is None:
                    self._again()
                return self._ask(question)
            except ConfigurationError as error:
                raise profile_fault(f"is not what it was: {error.message}") from error

    def _again(self) -> None:
        self._load()
        if self._opened is not None:
            self._ask(_opening(self._opened, None))

    def _load(self) -> Needs:
        self._child = Child(self._variables)
        question = {"do": "load", "name": self._source.file.name, "text": self._source.text, "limit": self._limit}
        try:
            found = self._ask(question, STARTING)
        except DestinationDown as error:
            raise _faulty(self._source, [error.message.removeprefix("the profile ")]) from error
        return Needs(**{name: found[name] for name in ("outline", "keys", "secrets", "settings")})

    def _ask(self, question: Mapping[str, object], more: float = 0.0) -> Mapping[str, Any]:
        assert self._child is not None
        try:
            # The process ends itself first; ours is for one that does not even do that.
            found = self._child.ask(question, self._limit + 5 + more)
        except Stopped as error:
            self._child = None
            raise profile_fault(str(error)) from error
        if "faults" in found:
            raise _faulty(self._source, found["faults"], str(found.get("hint", "")))
        if "down" in found:
            raise DestinationDown(found["down"], outage=Outage(found["outage"]), hint=found["hint"])
        if "fault" in found:
            raise profile_fault(str(found["fault"]))
        return found


def load_file(destination: HttpDestination, file: Path) -> Outside:
    """The profile of a file with the destination's keys. ConfigurationError names every fault of either."""
    profile = Outside(read_source(file), variables=_variables(destination))
    try:
        profile.open(destination)
    except BaseException:
        profile.close()
        raise
    return profile


def _checked(look: Callable[[], _Found]) -> _Found:
    try:
        return look()
    except (InvalidData, KeyError) as error:
        raise profile_fault(f"gives what is no request or verdict: {error}") from error


def _missing(what: str, needed: Sequence[str], given: Mapping[str, object]) -> list[str]:
    """Names that are needed and not given, beside those that are given and not needed: one may be misspelt."""
    others = ", ".join(sorted(given.keys() - set(needed)))
    missing = [one for one in needed if one not in given]
    if others:
        return [f"{what}.{one}: missing; there is {others}" for one in missing]
    return [f"{what}.{one}: missing" for one in missing]


def _faulty(source: Source, faults: Sequence[str], hint: str = "") -> ConfigurationError:
    name = source.file.name
    return ConfigurationError(f"profile {name} has these faults:", faults=tuple(faults), hint=hint, profile=name)


def _opening(destination: HttpDestination, sample: Message | None) -> Mapping[str, object]:
    given = destination.model_dump(mode="json", exclude_unset=True)
    return {"do": "open", "destination": given, "sample": sample}


def _sample(destination: HttpDestination, folder: Path) -> Message:
    return Message(
        app=destination.app, org="121100004000000001", idem="0" * 32, revision=1, ts=1795161600000,
        nonce=new_nonce(bytes(16)), seed=secrets.token_bytes(32), base="", spool=folder, vouched=True,
    )  # fmt: skip


def _variables(destination: HttpDestination) -> Mapping[str, str]:
    """Where the passphrase of the signing key may be: the process reads the key files itself."""
    wanted = {"CREDENTIALS_DIRECTORY", destination.signing_key_passphrase_env}
    return {name: value for name, value in os.environ.items() if name in wanted}
