"""The profiles: how messages to a platform are made, and what its answers mean.

Each profile is a `Declaration` of `router.forward.blocks`. A built-in one has a module of its name: `gm_envelope_1` for
`gm-envelope/1`; its function `load` reads the configured key files. Any other is a file outside the package,
`file:profiles/NAME.py`, and runs in a process of its own (`router.forward.guard`).
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from router.config.sections import HttpDestination
from router.crypto.envelope import SealedPart
from router.forward.answer import Answer, Proof, Receipt
from router.forward.blocks.message import Message
from router.forward.blocks.request import Request
from router.forward.blocks.trace import Note
from router.forward.blocks.verdict import Verdict
from router.forward.outline import Outline


class Exchange(Protocol):
    """One message of a profile of the contract and its answer, with fresh keys, salt and initialisation vectors."""

    def seal(self, part: str, source: BinaryIO, sink: BinaryIO) -> SealedPart:
        """Encrypt one part in constant memory."""

    def meta(self, parts: Sequence[SealedPart]) -> bytes:
        """The bytes of the meta part."""

    def headers(self, path: str, meta: bytes) -> Mapping[str, str]:
        """The headers that authenticate the request: its path as sent, and meta's bytes."""

    def proved(self, answer: Answer) -> Proof | None:
        """The proof in an answer to this message; None without one, Unproven when it is wrong."""

    def verified(self, answer: Answer) -> Receipt:
        """The receipt in a 200; Unproven unless the platform made it for this message."""


class Turn(Protocol):
    """One call, begun: its request, and the notes that were asked for."""

    @property
    def request(self) -> Request:
        """The request to send."""

    @property
    def notes(self) -> Sequence[Note] | None:
        """Values that the blocks signed, encrypted and decrypted for it; none unless it was asked for."""

    def judge(self, answer: Answer) -> Verdict:
        """The meaning of the answer. DestinationDown when the profile does not say."""


class Profile(Protocol):
    """A profile with the keys of one account. Threads share it."""

    @property
    def name(self) -> str:
        """The name as in its declaration, in `meta` and in receipts."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were read, keys among them: when one of them changes, the profile is loaded again."""

    @property
    def pinned(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the platform's pinned keys, by purpose."""

    @property
    def outline(self) -> Outline:
        """Its calls in their order."""

    @property
    def digest(self) -> str:
        """SHA-256 of its file in hex; "" for a built-in one."""

    def turn(self, call: str, message: Message, *, noting: bool = False) -> Turn:
        """Begin a call. DestinationDown when no key is in force at its time, or the profile does not make it."""

    def exchange(self, message: object) -> Exchange:
        """Begin a message of the contract by hand; DestinationDown for a profile that has its own form."""


def load_profile(destination: HttpDestination) -> Profile:
    """The destination's profile. ConfigurationError names each fault of its file, or a key file that is missing,
    unreadable or open to others.
    """
    if destination.profile_file is not None:
        from router.forward.guard.outside import load_file

        return load_file(destination, destination.profile_file)
    module = importlib.import_module(f"{__name__}.{destination.profile.replace('-', '_').replace('/', '_')}")
    profile: Profile = module.load(destination)
    return profile
