"""The console's lists of what has no delivery, and the dismissals that a person says there."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import urlencode

from router.admin.console import marks
from router.admin.console.pages import ROWS, FilesPage, RefusedPage, Rows, UnreportedPage
from router.admin.console.view import View, reason_of, render
from router.admin.http.server import Answer, Request, html, see_other
from router.catalogue import Catalogue
from router.catalogue.exams.files import FileKind
from router.clock import Clock
from router.config.hospitals import UNREGISTERED
from router.config.sections import Config
from router.correlator import refused
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.matching.images.hospital import hospital_of_sender
from router.policy.roles import sees
from router.review import dismissals, unreported
from router.review.decisions import OperatorReason
from router.review.dismissals import Dismissals
from router.review.file_owners import hospitals_of_files
from router.review.refusal_owners import owner_of
from router.text.language import N_

_SINCE = timedelta(days=7)
_SAID = N_({"0": "That could not be done: it has moved on.", "1": "Done."})
_Act = Callable[[View, Request], Answer]


class Lists:
    """The pages; who may see them is decided before. `seal` makes what is recorded durable, before it is done."""

    def __init__(
        self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock, seal: Callable[[], None]
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._seal = seal
        self._dismissals = Dismissals(catalogue, bus, clock)

    def reconfigure(self, config: Config) -> None:
        """Judge studies by this configuration from now on."""
        self._config = config

    @property
    def looks(self) -> Mapping[str, _Act]:
        """Pages to look at, by path."""
        return {"/unreported": self._unreported, "/refused": self._refused, "/files": self._folder}

    @property
    def acts(self) -> Mapping[str, _Act]:
        """Actions by a form of a person's session, by path."""
        return {
            "/files/names": self._names,
            "/unreported/dismiss": self._dismissing(self._dismiss_unreported),
            "/refused/dismiss": self._dismissing(self._dismiss_refused),
            "/files/dismiss": self._dismissing(self._dismiss_files),
        }

    # -- pages

    def _unreported(self, view: View, request: Request) -> Answer:
        page = _page(request.query)
        found = unreported.page(self._config, self._catalogue, self._clock.now(), page * ROWS, ROWS, view.scope)
        return html(render(view, "unreported.html", UnreportedPage(found, Rows(page, found.count), _note(request))))

    def _refused(self, view: View, request: Request) -> Answer:
        found = self._catalogue.refusals.since(self._clock.now() - _SINCE)
        every = refused.by_sender(found, owner_of(self._config, self._catalogue, found))
        sums = [one for one in every if sees(view.scope, one.hospital or UNREGISTERED)]
        rows = Rows(_page(request.query), len(sums))
        latest = sorted(self._catalogue.refusals.senders(), key=lambda one: one.last, reverse=True)
        known = [(one, hospital_of_sender(one.calling, one.address, self._config)) for one in latest]
        senders = [(one, whose) for one, whose in known if sees(view.scope, whose or UNREGISTERED)]
        senders.sort(key=lambda one: one[0].dismissed is not None)
        shown = RefusedPage(sums[rows.start : rows.end], senders[:ROWS], rows, _note(request))
        return html(render(view, "refused.html", shown))

    def _folder(self, view: View, request: Request, *, named: bool = False) -> Answer:
        found, counts = self._catalogue.exams.files.open(), self._catalogue.exams.files.counts()
        owners = hospitals_of_files(self._catalogue, found)
        if view.scope:
            found = [one for one in found if sees(view.scope, owners[one.id])]
            counts = Counter(one.found.kind for one in found)
        rows = Rows(_page(request.form if named else request.query), len(found))
        said = "" if named else _note(request)
        page = FilesPage(files=found, counts=counts, rows=rows, named=named, said=said, owners=owners)
        return html(render(view, "files.html", page))

    def _names(self, view: View, request: Request) -> Answer:
        """Names of files, which may be of patients, for the person who asks; recorded before they are shown."""
        text = "names of the drop folder's files shown at the console"
        self._bus.record(Event(self._clock.now(), Kind.VIEWED, text, who=view.who))
        self._seal()
        return self._folder(view, request, named=True)

    # -- dismissals: of exactly what was shown, by its mark; False where that has changed

    def _dismissing(self, dismiss: Callable[[str, OperatorReason], bool]) -> _Act:
        def act(view: View, request: Request) -> Answer:
            chosen, why = request.form.get("chosen", ""), reason_of(request.form)
            if not chosen or not why:
                raise InvalidData("expected what to dismiss, and why")
            with self._catalogue.engine.write():
                done = dismiss(chosen, OperatorReason(view.who, why))
                self._seal()
            return see_other(view.here(f"{view.path}?" + urlencode({"done": int(done)})))

        return act

    def _dismiss_unreported(self, chosen: str, reason: OperatorReason) -> bool:
        senders = {marks.sender_mark(one.sender): one.sender for one in self._catalogue.unreported.waiting()}
        if chosen not in senders:
            return False
        unreported.dismiss(self._catalogue, self._bus, self._clock, senders[chosen], reason)
        return True

    def _dismiss_refused(self, chosen: str, reason: OperatorReason) -> bool:
        standing = [one for one in self._catalogue.refusals.senders() if one.dismissed is None]
        found = [one for one in standing if marks.refused_mark(one) == chosen]
        dismissals.dismiss(self._catalogue, self._bus, self._clock, found, reason)
        return bool(found)

    def _dismiss_files(self, chosen: str, reason: OperatorReason) -> bool:
        """A file, or all of a kind."""
        listed = self._catalogue.exams.files.open()
        for one in listed:
            if marks.file_mark(one) == chosen:
                return bool(self._dismissals.dismiss(one.name, reason))
        for kind in FileKind:
            if marks.kind_mark(kind, listed) == chosen:
                return bool(self._dismissals.dismiss_kind(kind, reason))
        return False


def _note(request: Request) -> str:
    return _SAID.get(request.query.get("done", ""), "")


def _page(fields: Mapping[str, str]) -> int:
    page = fields.get("page", "")
    return int(page) if page.isdecimal() and len(page) < 5 else 0
