"""Selection of the instances that go to a destination, by series rules and versions, entered in the ledger."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.fate import SENT_AND_REJECTED
from router.catalogue.images.ledger import CUT_OFF, Fate, Undecided
from router.catalogue.images.series_members import changes_of
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config, Destination
from router.events import Event, EventBus, Kind
from router.images.rulebook import BookOf, book_for
from router.matching.images.renewal import AS_SENT, Renewal, renewal
from router.matching.patient.policy import identity_policy
from router.model import SeriesClass, SeriesFacts
from router.series.classify import Rulebook, classify
from router.series.select import NOTE, REJECTED, Candidate, Choice, candidate, select
from router.series.study import Marks, Member, Verdict, judge, outcome

_NEVER = (NOTE, AS_SENT)  # why a key image is left out, too
_THERE = (Fate.SENT, Fate.STORED)
_LATE = "came after [share] late_window"
_TELLS = "a rejection note about images that were sent"


class Selection:
    """Classes of instances by their whole study, and the choices of destinations that follow."""

    def __init__(
        self, config: Config, catalogue: Catalogue, book: BookOf, bus: EventBus, *, cut_off_goes: bool = False
    ) -> None:
        """`cut_off_goes`: an instance that is not whole is sent without a person's word."""
        self._configs = HospitalConfigs(config)
        self._catalogue = catalogue
        self._book = book
        self._bus = bus
        self._cut_off_goes = cut_off_goes

    def reconfigure(self, config: Config) -> None:
        """Compare patients by this from now on."""
        self._configs = HospitalConfigs(config)

    def settle(self, study_uid: str) -> tuple[list[Member], dict[int, SeriesFacts]]:
        """Judge the study's instances together and record their classes, safe to repeat; they and their facts.

        The rules are its hospital's.
        """
        here = self._catalogue.series_members.of_study(study_uid)
        members = [one.member for one in here]
        facts = self._catalogue.series_members.facts(one.facts for one in members)
        verdicts = judge(members, facts, self._book(self._catalogue.instances.hospitals_of(study_uid)))
        marks = self._catalogue.references.marks([study_uid])
        rules = ((one, outcome(one.member, verdicts[one.member.series_uid, one.member.facts], marks)) for one in here)
        self._catalogue.series_members.reclassify(
            changes_of((one, rule.series_class, rule.name) for one, rule in rules)
        )
        return members, facts

    def select(
        self, destination: Destination, case: ExamSnapshot, *, complete: bool, now: datetime,
        late_after: datetime | None = None,
    ) -> bool:  # fmt: skip
        """Decide what can be decided now; whether something waits until the study is complete.

        A person releases what came after `late_after`; None: nothing is late.
        A newer version of what the destination has goes only when it differs in what matters.
        """
        marks = self._catalogue.references.marks(case.studies)
        notes = self._notes(destination, case, marks)
        self._revise(destination, case, marks, now)
        undecided = self._catalogue.ledger.undecided(case.exam, destination.name)
        if not undecided:
            return False
        keys = {one.key for one in undecided}
        books = {uid: book_for(destination, self._book(one.hospitals)) for uid, one in case.studies.items()}
        pools = self._pools(undecided, books, marks, complete=complete)
        wanted = frozenset(destination.classes)
        telling = {one.key for one in undecided if one.sop_uid in notes}
        choices = [
            Choice(choice.key, True, _TELLS) if choice.key in telling else choice
            for pool in pools for choice in select(pool, wanted, complete=complete) if choice.key in keys
        ]  # fmt: skip
        late = {one.key for one in undecided if late_after is not None and one.received > late_after} - telling
        cut = {one.key: one.cut for one in undecided if one.cut and not self._cut_off_goes}
        self._enter(destination, choices, self._renewals(destination, case, undecided), late, cut, now)
        return len(choices) < len(keys)

    def _enter(
        self, destination: Destination, choices: Sequence[Choice], renewals: Mapping[int, Renewal],
        late: AbstractSet[int], cut: Mapping[int, str], now: datetime,
    ) -> None:  # fmt: skip
        aside: dict[Fate, dict[int, str]] = defaultdict(dict)
        decisions = []
        for one in choices:
            key, selected, rule = one.key, one.selected, one.rule
            newer = renewals.get(key) if selected else None
            if newer is not None:
                selected, rule = newer.goes, f"{rule}; {newer.why}" if newer.goes else newer.why
            if newer is not None and newer.doubt:
                aside[Fate.HELD][key] = newer.why
            elif selected and key in cut:
                aside[Fate.CUT][key] = f"{rule}; {CUT_OFF}: {cut[key]}"
            elif selected and key in late:
                aside[Fate.LATE][key] = f"{rule}; {_LATE}"
            else:
                decisions.append((key, selected, rule))
        for fate, rules in aside.items():
            self._catalogue.ledger.hold(destination.name, fate, rules, now)
        self._catalogue.ledger.decide(destination.name, decisions, now)
        if decisions:
            count = sum(goes for _, goes, _ in decisions)
            fields = {"destination": destination.name, "selected": count, "filtered": len(decisions) - count}
            self._bus.record(Event(now, Kind.SELECTED, "decided which instances go", fields=fields))

    def _renewals(
        self, destination: Destination, case: ExamSnapshot, undecided: Sequence[Undecided]
    ) -> dict[int, Renewal]:
        again = [one.key for one in undecided if one.version > 1]
        pairs = self._catalogue.versions.renewed(destination.name, again)
        if not pairs:
            return {}
        aliases = self._catalogue.decisions.classes(case.hospital)
        policy = identity_policy(self._configs.of(case.hospital).identity, aliases)
        return {key: renewal(sent, newer, policy) for key, (sent, newer) in pairs.items()}

    def _pools(
        self, undecided: list[Undecided], books: Mapping[str, Rulebook], marks: Marks, *, complete: bool
    ) -> Iterable[list[Candidate]]:  # fmt: skip
        """Candidates of each complete study, with those that are decided already; else by their own headers only.

        `books` are by study.
        """
        if not complete:
            known = self._catalogue.series_members.facts(one.facts for one in undecided)
            asked = {(one.study_uid, one.facts) for one in undecided}
            own = {key: Verdict(classify(known[key[1]], books[key[0]]), known[key[1]]) for key in asked}
            yield [
                candidate(one.key, one.series_uid, one.sop_uid, own[one.study_uid, one.facts], limits, marks)
                for one in undecided for limits in [books[one.study_uid].limits]
            ]  # fmt: skip
            return
        for study_uid in dict.fromkeys(one.study_uid for one in undecided):
            members, facts = self.settle(study_uid)
            book = books[study_uid]
            verdicts = judge(members, facts, book)
            yield [
                candidate(one.key, one.series_uid, one.sop_uid, verdicts[one.series_uid, one.facts], book.limits, marks)
                for one in members
            ]

    def _notes(self, destination: Destination, case: ExamSnapshot, marks: Marks) -> frozenset[str]:
        """The rejection notes that the destination is told by, undecided again where they were left out."""
        if destination.dicom is None or not destination.dicom.rejection_notes or not marks.rejected:
            return frozenset()
        references = self._catalogue.references
        found = references.notes_about_sent(case.exam, destination.name)
        rows = references.decided(case.exam, destination.name, sorted(found))
        references.reopen([one.key for one in rows if one.fate is Fate.FILTERED and one.rule == NOTE])
        return found

    def _revise(self, destination: Destination, case: ExamSnapshot, marks: Marks, now: datetime) -> None:
        """Change former decisions by key objects and rejection notes, which may come later than their instances.

        An instance that was left out and is a key image by now is undecided again, so that `select` judges it whole.
        """
        uids = [*(marks.rejected | marks.key)]
        if not uids:
            return
        references = self._catalogue.references
        rows = references.decided(case.exam, destination.name, uids)
        rejected = [one for one in rows if one.sop_uid in marks.rejected]
        sent = [one.key for one in rejected if one.fate in _THERE and one.rule != SENT_AND_REJECTED]
        left_out = [one for one in rows if one.fate is Fate.FILTERED and not one.purged]
        again = [one.key for one in left_out if one.sop_uid not in marks.rejected and one.rule not in _NEVER]
        with self._catalogue.engine.write():
            references.leave_out([one.key for one in rejected], REJECTED, now)
            references.remark(sent, SENT_AND_REJECTED)
            if SeriesClass.KEY in destination.classes:
                references.reopen(again)
            if sent and not (destination.dicom is not None and destination.dicom.rejection_notes):
                text = f"a note rejects {len(sent)} instance(s) that {destination.name} already has"
                self._bus.record(Event(
                    now, Kind.ALARM, text, exam=case.exam, fields={"destination": destination.name},
                    alarm=Alarm.REJECTED_AFTER_DELIVERY, subject=f"e{case.exam} at {destination.name}",
                ))  # fmt: skip
