"""The profiles: how messages to a platform are sealed and authenticated, and when its answers are believed.

Each profile has a module of its name: `gm_envelope_1` for `gm-envelope/1`. Its function `load` reads the configured
key files, and returns a `Profile`.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from router.config.sections import HttpDestination
from router.crypto.envelope import Message, SealedPart
from router.forward.answer import Answer, Proof, Receipt


class Exchange(Protocol):
    """One message and its answer, with fresh keys, salt and initialisation vectors."""

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


class Profile(Protocol):
    """A profile with the keys of one destination. Threads share it."""

    @property
    def name(self) -> str:
        """The name as in the configuration and in `meta`."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The key files that were read: when one of them changes, the profile is loaded again."""

    @property
    def pinned(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the platform's pinned keys, by purpose."""

    def exchange(self, message: Message) -> Exchange:
        """Begin a message; DestinationDown when no key is in force at its time."""


def load_profile(destination: HttpDestination) -> Profile:
    """The destination's profile; ConfigurationError names a key file that is missing, unreadable or open to others."""
    module = importlib.import_module(f"{__name__}.{destination.profile.replace('-', '_').replace('/', '_')}")
    profile: Profile = module.load(destination)
    return profile
