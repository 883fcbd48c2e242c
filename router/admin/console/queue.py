"""The queue: deliveries by state, destination, sender and day in the address, and the search by a form.

An ExamId and a patient belong into no address, so what is typed comes by a form, and is recorded.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from router.admin.console.context import ConsoleContext
from router.admin.console.overview import Sending, sending_of
from router.admin.console.pages import DELIVERIES, QueuePage
from router.admin.console.view import View, render
from router.admin.http.server import Answer, Request, html
from router.catalogue.exams.search import Wanted
from router.errors import InvalidData
from router.events import Kind
from router.policy.roles import sees
from router.policy.states import State
from router.review.answers import Answers
from router.review.deliveries import Line, Review
from router.review.explain import Provenance, Stray, is_of
from router.review.lookup import Lookup, is_form

_LAST_PAGE = 19
_FOUND = 100  # exams
_SENDERS = timedelta(days=8)


class QueuePages:
    """The page, whoever may see it; who that is is decided before."""

    def __init__(self, context: ConsoleContext) -> None:
        self._review = Review(context.catalogue, context.clock)
        self.use(context)

    def use(self, context: ConsoleContext) -> None:
        """Show what this configuration says from now on."""
        self._context = context
        self._answers = Answers(context.catalogue, context.config, context.clock)
        self._provenance = Provenance(context.catalogue, context.config)

    def show(self, view: View, request: Request) -> Answer:
        """Deliveries that fit what is asked for; without patient data."""
        query, text = request.query, request.form.get("text", "").strip()
        state, sender, day = query.get("state", ""), query.get("sender", ""), query.get("day", "")
        if state and state not in list(State):
            raise InvalidData("no such state")
        page, more = _page(query), False
        if text:
            self._context.record(Kind.VIEWED, "the queue searched at the console", view.who)
            self._context.seal()
            lines = self._of_exams(view, self._named(view, text))
        elif sender or day:
            at = _instant(day, self._context.config.node.timezone)
            wanted = Wanted(sender=sender, day=at, hospitals=view.scope)
            found = self._of_exams(view, self._context.catalogue.search.exams(wanted, _FOUND))
            lines = [one for one in found if _fits(one, query)]
        else:
            last = (page + 1) * DELIVERIES
            found = self._review.first(_states(state), query.get("destination") or None, last + 1, view.scope)
            lines, more = found[last - DELIVERIES : last], len(found) > last
        listed = QueuePage(
            lines=self._answers.of(lines, plain=True), state=state, destination=query.get("destination", ""),
            sender=sender, day=day, text=text, page=page, sending=self._sending(view), more=more and page < _LAST_PAGE,
            cut=more and page == _LAST_PAGE, senders=self._senders(view),
            stray=self._stray(view, text) if text else None,
        )  # fmt: skip
        return html(render(view, "queue.html", listed))

    def _named(self, view: View, text: str) -> list[int]:
        """Exams of this name: e17, d85, an ExamId, an accession number, a patient, a study, or a part of one."""
        catalogue = self._context.catalogue
        found = catalogue.search.exams(Wanted(text=text, patient=True, hospitals=view.scope), _FOUND)
        if is_form(text):
            lookup = Lookup(catalogue)
            with suppress(InvalidData):
                found += [one.exam for one in lookup.deliveries([f"{text[0]}:{text[1:].lstrip(':')}"])]
        return list(dict.fromkeys([*found, *self._filed(text)]))

    def _filed(self, text: str) -> list[int]:
        """Exams of a file of this name."""
        return self._context.catalogue.exams.find(text)[:_FOUND]

    def _of_exams(self, view: View, exams: list[int]) -> list[Line]:
        """Deliveries of these exams, as far as the reader may see them."""
        return [one for one in self._review.of_exams(exams) if sees(view.scope, one.delivery.hospital)]

    def _stray(self, view: View, text: str) -> Stray | None:
        """A study that is here, that no exam has, and that the reader may see."""
        if not text.replace(".", "").isdecimal():
            return None
        found = self._provenance.stray(text, self._context.clock.now())
        return found if found is not None and is_of(found.hospitals, view.mine) else None

    def _senders(self, view: View) -> list[str]:
        return self._context.catalogue.search.senders(self._context.clock.now() - _SENDERS, view.scope)

    def _sending(self, view: View) -> Sending:
        return sending_of(self._context.catalogue, self._context.config, view.scope)


def _fits(one: Line, query: Mapping[str, str]) -> bool:
    states, destination = _states(query.get("state", "")), query.get("destination", "")
    return one.delivery.state in states and destination in ("", one.delivery.destination)


def _states(state: str) -> list[State]:
    return [State(state)] if state else list(State)


def _page(query: Mapping[str, str]) -> int:
    page = query.get("page", "")
    return min(int(page) if page.isdecimal() and len(page) < 4 else 0, _LAST_PAGE)


def _instant(day: str, zone: ZoneInfo) -> datetime | None:
    """The beginning of a day; InvalidData where it is none."""
    if not day:
        return None
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError as error:
        raise InvalidData("expected a day like 2026-03-01") from error
