"""Users made and changed, by a command or at the console: checked, done and recorded in one transaction."""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from router.admin.audit.messages import LOGIN
from router.admin.people.logins import TOKEN
from router.catalogue import Catalogue
from router.catalogue.node.users import User, key_of
from router.clock import Clock
from router.config.sections import Config
from router.crypto.passwords import agrees, kept
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.policy.passwords import FORMER, OTHER, faults
from router.policy.roles import Role

_NAME = re.compile(r"[\w][\w.-]{1,31}")
_TAKEN = "a user {name} is here or was; a name means one person for ever"
_NO_USER = "there is no user {name}"


class Accounts:
    """The users as people change them. `by` is who does it; each change is an event, and in the audit trail.

    `seal` makes what is recorded durable, before it is done. InvalidData says what is wrong with what was asked for,
    and nothing is done.
    """

    def __init__(
        self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock, seal: Callable[[], None] = lambda: None
    ) -> None:
        self._own = {"", "node", TOKEN, "unknown", key_of(config.node.owner)}  # whose acts these names mean already
        self._hospitals = [one.name for one in config.hospital if one.name]
        self._users = catalogue.users
        self._bus = bus
        self._clock = clock
        self._seal = seal

    def require_new(self, name: str) -> None:
        """InvalidData unless a user may have this name."""
        if not _NAME.fullmatch(name) or key_of(name) in self._own:
            raise InvalidData("a user's name has 2 to 32 letters, digits, dots, hyphens, and is no name of the node's")
        if self._users.of(name) is not None:
            raise InvalidData(_TAKEN.format(name=name))

    def add(self, name: str, role: Role, hospitals: Iterable[str], password: str, by: str) -> None:
        """A new user, who is to change this password at the first login."""
        self.require_new(name)
        self._check(name, password)
        now, chosen = self._clock.now(), self._known(hospitals)
        user = User(name=name, role=role, hospitals=chosen, secret=kept(password), changed=now, created=now)
        with self._users.transaction():
            if not self._users.add(user):
                raise InvalidData(_TAKEN.format(name=name))
            self._record(f"user {name} added: {role}, {_of(chosen)}", by)

    def assign(self, name: str, role: Role, hospitals: Iterable[str] | None, by: str) -> None:
        """Another role, for these hospitals; empty for all, None for those of before."""
        chosen = self.require(name).hospitals if hospitals is None else self._known(hospitals)
        self._change(name, f"{role}, {_of(chosen)}", by, role=role, hospitals=chosen)

    def reset(self, name: str, password: str, by: str) -> None:
        """Another password, which the user is to change at the next login; it also ends a lock."""
        user = self.require(name)
        values = self._password(user, password)
        self._change(name, "new password, to be changed", by, initial=True, failures=0, locked=None, **values)

    def choose(self, name: str, former: str, password: str, address: str) -> None:
        """The user's own new password; the present one is asked for, and a wrong one counts as a failed login."""
        now = self._clock.now()
        user = self._users.begin_try(name, now)
        if user is None or not agrees(user.secret, former):
            fields: dict[str, object] = {LOGIN: name, "address": address}
            self._bus.record(Event(now, Kind.REFUSED, f"a change of password failed: user {name}", fields=fields))
            raise InvalidData("the present password is wrong, or the user is locked")
        self._users.end_try(name, now)
        self._change(name, "own password changed", user.name, initial=False, **self._password(user, password))

    def disable(self, name: str, why: str, by: str) -> None:
        """Nobody logs in as this user until `enable`; open sessions end."""
        self._change(name, f"disabled: {why}", by, disabled=True)

    def enable(self, name: str, why: str, by: str) -> None:
        """Let a disabled user log in again."""
        self._change(name, f"enabled: {why}", by, disabled=False)

    def unlock(self, name: str, why: str, by: str) -> None:
        """End the lock after failed logins."""
        self._change(name, f"unlocked: {why}", by, failures=0, locked=None)

    def remove(self, name: str, why: str, by: str) -> None:
        """The user goes for good, with every password; the name stays taken, for the history's sake."""
        self._change(name, f"removed: {why}", by, removed=self._clock.now(), secret="", former=())

    def _change(self, name: str, text: str, by: str, **changes: Any) -> None:
        with self._users.transaction():
            user = self._users.change(name, **changes)
            if user is None:
                raise InvalidData(_NO_USER.format(name=name))
            self._record(f"user {user.name}: {text}", by)

    def require(self, name: str) -> User:
        """The user of this name; InvalidData where there is none."""
        user = self._users.of(name)
        if user is None or user.removed is not None:
            raise InvalidData(_NO_USER.format(name=name))
        return user

    def _password(self, user: User, password: str) -> dict[str, Any]:
        """Fields of the user with this new password, if the rules let it be."""
        self._check(user.name, password)
        former = (user.secret, *user.former)[:FORMER]
        if any(agrees(one, password) for one in former):
            raise InvalidData(OTHER)
        return {"secret": kept(password), "former": former[: FORMER - 1], "changed": self._clock.now()}

    def _check(self, name: str, password: str) -> None:
        if found := list(faults(password, name)):
            raise InvalidData(" ".join(found))

    def _known(self, hospitals: Iterable[str]) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(name.strip() for name in hospitals if name.strip()))
        if unknown := [name for name in chosen if name not in self._hospitals]:
            known = ", ".join(self._hospitals) or "none"
            raise InvalidData(f"no hospital is called {unknown[0]}; configured with a name: {known}")
        return chosen

    def _record(self, text: str, by: str) -> None:
        self._bus.record(Event(self._clock.now(), Kind.USER, text, who=by))
        self._seal()


def _of(hospitals: Collection[str]) -> str:
    return f"for {', '.join(hospitals)}" if hospitals else "for all hospitals"
