"""The console's pages about its users: the list, with what an administrator changes there, and one's own password."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from router.admin.console.view import View, reason_of, render
from router.admin.http.server import Answer, Request, html, see_other
from router.admin.http.session import Session
from router.admin.people.accounts import Accounts
from router.admin.people.logins import Logins
from router.catalogue import Catalogue
from router.catalogue.node.users import User
from router.clock import Clock
from router.config.sections import Config
from router.errors import InvalidData
from router.events import EventBus
from router.policy.passwords import RULES
from router.policy.roles import Role
from router.text.language import N_

_Act = Callable[[View, Request], Answer]
_ALL, _DONE = N_(("All", "Done."))
_TWICE = N_("The two new passwords are not the same.")
_WHO = N_("Choose a user, what to do, and say why.")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersPage:
    """The users; `said` is what became of the last form."""

    users: Sequence[User]
    hospitals: Sequence[str]
    now: datetime
    said: str

    roles = tuple(Role)
    rules = RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPage:
    """The form for a new password of one's own; `must` where nothing else is shown before."""

    must: bool
    said: str

    rules = RULES


class People:
    """The pages; who may see them is decided before. `seal` makes what is recorded durable, before it is done.

    `cookie` gives the headers that bind a session to the browser.
    """

    def __init__(
        self, *, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock, seal: Callable[[], None],
        logins: Logins, cookie: Callable[[str], Mapping[str, str]],
    ) -> None:  # fmt: skip
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._seal = seal
        self._logins = logins
        self._cookie = cookie
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Take the hospitals of this configuration from now on."""
        self._hospitals = [one.name for one in config.hospital if one.name]
        self._accounts = Accounts(config, self._catalogue, self._bus, self._clock, self._seal)

    @property
    def looks(self) -> Mapping[str, _Act]:
        """Pages to look at, by path."""
        return {"/users": lambda view, request: self._users(view, _DONE if "done" in request.query else "")}

    @property
    def acts(self) -> Mapping[str, _Act]:
        """Actions by a form of a person's session, by path."""
        return {"/users/add": self._doing(self._add), "/users/change": self._doing(self._change)}

    # -- users

    def _users(self, view: View, said: str) -> Answer:
        users, now = self._catalogue.users.all(), self._clock.now()
        return html(render(view, "users.html", UsersPage(users=users, hospitals=self._hospitals, now=now, said=said)))

    def _doing(self, do: Callable[[View, Mapping[str, str]], None]) -> _Act:
        def act(view: View, request: Request) -> Answer:
            try:
                do(view, request.form)
            except InvalidData as error:
                return replace(self._users(view, error.message), status=400)
            return see_other("/users?done=1")

        return act

    def _add(self, view: View, form: Mapping[str, str]) -> None:
        self._accounts.add(form.get("name", "").strip(), _role(form), _hospitals(form), _twice(form), view.who)

    def _change(self, view: View, form: Mapping[str, str]) -> None:
        name, what, why = form.get("chosen", ""), form.get("what", ""), reason_of(form)
        acts = {
            "disable": self._accounts.disable, "enable": self._accounts.enable, "unlock": self._accounts.unlock,
            "remove": self._accounts.remove,
        }  # fmt: skip
        if name and what == "assign":
            chosen = form.get("hospitals", "").strip()
            everyone = chosen.casefold() in ("all", view.say(_ALL).casefold())
            hospitals = () if everyone else _hospitals(form) if chosen else None
            self._accounts.assign(name, _role(form), hospitals, view.who)
        elif name and what == "reset":
            self._accounts.reset(name, _twice(form), view.who)
        elif name and why and what in acts:
            acts[what](name, why, view.who)
        else:
            raise InvalidData(_WHO)

    # -- one's own password

    def password(self, view: View, request: Request) -> Answer:
        """The form, and what it asks for; the other sessions of this person end."""
        session = view.session
        if session is None or session.person.changed is None:  # the token has no password
            return see_other("/")
        if request.method != "POST":
            return self._asked(view, session, "")
        try:
            password = _twice(request.form)
            self._accounts.choose(session.who, request.form.get("former", ""), password, request.address)
        except InvalidData as error:
            return replace(self._asked(view, session, error.message), status=400)
        found = self._logins.renew(session)
        return see_other("/login") if found is None else see_other("/", self._cookie(found.key))

    def _asked(self, view: View, session: Session, said: str) -> Answer:
        page = PasswordPage(must=session.person.must_change, said=said)
        return html(render(view, "password.html", page))


def _role(form: Mapping[str, str]) -> Role:
    if form.get("role") not in list(Role):
        raise InvalidData(_WHO)
    return Role(form["role"])


def _hospitals(form: Mapping[str, str]) -> Sequence[str]:
    """Hospitals that a form names, with commas between them."""
    return form.get("hospitals", "").replace("，", ",").replace("、", ",").split(",")


def _twice(form: Mapping[str, str]) -> str:
    if form.get("password", "") != form.get("again", ""):
        raise InvalidData(_TWICE)
    return form.get("password", "")
