"""The program that a profile's file runs in: it loads the file and the keys, and answers frame by frame.

It has no network of its own need, a limit on memory, and ends when a function takes too long or the node is gone.
"""

import os
import resource
import signal
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from router.config.sections import HttpDestination
from router.errors import ConfigurationError, DestinationDown, RouterError
from router.forward.account_keys import load_keys
from router.forward.blocks.declaration import Declaration
from router.forward.blocks.trace import Note
from router.forward.guard import wire
from router.forward.guard.rehearsal import AnyKept, Rehearsal, declared_faults
from router.forward.outline import Outline
from router.forward.spoken import Spoken, SpokenTurn, without_secrets

_MEMORY = 3 * 2**30
_TURNS = 16
_LONGEST = 200


class Host:
    """One profile in this process."""

    def __init__(self) -> None:
        self._name = ""
        self._text = ""
        self._limit = 0.0
        self._declared: Declaration | None = None
        self._spoken: Spoken | None = None
        self._turns: OrderedDict[int, SpokenTurn] = OrderedDict()
        self._next = 0

    def answer(self, asked: Mapping[str, Any]) -> Mapping[str, object]:
        """The answer to one frame."""
        work: dict[str, Callable[..., Mapping[str, object]]] = {
            "load": self._load, "open": self._open, "turn": self._turn, "judge": self._judge,
        }  # fmt: skip
        given = dict(asked)
        try:
            return work[given.pop("do")](**given)
        except DestinationDown as error:
            return {"down": error.message, "hint": error.hint, "outage": str(error.outage)}
        except ConfigurationError as error:
            return {"faults": (error.message, *error.faults), "hint": error.hint}
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a profile raises is its fault
            return {"fault": self._told(error)}

    def _load(self, name: str, text: str, limit: float) -> Mapping[str, object]:
        self._name, self._text, self._limit = name, text, limit
        module = ModuleType("profile")
        sys.modules["profile"] = module  # dataclasses look their module up
        with self._limited():
            exec(compile(text, name, "exec"), module.__dict__)  # noqa: S102  # the profile, whose owner was checked
        found = getattr(module, "PROFILE", None)
        if faults := declared_faults(found):
            return {"faults": tuple(faults)}
        assert isinstance(found, Declaration)
        self._declared = found
        return {
            "outline": Outline.of(found), "keys": tuple(found.keys), "secrets": tuple(found.secrets),
            "settings": tuple(found.settings),
        }  # fmt: skip

    def _open(self, destination: Mapping[str, Any], sample: Any) -> Mapping[str, object]:
        assert self._declared is not None
        http = HttpDestination(**destination)
        keys = load_keys(http, self._declared.keys, self._declared.secrets)
        self._spoken = Spoken(self._declared, keys, http.settings)
        faults: tuple[str, ...] = ()
        if sample is not None:
            with self._limited():
                rehearsal = Rehearsal(self._spoken, self._worded, vars(sys.modules["profile"]), self._text)
                faults = rehearsal.run(sample)
        return {"pinned": self._spoken.pinned, "files": self._spoken.files, "rehearsed": faults}

    def _turn(self, call: str, message: Any, noting: bool, rehearsing: bool) -> Mapping[str, object]:
        assert self._spoken is not None
        message = replace(message, kept=AnyKept()) if rehearsing else message
        try:
            with self._limited():
                turn = self._spoken.turn(call, message, noting=noting)
        except (Exception, SystemExit) as error:
            if not rehearsing or isinstance(error, RouterError):
                raise
            return {"fault": self._worded(error)}
        self._next += 1
        self._turns[self._next] = turn
        while len(self._turns) > _TURNS:
            self._turns.popitem(last=False)
        return {"turn": self._next, "request": turn.request, "notes": tuple(turn.notes or ())}

    def _judge(self, turn: int, answer: Any) -> Mapping[str, object]:
        with self._limited():
            begun = self._turns.pop(turn)
            before = len(begun.notes or ())
            return {"verdict": begun.judge(answer), "notes": tuple(begun.notes or ())[before:]}

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """End this process if it takes longer, also where no line of Python would notice."""
        signal.setitimer(signal.ITIMER_REAL, self._limit)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _told(self, error: BaseException) -> str:
        """The error by its kind and the line of the profile: its own words may hold patient data."""
        lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == self._name]
        if isinstance(error, RouterError):  # in our own words
            return f"line {lines[-1]}: {error.message}" if lines else error.message
        name = type(error).__name__
        return f"raises {name} at line {lines[-1]}" if lines else f"raises {name}"

    def _worded(self, error: BaseException) -> str:
        """Likewise with its own words, of an exam that is made up or a person's own: secrets are named in them."""
        told = self._told(error)
        if isinstance(error, RouterError) or self._spoken is None:
            return told
        text = str(error.args[0] if len(error.args) == 1 else error).encode()
        said = without_secrets([Note(done="", by="", text=text)], self._spoken.keys)[0].text.decode(errors="replace")
        said = " ".join(said.split())[:_LONGEST]
        return f"{told}: {said}" if said else told


def main() -> None:
    """The program: frames come on stdin and go to stdout, which nothing else may use."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    host = Host()
    while True:
        try:
            asked = wire.read(source)
        except EOFError:
            return
        answer = host.answer(asked)
        try:
            wire.write(sink, answer)
        except (TypeError, ValueError, RecursionError):  # nothing of it was written: a frame is made whole first
            wire.write(sink, {"fault": "gives values of kinds that have no place in a request or verdict"})
