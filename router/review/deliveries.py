"""Deliveries as people see them and act on them: lists, stories, hold, release, retry, cancel."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.db.engine import portions
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.ledger import Entry, Fate, Tally
from router.catalogue.images.versions import Several
from router.catalogue.queue.attention import Unread
from router.catalogue.queue.commitments import Request
from router.catalogue.queue.queue import Delivery
from router.catalogue.queue.uploads import Frozen
from router.clock import Clock
from router.events import Event
from router.images.series_report import Line as SeriesLine
from router.images.series_report import lines_of
from router.matching.exam.readiness import DAMAGED, PDF, PERSON, VERSIONS
from router.matching.exam.versions import successive
from router.matching.images.renewal import CUT_OFF, LATE, NEWER_VERSION
from router.model import Channel
from router.policy.states import State
from router.review.lookup import Lookup
from router.series.classify import Rulebook

ENDED_BY_HAND = (State.READY, State.DEFERRED)
_RELEASED: Mapping[str, Fate] = {NEWER_VERSION: Fate.HELD, LATE: Fate.LATE, CUT_OFF: Fate.CUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A delivery as the queue shows it. `selected`, `sent` count instances, or 1 and 0 or 1 for a report."""

    delivery: Delivery
    exam_id: str
    selected: int
    sent: int
    slack_seconds: float | None


@dataclass(frozen=True, slots=True)
class Story:
    """An exam with all that happened to it."""

    case: ExamSnapshot
    lines: tuple[Line, ...]
    uploads: tuple[Frozen, ...]
    events: tuple[Event, ...]


class Review:
    """The queue as people see it."""

    def __init__(self, catalogue: Catalogue, clock: Clock, hospital: str | None = None) -> None:
        """`hospital`: names mean its exams alone; None: those of all."""
        self._catalogue = catalogue
        self._clock = clock
        self._lookup = Lookup(catalogue, hospital)

    def listed(
        self, states: Iterable[State], destination: str | None, text: str | None, limit: int | None = None,
        hospital: str | None = None,
    ) -> list[Line]:  # fmt: skip
        """Deliveries, of the hospital or of all, by due time, not more than `limit`; no state means every state."""
        wanted = list(states) or list(State)
        if not text:
            return self._lines(self._catalogue.queue.in_state(wanted, destination, limit, hospital))
        found = [one for one in self._catalogue.queue.find(text, hospital) if one.state in wanted]
        return self._lines([one for one in found if destination in (None, one.destination)][:limit])

    def first(
        self, states: Iterable[State], destination: str | None, most: int, hospitals: tuple[str, ...]
    ) -> list[Line]:
        """The `most` deliveries that are due first, of these hospitals; where none is named, of all."""
        wanted = list(states)
        if len(hospitals) < 2:
            return self.listed(wanted, destination, None, most, *hospitals)
        found = [line for one in hospitals for line in self.listed(wanted, destination, None, most, one)]
        return sorted(found, key=lambda line: (line.delivery.due is None, line.delivery.due, line.delivery.id))[:most]

    def lines_of(self, numbers: Iterable[int]) -> list[Line]:
        """The deliveries of these numbers, by due time."""
        return self._lines(self._catalogue.queue.these(numbers))

    def of_exams(self, exams: Iterable[int]) -> list[Line]:
        """All deliveries of these exams, in the order of the exams."""
        numbers = list(dict.fromkeys(exams))
        place = {number: n for n, number in enumerate(numbers)}
        return self._lines(sorted(self._catalogue.queue.of_exams(numbers), key=lambda one: (place[one.exam], one.id)))

    def deliveries(
        self, states: Iterable[State], destination: str | None, hospital: str | None = None
    ) -> list[Delivery]:
        """Deliveries, of the hospital or of all, by due time, their rows alone."""
        return self._catalogue.queue.in_state(list(states), destination, hospital=hospital)

    def each(
        self, chosen: Sequence[Delivery], do: Callable[[Delivery], bool], progress: Callable[[int], None]
    ) -> frozenset[int]:
        """Apply `do` to each, committing in batches, whose sizes `progress` gets; the ids for which it succeeded."""
        done: set[int] = set()
        for portion in portions(chosen):
            with self._catalogue.engine.write():
                done |= {one.id for one in portion if do(one)}
            progress(len(portion))
        return frozenset(done)

    def stories(self, name: str) -> list[Story]:
        """The exams of this name: e17, d85, an ExamId, a study UID or a file name. WrongUse: it may mean two things."""
        return [self._story(exam) for exam in self._lookup.exams(name)]

    def named(self, names: Iterable[str]) -> list[Delivery]:
        """The deliveries of these names; InvalidData when a name fits none, WrongUse when it fits several exams."""
        return self._lookup.deliveries(names)

    def ledger(self, delivery: Delivery) -> list[Entry]:
        """Ledger entries of an images delivery, one for each instance."""
        return self._catalogue.ledger.entries(delivery.exam, delivery.destination)

    def versions(self, case: ExamSnapshot) -> list[Several]:
        """Instances of the exam that came again with another data set: re-processed, corrected, in doubt."""
        return self._catalogue.versions.several(case.studies)

    def requests(self, delivery: Delivery) -> list[Request]:
        """The requests for storage commitment that an images delivery waits for."""
        return self._catalogue.commitments.requests(delivery.exam, delivery.destination)

    def unread(self, exam: int) -> list[Unread]:
        """Why the exam's approval cannot be read; nothing where it reads, or there is none."""
        return self._catalogue.open_deliveries.unread([exam])

    def hold(self, delivery: Delivery, why: str, who: str) -> bool:
        """Hold a delivery until a person releases it, also one that another cause holds already."""
        changes = {"held_by": PERSON, "error": f"held by {who}: {why}"}
        if delivery.state == State.HELD:
            text = f"held by a person from now on: {why}"
            return self._catalogue.queue.update_by(who, delivery, self._clock.now(), text, **changes)
        return self._move(delivery, State.HELD, f"held: {why}", who, changes)

    def release(self, delivery: Delivery, why: str, who: str) -> bool:
        """Have a held delivery evaluated again; a cause that still stands holds it again.

        Versions that contradict what was sent, late images and images that are cut off go. Stored documents that were
        damaged are read again.
        """
        if delivery.state != State.HELD:
            return False
        with self._catalogue.engine.write():
            if fate := _RELEASED.get(delivery.held_by):
                self._catalogue.ledger.release(delivery.exam, delivery.destination, fate, self._clock.now())
            if delivery.held_by == DAMAGED:
                self._catalogue.exams.documents.look_again(delivery.exam)
            changes = {"held_by": "", "error": ""}
            return self._move(delivery, State.WAITING, f"released: {why}", who, changes)

    def confirm(self, delivery: Delivery, why: str, who: str) -> bool:
        """Release and confirm: the report PDF in question belongs to the exam; of JSONs with contradicting times the
        last one to come counts."""
        with self._catalogue.engine.write():
            if delivery.held_by == PDF:
                case = self._catalogue.exams.case(delivery.exam)
                if (found := case.chosen.candidate) is not None:
                    self._catalogue.exams.documents.confirm_pdf(found, successive(case.jsons)[-1].document)
                    why = f"report PDF (document {found}) confirmed: {why}"
            if delivery.held_by == VERSIONS:
                last = self._catalogue.exams.case(delivery.exam).jsons[-1].document
                self._catalogue.exams.documents.confirm_pdf(last, last)
                why = f"the version that came last (document {last}) counts: {why}"
            return self.release(delivery, why, who)

    def retry(self, delivery: Delivery, why: str, who: str) -> bool:
        """Try a failed or deferred delivery again now; take back a cancellation."""
        if delivery.state == State.CANCELLED:
            return self._move(delivery, State.WAITING, f"taken back: {why}", who, {"attempts": 0})
        if delivery.state not in (State.FAILED, State.DEFERRED):
            return False
        changes = {"attempts": 0, "next_try": None, "error": ""}
        with self._catalogue.engine.write():
            if delivery.state == State.FAILED and delivery.channel == Channel.IMAGES:
                self._catalogue.ledger.reselect_refused(delivery.exam, delivery.destination, self._clock.now())
            return self._move(delivery, State.READY, f"retry: {why}", who, changes)

    def fail(self, delivery: Delivery, why: str, who: str) -> bool:
        """End a delivery that an unproved refusal keeps open; a later `retry` fills its document anew."""
        subject = f"d{delivery.id}"
        if delivery.state not in ENDED_BY_HAND or not self._catalogue.alarms.stands(Alarm.UNPROVED, subject):
            return False
        with self._catalogue.engine.write():
            for upload in self._catalogue.uploads.of(delivery.id)[-1:]:
                self._catalogue.uploads.refuse(upload.id)
            changes = {"error": f"failed by {who}: {why}; {delivery.error}".removesuffix("; "), "next_try": None}
            return self._move(delivery, State.FAILED, f"the refusal stands: {why}", who, changes)

    def cancel(self, delivery: Delivery, why: str, who: str) -> bool:
        """Never send it, unless a person takes that back by `retry`."""
        if delivery.state in (State.DELIVERED, State.WITHDRAWN, State.CANCELLED):
            return False
        return self._move(delivery, State.CANCELLED, f"cancelled: {why}", who, {"error": f"cancelled by {who}: {why}"})

    def _move(self, delivery: Delivery, to: State, why: str, who: str, changes: Mapping[str, object]) -> bool:
        now = self._clock.now()
        with self._catalogue.engine.write():
            moved = self._catalogue.queue.move(delivery, to, now, why, who=who, changes=changes)
            self._catalogue.exams.request_evaluation([delivery.exam], now)
        return moved

    def series(self, study_uid: str, book: Rulebook) -> list[SeriesLine]:
        """Classes of a study's series by the rules, and by which facts."""
        return lines_of(self._catalogue, study_uid, book)

    def story(self, exam: int) -> Story | None:
        """The story of the exam of that number; None when there is none."""
        return self._story(exam) if self._catalogue.exams.names([exam]) else None

    def _story(self, exam: int) -> Story:
        case = self._catalogue.exams.case(exam)
        lines = tuple(self._lines(self._catalogue.queue.of_exam(exam)))
        uploads = tuple(u for line in lines for u in self._catalogue.uploads.of(line.delivery.id))
        events = tuple(event for _, event in self._catalogue.history.of([exam], list(case.links)))
        return Story(case, lines, uploads, events)

    def _lines(self, deliveries: list[Delivery]) -> list[Line]:
        exams = list({delivery.exam for delivery in deliveries})
        names: dict[int, str] = {}
        tallies: dict[tuple[int, str], Tally] = {}
        for portion in portions(exams):
            names |= self._catalogue.exams.names(portion)
            tallies |= self._catalogue.ledger.tallies(portion)
        now = self._clock.now()
        return [_line(d, names[d.exam], tallies.get((d.exam, d.destination), Tally()), now) for d in deliveries]


def expected_of(delivery: Delivery) -> datetime | None:
    """The forecast end of a delivery; None when there is no forecast, or it is not to be sent."""
    return delivery.expected if delivery.state in _ON_THE_WAY else None


_ON_THE_WAY = frozenset({State.READY, State.SENDING, State.DEFERRED})


def _line(delivery: Delivery, exam_id: str, tally: Tally, now: datetime) -> Line:
    slack = None if delivery.due is None else (delivery.due - now).total_seconds()
    of_images = delivery.channel == Channel.IMAGES
    return Line(
        delivery=delivery, exam_id=exam_id, selected=tally.selected + tally.cut if of_images else 1,
        sent=tally.sent if of_images else int(delivery.state == State.DELIVERED), slack_seconds=slack,
    )  # fmt: skip
