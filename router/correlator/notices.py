"""Notices about an exam: events of its history, alarms, and the ends of alarms, by an evaluation."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.ledger import Tally
from router.catalogue.queue.queue import Delivery
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config
from router.correlator.assess import WITHDRAWN, Assessment
from router.correlator.joining import foreign
from router.correlator.refused import BEFORE, by_study, owner_by_sender, with_refusals, worth_a_hint
from router.events import Event, EventBus, Kind
from router.matching.exam.versions import successive
from router.matching.images.missing import Expected, missing
from router.matching.images.renewal import CONTRADICTION
from router.model import Channel
from router.policy.states import CLOSED, State

GIVEN_UP = CLOSED - {State.DELIVERED}
_NOTHING = ("", "instances=0")  # the deliveries with which nothing went


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation of an exam: `case` as it was opened, and `deliveries` as they were before they were moved.

    `tallies` are by destination. `expected` are the images that it should have, None where nobody expects any;
    `waits` says that images have waited too long for other exams, "" while they have not.
    """

    case: ExamSnapshot
    found: Assessment
    deliveries: Sequence[Delivery]
    tallies: Mapping[str, Tally]
    expected: Expected | None
    waits: str

    @property
    def wanted(self) -> list[Delivery]:
        """The deliveries of which something may still go, or went."""
        return [one for one in self.deliveries if one.state not in GIVEN_UP]

    @property
    def images_there(self) -> bool:
        """Whether a destination has images of it, which go before their delivery is complete."""
        return any(tally.sent + tally.stored for tally in self.tallies.values())

    @property
    def hold(self) -> str:
        """Why nothing of the exam may go; "" also for an exam that a rule excludes and of which nothing went."""
        if self._is_over:
            return ""
        return self.found.hold or (CONTRADICTION if any(tally.held for tally in self.tallies.values()) else "")

    @property
    def doubt(self) -> str:
        """The hold, or why the report may not go, or which listed studies are of other hospitals."""
        return self.hold or ("" if self._is_over else self.found.pdf_doubt or foreign(self.found.case))

    @property
    def _is_over(self) -> bool:
        given = self.images_there or any(one.delivered not in _NOTHING for one in self.deliveries)
        return self.found.closed and not given

    @property
    def missing(self) -> str:
        """The missing images in words; "" when none is known to be missing."""
        return missing(self.expected) if self.expected else ""

    @property
    def damaged(self) -> str:
        """Why a stored document is not what came, where something of the exam may still go; "" otherwise."""
        said = (proof.damaged for proof in self.found.case.proofs.values() if proof.damaged)
        return next(said, "") if self.wanted else ""


class Notices:
    """Records what an evaluation tells; alarms and their ends are about one exam, `e17`, or one study."""

    def __init__(self, config: Config, catalogue: Catalogue, bus: EventBus) -> None:
        self._config = config
        self._configs = HospitalConfigs(config)
        self._catalogue = catalogue
        self._bus = bus

    def stale(self, case: ExamSnapshot, now: datetime) -> None:
        """Record each JSON that came and changes nothing, once."""
        counted = {version.document for version in successive(case.jsons)}
        late = [version.document for version in case.jsons if version.document not in counted]
        for document in self._catalogue.exams.documents.mark_stale(late):
            text = f"document {document} is older than what is known and changes nothing"
            self._bus.record(Event(now, Kind.STALE, text, exam=case.exam))

    def tell(self, done: Evaluation) -> datetime | None:
        """Record events and alarms, and end alarms whose cause is gone; the instant of the one for missing images."""
        self._tell_cut(done)
        self._tell_doubt(done)
        self._note_unread(done)
        after = self._config.study.missing_after
        at = done.expected.approved_at + after if done.expected and done.missing else None
        if at is not None and at <= done.found.now:
            self.tell_missing(done.missing, done.found)
        if done.waits:
            self.alarm(Alarm.SHARED_STUDY, done.case.exam, done.waits, done.found.now)
        if done.damaged:
            self.alarm(Alarm.DAMAGED, done.case.exam, f"a stored document is damaged: {done.damaged}", done.found.now)
        self._end(done)
        return at

    def alarm(self, alarm: Alarm, exam: int, text: str, now: datetime) -> None:
        """Raise an alarm about the exam."""
        self._bus.record(Event(now, Kind.ALARM, text, exam=exam, alarm=alarm, subject=f"e{exam}"))

    def _alarm_as_it_is(self, alarm: Alarm, exam: int, text: str, now: datetime) -> None:
        """Raise an alarm about the exam, or reword the one that stands for another reason."""
        self.alarm(alarm, exam, text, now)
        self._catalogue.alarms.reword(alarm, f"e{exam}", text)

    def tell_missing(self, text: str, found: Assessment) -> None:
        """Raise or reword the alarm that images are missing, with what this node refused of them or meanwhile."""
        catalogue, exam = self._catalogue, found.case.exam
        own = by_study(catalogue.refusals.of_studies(found.case.links))
        since = catalogue.arrivals.exam(exam).came - BEFORE
        hints = (
            []
            if own
            else worth_a_hint(
                catalogue.refusals.without_study(since), owner_by_sender(self._config), found.case.hospital
            )
        )
        said = with_refusals(text, own, hints)
        self._alarm_as_it_is(Alarm.IMAGES_MISSING, exam, said, found.now)

    def _tell_cut(self, done: Evaluation) -> None:
        """Keep the alarm about each study in line with what of it is set aside, being cut off."""
        catalogue, case, now = self._catalogue, done.case, done.found.now
        wanted = any(one.channel == Channel.IMAGES for one in done.wanted)
        aside = any(tally.cut for tally in done.tallies.values()) and (wanted or bool(case.siblings))
        still = catalogue.ledger.set_aside(case.studies) if aside else frozenset[str]()
        for study in case.studies:
            subject = f"study {study}"
            event = functools.partial(Event, now, exam=case.exam, study_uid=study, alarm=Alarm.CUT_OFF, subject=subject)
            if study in still:
                self._bus.record(event(Kind.ALARM, "images of the study are cut off and set aside"))
            elif catalogue.alarms.stands(Alarm.CUT_OFF, subject) and not (
                wanted and catalogue.instances.has_cut(study, undecided=True)
            ):
                self._bus.record(event(Kind.CLEARED, "nothing of the study is set aside for being cut off"))

    def _tell_doubt(self, done: Evaluation) -> None:
        """Record a doubt when it comes and goes; raise alarms for one about what may still go, or went."""
        exam, now, doubt, hold = done.case.exam, done.found.now, done.doubt, done.hold
        if doubt == done.case.doubt:
            return
        self._bus.record(Event(now, Kind.DOUBT, doubt or "the doubt is gone", exam=exam))
        if done.wanted and doubt and not doubt.startswith(WITHDRAWN):  # which is in order, unless something went
            self._alarm_as_it_is(Alarm.DOUBT, exam, doubt, now)
        by_itself = self._withdrawing() if done.found.taken_back else frozenset()
        deliveries = self._catalogue.queue.of_exam(exam)  # one may have ended since the evaluation began
        told = [one for one in deliveries if one.destination not in by_itself]
        given = any(one.delivered not in _NOTHING for one in told if hold or one.channel == Channel.REPORT)
        there = any(tally.sent + tally.stored for name, tally in done.tallies.items() if name not in by_itself)
        if doubt and (given or (hold and there)):
            text = f"something of this exam was already delivered, and now: {doubt}"
            self._alarm_as_it_is(Alarm.DELIVERED_IN_DOUBT, exam, text, now)

    def _withdrawing(self) -> frozenset[str]:
        """The destinations that are told of a withdrawal by the node itself."""
        return frozenset(one.name for one in self._config.destination if one.withdraws_after is not None)

    def _note_unread(self, done: Evaluation) -> None:
        """Record an unreadable approval, which has no due time to miss, while a delivery is still wanted."""
        found, hospital = done.found, self._configs.of(done.case.hospital).own
        branch = found.case.branch
        if found.case.places[found.version.document].endswith(".hl7"):
            source = "HL7"
        elif branch in {hospital.HospitalBranchCode, *(one.code for one in hospital.branch)}:
            source = f"branch {branch}"
        else:
            source = "another branch"  # no words that only the RIS has said
        unread = found.unread_approval if done.wanted else None
        self._catalogue.open_deliveries.note(found.case.exam, unread, source, found.now)

    def _end(self, done: Evaluation) -> None:
        """End the exam's alarms whose cause is gone."""
        stands = {
            Alarm.DEFECT: False,
            Alarm.IMAGES_MISSING: bool(done.missing),
            Alarm.SHARED_STUDY: bool(done.waits),
            Alarm.DELIVERED_IN_DOUBT: bool(done.doubt),
            Alarm.DOUBT: bool(done.doubt) and bool(done.wanted),  # a person may have cancelled all that was left of it
            Alarm.DAMAGED: bool(done.damaged),
            Alarm.WITHDRAWAL: done.found.taken_back,
        }
        exam, subject = done.case.exam, f"e{done.case.exam}"
        for one in self._catalogue.alarms.standing(exam):
            # One about a platform that takes no withdrawals names the platform, too.
            if not stands.get(one.alarm, True) and (one.subject == subject or one.alarm == Alarm.WITHDRAWAL):
                text, fields = "the exam was evaluated, and the cause is gone", {"destination": one.destination}
                self._bus.record(Event(
                    done.found.now, Kind.CLEARED, text, exam=exam, fields=fields if one.destination else {},
                    alarm=one.alarm, subject=one.subject,
                ))  # fmt: skip
