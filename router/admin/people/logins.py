"""Logins at the console: a person by name and password, a script by the token; each is recorded, each failure too."""

import hmac
from dataclasses import replace

from router.admin.audit.messages import LOGIN
from router.admin.http.session import Attempts, Person, Session, Sessions
from router.catalogue.node.users import User, Users
from router.clock import Clock
from router.crypto.passwords import NOBODYS, agrees
from router.events import Event, EventBus, Kind
from router.policy.roles import Role

TOKEN = "token"  # noqa: S105  # the name of who comes by the token


class Logins:
    """Logins and their sessions. A change of a user counts from the next request on, at every node."""

    def __init__(self, token: str, users: Users, bus: EventBus, clock: Clock) -> None:
        self._token = token.encode()
        self._users = users
        self._bus = bus
        self._clock = clock
        self._attempts = Attempts(clock)
        self._sessions = Sessions(clock)

    def by_token(self, token: str, address: str) -> Session | None:
        """A session with an administrator's rights; None for a wrong token, or after too many failures."""
        allowed = self._attempts.begin(address)
        if not (allowed and self._token and hmac.compare_digest(token.encode(), self._token)):
            self._refuse("", address)
            return None
        return self._begun(Person(who=TOKEN, role=Role.ADMINISTRATOR), address)

    def by_password(self, name: str, password: str, address: str) -> Session | None:
        """A session of the user; None where name or password are wrong, the user is locked or disabled.

        It does not take longer for a user that there is, and tries that come at once are each counted.
        """
        now = self._clock.now()
        if not self._attempts.begin(address):
            self._refuse("", address)
            return None
        user = self._users.begin_try(name, now)
        if not agrees(NOBODYS if user is None else user.secret, password) or user is None:
            self._fail(name, user, address)
            return None
        found = self._users.end_try(name, now)
        return None if found is None else self._begun(self._person(found), address)

    def of(self, key: str, *, prolong: bool = True) -> Session | None:
        """The session of a cookie with the user as of now: none where the user may not log in, or has a new password
        that this session did not set."""
        session = self._sessions.of(key, prolong=prolong)
        if session is None or session.person.changed is None:
            return session
        user = self._users.of(session.who)
        if user is None or not user.is_open or user.changed != session.person.changed:
            self._sessions.end(key)
            return None
        return replace(session, person=self._person(user))

    def renew(self, session: Session) -> Session | None:
        """The session of who has changed the own password; every session of before is over."""
        self._sessions.end(session.key)
        user = self._users.of(session.who)
        return None if user is None else self._sessions.begin(self._person(user))

    def log_out(self, session: Session) -> None:
        """End it."""
        self._sessions.end(session.key)
        self._bus.record(Event(self._clock.now(), Kind.LOGGED_OUT, "logged out at the console", who=session.who))

    def _person(self, user: User) -> Person:
        return Person(
            who=user.name, role=user.role, hospitals=user.hospitals, changed=user.changed,
            must_change=user.must_change(self._clock.now()),
        )  # fmt: skip

    def _begun(self, person: Person, address: str) -> Session:
        self._attempts.end(address)
        fields = {"address": address}
        text = "logged in at the console"
        self._bus.record(Event(self._clock.now(), Kind.LOGGED_IN, text, who=person.who, fields=fields))
        return self._sessions.begin(person)

    def _fail(self, name: str, user: User | None, address: str) -> None:
        """Record the failure, by the user's name where there is one: what else was typed may be a password."""
        now = self._clock.now()
        known = user or self._users.of(name)
        if user is not None and user.tries.failed(now).is_locked(now):
            text = f"the user {user.name} is locked after too many failed logins"
            self._bus.record(Event(now, Kind.USER, text, fields={"address": address}))
        self._refuse("" if known is None else known.name, address)

    def _refuse(self, name: str, address: str) -> None:
        text = f"a login at the console failed: user {name}" if name else "a login at the console failed"
        fields: dict[str, object] = {LOGIN: name, "address": address}
        self._bus.record(Event(self._clock.now(), Kind.REFUSED, text, fields=fields))
