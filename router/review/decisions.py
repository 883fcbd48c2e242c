"""Decisions of people about exams: a doubt settled, numbers of one patient, studies joined or kept apart.

Each is an event with name and reason, and has the exams evaluated at once. InvalidData: there is nothing to decide.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from router.catalogue import Catalogue
from router.catalogue.exams.decisions import Alias
from router.catalogue.exams.merges import Proposal
from router.clock import Clock
from router.config.sections import Identity
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.exam.identifiers import uid_ok
from router.matching.images.join import JoinedBy
from router.matching.patient.identity import stripped
from router.matching.patient.policy import identity_policy
from router.review.lookup import Lookup


@dataclass(frozen=True, slots=True)
class OperatorReason:
    """A decider and the reason."""

    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Named:
    """An exam by the node's number of it and its ExamId."""

    number: int
    exam_id: str


@dataclass(frozen=True, slots=True)
class Differences:
    """Unsettled differences of an exam, as people see them: texts by digest, without values."""

    exam: int
    exam_id: str
    standing: Mapping[str, str]

    @property
    def texts(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(self.standing.values()))

    @property
    def mark(self) -> str:
        """A short word for exactly these."""
        return hashlib.sha256(" ".join(sorted(self.standing)).encode()).hexdigest()[:12]


class Decisions:
    """The decisions, as the command line asks for them."""

    def __init__(
        self, identity: Identity, catalogue: Catalogue, bus: EventBus, clock: Clock, hospital: str | None = None
    ) -> None:
        """`hospital`: names mean its exams alone; None: those of all."""
        self._identity = identity
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._lookup = Lookup(catalogue, hospital)

    def exam(self, name: str) -> Named:
        """The exam that a word means."""
        number = self._lookup.exam(name)
        return Named(number, self._catalogue.exams.names([number])[number])

    def differences(self, name: str) -> Differences:
        """Unsettled differences of the exam; InvalidData where there are none."""
        exam = self._lookup.exam(name)
        found = self.unsettled(exam)
        if found is None:
            doubt = self._catalogue.exams.case(exam).doubt
            other = doubt and not doubt.startswith("identity")
            hint = f"it is held for another reason: {doubt}" if other else "nothing contradicts that is not settled"
            raise InvalidData("there is no identity doubt to settle", hint=hint, exam=exam)
        return found

    def unsettled(self, exam: int) -> Differences | None:
        """Unsettled differences of the exam of this number; None where nothing differs."""
        standing = self._catalogue.decisions.standing(exam)
        return Differences(exam, self._catalogue.exams.names([exam])[exam], standing) if standing else None

    def resolve(self, name: str, reason: OperatorReason, seen: Differences | None = None) -> list[str]:
        """Settle the differences that the person has seen, else those of now; their texts. Later ones stay."""
        return self.settle(seen or self.differences(name), reason)

    def settle(self, found: Differences, reason: OperatorReason) -> list[str]:
        """Settle exactly these differences; their texts."""
        texts, now = list(found.texts), self._clock.now()
        with self._catalogue.engine.write():
            self._catalogue.decisions.settle(found.exam, found.standing, reason.why, reason.who, now)
            text = f"identity settled: {reason.why} ({'; '.join(texts)})"
            self._tell([found.exam], text, reason, exam=found.exam)
        return texts

    def alias(self, old: str, new: str, reason: OperatorReason, hospital: str = "") -> int:
        """Enter that both numbers are of one patient of the hospital; how many exams are evaluated again."""
        given = old, new
        old, new = self._number(old), self._number(new)
        said = Alias(hospital=hospital, old=old, new=new, why=reason.why, who=reason.who, at=self._clock.now())
        with self._catalogue.engine.write():
            for proposal in self._proposed(given, hospital):
                self._catalogue.exams.proposals.remove(proposal)
            if old == new or not self._catalogue.decisions.alias(said):
                raise InvalidData("these two numbers count as one patient's already", hint="see `queue alias --list`")
            return self._reconsider(hospital, old, new, "two numbers are of one patient", reason)

    def unalias(self, old: str, new: str, reason: OperatorReason, hospital: str = "") -> int:
        """Take an alias back, or refuse a proposal; how many exams are evaluated again."""
        proposed = self._proposed((old, new), hospital)
        old, new = self._number(old), self._number(new)
        with self._catalogue.engine.write():
            for proposal in proposed:
                self._catalogue.exams.proposals.remove(proposal)
            if proposed and not self._catalogue.decisions.unalias(hospital, old, new):
                self._tell([], f"a proposed merge of two numbers is refused: {reason.why}", reason)
                return 0
            if not proposed and not self._catalogue.decisions.unalias(hospital, old, new):
                raise InvalidData("there is no alias of these two numbers", hint="see `queue alias --list`")
            return self._reconsider(hospital, old, new, "two numbers are not of one patient any more", reason)

    def aliases(self) -> list[Alias]:
        """All aliases of merged patients."""
        return self._catalogue.decisions.aliases()

    def proposals(self) -> list[Proposal]:
        """The merges that HL7 messages propose and nobody has decided about."""
        return self._catalogue.exams.proposals.all()

    def _proposed(self, numbers: tuple[str, str], hospital: str) -> list[Proposal]:
        """Those of these two numbers: another hospital's numbers are of other patients."""
        return [one for one in self._catalogue.exams.proposals.named(*numbers) if one.hospital == hospital]

    def link(self, name: str, study_uid: str, reason: OperatorReason) -> int:
        """Join a study to an exam by hand, also one that is still to come; the exam's number. Identity is checked."""
        exam, now = self._lookup.exam(name), self._clock.now()
        if not uid_ok(study_uid):
            raise InvalidData("this is no StudyInstanceUID", hint="digits and dots, at most 64 characters")
        with self._catalogue.engine.write():
            self._catalogue.decisions.unpart(exam, study_uid)
            linked = self._catalogue.exams.links.link(exam, [study_uid], JoinedBy.PERSON, now)
            if study_uid in self._catalogue.exams.links.foreign(exam):
                raise InvalidData("the study is of another hospital than the exam", exam=exam)
            if linked:
                text = f"joined: {JoinedBy.PERSON}: {reason.why}"
                self._tell([exam], text, reason, exam=exam, study_uid=study_uid)
        if not linked:
            raise InvalidData("the study is joined to this exam already", hint="see `queue explain`", exam=exam)
        return exam

    def unlink(self, name: str, study_uid: str, reason: OperatorReason) -> int:
        """Take a study from an exam and keep it apart, whatever names it, until it is linked; the exam's number."""
        exam = self._lookup.exam(name)
        case = self._catalogue.exams.case(exam)
        if study_uid not in case.links:
            raise InvalidData("the study is not joined to this exam", hint="see `queue explain`", exam=exam)
        with self._catalogue.engine.write():
            self._catalogue.decisions.part(exam, study_uid)
            self._catalogue.exams.links.unlink(exam, [study_uid])
            touched = {exam, *(other.exam for other in (*case.siblings, *case.rivals))}
            self._tell(touched, f"kept apart: {reason.why}", reason, exam=exam, study_uid=study_uid)
        return exam

    def wait_for_ris(self, exam: int, reason: OperatorReason) -> None:
        """Note that the RIS has been asked to correct its data; nothing is decided, and nothing moves."""
        now = self._clock.now()
        self._bus.record(Event(now, Kind.DECIDED, f"waits for the RIS: {reason.why}", who=reason.who, exam=exam))

    def ask_pacs(self, exam: int, reason: OperatorReason) -> None:
        """Have the PACS asked at once for the exam's images, however often it was asked already."""
        known, now = self._catalogue.retrievals.of(exam), self._clock.now()
        with self._catalogue.engine.write():
            missing = known.missing if known and known.missing else "a person asks for its images"
            self._catalogue.retrievals.plan(exam, missing, now)
            text = f"the PACS is to be asked: {reason.why}"
            self._bus.record(Event(now, Kind.DECIDED, text, who=reason.who, exam=exam))

    def _reconsider(self, hospital: str, old: str, new: str, text: str, reason: OperatorReason) -> int:
        classes = self._catalogue.decisions.classes(hospital)
        patients = {classes.get(number, number) for number in (old, new)}
        numbers = {old, new, *(number for number, patient in classes.items() if patient in patients)}
        exams = self._catalogue.decisions.affected(hospital, numbers)
        self._tell(exams, f"{text}: {reason.why}", reason)
        return len(exams)

    def _number(self, given: str) -> str:
        number = stripped(given, identity_policy(self._identity, {}))
        if not number:
            raise InvalidData("this patient number says nothing by [identity] strip and blank")
        return number

    def _tell(
        self, touched: Iterable[int], text: str, reason: OperatorReason, *, exam: int | None = None,
        study_uid: str | None = None,
    ) -> None:  # fmt: skip
        now = self._clock.now()
        self._bus.record(Event(now, Kind.DECIDED, text, who=reason.who, exam=exam, study_uid=study_uid))
        self._catalogue.exams.request_evaluation(touched, now)
