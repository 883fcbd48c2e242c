"""The timeline of an exam: when it was acquired, came, was approved, is due, went and was confirmed.

A pure function of what the catalogue knows. Texts have places for values and hold no patient data.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from router.catalogue.exams.provenance import Arrival, File
from router.catalogue.images.ledger import Entry, Fate
from router.catalogue.images.studies import StudyHere
from router.catalogue.queue.queue import Delivery
from router.events import Event, Kind
from router.model import Channel
from router.policy.states import State
from router.review.deliveries import Story
from router.text.language import N_

_TIMES = ("%H%M%S", "%H%M", "%H")  # TM (PS3.5 6.2), its fractions left out
# Moves that a person looks for; the others are in the history.
_MOVES = N_({
    "held": "held", "failed": "failed", "cancelled": "cancelled", "withdrawn": "withdrawn",
    "out_of_scope": "out of scope", "excluded": "excluded", "not_shared": "not shared",
})  # fmt: skip
_CAME = N_({"json": "exam JSON came", "pdf": "report PDF came"})
_TOLD = N_({"json": "exam JSON came, approved", "stale": "an older version came: it changes nothing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened at an instant; of `style` "good", "bad", "warn" or "".

    `says` has places for `values`, `about` names the delivery that it concerns, `why` a reason in words. `ahead`: it is
    still to come.
    """

    at: datetime
    says: str
    values: Mapping[str, object] = field(default_factory=dict)
    about: str = ""
    why: str = ""
    style: str = ""
    ahead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Records that a timeline is made of; `entries` are ledger entries by destination."""

    story: Story
    files: Sequence[File]
    arrivals: Sequence[Arrival]
    approved_at: datetime | None
    entries: Mapping[str, Sequence[Entry]]


def timeline(sources: Sources, zone: ZoneInfo, now: datetime) -> list[Moment]:
    """All moments in order; DICOM dates and times are of the hospital's zone."""
    story = sources.story
    found = [
        *_acquired(story.case.studies.values(), zone), *_images(sources.arrivals), *_documents(sources.files),
        *(moment for line in story.lines for moment in _of_delivery(line.delivery, now)),
        *_sent(story, sources.entries), *_uploads(story), *_told(story.events),
    ]  # fmt: skip
    if sources.approved_at is not None:
        found.append(Moment(at=sources.approved_at, says=N_("approved"), style="good"))
    return sorted(found, key=lambda one: one.at)


def name_of(delivery: Delivery) -> str:
    """A delivery as a timeline names it."""
    return f"d{delivery.id} {delivery.destination}"


def _acquired(studies: Iterable[StudyHere], zone: ZoneInfo) -> Iterator[Moment]:
    for one in studies:
        if (at := _instant(one.study_date, one.study_time, zone)) is not None:
            device = " ".join(filter(None, (one.manufacturer, one.model))) or ", ".join(one.modalities)
            yield Moment(at=at, says=N_("images taken"), why=device)


def _instant(date: str, time: str, zone: ZoneInfo) -> datetime | None:
    for form in _TIMES:
        with suppress(ValueError):
            return datetime.strptime(f"{date} {time.partition('.')[0]}", f"%Y%m%d {form}").replace(tzinfo=zone)
    return None


def _images(arrivals: Iterable[Arrival]) -> Iterator[Moment]:
    for one in arrivals:
        values = {"count": one.instances, "sender": one.sending_ae or "-"}
        if one.first != one.last:
            yield Moment(at=one.first, says=N_("first image came from {sender}"), values={"sender": values["sender"]})
        yield Moment(at=one.last, says=N_("{count} images are here, the last one from {sender}"), values=values)


def _documents(files: Iterable[File]) -> Iterator[Moment]:
    for one in files:
        says = _TOLD["stale"] if one.stale else _TOLD["json"] if one.approved and one.kind == "json" else ""
        yield Moment(at=one.arrived, says=says or _CAME.get(one.kind, N_("a file came")))


def _of_delivery(one: Delivery, now: datetime) -> Iterator[Moment]:
    open_ = one.state != State.DELIVERED
    if one.due is not None and (open_ or one.due < now):
        late = open_ and one.due < now
        yield Moment(at=one.due, says=N_("due"), about=name_of(one), style="bad" if late else "", ahead=one.due > now)
    if one.expected is not None and one.state in (State.READY, State.SENDING, State.DEFERRED):
        yield Moment(at=one.expected, says=N_("will be there, as it looks now"), about=name_of(one), ahead=True)
    if one.delivered_at is not None:
        yield Moment(at=one.delivered_at, says=N_("delivered and confirmed"), about=name_of(one), style="good")


def _sent(story: Story, entries: Mapping[str, Sequence[Entry]]) -> Iterator[Moment]:
    deliveries = (line.delivery for line in story.lines)
    images = {one.destination: one for one in deliveries if one.channel == Channel.IMAGES}
    for destination, found in entries.items():
        sent = [one.at for one in found if one.fate in (Fate.SENT, Fate.STORED)]
        if sent and destination in images:
            about = name_of(images[destination])
            yield Moment(at=min(sent), says=N_("first image sent"), about=about)
            yield Moment(at=max(sent), says=N_("{count} images sent"), values={"count": len(sent)}, about=about)


def _uploads(story: Story) -> Iterator[Moment]:
    for one in story.uploads:
        yield Moment(at=one.frozen, says=N_("revision {n} of the report goes"), values={"n": one.n})
        if one.confirmed is not None:
            text = N_("revision {n} confirmed")
            yield Moment(at=one.confirmed, says=text, values={"n": one.n}, why=one.receipt, style="good")


def _told(events: Iterable[Event]) -> Iterator[Moment]:
    """Holds, failures and withdrawals, and what people decided: also a release or a retry."""
    for one in events:
        about = "" if one.delivery is None else f"d{one.delivery}"
        move, _, why = one.text.partition(": ")
        to = move.rpartition(" -> ")[2]
        if one.kind == Kind.DECIDED or (one.kind == Kind.MOVED and one.who != "node"):
            text = one.text if one.kind == Kind.DECIDED else why
            yield Moment(at=one.at, says=N_("decided by {who}"), values={"who": one.who}, why=text, about=about)
        elif one.kind == Kind.MOVED and to in _MOVES:
            yield Moment(at=one.at, says=_MOVES[to], why=why, about=about, style="warn")
