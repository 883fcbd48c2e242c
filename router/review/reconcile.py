"""Reconciliation: instances that each exam should have beside those that came, were chosen, sent and confirmed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.catalogue import Catalogue
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.ledger import Tally
from router.catalogue.queue.queue import Delivery
from router.errors import RouterError
from router.intake.exam_reader import ExamReader
from router.matching.exam.versions import successive
from router.matching.images.missing import Expected, missing
from router.model import Channel
from router.policy.backfill import covered
from router.policy.states import PENDING, State

ReadReport = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An exam at a destination, in instances. `expected` is the RIS's ImageCount (影像数量), None where it gives none.

    `sent` were acknowledged, `confirmed` are final: committed where the destination is asked for that. `report` is
    the state of the report's delivery, None where there is none. `gaps` says in words where the counts do not fit.
    `hospital` is the exam's.
    """

    exam: int
    exam_id: str
    destination: str
    expected: int | None
    received: int
    selected: int
    sent: int
    confirmed: int
    report: State | None
    images: State | None
    gaps: tuple[str, ...]
    hospital: str = ""


class Reconciliation:
    """Reads only. `read` gives a report file of the data folder."""

    def __init__(self, catalogue: Catalogue, references: ExamReader, read: ReadReport) -> None:
        self._catalogue = catalogue
        self._references = references
        self._read = read

    def ledger(self, start: datetime, end: datetime, hospital: str | None = None) -> list[Account]:
        """Accounts of exams approved between the two, by destination; of a backfill once nothing is still to go.

        Those of the hospital, or of all.
        """
        exams = self._catalogue.exams.approved_between(start, end, hospital)
        return [account for exam in exams for account in self._of(exam)]

    def _of(self, exam: int) -> list[Account]:
        case = self._catalogue.exams.case(exam)
        tallies = self._catalogue.ledger.tallies([exam])
        deliveries = self._catalogue.queue.of_exam(exam)
        approved_at = self._catalogue.exams.approved_at(exam)
        pending = any(one.state in PENDING for one in deliveries)
        if pending and approved_at is not None and covered(self._catalogue.backfills.all(), approved_at, case.hospital):
            return []
        places = dict.fromkeys(
            one.destination for one in deliveries if one.state in PENDING or one.state == State.DELIVERED
        )
        announced, trouble = self._announced(case) if places else (None, ())
        absent = sum(uid not in case.studies for uid in case.links)
        received = sum(study.instances for study in case.studies.values())
        lack = ""
        if approved_at:
            lack = missing(Expected(approved_at=approved_at, announced=announced, here=received, absent=absent))
        common = (*trouble, *([lack] if lack else []))
        return [
            _account(case, name, announced, received, tallies.get((exam, name), Tally()),
                     [one for one in deliveries if one.destination == name], common)
            for name in places
        ]  # fmt: skip

    def _announced(self, case: ExamSnapshot) -> tuple[int | None, tuple[str, ...]]:
        place = case.places[successive(case.jsons)[-1].document]
        try:
            reader = self._references.of(case.hospital)
            return reader.key(reader.read(self._read(place)), case.hospital, case.branch).image_count, ()
        except (RouterError, OSError):
            return None, ("the node's copy of the exam JSON cannot be read",)


def _account(
    case: ExamSnapshot, name: str, announced: int | None, received: int, tally: Tally, deliveries: Sequence[Delivery],
    common: tuple[str, ...],
) -> Account:  # fmt: skip
    states = {one.channel: one.state for one in deliveries}
    pending = [one for one in deliveries if one.state in PENDING]
    whys = [one.error or ", ".join(one.waiting_for) for one in pending]
    still_open = [
        f"{one.channel} {one.state}" + (f": {why}" if why else "") for one, why in zip(pending, whys, strict=True)
    ]
    counts = {
        "selected, not sent": tally.unsent - tally.held,
        "held": tally.held,
        "set aside, being cut off": tally.cut,
        "sent, not confirmed": tally.stored,
        "refused": tally.refused,
        "damaged": tally.damaged,
    }
    return Account(
        exam=case.exam, exam_id=case.exam_id, destination=name, expected=announced, received=received,
        selected=tally.selected + tally.cut, sent=tally.sent + tally.stored, confirmed=tally.sent,
        report=states.get(Channel.REPORT), images=states.get(Channel.IMAGES),
        gaps=(*common, *(f"{n} {what}" for what, n in counts.items() if n), *still_open), hospital=case.hospital,
    )  # fmt: skip


def summed(accounts: Sequence[Account]) -> str:
    """The number of exams, of their destinations, and of exams with gaps, in words."""
    exams, places = {one.exam for one in accounts}, {one.destination for one in accounts}
    gaps = {one.exam for one in accounts if one.gaps}
    return f"{len(exams)} exam(s) at {len(places)} destination(s), {len(gaps)} exam(s) with gaps"
