"""The console: a small site for administrators, with one script of its own and without anything from outside.

On loopback anyone may look, with patient data masked; acting and seeing patient data need a login, as does everything
beyond loopback. What a person does is an event with that person's name.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from router.admin.console.configuration import ConfigurationPages
from router.admin.console.context import Act, ConsoleContext
from router.admin.console.exams import ExamPages
from router.admin.console.exchange import ExchangePages
from router.admin.console.lists import Lists
from router.admin.console.overview import OverviewPage, Scope, Shared, Sources, overview, scope_of, sending_of
from router.admin.console.pages import LoginPage
from router.admin.console.people import People
from router.admin.console.plots import RatePlot
from router.admin.console.queue import QueuePages
from router.admin.console.rights import right_of
from router.admin.console.senders import SendersPages
from router.admin.console.statistics import StatisticsPages, recent_rates
from router.admin.console.view import View, reason_of, render
from router.admin.console.work import WorkPages
from router.admin.http.server import Answer, Handle, Request, html, see_other, unchanged
from router.admin.http.session import COOKIE, is_genuine
from router.admin.people.logins import Logins
from router.catalogue.queue.backlog import Place
from router.config.hospitals import UNREGISTERED, several_of
from router.config.sections import Config
from router.config.types import is_loopback
from router.errors import InvalidData
from router.policy.pause import ALL, EVERY
from router.policy.roles import Right, sees
from router.review.answers import Answers
from router.review.deliveries import Review
from router.text.language import LANGUAGES, Tongue, chosen_language

_LINKED = (
    "/", "/queue", "/work", "/login", "/unreported", "/refused", "/files", "/users", "/password", "/senders",
    "/exchange", "/statistics", "/configuration",
)  # fmt: skip
_EXAM = re.compile(r"/exam\?id=[0-9]{1,9}")
_RATES_SECONDS = 60.0  # that plots of the last days are shown by all browsers
_FILES = {"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8"}
_POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
}


class Console:
    """The pages behind their paths."""

    def __init__(self, context: ConsoleContext, token: str) -> None:
        self._use(context)
        self._logins = Logins(token, context.catalogue.users, context.bus, context.clock)
        self._tongues = {language: Tongue(language) for language in LANGUAGES}
        self._review = Review(context.catalogue, context.clock)
        self._shared: Shared[Scope, OverviewPage] = Shared(context.clock)
        self._rates: Shared[tuple[str, ...], Sequence[RatePlot]] = Shared(context.clock, _RATES_SECONDS)
        self._exams, self._queue, self._work = ExamPages(context), QueuePages(context), WorkPages(context)
        self._senders, self._exchange = SendersPages(context), ExchangePages(context)
        self._statistics, self._configuration = StatisticsPages(context), ConfigurationPages(context)
        self._lists = Lists(
            config=context.config, catalogue=context.catalogue, bus=context.bus, clock=context.clock, seal=context.seal
        )
        self._people = People(
            config=context.config, catalogue=context.catalogue, bus=context.bus, clock=context.clock, seal=context.seal,
            logins=self._logins, cookie=self._cookie,
        )  # fmt: skip
        self._local = is_loopback(context.config.admin.host)
        self._files = {name: (Path(__file__).parent / name).read_bytes() for name in _FILES}

    def reconfigure(self, config: Config, queues: Sequence[Place]) -> None:
        """Show what this configuration says, with the same sessions."""
        self._use(replace(self._context, config=config, queues=queues))
        self._lists.reconfigure(config)
        self._people.reconfigure(config)
        for pages in (
            self._exams, self._queue, self._work, self._senders, self._exchange, self._statistics, self._configuration
        ):  # fmt: skip
            pages.use(self._context)

    def _use(self, context: ConsoleContext) -> None:
        self._context = context
        self._answers = Answers(context.catalogue, context.config, context.clock)

    def routes(self) -> dict[str, Handle]:
        """The paths."""
        looks: dict[str, Act] = {
            "/": self._overview,
            **self._exams.looks,
            **self._work.looks,
            **self._lists.looks,
            **self._people.looks,
            **self._statistics.looks,
            **self._configuration.looks,
        }
        acts: dict[str, Act] = {
            **self._exams.acts,
            **self._lists.acts,
            **self._work.acts,
            **self._people.acts,
            "/pause": self._pause,
            "/logout": self._log_out,
        }
        return {
            **{f"/{name}": self._file(name) for name in _FILES},
            "/queue": self._guarded(self._queue.show, self._may_ask),
            "/senders": self._guarded(self._senders.show, self._may_ask),
            "/exchange": self._guarded(self._exchange.show, self._may_ask),
            "/password": self._guarded(self._people.password, self._may_ask),
            "/login": self._guarded(self._log_in, lambda _, __: None),
            **{path: self._guarded(page, self._may_look) for path, page in looks.items()},
            **{path: self._guarded(page, self._may_act) for path, page in acts.items()},
        }

    def _file(self, name: str) -> Handle:
        return lambda request: unchanged(Answer(200, self._files[name], _FILES[name]), request)

    # -- who may

    def _guarded(self, page: Act, refusal: Callable[[View, Request], Answer | None]) -> Handle:
        def handle(request: Request) -> Answer:
            view = self._view(request)
            answer = refusal(view, request) or page(view, request)
            asked, chosen = request.query.get("lang", ""), {}
            if asked in LANGUAGES:
                chosen = {"Set-Cookie": f"lang={asked}; Path=/; SameSite=Strict; HttpOnly"}
            return unchanged(replace(answer, headers={**_POLICY, **chosen, **answer.headers}), request)

        return handle

    def _may_look(self, view: View, request: Request) -> Answer | None:
        right = right_of("GET", request.path)
        if view.session is None:
            return None if self._local and right == Right.LOOK else see_other("/login")
        return self._lacks(view, right)

    def _may_act(self, view: View, request: Request) -> Answer | None:
        if request.method != "POST":
            return Answer(405, b"by a form only\n")
        if view.session is None:
            return see_other("/login")
        if not is_genuine(view.session, request.form.get("csrf", "")):
            return Answer(403, b"this form is not of your session\n")
        return self._lacks(view, right_of("POST", request.path))

    def _lacks(self, view: View, right: Right) -> Answer | None:
        """The refusal for who has logged in, has not the right, or is to choose a password first."""
        if view.session is None or (view.session.person.must_change and right != Right.OWN):
            return see_other("/password")
        if view.session.person.may(right):
            return None
        said = view.say("Your role does not allow this: {right}", right=view.say(right))
        return Answer(403, f"{said}\n".encode())

    def _may_ask(self, view: View, request: Request) -> Answer | None:
        """A page with a form of its own: a search, which reads patient data letter by letter, or a new password."""
        return (self._may_act if request.method == "POST" else self._may_look)(view, request)

    def _view(self, request: Request) -> View:
        asked = request.query.get("lang") or request.cookies.get("lang", "")
        node = self._context.config.node
        language = chosen_language(asked, request.headers.get("Accept-Language", ""), node.language)
        number = request.query.get("id", "")
        place = "/" + request.path.split("/")[1]  # /files/dismiss is done on /files
        path = place if place in _LINKED else "/"
        path = f"/exam?id={number}" if place == "/exam" and number.isdecimal() else path
        tongue = self._tongues[language]
        looks_again = "X-Live" in request.headers  # a page that refreshes itself: nobody is known to sit before it
        session = self._logins.of(request.cookies.get(COOKIE, ""), prolong=not looks_again)
        mine = session.person.hospitals if session else ()
        hospitals = [one for one in several_of(self._context.config) if sees(mine, one)]
        chosen = request.query.get("hospital", "") or request.form.get("hospital", "")
        known = chosen in hospitals or (chosen == UNREGISTERED and bool(hospitals) and not mine)
        return View(
            node=node.owner, tongue=tongue, zone=node.timezone, session=session, path=path,
            now=self._context.clock.now(), live=request.method != "POST", hospitals=hospitals,
            hospital=chosen if known else None,
        )  # fmt: skip

    def _cookie(self, value: str, rest: str = "") -> Mapping[str, str]:
        secure = "; Secure" if self._context.config.admin.tls is not None else ""
        return {"Set-Cookie": f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{rest}"}

    def _log_in(self, view: View, request: Request) -> Answer:
        where = str(self._context.token_file) if self._local else self._context.token_file.name
        if request.method != "POST":
            return html(render(view, "login.html", LoginPage(where, _place(request.query.get("to", "")), wrong=False)))
        name, form, to = request.form.get("who", ""), request.form, _place(request.form.get("to", ""))
        if token := form.get("token", "").strip():
            session = self._logins.by_token(token, request.address)
        else:
            session = self._logins.by_password(name, form.get("password", ""), request.address)
        if session is None:
            return replace(html(render(view, "login.html", LoginPage(where, to, wrong=True))), status=403)
        return see_other(to, self._cookie(session.key))

    def _log_out(self, view: View, _: Request) -> Answer:
        if view.session is not None:
            self._logins.log_out(view.session)
        return see_other("/", self._cookie("", "; Max-Age=0"))

    # -- pages

    def _overview(self, view: View, request: Request) -> Answer:
        context = self._context
        sources = Sources(
            catalogue=context.catalogue, clock=context.clock, free=context.free, attention=context.attention,
            report=context.report, rates=lambda of: self._rates.of(of, rates),
        )  # fmt: skip

        def rates(of: tuple[str, ...]) -> Sequence[RatePlot]:
            return recent_rates(context.catalogue, view.now.astimezone(view.zone).date(), of)

        def read(scope: Scope) -> OverviewPage:
            return overview(sources, context.config, context.queues, self._review, self._answers, scope)

        shown = self._shared.of(scope_of(view), read, fresh="X-Live" not in request.headers)
        return html(render(view, "overview.html", shown))

    def _pause(self, view: View, request: Request) -> Answer:
        """Stop or start sending, of the chosen hospital's exams or of all, by the same rules as a hold.

        Where it is so already, the page shows that.
        """
        form, pauses = request.form, self._context.catalogue.pauses
        sending = sending_of(self._context.catalogue, self._context.config, view.mine)
        place, why = form.get("destination", ""), reason_of(form)
        act = {"pause": pauses.begin, "resume": pauses.end}.get(form.get("what", ""))
        known = {EVERY, *sending.destinations, *(one.destination for one in sending.pauses)}
        if act is None or not why or place not in known:
            raise InvalidData("expected a destination or all of them, whether to pause or to resume, and why")
        if form.get("hospital", "") != (view.hospital or ""):
            raise InvalidData("no such hospital")
        with self._context.catalogue.engine.write():
            act(place, view.who, why, self._context.clock.now(), view.hospital or ALL)
            self._context.seal()
        return see_other(view.here("/"))


def _place(path: str) -> str:
    """The page of this console that a login leads to: `path` if it is one, else the first screen."""
    is_page = path in _LINKED or _EXAM.fullmatch(path) is not None
    return path if is_page and path != "/login" else "/"
