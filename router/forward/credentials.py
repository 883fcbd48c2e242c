"""The keys of an account at a destination, read from files, and again when one changes: rotation without a restart."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from router.config.file import Stamp, stamp_of
from router.config.sections import HttpDestination
from router.crypto.keys import load_api_key
from router.errors import ConfigurationError, DestinationDown, Outage
from router.forward.profiles import Profile, load_profile


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials for a destination: the interface key (接口认证钥匙) and the profile with its keys."""

    api_key: bytes
    profile: Profile

    def __repr__(self) -> str:
        return "Credentials(...)"


def load_credentials(destination: HttpDestination) -> Credentials:
    """Read the key files; ConfigurationError names a file that is missing, open to others or unreadable."""
    return Credentials(load_api_key(destination.api_key_file), load_profile(destination))


class KeyFiles:
    """The credentials of an account, kept up to date with its files; safe to share between threads.

    The constructor raises ConfigurationError where a file is faulty or `accept` refuses the keys; with `unusable` it
    calls that instead, and `current` raises DestinationDown until they can be used. After a later change that is faulty
    or refused, the former keys stay in use: `refused` is called once, and the files are tried again before each
    message. `accept` also depends on the file `beside`: when it changes, the keys are checked again.
    """

    def __init__(
        self, destination: HttpDestination, beside: Path, accept: Callable[[Credentials], None],
        refused: Callable[[ConfigurationError], None],
        unusable: Callable[[ConfigurationError], None] | None = None,
    ) -> None:  # fmt: skip
        self._destination = destination
        self._beside = beside
        self._accept = accept
        self._refused = refused
        self._lock = threading.Lock()
        self._seen: list[Stamp | None] = []  # a change during the first reading is seen at the first message
        self._fault = ""
        self._current: Credentials | None = None
        try:
            self._current = self._load()
        except ConfigurationError as error:
            if unusable is None:
                raise
            self._fault = str(error)
            unusable(error)

    def current(self) -> Credentials:
        """The keys to use now."""
        with self._lock:
            seen = self._stamps()
            if self._current is None or self._fault or seen != self._seen:
                self._seen = seen
                self._current = self._renewed()
            return self._current

    def _renewed(self) -> Credentials:
        try:
            found = self._load()
        except ConfigurationError as error:
            former, self._fault = self._fault, str(error)
            if self._current is None:
                raise _unusable(error) from error
            if self._fault != former:
                self._refused(error)
            return self._current
        self._fault = ""
        return found

    def _load(self) -> Credentials:
        found = load_credentials(self._destination)
        self._accept(found)
        return found

    def _stamps(self) -> list[Stamp | None]:
        others = (self._destination.signing_key_passphrase_file, self._destination.key_ca_file)
        read = self._current.profile.files if self._current is not None else ()
        files = [self._beside, self._destination.api_key_file, *read]
        return [stamp_of(file) for file in (*files, *(other for other in others if other is not None))]


def _unusable(error: ConfigurationError) -> DestinationDown:
    if "profile" in error.fields:
        return DestinationDown(f"the profile cannot be used: {error.message}", outage=Outage.PROFILE, hint=error.hint)
    return DestinationDown(f"the key files cannot be used: {error.message}", outage=Outage.KEYS, hint=error.hint)
