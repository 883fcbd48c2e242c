"""The correlator: evaluates an exam whenever something about it has changed, and moves its deliveries accordingly.

Every evaluation starts from all that is known and is safe to repeat. It reads the facts (`facts`), judges them
(`assess`), decides for each delivery (`plan`, `move`), writes the moves, and records events and alarms (`notices`).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.ledger import Tally
from router.catalogue.queue.queue import Delivery
from router.clock import Clock
from router.config.hospitals import HospitalConfigs, registered
from router.config.sections import Config, Destination
from router.correlator.assess import Assessment, assess, damaged_hold, objection
from router.correlator.companions import Companions
from router.correlator.document import fill_for
from router.correlator.facts import FactReader
from router.correlator.joining import Joining
from router.correlator.move import move_of, outdated
from router.correlator.notices import GIVEN_UP, Evaluation, Notices
from router.correlator.plan import ImagesFacts, Plan, ReportFacts, apart_of, plan
from router.correlator.withdrawing import Withdrawing
from router.errors import Damaged, TransientError, UnknownWord, traceback_of
from router.events import EventBus
from router.images.retrieval import plan as plan_retrieval
from router.images.selection import Selection
from router.intake.exam_reader import ExamReader
from router.matching.exam.destinations import Traits, asked, away_from, has_rules
from router.matching.exam.readiness import DAMAGED, PERSON
from router.matching.exam.share import Aside
from router.matching.exam.versions import approval_arrived
from router.matching.images.missing import Expected
from router.matching.images.renewal import CONTRADICTION
from router.model import Channel
from router.policy.states import OPEN, PENDING, Needs, State
from router.storage import Storage

_AT_ONCE = 100
_LATER = timedelta(minutes=1)
_UNCONFIGURED = timedelta(hours=1)


def delivery_places(config: Config) -> list[tuple[str, Channel]]:
    """The destinations and channels by which an exam goes, by this configuration."""
    return [(one.name, channel) for one in config.destination for channel in one.channels]


class Correlator:
    """Evaluates exams."""

    def __init__(
        self, config: Config, references: ExamReader, catalogue: Catalogue, storage: Storage, selection: Selection,
        bus: EventBus, clock: Clock,
    ) -> None:  # fmt: skip
        self._references = references
        self._reports = storage.reports
        self._catalogue = catalogue
        self._selection = selection
        self._incoming = storage.incoming
        self._bus = bus
        self._clock = clock
        self.facts = FactReader(config=config, references=references, catalogue=catalogue, storage=storage, clock=clock)
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Evaluate by this configuration from the next exam on; not while one is being evaluated."""
        self._config = config
        self._configs = HospitalConfigs(config)
        self.facts.reconfigure(config)
        self._companions = Companions(config, self._catalogue, self.facts.jsons.is_given_up)
        self._notices = Notices(config, self._catalogue, self._bus)
        self._withdrawing = Withdrawing(self._catalogue, self._bus)

    def reconsider(self) -> None:
        """Have exams evaluated again that a changed mapping, code table or configuration may bring forward."""
        self.facts.jsons.forget()
        stuck = self._catalogue.queue.in_state([State.WAITING, State.FAILED, State.HELD])
        concerned = set()
        for one in stuck:
            unread = one.channel == Channel.REPORT and (one.state == State.FAILED or Needs.JSON in one.waiting_for)
            if one.held_by != PERSON if one.state == State.HELD else unread:
                concerned.add(one.exam)
        self._catalogue.exams.request_evaluation(concerned, self._clock.now())

    def run_due(self) -> int:
        """Evaluate the exams whose time has come, so many at once; how many there were."""
        due = self._catalogue.exams.to_check(self._clock.now(), _AT_ONCE)
        for exam in due:
            try:
                self.evaluate(exam)
            except (TransientError, UnknownWord):
                raise
            except Damaged as damaged:
                self._hold_unknown(exam, damaged)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with one exam must not stop all of them
                now = self._clock.now()
                text = f"the exam cannot be evaluated: {type(error).__name__} at {traceback_of(error)}"
                self._notices.alarm(Alarm.DEFECT, exam, text, now)
                self._catalogue.exams.postpone(exam, now + _LATER)
        return len(due)

    def _hold_unknown(self, exam: int, damaged: Damaged) -> None:
        """Hold an exam of which nothing says for certain any more whose it is, until its JSON comes again."""
        now, why = self._clock.now(), f"{damaged.message} (json, document {damaged.fields['document']})"
        case = self._catalogue.exams.case(exam)
        document, place = int(str(damaged.fields["document"])), str(damaged.fields["place"])
        self._catalogue.exams.documents.damage(document, place, why, now)
        self._notices.alarm(Alarm.DAMAGED, exam, f"an exam is held: {why}", now)
        for delivery in self._catalogue.queue.of_exam(exam):
            if delivery.state in OPEN:
                changes = {"held_by": DAMAGED, "error": damaged_hold(why)}
                self._catalogue.queue.move(delivery, State.HELD, now, damaged_hold(why), changes=changes)
        approved_at = self._catalogue.exams.approved_at(exam)
        self._catalogue.exams.checked(case, None, approved_at, damaged_hold(why))

    def evaluate(self, exam: int) -> None:
        """Bring the exam's links, selection and deliveries in line with what is known now."""
        now, behind = self._clock.now(), self._incoming.oldest()
        case = self.facts.case(exam)
        if not case.jsons:
            self._catalogue.exams.checked(case, None, None, "")
            return
        self._notices.stale(case, now)
        config = self._configs.of(case.hospital)
        found = assess(self.facts.read(self._join(case, now), now, behind=behind), config)
        if case.siblings and case.approved != (found.approved_at is not None):
            self._catalogue.exams.approve(found.case, found.approved_at, now)
        away = self._away(found)
        places = [place for place in delivery_places(self._config) if place[0] not in away]
        deliveries = self._deliveries(exam, places, now)
        self._companions.withhold(found)
        looks = [self._select(found, deliveries, places)]
        tallies = {name: tally for (_, name), tally in self._catalogue.ledger.tallies([exam]).items()}
        looks += [
            self._settle(one, tallies.get(one.destination, Tally()), _at(found, away.get(one.destination)))
            for one in deliveries
        ]
        done = self._evaluation(case, found, deliveries, tallies)
        looks += [self._notices.tell(done), found.weighed.choice.look_again]
        looks.append(found.version.approve_time if found.approved_at is None else None)
        self._companions.reevaluate(found)
        if lesson := found.weighed.lesson:
            self.facts.papers.learn(lesson)
        look_again = min((look for look in looks if look is not None and look > now), default=None)
        if _lacks(deliveries, places) and len(self._deliveries(exam, places, now)) > len(deliveries):
            look_again = now  # it goes on after all, and to a new destination, too
        self._catalogue.exams.checked(case, look_again, found.approved_at, done.doubt, found.weighed.kept)

    def objection(self, delivery: Delivery) -> str:
        """Why nothing of the delivery may go by what is known this instant; "" when nothing speaks against it.

        Senders ask it after they have read what they are about to send: what came, or was decided, since the exam
        was evaluated is judged before anything goes.
        """
        of_report = delivery.channel == Channel.REPORT
        try:
            facts = self.facts.read(self.facts.case(delivery.exam), self._clock.now(), weigh=of_report)
        except Damaged as damaged:  # the evaluation that follows holds it
            return damaged_hold(damaged.message)
        found = assess(facts, self._configs.of(facts.case.hospital))
        found = _at(found, self._away(found).get(delivery.destination))
        return objection(found, delivery) or ("" if of_report else self._companions.objection(found, delivery))

    def _join(self, case: ExamSnapshot, now: datetime) -> ExamSnapshot:
        """Link the exam's studies by the JSON that counts; the exam with its links."""
        _, key = self.facts.jsons.counting(case)
        described = self._catalogue.exams.describe(case.exam, key)
        if not (self._joining_of(case.hospital).join(case, key, now) or described):
            return case
        fresh = self.facts.case(case.exam)
        # Exams that share or claim a study are judged by each other's patient, so they are evaluated again.
        others = {one.exam for each in (case, fresh) for one in (*each.siblings, *each.rivals)}
        self._catalogue.exams.request_evaluation(others, now)
        # The links are ours to change, so the case stays the one that was opened, with new links.
        return replace(
            case, links=fresh.links, studies=fresh.studies, foreign=fresh.foreign, siblings=fresh.siblings,
            rivals=fresh.rivals,
        )  # fmt: skip

    def _joining_of(self, hospital: str) -> Joining:
        return Joining(
            exams=self._catalogue.exams, decisions=self._catalogue.decisions,
            config=self._configs.of(hospital).identity, bus=self._bus, reread=self.facts.rereading.renew,
            several=self._configs.several,
        )  # fmt: skip

    def _away(self, found: Assessment) -> Mapping[str, Aside]:
        """The destinations that do not take the exam, each with the state of its deliveries and why."""
        case, config = found.case, self._configs.of(found.case.hospital)
        if registered(config) is None:  # it is held at each
            return {}
        modalities = frozenset(modality for study in case.studies.values() for modality in study.modalities)
        traits = Traits(hospital=case.hospital, branch=case.branch, modalities=modalities)
        if has_rules(self._config):
            tables = self._references.of(case.hospital).tables
            filled = fill_for(config, tables, case, found.document, None).document
            said = self.facts.jsons.texts(case, found.version.document, asked(self._config))
            traits = replace(traits, document=filled, said=said)
        found_away = ((one.name, away_from(one, traits)) for one in self._config.destination)
        return {name: aside for name, aside in found_away if aside is not None}

    def _select(
        self, found: Assessment, deliveries: Sequence[Delivery], places: Sequence[tuple[str, Channel]]
    ) -> datetime | None:
        """Every destination's selection, before any delivery is looked at: ImageCount of the report depends on it.

        What waits for the complete study waits until half of the budget at most; when that is, if anything does.
        """
        share = self._configs.of(found.case.hospital).share
        quiet = not found.images.needs(self._config.study.stable_after, found.now)
        looks = []
        given = {d.destination: d.delivered_at for d in deliveries if d.channel == Channel.IMAGES}
        for destination in self._config.destination:
            if destination.dicom is None or (destination.name, Channel.IMAGES) not in places:
                continue
            due = found.due(destination.images_within)
            half = due.half if due else None
            complete = quiet or (half is not None and half <= found.now)
            at = given.get(destination.name)
            late_after = at + share.late_window if at else None
            waits = self._selection.select(
                destination, found.case, complete=complete, now=found.now, late_after=late_after
            )
            if waits and half is not None:
                looks.append(half)
        return min(looks, default=None)

    def _deliveries(self, exam: int, places: Sequence[tuple[str, Channel]], now: datetime) -> list[Delivery]:
        """The exam's deliveries, created where there are new places for it and the exam is not at an end."""
        queue = self._catalogue.queue
        found = queue.of_exam(exam)
        at_end = bool(found) and not any(one.state in PENDING for one in found)
        if at_end or not _lacks(found, places):
            return found
        queue.make(exam, places, now)
        return queue.of_exam(exam)

    # -- one delivery

    def _settle(self, delivery: Delivery, tally: Tally, found: Assessment) -> datetime | None:
        """Move the delivery as far as it goes now; when to look again."""
        destination = self._config.destination_named(delivery.destination)
        if destination is None:  # it may be configured again, and this is still to be delivered then
            return found.now + _UNCONFIGURED if delivery.state == State.WAITING else None
        if tally.held:
            found = replace(found, hold=found.hold or CONTRADICTION, apart=frozenset())
        for _ in State:
            facts = self._facts_of(delivery, destination, tally, found)
            made = plan(found, delivery, facts, self._configs.of(found.case.hospital))
            taken_back = isinstance(facts, ReportFacts) and facts.withdrawal is not None
            moved = self._move(delivery, made, replace(found, aside=None) if taken_back else found)
            if moved is None:
                return made.readiness.look_again
            delivery = moved
        return None

    def _facts_of(
        self, delivery: Delivery, destination: Destination, tally: Tally, found: Assessment
    ) -> ImagesFacts | ReportFacts:  # fmt: skip
        if delivery.channel == Channel.IMAGES:
            ask_at = self._catalogue.commitments.next_ask(delivery.exam, destination.name) if tally.stored else None
            others = self._companions.awaited(found.case, found.now)
            return ImagesFacts(destination=destination, tally=tally, others=others, ask_at=ask_at)
        if apart := apart_of(found, delivery, destination):  # those of the other studies go when the doubt is settled
            tally = self._catalogue.ledger.tally_of(found.case.studies.keys() - apart, destination.name)
        went = delivery.state in (State.DELIVERED, State.FAILED)
        uploads = self._catalogue.uploads.of(delivery.id) if went else []
        there = self._catalogue.queue.of_exam(delivery.exam) if delivery.state == State.DELIVERED else []
        mine = (one for one in there if (one.destination, one.channel) == (destination.name, Channel.IMAGES))
        refused = None
        if delivery.state == State.FAILED and uploads and uploads[-1].refused:
            with suppress(FileNotFoundError):
                refused = self._reports.read(uploads[-1].exam_place)
        tables = self._references.of(found.case.hospital).tables
        return ReportFacts(
            destination=destination, tally=tally, tables=tables, apart=apart, images=next(mine, None), uploads=uploads,
            refused=refused, **self._withdrawing.facts(found, delivery, destination),
        )  # fmt: skip

    def _move(self, delivery: Delivery, made: Plan, found: Assessment) -> Delivery | None:
        """Make one move, if there is one to make; the delivery after it."""
        queue, move = self._catalogue.queue, move_of(found, delivery, made)
        if move is None:
            if columns := outdated(delivery, made):
                queue.update(delivery, **columns)
            return None
        moved = queue.move(delivery, move.to, found.now, move.why, changes=move.columns)
        if moved and move.to == State.READY and delivery.channel == Channel.REPORT and not found.images.present:
            self._notices.tell_missing("the report goes without any image having come", found)
        return queue.get(delivery.id) if moved else None

    # -- what the exam should have

    def _evaluation(
        self, case: ExamSnapshot, found: Assessment, deliveries: Sequence[Delivery], tallies: Mapping[str, Tally]
    ) -> Evaluation:  # fmt: skip
        expected = self._expected(found, deliveries)
        if self._config.query is not None:
            first = found.now
            if expected is not None and not expected.damaged:
                first = expected.approved_at + self._config.study.missing_after
            plan_retrieval(self._catalogue.retrievals, self._config.query, found.case.exam, expected, first)
        wanted = [one for one in deliveries if one.state not in GIVEN_UP]
        waits = "" if found.history else self._companions.overdue(found, wanted, tallies)
        return Evaluation(
            case=case, found=found, deliveries=deliveries, tallies=tallies, expected=expected, waits=waits
        )

    def _expected(self, found: Assessment, deliveries: Sequence[Delivery]) -> Expected | None:
        """Images that an exam that is shared and approved should have; None for another one, and for a backfill's."""
        images = [one.state for one in deliveries if one.channel == Channel.IMAGES]
        given_up = bool(images) and GIVEN_UP.issuperset(images)
        if given_up or found.approved_at is None or found.aside is not None or found.history:
            return None
        links, here = found.case.links, found.case.studies.values()
        counts = self._catalogue.retrievals.counts(links) if self._config.query is not None else {}
        return Expected(
            approved_at=max(found.approved_at, approval_arrived(found.versions)), announced=found.key.image_count,
            here=sum(study.instances for study in here), absent=found.images.missing,
            in_pacs=sum(counts.values()) if links and links.keys() == counts.keys() else None,
            damaged=sum(study.damaged for study in here),
        )  # fmt: skip


def _lacks(deliveries: Sequence[Delivery], places: Sequence[tuple[str, Channel]]) -> bool:
    """Whether there is a place that none of these goes to."""
    return not {(one.destination, one.channel) for one in deliveries}.issuperset(places)


def _at(found: Assessment, away: Aside | None) -> Assessment:
    """The assessment for one destination, `away` where that does not take the exam."""
    return found if away is None else replace(found, aside=found.aside or away)
