"""Other exams of an exam's studies: what of it waits until they are approved, and what goes without them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from router.catalogue import Catalogue
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.ledger import Tally
from router.catalogue.images.withheld import Request
from router.catalogue.queue.queue import Delivery
from router.config.sections import Config, Destination
from router.correlator.assessment import Assessment
from router.matching.exam.readiness import Readiness, looking_again
from router.matching.images.requests import (
    Companion,
    Order,
    awaited,
    goes_without,
    held_for,
    looks_for,
    told_of,
    withheld,
)
from router.model import Channel
from router.policy.deadlines import Deadline, deadline

_NOT_APPROVED = "another exam of its studies is not approved"


class Companions:
    """By [share] shared_study, shared_study_then. `given_up` says of an exam whether it is cancelled or withdrawn."""

    def __init__(self, config: Config, catalogue: Catalogue, given_up: Callable[[int], bool]) -> None:
        self._share = config.share
        self._destinations: Mapping[str, Destination] = {
            one.name: one for one in config.destination if one.dicom is not None
        }
        self._catalogue = catalogue
        self._given_up = given_up

    # -- series that name another exam alone

    def withhold(self, found: Assessment) -> None:
        """Withhold what names another exam alone that is not approved; have decided anew what need not wait any more.

        Every exam of the study comes to the same.
        """
        known, case = self._catalogue.withheld, found.case
        there = known.any(case.studies)
        waiting = self._waiting(case, Order(found.key.accession_number, found.approved_at is not None))
        for destination in self._destinations:
            if there:
                known.give_back(destination, case.studies, waiting)
            known.withhold(destination, waiting, found.now)

    def _waiting(self, case: ExamSnapshot, own: Order) -> list[Request]:
        requests = self._catalogue.withheld.requests(case.studies) if case.siblings else []
        return [
            request
            for request in requests
            if withheld(request.named, [own, *_others_of(case, request.study_uid)])
        ]  # fmt: skip

    # -- whole exams

    def awaited(self, case: ExamSnapshot, now: datetime) -> list[Companion]:
        """The other exams whose approval the exam's images wait for."""
        unapproved = {sibling.exam for sibling in case.siblings if not sibling.approved}
        if self._share.shared_study == "first" or not unapproved:
            return []
        still = awaited(self._catalogue.withheld.companions(unapproved), now)
        return [one for one in still if not self._given_up(one.exam)]

    def let_go(self, others: Sequence[Companion], tally: Tally, due: Deadline | None, now: datetime) -> bool:
        """Whether the exam's images need not wait for these exams, nor for one that everything here names.

        An exam does not end with nothing of its studies sent.
        """
        whole = tally.selected > 0 or not tally.withheld
        return whole and (not others or goes_without(self._share.shared_study_then, due, now))

    def hold(self, others: Sequence[Companion], due: Deadline | None, now: datetime) -> str:
        """Why the images are held rather than sent without the approval of these exams; "" when they are not."""
        return held_for(others, due, now) if self._share.shared_study_then == "hold" else ""

    def looks(
        self, readiness: Readiness, others: Sequence[Companion], due: Deadline | None, now: datetime
    ) -> Readiness:
        """The same, looked at again when time changes whether these exams are waited for."""
        for at in looks_for(others, due):
            readiness = looking_again(readiness, at, now)
        return readiness

    def overdue(self, found: Assessment, deliveries: Iterable[Delivery], tallies: Mapping[str, Tally]) -> str:
        """Alarm text once images have waited for other exams for half of their time; "" before."""
        approved_at, others = found.approved_at, self.awaited(found.case, found.now)
        if approved_at is None or found.aside is not None or not others:
            return ""
        for one in deliveries:
            destination = self._destinations.get(one.destination)
            if destination is None or one.channel != Channel.IMAGES or not tallies.get(one.destination, Tally()).unsent:
                continue
            cause = found.images.last_received if one.delivered else None
            if found.now >= deadline(approved_at, destination.images_within, cause).half:
                return told_of(others)
        return ""

    def tell(self, found: Assessment) -> None:
        """Have the approved exams evaluated that may wait for this one: it may be cancelled or not shared by now."""
        if self._share.shared_study == "all" and found.approved_at is None:
            approved = {sibling.exam for sibling in found.case.siblings if sibling.approved}
            self._catalogue.exams.request_evaluation(approved, found.now)

    def objection(self, case: ExamSnapshot, accession_number: str, delivery: Delivery, now: datetime) -> str:
        """Why images that are about to go do not, by what is known this instant; "" when nothing speaks against it."""
        destination = self._destinations.get(delivery.destination)
        if destination is None or not case.siblings:
            return ""
        due = Deadline(delivery.due, delivery.due, destination.images_within) if delivery.due else None
        others = self.awaited(case, now)
        if others and not goes_without(self._share.shared_study_then, due, now):
            return _NOT_APPROVED
        waiting = self._waiting(case, Order(accession_number, approved=True))
        return _NOT_APPROVED if self._catalogue.withheld.wanted(delivery.destination, waiting) else ""


def _others_of(case: ExamSnapshot, study_uid: str) -> list[Order]:
    return [Order(s.accession_number, s.approved) for s in case.siblings if s.study_uid == study_uid]
