"""pins.json: which keys of each platform a person has accepted, by id."""

import json
from collections.abc import Mapping
from pathlib import Path

from router.errors import ConfigurationError
from router.storage.durable import write

Ids = Mapping[str, tuple[str, ...]]


class Pins:
    """Ids of the platform's keys by purpose, for each destination. `file` changes when a pin does.

    A hospital's account there may have pins of its own; until a person says so, those of the destination hold for it.
    """

    def __init__(self, data: Path) -> None:
        self.file = data / "pins.json"

    def of(self, destination: str, account: str = "") -> Ids | None:
        """Key ids pinned for an account, else for its destination; None while none are."""
        pins = self._read()
        found = pins.get(_key(destination, account), pins.get(destination))
        return None if found is None else {purpose: tuple(ids) for purpose, ids in found.items()}

    def pin(self, destination: str, ids: Ids, account: str = "") -> None:
        """Accept these keys, in the place of the former ones, of the account alone or of all accounts; durable."""
        kept = {name: each for name, each in self._read().items() if account or not name.startswith(f"{destination}/")}
        pins = {**kept, _key(destination, account): {purpose: list(each) for purpose, each in ids.items()}}
        write(self.file, json.dumps(pins, indent=2).encode())

    def _read(self) -> dict[str, dict[str, list[str]]]:
        try:
            pins: dict[str, dict[str, list[str]]] = _checked(json.loads(self.file.read_bytes()))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ConfigurationError(
                f"{self.file} does not read", hint="put it back, or compare the platform's key ids and run keys pin"
            ) from error
        return pins


def _key(destination: str, account: str) -> str:
    """No name of a destination has a slash."""
    return f"{destination}/{account}" if account else destination


def pin_arguments(destination: str, account: str = "") -> str:
    """The arguments of `keys pin` that accept the keys which the files hold now."""
    return " --hospital ".join([destination, *([account] if account else [])])


def _checked(pins: object) -> dict[str, dict[str, list[str]]]:
    if not isinstance(pins, dict) or not all(isinstance(each, dict) for each in pins.values()):
        raise ValueError("not pins")
    return pins


def strange(found: Ids, pinned: Ids) -> tuple[str, ...]:
    """Ids that are not pinned, with their purpose; keys that are gone are no trouble."""
    return tuple(
        f"{purpose} {each}" for purpose, ids in found.items() for each in ids if each not in pinned.get(purpose, ())
    )
