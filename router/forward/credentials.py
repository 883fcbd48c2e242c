"""The keys of one destination, read from their files, and again when a file changes: rotation without a restart."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from router.config.sections import HttpDestination
from router.crypto.keys import load_api_key
from router.errors import ConfigurationError
from router.forward.profiles import Profile, load_profile

Fingerprint = tuple[tuple[int, int, int] | None, ...]


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
    """The credentials of a destination, kept up to date with its files; safe to share between threads.

    The constructor raises ConfigurationError where a file is faulty or `accept` refuses the keys. After a later change
    that is faulty or refused, the former keys stay in use: `refused` is called once, and the files are tried again
    before each message. `accept` also depends on the file `beside`: when it changes, the keys are checked again.
    """

    def __init__(
        self,
        destination: HttpDestination,
        beside: Path,
        accept: Callable[[Credentials], None],
        refused: Callable[[ConfigurationError], None],
    ) -> None:
        self._destination = destination
        self._beside = beside
        self._accept = accept
        self._refused = refused
        self._lock = threading.Lock()
        self._current = self._load()
        self._seen: Fingerprint = ()  # a change during the first reading is seen at the first message
        self._fault = ""

    def current(self) -> Credentials:
        """The keys to use now."""
        with self._lock:
            if (seen := self._fingerprint()) != self._seen or self._fault:
                self._seen = seen
                self._renew()
            return self._current

    def _renew(self) -> None:
        try:
            self._current, self._fault = self._load(), ""
        except ConfigurationError as error:
            former, self._fault = self._fault, str(error)
            if self._fault != former:
                self._refused(error)

    def _load(self) -> Credentials:
        found = load_credentials(self._destination)
        self._accept(found)
        return found

    def _fingerprint(self) -> Fingerprint:
        found = self._destination
        files = [self._beside, found.api_key_file, *self._current.profile.files]
        others = (found.signing_key_passphrase_file, found.key_ca_file)
        return tuple(_fingerprint(file) for file in (*files, *(other for other in others if other is not None)))


def _fingerprint(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
