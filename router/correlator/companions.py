"""Companions of an exam: other exams that share its studies, and what of it waits until they are approved."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from router.catalogue import Catalogue
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.ledger import Tally
from router.catalogue.images.withheld import Request
from router.catalogue.queue.queue import Delivery
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config, Destination
from router.correlator.assess import Assessment
from router.matching.images.requests import Companion, Order, awaited, goes_without, told_of, withheld
from router.model import Channel
from router.policy.deadlines import Deadline, deadline

_NOT_APPROVED = "another exam of its studies is not approved"


class Companions:
    """Goes by [share] shared_study, shared_study_then of the exam's hospital; exams of others are no companions.

    `given_up`: whether an exam is cancelled or withdrawn.
    """

    def __init__(self, config: Config, catalogue: Catalogue, given_up: Callable[[int], bool]) -> None:
        self._configs = HospitalConfigs(config)
        self._destinations: Mapping[str, Destination] = {
            one.name: one for one in config.destination if one.dicom is not None
        }
        self._catalogue = catalogue
        self._given_up = given_up

    def withhold(self, found: Assessment) -> None:
        """Withhold instances that name only an unapproved other exam, give the others back; alike for every exam."""
        known, case = self._catalogue.withheld, found.case
        there = known.any(case.studies)
        waiting = self._waiting(case, Order(found.key.accession_number, found.approved_at is not None))
        for destination in self._destinations:
            if there:
                known.give_back(destination, case.studies, waiting)
            known.withhold(destination, waiting, found.now)

    def _waiting(self, case: ExamSnapshot, own: Order) -> list[Request]:
        """The requests of the studies whose instances wait, `own` being this exam's."""
        orders: dict[str, list[Order]] = defaultdict(lambda: [own])
        for sibling in case.siblings:
            orders[sibling.study_uid].append(Order(sibling.accession_number, sibling.approved))
        requests = self._catalogue.withheld.requests(case.studies) if case.siblings else []
        return [request for request in requests if withheld(request.named, orders[request.study_uid])]

    def awaited(self, case: ExamSnapshot, now: datetime) -> list[Companion]:
        """The other exams whose approval the exam's images wait for."""
        unapproved = {sibling.exam for sibling in case.siblings if not sibling.approved}
        if self._configs.of(case.hospital).share.shared_study == "first" or not unapproved:
            return []
        still = awaited(self._catalogue.withheld.companions(unapproved), now)
        return [one for one in still if not self._given_up(one.exam)]

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

    def reevaluate(self, found: Assessment) -> None:
        """Have the approved exams evaluated that may wait for this one: it may be cancelled or not shared by now."""
        if self._configs.of(found.case.hospital).share.shared_study == "all" and found.approved_at is None:
            approved = {sibling.exam for sibling in found.case.siblings if sibling.approved}
            self._catalogue.exams.request_evaluation(approved, found.now)

    def objection(self, found: Assessment, delivery: Delivery) -> str:
        """Why images of an approved exam may not go because of another exam; "" when nothing speaks against it."""
        destination = self._destinations.get(delivery.destination)
        if destination is None or not found.case.siblings:
            return ""
        due = Deadline(delivery.due, delivery.due, destination.images_within) if delivery.due else None
        others = self.awaited(found.case, found.now)
        then = self._configs.of(found.case.hospital).share.shared_study_then
        if others and not goes_without(then, due, found.now):
            return _NOT_APPROVED
        waiting = self._waiting(found.case, Order(found.key.accession_number, approved=True))
        return _NOT_APPROVED if self._catalogue.withheld.wanted(delivery.destination, waiting) else ""
