"""The page of one exam, and what a person decides there: exactly about what the page showed, else not at all."""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from router.admin.console.context import Act, ConsoleContext
from router.admin.console.marks import story_mark
from router.admin.console.pages import ExamPage
from router.admin.console.previews import Previews
from router.admin.console.view import View, reason_of, render
from router.admin.http.server import Answer, Request, html, see_other
from router.errors import InvalidData
from router.events import Kind
from router.model import Channel
from router.policy.roles import sees
from router.policy.states import PENDING
from router.review.answers import Answers
from router.review.comparison import IdentityComparison
from router.review.decisions import Decisions, Differences, OperatorReason
from router.review.deliveries import Review, Story
from router.review.dismissals import Dismissals
from router.review.evidence import evidence_of
from router.review.explain import Provenance, is_of
from router.review.timeline import Sources, timeline
from router.storage.reports import Reports
from router.text.language import N_

_SAID = N_({
    "0": "That could not be done: it has moved on.", "1": "Done.",
    "settled": "The doubt is settled: both are of one patient. The exam is evaluated again.",
    "changed": "Nothing was settled: what differs is not what was shown. Compare both sides again.",
    "none": "Nothing was settled: no identity doubt stands any more.",
    "apart": "The study is kept apart from this exam, whatever names it, until it is joined again.",
    "joined": "The study is joined to this exam. Its patient is still checked.",
    "noted": "Noted: it waits for the RIS. It stays as it is until corrected data comes.",
    "told": "The alarms about what destinations have of this exam are dismissed.",
    "asked": "The PACS is asked at once. Its answer is in the history.",
})  # fmt: skip


class ExamPages:
    """The pages; who may see them is decided before."""

    def __init__(self, context: ConsoleContext) -> None:
        self._review = Review(context.catalogue, context.clock)
        self._decisions = Decisions(context.config.identity, context.catalogue, context.bus, context.clock)
        self._dismissals = Dismissals(context.catalogue, context.bus, context.clock)
        self._previews = Previews(context)
        self.use(context)

    def use(self, context: ConsoleContext) -> None:
        """Show what this configuration says from now on."""
        config, catalogue, reports = context.config, context.catalogue, Reports(context.config.node.data)
        self._context = context
        self._previews.use(context)
        self._provenance = Provenance(catalogue, config)
        self._answers = Answers(catalogue, config, context.clock)
        self._comparison = IdentityComparison(config, reports.read, catalogue.decisions.classes)

    @property
    def looks(self) -> Mapping[str, Act]:
        """Pages to look at, by path."""
        return {"/exam": self._exam, **self._previews.looks}

    @property
    def acts(self) -> Mapping[str, Act]:
        """Actions by a form of a person's session, by path."""
        return {
            "/patient": self._patient,
            "/act": self._act,
            "/resolve": self._resolve,
            "/unlink": self._deciding("apart", self._part),
            "/link": self._link,
            "/wait": self._deciding("noted", self._note),
            "/ask": self._deciding("asked", self._ask),
            "/told": self._deciding("told", self._told),
        }

    # -- pages

    def _exam(self, view: View, request: Request) -> Answer:
        said, differences = _SAID.get(request.query.get("done", ""), ""), self._differences(request.query)
        return self._shown(view, self._story(view, request.query), said, differences, open_=False)

    def _patient(self, view: View, request: Request) -> Answer:
        """Patient data unmasked, once, for the person who asks; recorded before it is shown."""
        differences, story = self._differences(request.form), self._story(view, request.form)
        self._context.record(Kind.VIEWED, "patient data shown at the console", view.who, exam=story.case.exam)
        self._context.seal()
        return self._shown(view, story, "", differences, open_=True)

    def _shown(self, view: View, story: Story, said: str, differences: Differences | None, *, open_: bool) -> Answer:
        case, context = story.case, self._context
        images = [line.delivery for line in story.lines if line.delivery.channel == Channel.IMAGES]
        background = self._provenance.background(case.exam, list(case.links))
        entries = {one.destination: self._review.ledger(one) for one in images}
        sources = Sources(
            story=story, files=background.files, arrivals=background.arrivals, entries=entries,
            approved_at=context.catalogue.exams.approved_at(case.exam),
        )  # fmt: skip
        zone, now = context.config.node.timezone, context.clock.now()
        previews, more = self._previews.series(view, case) if open_ else ((), 0)
        shown = ExamPage(
            story=story, lines=self._answers.of(story.lines, plain=not open_), said=said, differences=differences,
            background=background, moments=timeline(sources, zone, now), entries=entries,
            series=[
                line for uid, one in case.studies.items()
                for line in self._review.series(uid, context.rules(one.hospitals))
            ],
            evidence=[(one, evidence_of(one, context.config.node.data)) for one in story.uploads],
            sides=self._comparison.of(case) if open_ else [], pacs=context.config.query is not None,
            previews=previews, more_series=more, papers=self._previews.papers(case) if open_ else (),
        )  # fmt: skip
        return html(render(view, "exam.html", shown))

    # -- acts

    def _act(self, view: View, request: Request) -> Answer:
        story, form = self._story(view, request.form), request.form
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
        exam, why = self._story(view, request.form).case.exam, reason_of(request.form)
        if not why:
            raise InvalidData("expected why both are of one patient")
        with self._context.catalogue.engine.write():
            found = self._decisions.unsettled(exam)
            if found is None or found.mark != request.form.get("seen"):
                return _exam_after(exam, "none" if found is None else "changed")
            self._decisions.settle(found, OperatorReason(view.who, why))
            self._context.seal()
        return _exam_after(exam, "settled")

    def _deciding(self, said: str, decide: Callable[[int, Mapping[str, str], OperatorReason], None]) -> Act:
        """An act that a person decides by an exam's page, and the word that says that it was done."""

        def act(view: View, request: Request) -> Answer:
            why = reason_of(request.form)
            if not why:
                raise InvalidData("expected a reason")
            with self._context.catalogue.engine.write():
                story = self._story(view, request.form)
                exam = story.case.exam
                if request.form.get("seen") != story_mark(story):
                    return _exam_after(exam, "0")
                decide(exam, request.form, OperatorReason(view.who, why))
                self._context.seal()
            return _exam_after(exam, said)

        return act

    def _link(self, view: View, request: Request) -> Answer:
        """Join a study; a reader for certain hospitals joins what the page offers, or what is of these alone."""
        study, case = request.form.get("study", ""), self._story(view, request.form).case
        if view.mine:
            near = self._provenance.background(case.exam, list(case.links)).near
            brought = self._context.catalogue.instances.hospitals_of(study)
            if study not in {one.name for one in near} and not is_of(brought, view.mine):
                raise InvalidData("no such study")
        return self._deciding("joined", self._join)(view, request)

    def _part(self, exam: int, form: Mapping[str, str], reason: OperatorReason) -> None:
        self._decisions.unlink(f"e:{exam}", form.get("study", ""), reason)

    def _join(self, exam: int, form: Mapping[str, str], reason: OperatorReason) -> None:
        self._decisions.link(f"e:{exam}", form.get("study", ""), reason)

    def _note(self, exam: int, _: Mapping[str, str], reason: OperatorReason) -> None:
        self._decisions.wait_for_ris(exam, reason)

    def _ask(self, exam: int, _: Mapping[str, str], reason: OperatorReason) -> None:
        if self._context.config.query is None:
            raise InvalidData("no PACS can be asked: [query] is not configured")
        self._decisions.ask_pacs(exam, reason)

    def _told(self, exam: int, _: Mapping[str, str], reason: OperatorReason) -> None:
        self._dismissals.dismiss_exam(f"e:{exam}", reason)

    # -- what is asked for

    def _differences(self, fields: Mapping[str, str]) -> Differences | None:
        """Unsettled differences of an exam, read before its sides: what comes in between is not settled by them."""
        number = _number(fields)
        return None if number is None else self._decisions.unsettled(number)

    def _story(self, view: View, fields: Mapping[str, str]) -> Story:
        number = _number(fields)
        story = None if number is None else self._review.story(number)
        if story is None or not sees(view.mine, story.case.hospital):
            raise InvalidData("no such exam")
        return story


def _number(fields: Mapping[str, str]) -> int | None:
    """The exam that is asked for."""
    number = fields.get("id", "")
    return int(number) if number.isdecimal() and len(number) < 10 else None


def _exam_after(exam: int, done: str) -> Answer:
    """The exam's page, which says what was done (_SAID)."""
    return see_other("/exam?" + urlencode({"id": exam, "done": done}))
