"""Withdrawals of what was delivered: asked for by an explicit word, stopped when there are too many, ended."""

from typing import TypedDict

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.queue.queue import Delivery
from router.catalogue.queue.withdrawals import Source
from router.config.sections import Destination
from router.correlator.assess import WITHDRAWN, Assessment
from router.events import Event, EventBus, Kind
from router.policy.account import fields_of
from router.policy.states import State
from router.policy.withdrawal import DAY, HOUR, SETTLED, Ended, Withdrawal, number_in, too_many


class Withdrawals(TypedDict, total=False):
    """The facts of a report delivery about its withdrawal."""

    withdrawal: Withdrawal | None
    stopped: bool
    withdrawn: Withdrawal | None


class Withdrawing:
    """Keeps the withdrawals of an exam in line with what is known of it."""

    def __init__(self, catalogue: Catalogue, bus: EventBus) -> None:
        self._catalogue = catalogue
        self._bus = bus

    def facts(self, found: Assessment, delivery: Delivery, destination: Destination) -> Withdrawals:
        """The withdrawal that the delivery is to carry out, asked for where the word is new, and the last one."""
        carries = number_in(delivery.wanted) is not None
        was = found.case.doubt.startswith(WITHDRAWN)
        if not (found.taken_back or carries or was or delivery.state == State.WITHDRAWN):
            return {}
        known = self._catalogue.withdrawals.of(delivery.id)
        last = next((one for one in reversed(known) if one.ended in SETTLED), None)
        open_ = [one for one in known if one.ended == Ended.OPEN]
        over = [one for one in open_ if not found.taken_back or _approved_since(found, one)]
        for one in over:
            self._catalogue.withdrawals.end(one, Ended.VOID, found.now)
        if not found.taken_back:
            return {"withdrawn": last}
        current = next((one for one in open_ if one not in over), None)
        if current is None and destination.withdraws_after is not None:
            current = self._ask(found, delivery, known)
        if current is None:
            return {"withdrawn": last}
        at = current.due_from(destination.withdraws_after)
        return {"withdrawal": current if at is not None else None, "withdrawn": last,
                "stopped": not current.who and self._stopped(found, destination)}  # fmt: skip

    def _ask(self, found: Assessment, delivery: Delivery, known: list[Withdrawal]) -> Withdrawal | None:
        """Ask for what the destination has; None where it has nothing that counts, or takes none of this version."""
        n = max((one.n for one in self._catalogue.uploads.of(delivery.id) if one.confirmed is not None), default=0)
        done = any(one.n >= n and one.ended in SETTLED for one in known)
        refused = any(one.document == found.version.document and one.ended == Ended.REFUSED for one in known)
        if not n or done or refused or delivery.state in (State.SENDING, State.CANCELLED):
            return None
        why = found.hold.removeprefix(WITHDRAWN)
        self._catalogue.withdrawals.ask(delivery.id, found.version.document, n, why, "", found.now)
        return self._catalogue.withdrawals.of(delivery.id)[-1]

    def _stopped(self, found: Assessment, destination: Destination) -> bool:
        """Whether the source's withdrawals wait for a person; they do from the first one too many on."""
        source = Source(destination=destination.name, hospital=found.case.hospital, branch=found.case.branch)
        kept, now = self._catalogue.withdrawals, found.now
        if kept.stopped(source):
            return True
        confirmed = kept.confirmed_at(source)
        hour, day = (max(now - span, confirmed or now - span) for span in (HOUR, DAY))
        in_hour = kept.asked_since(source, hour)
        in_day = kept.asked_since(source, day)
        delivered = kept.delivered_since(source, now - DAY)
        if not too_many(hour=in_hour, day=in_day, delivered=delivered, at_most=destination.withdraw_at_most):
            return False
        kept.stop(source, now)
        text = (
            f"{in_hour} exam(s) of {source} were withdrawn within an hour, {in_day} within a day: nothing of it is "
            "withdrawn at the destination until a person confirms it"
        )
        fields = fields_of(destination.name, source.hospital)
        event = Event(now, Kind.ALARM, text, fields=fields, alarm=Alarm.WITHDRAWALS, subject=subject_of(source))
        self._bus.record(event)
        return True


def subject_of(source: Source) -> str:
    """The subject of the alarm that a source withdraws too many."""
    return f"withdrawals of {source} at {source.destination}"


def _approved_since(found: Assessment, one: Withdrawal) -> bool:
    """Whether a version that counted was approved after the one that asked for the withdrawal."""
    documents = [version.document for version in found.versions]
    since = documents.index(one.document) + 1 if one.document in documents else len(documents)
    return any(version.approved for version in found.versions[since:])
