"""The platform's own answers, for the rehearsal of a judge: proved, with each code, with all it asks for."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

from router.crypto.sm2_forms import ciphertext_from, signature_from
from router.errors import InvalidData
from router.forward.answer import Answer, Headers, Proof
from router.forward.blocks.ciphers import open_sm4_cbc, open_sm4_ecb, open_sm4_gcm
from router.forward.blocks.message import Message
from router.forward.blocks.text import Bytes, china_time, raw
from router.forward.blocks.trace import Asked, attending
from router.forward.blocks.values import Secret

_ROUNDS = 4
_MOST_PATHS = 12
_CODE_PATHS = 4  # the code is among the first that a judge asks for
_HEX = "00" * 32  # hex and Base64 at once, so that a judge gets past what it reads of it
_OPENING = (open_sm4_gcm, open_sm4_cbc, open_sm4_ecb)

Outcome = tuple[str, ...]


class _Any(Headers):
    """A value under every name of a header."""

    def __missing__(self, name: str) -> str:
        return _HEX


class Believed(Message):
    """A message to which every proof is right, and every key that the platform encrypted is zeros."""

    __slots__ = ()

    def proof(self, text: Bytes, signature: bytes, *, form: Any = "der", key_id: str = "") -> Proof:
        """The proof; ValueError for an unknown form."""
        self._ring("platform_signing", self._keys.platform_signing)
        with suppress(InvalidData):
            signature_from(signature, form)
        return self._proof(key_id, signature, raw(text))

    def code_proof(self, key: Secret, text: Bytes, code: bytes, expected: bytes) -> Proof:
        """The proof."""
        return self._proof(key.name, code, raw(text))

    def decrypt(self, ciphertext: bytes, form: Any = "der") -> bytes:
        """A key of zeros; ValueError for an unknown form."""
        self._ring("signing", self._keys.signing)
        with suppress(InvalidData):
            ciphertext_from(ciphertext, form)
        return bytes(16)


def believed(message: Message) -> Believed:
    """The message, believing."""
    return Believed(**{one.name: getattr(message, one.name) for one in fields(message)})


class Exploration:
    """Tries a judge: `judge` gives the outcome of an answer, alike for those that it treats alike."""

    def __init__(self, judge: Callable[[Answer], Outcome], message: Message, codes: tuple[str | int, ...]) -> None:
        self._judge = judge
        self._message = message
        self._codes = codes
        self._asked = Asked({}, {})
        self._body = b""
        self._known: dict[bytes, Outcome] = {}

    def run(self, functions: dict[str, Any]) -> None:
        """Judge answers until the judge asks for nothing more. `functions`: the names of the profile's module."""
        with _opened(functions, lambda: self._body), attending(self._asked):
            self._outcome({})
            for _ in range(_ROUNDS):
                known = (len(self._asked.paths), len(self._asked.forms))
                self._round(list(self._asked.paths)[:_MOST_PATHS])
                if known == (len(self._asked.paths), len(self._asked.forms)):
                    return

    def _round(self, paths: list[str]) -> None:
        leads: dict[Outcome, dict[str, object]] = {}
        for path, code in product(paths[:_CODE_PATHS], self._codes):
            leads.setdefault(self._outcome({path: code}), {path: code})
        for lead, value in product(leads.values(), self._values()):
            self._outcome({**{path: value(path) for path in paths}, **lead})

    def _values(self) -> Iterator[Callable[[str], object]]:
        """Values that may stand at a path where a judge looks for more than a code; the last repeat what was asked."""
        m, soon = self._message, self._message.at + timedelta(hours=1)
        plain = [_HEX, "30", 5, [{}], ["-"], {}, *(china_time(soon, form) for form in self._asked.forms)]
        yield from (partial(_always, value) for value in plain)
        for idem in dict.fromkeys((m.idem, m.notice.get("Idem", m.idem))):
            yield partial(_echo, m.nonce, idem)

    def _outcome(self, given: Mapping[str, object]) -> Outcome:
        self._body = json.dumps(_document(given)).encode()
        if self._body in self._known:
            return self._known[self._body]
        answer = Answer(200, {}, self._body)
        object.__setattr__(answer, "headers", _Any())
        return self._known.setdefault(self._body, self._judge(answer))


def _always(value: object, _: str) -> object:
    return value


def _echo(nonce: str, idem: str, path: str) -> object:
    return nonce if "nonce" in path.lower() else idem


def _document(given: Mapping[str, object]) -> dict[str, Any]:
    """The JSON object with these values at their paths; a shorter path gives way to a longer."""
    found: dict[str, Any] = {}
    for path, value in sorted(given.items(), key=lambda one: one[0].count(".")):
        *above, last = path.split(".")
        place = found
        for name in above:
            if not isinstance(place.get(name), dict):
                place[name] = {}
            place = place[name]
        place[last] = value
    return found


@contextmanager
def _opened(functions: dict[str, Any], body: Callable[[], bytes]) -> Iterator[None]:
    """Let the blocks that decrypt give the body of the answer: nobody here can encrypt for the profile."""
    own = {name: one for name, one in functions.items() if any(one is each for each in _OPENING)}
    functions.update(dict.fromkeys(own, lambda *_, **__: body()))
    try:
        yield
    finally:
        functions.update(own)
