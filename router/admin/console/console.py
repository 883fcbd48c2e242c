"""The console: a small site for administrators, with one script of its own and without anything from outside.

On loopback anyone may look, with patient data masked; acting and seeing patient data need a login, as does everything
beyond loopback. What a person does is an event with that person's name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

from router.admin.console.lists import Lists
from router.admin.console.marks import story_mark
from router.admin.console.overview import Sending, Sources, overview
from router.admin.console.pages import DELIVERIES, ExamPage, LoginPage, QueuePage
from router.admin.console.view import View, reason_of, render
from router.admin.http.server import Answer, Handle, Request, html, see_other, unchanged
from router.admin.http.session import COOKIE, Sessions, is_genuine
from router.catalogue import Catalogue
from router.catalogue.queue.backlog import Place
from router.clock import Clock
from router.config.sections import Config
from router.config.types import is_loopback
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.images.rulebook import BookOf
from router.model import Channel
from router.policy.attention import Attention
from router.policy.pause import EVERY
from router.policy.states import PENDING, State
from router.review.answers import Answers, Explained
from router.review.comparison import IdentityComparison
from router.review.decisions import Decisions, Differences, OperatorReason
from router.review.deliveries import Line, Review, Story
from router.review.explain import Provenance
from router.storage.reports import Reports
from router.text.language import LANGUAGES, N_, Tongue, chosen_language

_LAST_PAGE = 19
_FOUND = 200
_LINKED = ("/", "/queue", "/login", "/unreported", "/refused", "/files")
_SAID = N_({
    "0": "That could not be done: it has moved on.", "1": "Done.",
    "settled": "The doubt is settled: both are of one patient. The exam is evaluated again.",
    "changed": "Nothing was settled: what differs is not what was shown. Compare both sides again.",
    "none": "Nothing was settled: no identity doubt stands any more.",
})  # fmt: skip
_FILES = {"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8"}
_POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
}
_Act = Callable[[View, Request], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleContext:
    """Parts that the console reads and acts on. `token_file` is named on the login page, never shown.

    `seal` makes the audit of what a person does durable, before it is done; TransientError when it cannot. `attention`
    is what waits for a person, `report` the body of /health.
    """

    config: Config
    catalogue: Catalogue
    bus: EventBus
    clock: Clock
    rules: BookOf
    queues: Sequence[Place]
    free: Callable[[], int]
    token_file: Path
    seal: Callable[[], None]
    attention: Callable[[], Sequence[Attention]]
    report: Callable[[], Mapping[str, object]] = dict


class Console:
    """The pages behind their paths."""

    def __init__(self, context: ConsoleContext, token: str) -> None:
        self._use(context)
        self._sessions = Sessions(token, context.clock)
        self._tongues = {language: Tongue(language) for language in LANGUAGES}
        self._review = Review(context.catalogue, context.clock)
        self._decisions = Decisions(context.config.identity, context.catalogue, context.bus, context.clock)
        self._lists = Lists(
            config=context.config, catalogue=context.catalogue, bus=context.bus, clock=context.clock, seal=context.seal
        )
        self._local = is_loopback(context.config.admin.host)
        self._files = {name: (Path(__file__).parent / name).read_bytes() for name in _FILES}

    def reconfigure(self, config: Config, queues: Sequence[Place]) -> None:
        """Show what this configuration says, with the same sessions."""
        self._use(replace(self._context, config=config, queues=queues))
        self._lists.reconfigure(config)

    def _use(self, context: ConsoleContext) -> None:
        config, catalogue, reports = context.config, context.catalogue, Reports(context.config.node.data)
        self._context = context
        self._provenance = Provenance(catalogue, config)
        self._answers = Answers(catalogue, config, context.clock)
        self._comparison = IdentityComparison(config, reports.read, catalogue.decisions.classes)

    def routes(self) -> dict[str, Handle]:
        """The paths."""
        looks: dict[str, _Act] = {"/": self._overview, "/exam": self._exam, **self._lists.looks}
        acts: dict[str, _Act] = {
            **self._lists.acts,
            "/act": self._act,
            "/resolve": self._resolve,
            "/patient": self._patient,
            "/pause": self._pause,
            "/logout": self._log_out,
        }
        return {
            **{f"/{name}": self._file(name) for name in _FILES},
            "/queue": self._guarded(self._queue, self._may_search),
            "/login": self._guarded(self._log_in, lambda _, __: None),
            **{path: self._guarded(page, self._may_look) for path, page in looks.items()},
            **{path: self._guarded(page, self._may_act) for path, page in acts.items()},
        }

    def _file(self, name: str) -> Handle:
        return lambda request: unchanged(Answer(200, self._files[name], _FILES[name]), request)

    # -- who may

    def _guarded(self, page: _Act, refusal: Callable[[View, Request], Answer | None]) -> Handle:
        def handle(request: Request) -> Answer:
            view = self._view(request)
            answer = refusal(view, request) or page(view, request)
            asked, chosen = request.query.get("lang", ""), {}
            if asked in LANGUAGES:
                chosen = {"Set-Cookie": f"lang={asked}; Path=/; SameSite=Strict; HttpOnly"}
            return unchanged(replace(answer, headers={**_POLICY, **chosen, **answer.headers}), request)

        return handle

    def _may_look(self, view: View, _: Request) -> Answer | None:
        return None if self._local or view.session else see_other("/login")

    def _may_act(self, view: View, request: Request) -> Answer | None:
        if request.method != "POST":
            return Answer(405, b"by a form only\n")
        if view.session is None:
            return see_other("/login")
        if not is_genuine(view.session, request.form.get("csrf", "")):
            return Answer(403, b"this form is not of your session\n")
        return None

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
        session = self._sessions.of(request.cookies.get(COOKIE, ""), renew=not looks_again)
        return View(
            node=node.owner, tongue=tongue, zone=node.timezone, session=session, path=path,
            now=self._context.clock.now(), live=request.method != "POST",
        )  # fmt: skip

    def _cookie(self, value: str, rest: str = "") -> Mapping[str, str]:
        secure = "; Secure" if self._context.config.admin.tls is not None else ""
        return {"Set-Cookie": f"{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{rest}"}

    def _log_in(self, view: View, request: Request) -> Answer:
        where = str(self._context.token_file) if self._local else self._context.token_file.name
        if request.method != "POST":
            return html(render(view, "login.html", LoginPage(where, wrong=False)))
        who = " ".join(request.form.get("who", "").split())[:64]
        own = who.casefold() in ("", "node", self._context.config.node.owner.casefold())  # what the node does itself
        session = None if own else self._sessions.log_in(who, request.form.get("token", "").strip(), request.address)
        if session is None:
            self._record(Kind.REFUSED, "a login at the console failed", "node", fields={"address": request.address})
            return replace(html(render(view, "login.html", LoginPage(where, wrong=True))), status=403)
        self._record(Kind.VIEWED, "logged in at the console", who)
        return see_other("/", self._cookie(session.key))

    def _log_out(self, view: View, request: Request) -> Answer:
        self._sessions.log_out(request.cookies.get(COOKIE, ""))
        return see_other("/", self._cookie("", "; Max-Age=0"))

    # -- pages

    def _overview(self, view: View, _: Request) -> Answer:
        context = self._context
        sources = Sources(
            catalogue=context.catalogue, clock=context.clock, free=context.free, attention=context.attention,
            report=context.report,
        )  # fmt: skip
        shown = overview(sources, context.config, context.queues, self._review, self._answers)
        return html(render(view, "overview.html", shown))

    def _may_search(self, view: View, request: Request) -> Answer | None:
        """A search answers whether an identifier is here, and so reads one letter by letter: patient data."""
        return (self._may_act if request.method == "POST" else self._may_look)(view, request)

    def _queue(self, view: View, request: Request) -> Answer:
        query = request.query
        state, destination = query.get("state", ""), query.get("destination", "")
        if state and state not in list(State):
            raise InvalidData("no such state")
        page = int(query["page"]) if query.get("page", "").isdecimal() and len(query["page"]) < 4 else 0
        page = min(page, _LAST_PAGE)
        text = request.form.get("text", "").strip()
        if text:
            self._record(Kind.VIEWED, "the queue searched at the console", view.who)
            self._context.seal()
        last = (page + 1) * DELIVERIES
        states = [State(state)] if state else list(State)
        lines = self._review.listed(states, destination or None, text or None, _FOUND if text else last + 1)
        shown = self._explained(lines if text else lines[last - DELIVERIES : last])
        more = not text and len(lines) > last
        listed = QueuePage(
            lines=shown, state=state, destination=destination, text=text, page=page, sending=self._sending(),
            more=more and page < _LAST_PAGE, cut=more and page == _LAST_PAGE,
        )  # fmt: skip
        return html(render(view, "queue.html", listed))

    def _sending(self) -> Sending:
        names = [one.name for one in self._context.config.destination]
        return Sending(self._context.catalogue.pauses.standing(), names)

    def _explained(self, lines: Sequence[Line]) -> list[Explained]:
        """For a page on which patient data is masked."""
        return self._answers.of(lines, plain=True)

    def _exam(self, view: View, request: Request) -> Answer:
        said, differences = _SAID.get(request.query.get("done", ""), ""), self._differences(request.query)
        return self._shown(view, self._story(request.query), said, differences, open_=False)

    def _patient(self, view: View, request: Request) -> Answer:
        """Patient data unmasked, once, for the person who asks; recorded before it is shown."""
        differences, story = self._differences(request.form), self._story(request.form)
        self._record(Kind.VIEWED, "patient data shown at the console", view.who, exam=story.case.exam)
        self._context.seal()
        return self._shown(view, story, "", differences, open_=True)

    def _act(self, view: View, request: Request) -> Answer:
        story, form = self._story(request.form), request.form
        line = next((one for one in story.lines if str(one.delivery.id) == form.get("delivery")), None)
        acts = {"hold": self._review.hold, "release": self._review.confirm, "retry": self._review.retry}
        act, why = acts.get(form.get("what", "")), reason_of(form)
        if line is None or act is None or not why:
            raise InvalidData("expected a delivery of this exam, what to do with it, and why")
        seen = form.get("seen") == story_mark(story)
        movable = form["what"] != "hold" or line.delivery.state in PENDING
        with self._context.catalogue.engine.write():
            done = seen and movable and act(line.delivery, why, view.who)
            self._context.seal()
        return _exam_after(story.case.exam, str(int(done)))

    def _resolve(self, view: View, request: Request) -> Answer:
        """Settle exactly the differences that the page showed; where there are others by now nothing is settled."""
        exam, why = self._story(request.form).case.exam, reason_of(request.form)
        if not why:
            raise InvalidData("expected why both are of one patient")
        with self._context.catalogue.engine.write():
            found = self._decisions.unsettled(exam)
            if found is None or found.mark != request.form.get("seen"):
                return _exam_after(exam, "none" if found is None else "changed")
            self._decisions.settle(found, OperatorReason(view.who, why))
            self._context.seal()
        return _exam_after(exam, "settled")

    def _pause(self, view: View, request: Request) -> Answer:
        """Stop or start all sending, by the same rules as a hold; where it is so already, the page shows that."""
        form, pauses, sending = request.form, self._context.catalogue.pauses, self._sending()
        place, why = form.get("destination", ""), reason_of(form)
        act = {"pause": pauses.begin, "resume": pauses.end}.get(form.get("what", ""))
        known = {EVERY, *sending.destinations, *(one.destination for one in sending.pauses)}
        if act is None or not why or place not in known:
            raise InvalidData("expected a destination or all of them, whether to pause or to resume, and why")
        with self._context.catalogue.engine.write():
            act(place, view.who, why, self._context.clock.now())
            self._context.seal()
        return see_other("/")

    def _shown(self, view: View, story: Story, said: str, differences: Differences | None, *, open_: bool) -> Answer:
        case, rules = story.case, self._context.rules
        images = [line.delivery for line in story.lines if line.delivery.channel == Channel.IMAGES]
        shown = ExamPage(
            story=story, lines=self._answers.of(story.lines, plain=not open_), said=said, differences=differences,
            background=self._provenance.background(case.exam, list(case.links)),
            series=[
                line for uid, one in case.studies.items() for line in self._review.series(uid, rules(one.hospitals))
            ],
            entries={one.destination: self._review.ledger(one) for one in images},
            sides=self._comparison.of(case) if open_ else [],
        )  # fmt: skip
        return html(render(view, "exam.html", shown))

    def _differences(self, fields: Mapping[str, str]) -> Differences | None:
        """Unsettled differences of an exam, read before its sides: what comes in between is not settled by them."""
        number = _number(fields)
        return None if number is None else self._decisions.unsettled(number)

    def _story(self, fields: Mapping[str, str]) -> Story:
        number = _number(fields)
        story = None if number is None else self._review.story(number)
        if story is None:
            raise InvalidData("no such exam")
        return story

    def _record(self, kind: Kind, text: str, who: str, **about: object) -> None:
        self._context.bus.record(Event(self._context.clock.now(), kind, text, who=who, **about))  # type: ignore[arg-type]  # names and types are this class's own


def _number(fields: Mapping[str, str]) -> int | None:
    """The exam that is asked for."""
    number = fields.get("id", "")
    return int(number) if number.isdecimal() and len(number) < 10 else None


def _exam_after(exam: int, done: str) -> Answer:
    """The exam's page, which says what was done (_SAID)."""
    return see_other("/exam?" + urlencode({"id": exam, "done": done}))
