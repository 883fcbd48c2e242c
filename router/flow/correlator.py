"""The correlator: evaluates an exam whenever something about it has changed, and moves its deliveries accordingly.

Every evaluation starts from all that is known and is safe to repeat; what only time changes is looked at again then.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from operator import itemgetter

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.exams import Case, Proof, named
from router.catalogue.ledger import Tally
from router.catalogue.queue import Delivery
from router.clock import Clock
from router.config import Config, Destination
from router.correlate.doubt import holding
from router.correlate.identity import same_patient
from router.correlate.institution import another_hospital
from router.correlate.missing import Expected, missing, told_at
from router.correlate.naming import identifiers
from router.correlate.readiness import (
    DAMAGED,
    PERSON,
    VERSIONS,
    images_readiness,
    looking_again,
    report_readiness,
    target,
)
from router.correlate.recount import Ending, corrected, count_alone
from router.correlate.renewal import CONTRADICTION, cut_off, late
from router.correlate.share import Aside, aside
from router.correlate.versions import (
    JsonVersion,
    PdfVersion,
    approval_arrived,
    contradicted,
    given_up,
    of_patient,
    successive,
    unapproved,
    withdrawn,
)
from router.deadlines import approval_instant
from router.errors import Damaged, InvalidData, TransientError, traceback_of
from router.events import Event, Journal, Kind
from router.exam.fill import Filled
from router.exam.key import ExamKey
from router.exam.write import dump
from router.flow.backfilling import is_history, unless_backfilled
from router.flow.companions import Companions
from router.flow.document import fill_for, json_faults, keep_apart, listed
from router.flow.intake import intact
from router.flow.joining import Joining, doubts, forgotten, headers_of
from router.flow.papers import PaperReader
from router.flow.plan import (
    Assessment,
    Hold,
    Plan,
    damage_of,
    damaged_hold,
    held_for,
    images_of,
    overdue_pdf,
    reason,
    set_apart,
    share_policy,
    until_half,
    without,
)
from router.flow.references import References
from router.flow.refused import BEFORE, by_study, with_refusals, worth_a_hint
from router.flow.rereading import Rereading
from router.flow.retrieval import plan as plan_retrieval
from router.flow.selection import Selection
from router.model import Channel
from router.remembered import Recent
from router.states import CLOSED, OPEN, PENDING, HeldBy, Needs, State
from router.storage import Storage

_KEPT, _BYTES_KEPT = 32, 2**21  # documents that are kept parsed: one of 1 MiB may take 20
_LATER = timedelta(minutes=1)
_UNCONFIGURED = timedelta(hours=1)
_NOT_AS_IT_CAME = "the stored exam JSON is not what came"
_NOTHING = ("", "instances=0")
_GIVEN_UP = CLOSED - {State.DELIVERED}
_GOES_NOT = "nothing of the exam goes any more: of its last version, "
_WITHDRAWN = f"{HeldBy.APPROVAL}: {_GOES_NOT}"
_CONTRADICTED = (
    "the version that came last is the older one by one of its times and the later one by another: a clock is wrong;"
    " drop the exam's JSON with its right times, or `queue release` the delivery to have the last version count"
)


def _may_be_mended(delivery: Delivery) -> bool:
    if delivery.state == State.HELD:
        return delivery.held_by != PERSON
    return delivery.channel == Channel.REPORT and (delivery.state == State.FAILED or Needs.JSON in delivery.waiting_for)


def _length(said: Mapping[str, tuple[str, ...]]) -> int:
    return sum(map(len, chain.from_iterable(said.values())))


def delivery_places(config: Config) -> list[tuple[str, Channel]]:
    """Where an exam goes by this configuration: destinations and channels."""
    return [(one.name, channel) for one in config.destination for channel in one.channels]


class Correlator:
    """Evaluates exams."""

    def __init__(
        self, config: Config, references: References, catalogue: Catalogue, storage: Storage, selection: Selection,
        journal: Journal,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._config = config
        self._references = references
        self._reports = storage.reports
        self._catalogue = catalogue
        self._selection = selection
        self._incoming = storage.incoming
        self._journal = journal
        self._clock = clock
        self._rereading = Rereading(catalogue, storage)
        self._joining = self._join_by(config)
        self._companions = Companions(config, catalogue, self._is_given_up)
        self._known = Recent(self._load, itemgetter(3), _KEPT, _BYTES_KEPT)
        self._said = Recent(self._look_up, _length, _KEPT, _BYTES_KEPT)
        self.papers = PaperReader(config, catalogue.exams, storage.reports, self._document)

    def go_by(self, config: Config) -> None:
        """Evaluate by this configuration from the next exam on; not while one is being evaluated."""
        self._config = config
        self.papers.go_by(config)
        self._joining = self._join_by(config)
        self._companions = Companions(config, self._catalogue, self._is_given_up)

    def _join_by(self, config: Config) -> Joining:
        exams, decisions = self._catalogue.exams, self._catalogue.decisions
        return Joining(exams, decisions, config.identity, self._journal, self._rereading.renew)

    def reconsider(self) -> None:
        """Have the exams evaluated anew that what their JSONs are read and filled by may concern; it may have changed.

        They are those whose report waits for its JSON or was refused, and those that a doubt holds.
        """
        self._known.clear()
        self._said.clear()
        stuck = self._catalogue.queue.in_state([State.WAITING, State.FAILED, State.HELD])
        self._catalogue.exams.touch({d.exam for d in stuck if _may_be_mended(d)}, self._clock.now())

    def run_due(self, limit: int = 100) -> int:
        """Evaluate the exams whose time has come; how many there were."""
        due = self._catalogue.exams.to_check(self._clock.now(), limit)
        for exam in due:
            self._evaluate_safely(exam)
        return len(due)

    def _evaluate_safely(self, exam: int) -> None:
        """An exam that cannot be evaluated is looked at again later and does not keep the others waiting."""
        try:
            self.evaluate(exam)
        except TransientError:
            raise
        except Damaged as damaged:
            self._hold_unknown(exam, damaged)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one exam must not stop all of them
            now = self._clock.now()
            text = f"the exam cannot be evaluated: {type(error).__name__} at {traceback_of(error)}"
            self._alarm(Alarm.DEFECT, exam, text, now)
            self._catalogue.exams.postpone(exam, now + _LATER)

    def _hold_unknown(self, exam: int, damaged: Damaged) -> None:
        """Nothing says for certain any more whose exam it is: nothing of it goes until its JSON comes again."""
        now, why = self._clock.now(), f"{damaged.message} (json, document {damaged.fields['document']})"
        case = self._catalogue.exams.case(exam)
        self._catalogue.exams.damage(int(str(damaged.fields["document"])), str(damaged.fields["place"]), why, now)
        self._alarm(Alarm.DAMAGED, exam, f"an exam is held: {why}", now)
        for delivery in self._catalogue.queue.of_exam(exam):
            if delivery.state in OPEN:
                changes = {"held_by": DAMAGED, "error": damaged_hold(why)}
                self._catalogue.queue.move(delivery, State.HELD, now, damaged_hold(why), changes=changes)
        approved_at = self._catalogue.exams.approved_at(exam)
        self._catalogue.exams.checked(case, None, approved_at, damaged_hold(why))

    def evaluate(self, exam: int) -> None:
        """Bring the exam's links, selection and deliveries in line with what is known now."""
        now, behind = self._clock.now(), self._incoming.oldest()
        case = self._case(exam)
        versions = self._versions(case)
        if not versions:
            self._catalogue.exams.checked(case, None, None, "")
            return
        self._note_stale(case, versions, now)
        assessment = self._assess(case, versions, behind, now)
        if case.siblings and case.approved != (assessment.approved_at is not None):
            self._catalogue.exams.approve(assessment.case, assessment.approved_at, now)
        deliveries = self._deliveries(exam, now)
        self._companions.withhold(assessment)
        looks = [self._select(assessment, deliveries)]
        tallies = {place[1]: tally for place, tally in self._catalogue.accounts.tallies([exam]).items()}
        looks += [self._settle(one, tallies.get(one.destination, Tally()), assessment) for one in deliveries]
        self._note_cut(case, tallies, deliveries, now)
        hold = assessment.hold or (CONTRADICTION if any(tally.held for tally in tallies.values()) else "")
        there = any(tally.sent + tally.stored for tally in tallies.values())
        given = there or any(one.delivered not in _NOTHING for one in deliveries)
        # Of an exam of which nothing goes, and nothing went, no doubt is told.
        hold, of_pdf = ("", "") if assessment.closed and not given else (hold, assessment.pdf_doubt)
        wanted = [one for one in deliveries if one.state not in _GIVEN_UP]
        self._note_doubt(case, hold, of_pdf, there, now, wanted=bool(wanted))
        self._note_unread(assessment, deliveries)
        images = [one.state for one in deliveries if one.channel == Channel.IMAGES]
        given_up = bool(images) and _GIVEN_UP.issuperset(images)
        expected = None if given_up else self._expected(assessment, approval_arrived(versions))
        looks.append(self._note_missing(expected, assessment))
        waits = self._note_others(assessment, wanted, tallies)
        complete = not (expected and missing(expected))
        self._clear_alarms(
            assessment, hold or of_pdf, complete=complete, together=not waits, wanted=bool(wanted)
        )  # fmt: skip
        self._companions.tell(assessment)
        looks.append(versions[-1].approve_time if assessment.approved_at is None else None)
        looks.append(assessment.weighed.choice.look_again)
        if lesson := assessment.weighed.lesson:
            self.papers.learn(lesson)
        look_again = min((look for look in looks if look is not None and look > now), default=None)
        if self._lacks_places(deliveries) and len(self._deliveries(exam, now)) > len(deliveries):
            look_again = now  # it goes on after all, and to a new destination, too
        doubt, chosen = hold or of_pdf, assessment.weighed.kept
        self._catalogue.exams.checked(case, look_again, assessment.approved_at, doubt, chosen)

    def document(self, case: Case) -> Mapping[str, object]:
        """The exam JSON that counts, as the RIS gave it."""
        return self._document(case, successive(case.jsons)[-1])[0]

    def objection(self, delivery: Delivery) -> str:
        """Why nothing of the delivery may go by what is known this instant; "" when nothing speaks against it.

        Senders ask it after they have read what they are about to send: what came, or was decided, since the exam
        was evaluated is judged before anything goes.
        """
        case, now = self._case(delivery.exam), self._clock.now()
        versions = self._versions(case)
        try:
            key, others = self._document(case, versions[-1])[1], self._others(case, versions[-1])
        except Damaged as damaged:  # the evaluation that follows holds it
            return damaged_hold(damaged.message)
        approved_at = self._approved_at(versions[-1], now)
        hold = self._hold(case, key, others, versions, approved_at, now)
        if hold.why and not (
            delivery.channel == Channel.REPORT and self._goes_without(delivery, hold, case, key, others)
        ):
            return hold.why
        if approved_at is None:
            return "approval: the exam is not approved any more"
        if away := self._aside(case, versions[-1], approved_at):
            return away.why
        if delivery.channel == Channel.REPORT:
            pdf = self.papers.weigh(case, self._taken(case), self._pdfs(case, key, others), now).choice.pdf
            same = pdf is not None and f" pdf={pdf.document} " in delivery.wanted
            return "" if same else "another report PDF belongs to it now, or none"
        return self._companions.objection(case, key.accession_number, delivery, now)

    def _goes_without(
        self, delivery: Delivery, hold: Hold, case: Case, key: ExamKey, others: Sequence[ExamKey]
    ) -> bool:
        """Whether a report goes without exactly the studies that are in doubt."""
        pdf = self.papers.weigh(case, self._taken(case), self._pdfs(case, key, others), self._clock.now()).choice.pdf
        apart = self._apart(hold, case, key, pdf)
        return bool(apart) and without(delivery.wanted) == apart

    # -- what is known

    def _apart(self, hold: Hold, case: Case, key: ExamKey, pdf: PdfVersion | None) -> frozenset[str]:
        return set_apart(hold, case, key, pdf) if self._config.identity.doubt == "images" else frozenset()

    def _case(self, exam: int) -> Case:
        case = self._catalogue.exams.case(exam)
        return self._catalogue.exams.case(exam) if self._rereading.renew(case.studies.values()) else case

    def _aside(self, case: Case, version: JsonVersion, approved_at: datetime | None) -> Aside | None:
        policy = share_policy(self._config)
        modalities = frozenset(m for study in case.studies.values() for m in study.modalities)
        names = frozenset(name for rule in policy.exclude for name in rule.sayings)
        said = self._said(case.places[version.document], names) if names else {}
        away = aside(policy, headers_of(case.studies), modalities, approved_at, said)
        return unless_backfilled(self._catalogue, away, case, approved_at)

    def _is_closed(self, hold: Hold, case: Case, version: JsonVersion) -> bool:
        """Whether a rule excludes the exam by what is certain: its JSON, and the studies that are not in doubt.

        A hold for another cause than a study's identity, or one of all that the JSON says, comes first.
        """
        if hold.why and not hold.studies:
            return False
        away = self._aside(keep_apart(case, hold.studies), version, None)
        return away is not None and away.state == State.EXCLUDED

    def _versions(self, case: Case) -> list[JsonVersion]:
        """The versions that counted."""
        return successive(self._taken(case))

    def _taken(self, case: Case) -> list[JsonVersion]:
        """All versions; all approved where the RIS exports nothing else, but HL7, which says it itself."""
        versions = list(case.jsons)
        if self._config.reports.approved_only:
            hl7 = {document for document, place in case.places.items() if place.endswith(".hl7")}
            return [v if v.document in hl7 else replace(v, approved=True) for v in versions]
        return versions

    def _assess(self, case: Case, versions: list[JsonVersion], behind: datetime | None, now: datetime) -> Assessment:
        version = versions[-1]
        document, key = self._document(case, version)
        described = self._catalogue.exams.describe(case.exam, key)
        if self._joining.join(case, key, now) or described:
            # The links are ours to change, so the case stays the one that was opened, with new links.
            fresh = self._case(case.exam)
            # Exams that share a study are judged by each other's patient, so they are looked at again.
            self._catalogue.exams.touch({s.exam for s in (*case.siblings, *fresh.siblings)}, now)
            case = replace(case, links=fresh.links, studies=fresh.studies, siblings=fresh.siblings)
        approved_at = self._approved_at(version, now)
        others = self._others(case, version)
        hold = self._hold(case, key, others, versions, approved_at, now)
        away = self._aside(case, version, approved_at)
        closed = self._is_closed(hold, case, version)
        weighed = self.papers.weigh(case, self._taken(case), self._pdfs(case, key, others), now)
        apart = self._apart(hold, case, key, weighed.choice.pdf)
        history = is_history(self._catalogue, share_policy(self._config), approved_at)
        return Assessment(
            case, key, document, version, weighed, approved_at, hold.why, away, images_of(case, behind), now, apart,
            closed, history,
        )  # fmt: skip

    def _document(self, case: Case, version: JsonVersion) -> tuple[dict[str, object], ExamKey]:
        proof = case.proofs.get(version.document, Proof())
        document, key, sound, _ = self._known(
            case.places[version.document], case.branch, replace(proof, damaged=""), version.document
        )
        if not sound and not proof.damaged:
            why = f"{_NOT_AS_IT_CAME} (json, document {version.document})"
            # The exam is evaluated anew, which holds the report.
            self._catalogue.exams.damage(version.document, case.places[version.document], why, self._clock.now())
        return document, key

    def _is_given_up(self, exam: int) -> bool:
        """Whether the newest version of an exam says that it is cancelled or withdrawn."""
        case = self._catalogue.exams.case(exam)
        counting = self._versions(case)[-1:]
        try:
            return any(given_up(self._document(case, version)[1].status) for version in counting)
        except Damaged:
            return False

    def _load(
        self, place: str, branch: str, proof: Proof, document: int
    ) -> tuple[dict[str, object], ExamKey, bool, int]:  # fmt: skip
        """The JSON, its key, whether it is what came, and its length in bytes.

        One that is not still tells whose exam it is, while all that it is joined by reads as it did; else Damaged.
        """
        try:
            data = self._reports.read(place)
        except FileNotFoundError as error:
            raise Damaged("the stored exam JSON is gone", document=document, place=place) from error
        sound = intact(data, proof)
        try:
            given = self._references.read(data)
            key = self._references.key(given, branch)
        except InvalidData as error:
            if sound:
                raise
            raise Damaged(_NOT_AS_IT_CAME, document=document, place=place) from error
        if not sound and named(key) != proof.named:
            raise Damaged(_NOT_AS_IT_CAME, document=document, place=place)
        return given, key, sound, len(data)

    def _look_up(self, place: str, names: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
        return self._references.said(self._reports.read(place), names)

    def _others(self, case: Case, version: JsonVersion) -> list[ExamKey]:
        """All other versions, stale ones too: an ExamId that came with another patient is a doubt in any order."""
        return [self._document(case, other)[1] for other in case.jsons if other.document != version.document]

    def _pdfs(self, case: Case, key: ExamKey, others: Sequence[ExamKey]) -> Sequence[PdfVersion]:
        policy = self._joining.policy()
        if all(same_patient(other.patient, key.patient, policy) for other in others):
            return case.pdfs
        return of_patient(case.pdfs, identifiers("", key.accession_number, key.patient.name))

    def _approved_at(self, version: JsonVersion, now: datetime) -> datetime | None:
        if not version.approved:
            return None
        if version.approve_time is None:
            return version.arrived
        return approval_instant(version.approve_time, version.arrived, self._config.reports.clock_tolerance, now)

    def _hold(
        self, case: Case, key: ExamKey, others: list[ExamKey], versions: list[JsonVersion],
        approved_at: datetime | None, now: datetime,
    ) -> Hold:  # fmt: skip
        if foreign := another_hospital(key, self._config.hospital):
            return Hold(foreign.text)
        policy = self._joining.policy()
        found = doubts(case, key, others, policy) | forgotten(case)
        hold = frozenset(holding(found.values(), policy.checks))
        found = {digest: doubt for digest, doubt in found.items() if doubt in hold}
        if unsettled := self._catalogue.decisions.unsettled(case.exam, found, now):
            return held_for(unsettled)
        if withdrawn(versions):
            return Hold(f"{_WITHDRAWN}{unapproved(key.status)}")
        late = contradicted(self._taken(case))
        if late is not None and self.papers.checks > 1:
            return Hold(f"{VERSIONS}: {_CONTRADICTED}")
        if versions[-1].approved and approved_at is None:
            return Hold(f"{HeldBy.APPROVAL}: ApproveTime (审核时间) lies in the future; check the clock of the RIS")
        return Hold()

    def _select(self, found: Assessment, deliveries: Sequence[Delivery]) -> datetime | None:
        """Every destination's selection, before any delivery is looked at: ImageCount of the report depends on it.

        What waits for the complete study waits until half of the budget at most; when that is, if anything does.
        """
        quiet = not found.images.needs(self._config.study.stable_after, found.now)
        looks = []
        given = {d.destination: d.delivered_at for d in deliveries if d.channel == Channel.IMAGES}
        for destination in self._config.destination:
            if destination.dicom is None:
                continue
            due = found.due(destination.images_within)
            half = due.half if due else None
            complete = quiet or (half is not None and half <= found.now)
            at = given.get(destination.name)
            late_after = at + self._config.share.late_window if at else None
            waits = self._selection.select(
                destination, found.case, complete=complete, now=found.now, late_after=late_after
            )
            if waits and half is not None:
                looks.append(half)
        return min(looks, default=None)

    # -- what follows for a delivery

    def _deliveries(self, exam: int, now: datetime) -> list[Delivery]:
        """Those of the exam, made where this configuration has new places and the exam is not at an end."""
        queue = self._catalogue.queue
        found = queue.of_exam(exam)
        at_end = bool(found) and not any(one.state in PENDING for one in found)
        if at_end or not self._lacks_places(found):
            return found
        queue.make(exam, delivery_places(self._config), now)
        return queue.of_exam(exam)

    def _lacks_places(self, deliveries: Sequence[Delivery]) -> bool:
        """Whether this configuration has a place that none of these goes to."""
        return not {(one.destination, one.channel) for one in deliveries}.issuperset(delivery_places(self._config))

    def _settle(self, delivery: Delivery, tally: Tally, found: Assessment) -> datetime | None:
        """Move the delivery as far as it goes now; when to look again."""
        destination = self._config.destination_named(delivery.destination)
        if destination is None:  # it may be configured again, and this is still to be delivered then
            return found.now + _UNCONFIGURED if delivery.state == State.WAITING else None
        if tally.held:
            found = replace(found, hold=found.hold or CONTRADICTION, apart=frozenset())
        for _ in State:
            plan = self._plan(delivery, destination, tally, found)
            moved = self._step(delivery, plan, found)
            if moved is None:
                return plan.readiness.look_again
            delivery = moved
        return None

    def _step(self, delivery: Delivery, plan: Plan, found: Assessment) -> Delivery | None:
        """One move, if there is one to make; the delivery after it."""
        ready = plan.readiness.ready
        away = found.aside.state if found.aside else None
        to = target(delivery.state, held_by=delivery.held_by, hold=plan.hold, aside=away, ready=ready, news=plan.news)
        if to == delivery.state:
            self._show(delivery, plan, found)
            return None
        why = reason(to, plan, found)
        columns = self._columns(to, plan, found)
        if delivery.state in (State.DELIVERED, State.FAILED):
            columns["attempts"] = 0
        moved = self._catalogue.queue.move(delivery, to, found.now, why, changes=columns)
        if moved and to == State.READY and delivery.channel == Channel.REPORT and not found.images.present:
            self._alarm_missing("the report goes without any image having come", found)
        return self._catalogue.queue.get(delivery.id) if moved else None

    def _show(self, delivery: Delivery, plan: Plan, found: Assessment) -> None:
        """Bring what is shown up to date where the state stays as it is."""
        if delivery.state in (State.SENDING, State.CANCELLED) or delivery.held_by == PERSON:
            return
        columns = self._columns(delivery.state, plan, found)
        if delivery.state in (State.DELIVERED, State.FAILED):
            columns = {key: columns[key] for key in ("legal_due",)}
        if delivery.state == State.DEFERRED:
            columns.pop("error")
        if any(_shown(delivery, key) != value for key, value in columns.items()):
            self._catalogue.queue.update(delivery, **columns)

    def _columns(self, to: State, plan: Plan, found: Assessment) -> dict[str, object]:
        held = to == State.HELD
        return {
            "waiting_for": " ".join(plan.readiness.needs) if to == State.WAITING else "",
            "legal_due": plan.deadline.legal if plan.deadline else None,
            "due": plan.deadline.working if plan.deadline else None,
            "held_by": plan.hold.split(":")[0] if held else "",
            "error": plan.hold if held else plan.error if to == State.WAITING else "",
            "wanted": plan.wanted,
        }

    def _plan(self, delivery: Delivery, destination: Destination, tally: Tally, found: Assessment) -> Plan:
        of_channel = self._plan_images if delivery.channel == Channel.IMAGES else self._plan_report
        plan = of_channel(delivery, destination, tally, found)
        if (unread := found.unread_approval) is not None:
            plan = replace(plan, error="; ".join(filter(None, (f"{HeldBy.APPROVAL}: {unread.says}", plan.error))))
        return replace(plan, hold="") if found.closed else plan

    def _plan_images(self, delivery: Delivery, destination: Destination, tally: Tally, found: Assessment) -> Plan:
        next_ask, companions = self._catalogue.commitments.next_ask, self._companions
        cause = found.images.last_received if delivery.delivered else None
        due = found.due(destination.images_within, cause)
        others = companions.awaited(found.case, found.now)
        readiness = images_readiness(
            approved=found.approved_at is not None, others=companions.let_go(others, tally, due, found.now),
            unsent=tally.unsent, images=found.images,
            ask_at=next_ask(delivery.exam, delivery.destination) if tally.stored else None,
            stable_after=self._config.study.stable_after, now=found.now,
        )  # fmt: skip
        readiness = companions.looks(readiness, others, due, found.now)
        rest = tally.unsent + tally.stored
        news = rest + tally.late + tally.cut > 0
        # What is whole goes first, so that it does not wait for a person.
        done = readiness.ready and not rest and found.aside is None
        broken = cut_off(tally.cut, tally.selected + tally.cut, tally.refused) if done else ""
        waits = companions.hold(others, due, found.now) if tally.unsent else ""
        hold = found.hold or late(tally.late) or broken or waits
        return Plan(readiness, due, f"instances={tally.selected}", news, hold)

    def _plan_report(self, delivery: Delivery, destination: Destination, tally: Tally, found: Assessment) -> Plan:
        pdf = found.pdf or found.doubted  # a doubt about what was delivered is nothing new to deliver
        causes = [found.version.arrived, pdf.arrived if pdf else None, found.images.last_received]
        cause = max(c for c in causes if c is not None) if delivery.delivered else None
        due = found.due(destination.report_within, cause)
        apart = found.apart if _may_go_without(found, delivery, destination) else frozenset()
        if apart:  # those of the other studies go when the doubt is settled
            tally = self._catalogue.accounts.tally_of(found.case.studies.keys() - apart, destination.name)
        goes = tally.selected - tally.refused - tally.damaged
        count = goes if found.images.present and destination.dicom is not None else None
        tables = self._references.tables
        filled = fill_for(self._config, tables, keep_apart(found.case, apart), found.document, count)
        # An approval that had come when its JSON did has come, though the clock was put back since.
        come = max(found.now, found.version.arrived)
        faults = json_faults(destination, self._config, tables, filled, found.approved_at, come)
        readiness = report_readiness(
            approved=found.approved_at is not None, json_ok=not faults,
            pdf=found.pdf is not None and found.pdf.here, images=found.images,
            stable_after=self._config.study.stable_after, half=due.half if due else None, now=found.now,
        )  # fmt: skip
        sources = f"json={found.version.document} pdf={pdf.document if pdf else '-'} images="
        wanted = f"{sources}{'-' if count is None else count} studies={listed(filled)}"
        wanted += f" without={','.join(sorted(apart))}" if apart else ""
        # Late images change what is listed once they are quiet: one revision, not one for each of them.
        quiet = not found.images.needs(self._config.study.stable_after, found.now)
        settled = quiet or not delivery.delivered.startswith(sources)
        last = delivery.delivered if delivery.state == State.DELIVERED else delivery.wanted
        error = "exam JSON: " + "; ".join(faults) if faults else ""
        readiness = until_half(readiness, found, due)
        if delivery.state == State.DELIVERED and count_alone(wanted, last):
            images = self._images_ending(delivery, tally, found)
            news = self._recounts(delivery, images, found, quiet=quiet)
            readiness = looking_again(readiness, images.due, found.now)
        else:
            news = settled and (wanted != last or self._mended(delivery, filled))
        hold = ("" if apart else found.hold) or found.pdf_doubt or damage_of(found, pdf) or overdue_pdf(found, due)
        return Plan(readiness, due, wanted, news and found.approved_at is not None, hold, error)

    def _images_ending(self, report: Delivery, tally: Tally, found: Assessment) -> Ending:
        """How the delivery of the images that the report counts stands."""
        there = self._catalogue.queue.of_exam(report.exam)
        mine = [one for one in there if (one.destination, one.channel) == (report.destination, Channel.IMAGES)]
        causes = [found.images.last_received, *(one.delivered_at for one in mine)]
        cause = max((each for each in causes if each is not None), default=None)
        state, due = (mine[0].state, mine[0].due) if mine else (State.DELIVERED, None)
        return Ending(state=state, open=tally.unsent + tally.stored > 0, due=due, cause=cause)

    def _recounts(self, report: Delivery, images: Ending, found: Assessment, *, quiet: bool) -> bool:
        """Whether the report goes again for its ImageCount alone."""
        if not self._config.share.count_revisions or not images.over(found.now, quiet=quiet):
            return False
        uploads = self._catalogue.uploads.of(report.id)
        return not corrected([(upload.wanted, upload.frozen) for upload in uploads], images.cause)

    def _mended(self, delivery: Delivery, filled: Filled) -> bool:
        """Whether what a platform refused would be another document now: a table or the configuration has changed."""
        refused = self._catalogue.uploads.of(delivery.id)[-1:] if delivery.state == State.FAILED else []
        return any(u.refused and self._reports.read(u.exam_place) != dump(filled.document) for u in refused)

    # -- telling

    def _note_stale(self, case: Case, versions: list[JsonVersion], now: datetime) -> None:
        counted = {version.document for version in versions}
        for document in self._catalogue.exams.mark_stale([j.document for j in case.jsons if j.document not in counted]):
            text = f"document {document} is older than what is known and changes nothing"
            self._journal.record(Event(now, Kind.STALE, text, exam=case.exam))

    def _note_doubt(
        self, case: Case, hold: str, pdf_doubt: str, images_there: bool, now: datetime, *, wanted: bool
    ) -> None:  # fmt: skip
        """Tell a doubt when it comes and goes. `wanted`: something of the exam may still go."""
        doubt = hold or pdf_doubt
        if doubt == case.doubt:
            return
        self._journal.record(Event(now, Kind.DOUBT, doubt or "the doubt is gone", exam=case.exam))
        if wanted and doubt and not doubt.startswith(_WITHDRAWN):  # which is in order, unless something was delivered
            self._alarm(Alarm.DOUBT, case.exam, doubt, now)
        deliveries = self._catalogue.queue.of_exam(case.exam)
        given = any(d.delivered not in _NOTHING for d in deliveries if hold or d.channel == Channel.REPORT)
        if doubt and (given or (hold and images_there)):  # images go before their delivery is complete
            text = f"something of this exam was already delivered, and now: {doubt}"
            self._alarm(Alarm.DELIVERED_IN_DOUBT, case.exam, text, now)

    def _note_unread(self, found: Assessment, deliveries: Sequence[Delivery]) -> None:
        """Keep that the approval cannot be read: without one the exam has no due time to miss.

        One whose deliveries a person has all cancelled is nobody's question any more.
        """
        wanted = any(one.state not in _GIVEN_UP for one in deliveries)
        unread = found.unread_approval if wanted else None
        self._catalogue.open.note(found.case.exam, unread, self._source(found), found.now)

    def _source(self, found: Assessment) -> str:
        """Where the version that counts came from, without what only the RIS has said."""
        if found.case.places[found.version.document].endswith(".hl7"):
            return "HL7"
        hospital, branch = self._config.hospital, found.case.branch
        known = {hospital.HospitalBranchCode, *(one.code for one in hospital.branch)}
        return f"branch {branch}" if branch in known else "another branch"

    def _note_cut(
        self, case: Case, tallies: Mapping[str, Tally], deliveries: Sequence[Delivery], now: datetime
    ) -> None:
        """Keep the alarm about each study in line with what of it is set aside, being cut off."""
        catalogue = self._catalogue
        wanted = any(one.channel == Channel.IMAGES and one.state not in _GIVEN_UP for one in deliveries)
        aside = any(tally.cut for tally in tallies.values()) and (wanted or bool(case.siblings))
        still = catalogue.accounts.set_aside(case.studies) if aside else frozenset[str]()
        for study in case.studies:
            subject = f"study {study}"
            event = functools.partial(Event, now, exam=case.exam, study_uid=study, alarm=Alarm.CUT_OFF, subject=subject)
            if study in still:
                self._journal.record(event(Kind.ALARM, "images of the study are cut off and set aside"))
            elif catalogue.alarms.stands(Alarm.CUT_OFF, subject) and not (
                wanted and catalogue.instances.has_cut(study, undecided=True)
            ):
                self._journal.record(event(Kind.CLEARED, "nothing of the study is set aside for being cut off"))

    def _note_missing(self, expected: Expected | None, found: Assessment) -> datetime | None:
        """Tell that images are missing once that is overdue; when it will be."""
        text = missing(expected) if expected else ""
        at = told_at(expected, self._config.study.missing_after) if expected else found.now
        if text and at <= found.now:
            self._alarm_missing(text, found)
        if self._config.query is not None:
            first = found.now if expected and expected.damaged else at
            plan_retrieval(self._catalogue.retrievals, self._config.query, found.case.exam, expected, first)
        return at if text else None

    def _alarm_missing(self, text: str, found: Assessment) -> None:
        """Tell that images are missing, and what this node refused of them or meanwhile, also where it stands."""
        catalogue, exam = self._catalogue, found.case.exam
        own = by_study(catalogue.refusals.of_studies(found.case.links))
        since = catalogue.traces.exam(exam).came - BEFORE
        hints = [] if own else worth_a_hint(catalogue.refusals.without_study(since))
        said = with_refusals(text, own, hints)
        self._alarm(Alarm.IMAGES_MISSING, exam, said, found.now)
        if said != text:
            catalogue.alarms.reword(Alarm.IMAGES_MISSING, f"e{exam}", said)

    def _expected(self, found: Assessment, arrived: datetime) -> Expected | None:
        """Images that an exam that is shared and approved should have; None for another one, and for a backfill's."""
        if found.approved_at is None or found.aside is not None or found.history:
            return None
        links, here = found.case.links, sum(study.instances for study in found.case.studies.values())
        counts = self._catalogue.retrievals.counts(links) if self._config.query is not None else {}
        in_pacs = sum(counts.values()) if links and links.keys() == counts.keys() else None
        damaged = sum(study.damaged for study in found.case.studies.values())
        approved = max(found.approved_at, arrived)
        return Expected(approved, found.key.image_count, here, found.images.missing, in_pacs, damaged)

    def _note_others(self, found: Assessment, deliveries: Sequence[Delivery], tallies: Mapping[str, Tally]) -> bool:
        """Tell that images wait for another exam's approval once that is overdue; whether it is."""
        text = "" if found.history else self._companions.overdue(found, deliveries, tallies)
        if text:
            self._alarm(Alarm.SHARED_STUDY, found.case.exam, text, found.now)
        return bool(text)

    def _clear_alarms(
        self, found: Assessment, doubt: str, *, complete: bool, together: bool, wanted: bool
    ) -> None:  # fmt: skip
        gone = {Alarm.DEFECT} | ({Alarm.IMAGES_MISSING} if complete else set())
        gone |= {Alarm.SHARED_STUDY} if together else set()
        if not doubt:
            gone |= {Alarm.DOUBT, Alarm.DELIVERED_IN_DOUBT}
        if not wanted:  # a person has cancelled all that was left of it
            gone.add(Alarm.DOUBT)
        damaged = [proof.damaged for proof in found.case.proofs.values() if proof.damaged]
        if damaged and wanted:
            self._alarm(Alarm.DAMAGED, found.case.exam, f"a stored document is damaged: {damaged[0]}", found.now)
        else:
            gone.add(Alarm.DAMAGED)
        exam, subject = found.case.exam, f"e{found.case.exam}"
        for one in self._catalogue.alarms.standing(exam):
            if one.alarm in gone and one.subject == subject:
                text = "the exam was evaluated, and the cause is gone"
                self._journal.record(Event(found.now, Kind.CLEARED, text, exam=exam, alarm=one.alarm, subject=subject))

    def _alarm(self, alarm: Alarm, exam: int, text: str, now: datetime) -> None:
        self._journal.record(Event(now, Kind.ALARM, text, exam=exam, alarm=alarm, subject=f"e{exam}"))


def _may_go_without(found: Assessment, delivery: Delivery, destination: Destination) -> bool:
    """Whether the report may go without the studies in doubt: it names another, or need not, and none was given.

    What was delivered with them stays until a person has decided.
    """
    named = {*found.key.study_uids, *found.case.studies} - found.case.apart - found.apart
    given = bool(delivery.delivered) and not found.apart <= without(delivery.delivered)
    return not given and (bool(named) or "Study.StudyInstanceUIDs" in destination.accept_empty)


def _shown(delivery: Delivery, column: str) -> object:
    if column == "waiting_for":
        return " ".join(delivery.waiting_for)
    return getattr(delivery, column)
