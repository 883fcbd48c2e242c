"""The work list: what waits for a person, by cause, and acts on many deliveries at once.

An act on many is shown before it is done, and done to each as it was shown: one that has moved meanwhile is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

from router.admin.console.context import Act, ConsoleContext
from router.admin.console.marks import delivery_mark
from router.admin.console.pages import ACTS, BulkPage, WorkPage
from router.admin.console.view import View, reason_of, render
from router.admin.http.server import Answer, Request, html, see_other
from router.errors import InvalidData
from router.policy.attention import Attention
from router.policy.roles import sees
from router.policy.states import PENDING, State
from router.review.answers import Answers
from router.review.decisions import Decisions, OperatorReason
from router.review.deliveries import Line, Review

_SHOWN = 100  # deliveries of a cause; a form has room for so many


class WorkPages:
    """The pages; who may see them is decided before."""

    def __init__(self, context: ConsoleContext) -> None:
        self._review = Review(context.catalogue, context.clock)
        self._decisions = Decisions(context.config.identity, context.catalogue, context.bus, context.clock)
        self.use(context)

    def use(self, context: ConsoleContext) -> None:
        """Show what this configuration says from now on."""
        self._context = context
        self._answers = Answers(context.catalogue, context.config, context.clock)

    @property
    def looks(self) -> Mapping[str, Act]:
        """Pages to look at, by path."""
        return {"/work": self._list}

    @property
    def acts(self) -> Mapping[str, Act]:
        """Actions by a form of a person's session, by path."""
        return {"/bulk": self._preview, "/bulk/do": self._do}

    def _list(self, view: View, request: Request) -> Answer:
        query, entries = request.query, self._context.attention(view.scope)
        wanted = query.get("what", ""), query.get("destination", "")
        chosen = next((one for one in entries if (one.what, one.destination) == wanted), None)
        if chosen is None and not any(wanted):
            chosen = entries[0] if entries else None
        lines = self._lines(chosen) if chosen else []
        exams = [line.delivery.exam for line in lines]
        shown = WorkPage(
            entries=entries, chosen=chosen, lines=self._answers.of(lines, plain=True),
            acts={what: name for what, name in ACTS.items() if any(_can(what, one) for one in lines)},
            decided=self._context.catalogue.history.decided(exams), counts=_counts(query),
            rest=max(len(chosen.deliveries or chosen.exams) - _SHOWN, 0) if chosen else 0,
        )  # fmt: skip
        return html(render(view, "work.html", shown))

    def _lines(self, chosen: Attention) -> list[Line]:
        if chosen.deliveries:
            return self._review.lines_of(chosen.deliveries[:_SHOWN])
        return self._review.of_exams(chosen.exams[:_SHOWN])

    def _preview(self, view: View, request: Request) -> Answer:
        what, why, lines = self._asked(view, request.form)
        shown = BulkPage(
            what=what, act=ACTS[what], why=why, lines=self._answers.of(lines, plain=True),
            can=frozenset(line.delivery.id for line in lines if _can(what, line)),
        )  # fmt: skip
        return html(render(view, "bulk.html", shown))

    def _do(self, view: View, request: Request) -> Answer:
        """Do it to each that is as it was shown; the others are counted."""
        what, why, lines = self._asked(view, request.form)
        act, done = self._act(what, OperatorReason(view.who, why)), 0
        with self._context.catalogue.engine.write():
            for line in lines:
                seen = request.form.get(_field(line)) == delivery_mark(line)
                done += seen and _can(what, line) and act(line)
            self._context.seal()
        return see_other(view.here("/work?" + urlencode({"done": done, "left": len(lines) - done})))

    def _asked(self, view: View, form: Mapping[str, str]) -> tuple[str, str, Sequence[Line]]:
        """The act that is asked for, its reason, and the chosen deliveries."""
        numbers = [int(name[1:]) for name in form if name[:1] == "d" and name[1:].isdecimal() and len(name) < 11]
        what, why = form.get("what", ""), reason_of(form)
        found = self._review.lines_of(numbers[:_SHOWN])
        lines = [one for one in found if sees(view.mine, one.delivery.hospital)]
        if what not in ACTS or not why or not lines:
            raise InvalidData("expected deliveries, what to do with them, and why")
        return what, why, lines

    def _act(self, what: str, reason: OperatorReason) -> Callable[[Line], bool]:
        """A release confirms no report PDF: that is for who has seen its evidence, on the exam's page."""
        review = self._review
        acts = {"hold": review.hold, "release": review.release, "retry": review.retry}
        if what in acts:
            return lambda line: acts[what](line.delivery, reason.why, reason.who)
        noted: set[int] = set()

        def note(line: Line) -> bool:
            if line.delivery.exam not in noted:
                noted.add(line.delivery.exam)
                self._decisions.wait_for_ris(line.delivery.exam, reason)
            return True

        return note


def _field(line: Line) -> str:
    return f"d{line.delivery.id}"


def _can(what: str, line: Line) -> bool:
    """Whether the act changes anything in the delivery's state."""
    state = line.delivery.state
    if what == "hold":
        return state in PENDING
    states = {"release": (State.HELD,), "retry": (State.FAILED, State.DEFERRED, State.CANCELLED)}
    return what == "wait" or state in states[what]


def _counts(query: Mapping[str, str]) -> tuple[int, int] | None:
    """How many were done, and how many were left: what the last act on many says."""
    found = [query.get(name, "") for name in ("done", "left")]
    if not all(number.isdecimal() and len(number) < 5 for number in found):
        return None
    return int(found[0]), int(found[1])
