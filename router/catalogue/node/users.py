"""People who may log in at the console, with their passwords as Argon2id keeps them, for every node of the database."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from peewee import Model

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.node import UserRow as Row
from router.policy.lockout import Tries
from router.policy.passwords import is_expired, normal
from router.policy.roles import Role
from router.text.language import N_

_LISTS = ("hospitals", "former")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user. `secret` is the password as it is kept, `former` are those before it, the latest first.

    `hospitals` empty: for all. `initial`: the password was set by somebody else at `changed`, and must be changed.
    `seen` is the last login. Who is `removed` never logs in again; the name stays taken.
    """

    name: str
    role: Role
    hospitals: tuple[str, ...] = ()
    secret: str = field(repr=False)
    former: tuple[str, ...] = field(default=(), repr=False)
    initial: bool = True
    changed: datetime
    failures: int = 0
    locked: datetime | None = None
    disabled: bool = False
    created: datetime
    seen: datetime | None = None
    removed: datetime | None = None

    @property
    def tries(self) -> Tries:
        """Failed logins."""
        return Tries(self.failures, self.locked)

    @property
    def is_open(self) -> bool:
        """Whether this person may log in at all."""
        return not self.disabled and self.removed is None

    def state(self, now: datetime) -> str:
        """Whether the user may log in, in a word or two."""
        if self.disabled:
            return N_("disabled")
        if self.tries.is_locked(now):
            return N_("locked")
        return N_("password to be changed") if self.must_change(now) else N_("may log in")

    def must_change(self, now: datetime) -> bool:
        """Whether the password is to be changed before anything else."""
        return self.initial or is_expired(self.changed, now)


def key_of(name: str) -> str:
    """The name as it is compared: without case, and as typed on any keyboard."""
    return normal(name).strip().casefold()


class Users(Rows):
    """The users. Names that differ in nothing but case or the width of their letters are one."""

    def all(self) -> Sequence[User]:
        """Those who are not removed, by name."""
        return [_user(row) for row in self._engine.run(Row.select().where(Row.removed.is_null()).order_by(Row.key))]

    def of(self, name: str) -> User | None:
        """The user of this name, also one who is removed."""
        rows = self._engine.run(Row.select().where(Row.key == key_of(name)))
        return _user(rows[0]) if rows else None

    def add(self, user: User) -> bool:
        """Add a user; False where somebody has or had that name."""
        with self._engine.lock_names([_lock(user.name)]), self._engine.write():
            if self.of(user.name) is not None:
                return False
            self._engine.run(Row.insert(key=key_of(user.name), **_values(user)))
        return True

    def change(self, name: str, **changes: Any) -> User | None:
        """Change fields of a User; the user as it is then, None where there is none."""
        with self._engine.lock_names([_lock(name)]), self._engine.write():
            former = self.of(name)
            if former is None or former.removed is not None:
                return None
            user = replace(former, **changes)
            self._engine.run(Row.update(_values(user)).where(Row.key == key_of(name)))
        return user

    def begin_try(self, name: str, now: datetime) -> User | None:
        """The user as before this login, which counts as failed until `end_try`: of many at once each is counted.

        None where there is nobody to log in as, or for as long as the user is locked.
        """
        with self._engine.lock_names([_lock(name)]), self._engine.write():
            user = self.of(name)
            if user is None or not user.is_open or user.tries.is_locked(now):
                return None
            tries = user.tries.failed(now)
            self.change(name, failures=tries.failures, locked=tries.until)
        return user

    def end_try(self, name: str, now: datetime) -> User | None:
        """The login was good: no failure is left, and no lock."""
        return self.change(name, failures=0, locked=None, seen=now)


def _lock(name: str) -> str:
    return f"user/{key_of(name)}"


def _values(user: User) -> dict[str, Any]:
    values = asdict(user)
    return values | {name: json.dumps(values[name], ensure_ascii=False) for name in _LISTS}


def _user(row: Model) -> User:
    values: dict[str, Any] = dict(row.__data__)
    del values["key"]
    lists = {name: tuple(json.loads(values[name])) for name in _LISTS}
    return User(**{**values, **lists, "role": Role(values["role"])})
