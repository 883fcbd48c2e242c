"""The values that each page shows; the templates of the same names say how."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

from router.admin.console import marks
from router.admin.console.overview import LISTS, Sending, work_path
from router.admin.console.previews import ReportText, SeriesPreview
from router.admin.console.sides import SideRow, side_rows
from router.admin.console.view import masked_name
from router.alarms import REMEDY, Alarm
from router.catalogue.exams.files import FileKind, FolderFile
from router.catalogue.images.ledger import Entry
from router.catalogue.node.refusals import ASSOCIATIONS, IMAGES, RefusedSender
from router.catalogue.queue.uploads import Frozen
from router.correlator.refused import RefusalSum
from router.events import Event
from router.images.series_report import Line as SeriesLine
from router.intake.folder_files import WHERE
from router.intake.folder_files import reason as listed_for
from router.policy.attention import ALARM_OF, Attention, Cause
from router.policy.states import HeldBy, State
from router.refusals import meaning
from router.review.answers import Explained
from router.review.comparison import Side
from router.review.decisions import Differences
from router.review.deliveries import Story
from router.review.dismissals import TOLD
from router.review.explain import Background, Stray
from router.review.timeline import Moment
from router.review.unreported import Page, SenderSum
from router.text.language import N_

DELIVERIES = 50  # on a page of the queue
ROWS = 200  # on a page of a list
# The first one that a state allows is the usual one.
ACTS = N_({"retry": "Retry", "hold": "Hold", "release": "Release", "wait": "Note: it waits for the RIS"})
_TODO = N_({
    Cause.IDENTITY: "On the exam's page, compare both sides: settle it there if they are of one patient, else have the "
    "RIS or the PACS correct the data.",
    Cause.PDF: "On the exam's page, look at the report PDF: confirm it there, or have the RIS put the right one into "
    "the drop folder.",
    Cause.FAILED: "Have the reason of the refusal corrected, then choose the deliveries here and retry them.",
    Cause.ACCOUNT: "Correct the key, certificate or address, here or at the destination. The node asks again every "
    "minute, and then sends what waits by itself.",
})  # fmt: skip
"""Remedies as a person finds them at the console, where the remedy names commands alone."""
_KINDS = N_({ASSOCIATIONS: "associations", IMAGES: "images"})


@dataclass(frozen=True, slots=True)
class LoginPage:
    """The form to log in by, which leads on `to` a page; `wrong` after an attempt that failed."""

    token_file: str
    to: str
    wrong: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePage:
    """A page of the queue: its lines, what was asked for, whether `more` follow or the list is `cut` here.

    `senders` may be chosen; `stray` is a study that was searched for and that no exam has.
    """

    lines: Sequence[Explained]
    state: str
    destination: str
    sender: str
    day: str
    text: str
    page: int
    more: bool
    cut: bool
    sending: Sending
    senders: Sequence[str]
    stray: Stray | None

    states = tuple(State)
    acts = ACTS


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPage:
    """Waiting things by cause, and the deliveries of the chosen cause, of which `rest` more are not shown.

    `acts` are those that any of the deliveries can take.

    `decided` is the last decision about each exam; `counts` how many an act on many has changed, and how many not.
    """

    entries: Sequence[Attention]
    chosen: Attention | None
    lines: Sequence[Explained]
    acts: Mapping[str, str]
    decided: Mapping[int, Event]
    counts: tuple[int, int] | None
    rest: int

    where = staticmethod(work_path)

    def list_of(self, one: Attention) -> str:
        """The page that lists it where it has no delivery of its own; "" for none."""
        if one.what == Cause.ACCOUNT:
            return "/queue?" + urlencode({"destination": one.destination})
        return LISTS.get(one.what, "")

    @property
    def todo(self) -> str:
        """The remedy of the chosen cause."""
        what = self.chosen.what if self.chosen else ""
        if what in _TODO:
            return _TODO[Cause(what)]
        alarm = ALARM_OF[Cause(what)] if what in set(Cause) else Alarm(what)
        return REMEDY[alarm] if alarm is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPage:
    """An act on many, before it is done: to the deliveries that it `can` change."""

    what: str
    act: str
    why: str
    lines: Sequence[Explained]
    can: frozenset[int]

    mark = staticmethod(marks.delivery_mark)


class LedgerCount(NamedTuple):
    """Instances of a series with one class and one fate, each with the rule that decided."""

    series: str
    series_class: str
    class_rule: str
    fate: str
    rule: str
    status: int | None
    instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamPage:
    """An exam's story. Patient data is masked while there are no `sides`; `differences` are those unsettled.

    `previews` and `papers`, of its series (`more_series` follow) and report PDFs, are patient data, too.

    `evidence` is each upload with its receipt as it was kept; `pacs` whether one can be asked.
    """

    story: Story
    lines: Sequence[Explained]
    background: Background
    moments: Sequence[Moment]
    evidence: Sequence[tuple[Frozen, Mapping[str, Any]]]
    pacs: bool
    series: Sequence[SeriesLine]
    entries: Mapping[str, Sequence[Entry]]
    sides: Sequence[Side]
    differences: Differences | None
    said: str
    previews: Sequence[SeriesPreview] = ()
    more_series: int = 0
    papers: Sequence[ReportText] = ()

    @property
    def rows(self) -> Sequence[SideRow]:
        """The sides by field, for a table that shows them beside each other."""
        return side_rows(self.sides)

    @property
    def can_be_told(self) -> bool:
        """Whether an alarm stands that ends once somebody outside has been told."""
        return any(one.alarm in TOLD for one in self.background.alarms)

    @property
    def is_in_doubt(self) -> bool:
        """Whether a report PDF waits to be confirmed."""
        return any(line.delivery.held_by == HeldBy.PDF for line in self.story.lines)

    @property
    def mark(self) -> str:
        """Mark of what is decided by the page's form."""
        return marks.story_mark(self.story)

    @property
    def ledgers(self) -> Mapping[str, Sequence[LedgerCount]]:
        """Images by series and fate, of each destination."""
        return {
            destination: [LedgerCount(*key, count) for key, count in Counter(_fate_of(e) for e in entries).items()]
            for destination, entries in self.entries.items()
        }


def _fate_of(one: Entry) -> tuple[str, str, str, str, str, int | None]:
    return one.uids.series, one.series_class, one.class_rule, one.fate, one.rule, one.status


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a long list on the `page`-th page, which begins at 0; `count` are all of them."""

    page: int
    count: int

    @property
    def start(self) -> int:
        """The first of them."""
        return self.page * ROWS

    @property
    def end(self) -> int:
        """The one after the last."""
        return min(self.start + ROWS, self.count)

    @property
    def rest(self) -> int:
        """How many follow."""
        return max(self.count - self.end, 0)


@dataclass(frozen=True, slots=True)
class UnreportedPage:
    """Studies that no exam names, the oldest first, and their senders, which may be dismissed."""

    found: Page
    rows: Rows
    said: str

    @property
    def senders(self) -> Sequence[SenderSum]:
        """So many as a page has."""
        return self.found.senders[:ROWS]

    def mark(self, one: SenderSum) -> str:
        """Mark of a sender."""
        return marks.sender_mark(one.sender)


@dataclass(frozen=True, slots=True)
class RefusedPage:
    """Refusals of the last days, the latest first, and the senders that stand as refused, each with its hospital."""

    sums: Sequence[RefusalSum]
    senders: Sequence[tuple[RefusedSender, str]]
    rows: Rows
    said: str

    mark = staticmethod(marks.refused_mark)

    def kind(self, one: RefusedSender) -> str:
        """The refused kind, in words."""
        return _KINDS[one.kind]

    def meaning(self, one: RefusedSender) -> str:
        """Why, in words."""
        return meaning(one.why, one.reason, one.called)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesPage:
    """Files of the drop folder, those of the page by `rows`; `counts` of each kind. Names are masked unless `named`.

    `owners` are the hospitals by the files' numbers.
    """

    files: Sequence[FolderFile]
    counts: Mapping[FileKind, int]
    rows: Rows
    named: bool
    said: str
    owners: Mapping[int, str]

    mark = staticmethod(marks.file_mark)
    where = staticmethod(WHERE.__getitem__)

    def shown(self, name: str) -> str:
        """A file's name as this page shows it."""
        return name if self.named else masked_name(name)

    def reason(self, one: FolderFile) -> str:
        """Why it is listed."""
        return listed_for(one, self.shown)

    @property
    def kinds(self) -> Iterator[tuple[FileKind, str, int]]:
        """Each kind that is listed, with its mark and number."""
        for kind, count in Counter(one.found.kind for one in self.files).items():
            yield kind, marks.kind_mark(kind, self.files), count
