"""Query/retrieve: the PACS is asked for images of an approved exam that are missing, and told to send them here.

The correlator plans when to ask (`plan`); a loop asks (`Retrieval.step`), and the evaluation after it plans anew.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.catalogue import Catalogue
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.exams.retrievals import Asked, Retrievals
from router.clock import Clock
from router.config.sections import Query
from router.dicom.scu.query import Found, Held, QueryClient
from router.dicom.ul.status import queried
from router.errors import DestinationDown, TransientError
from router.events import Event, EventBus, Kind
from router.matching.images.hospital import may_join
from router.matching.images.join import JoinedBy
from router.matching.images.missing import Expected, ask_again, wanted, worth_pulling

_WILDCARDS = frozenset("*?\\")
_DOWN = timedelta(minutes=5)
_NO_TROUBLE = frozenset({0x0000, 0xFE00})  # success, and what this node cancelled


def plan(retrievals: Retrievals, query: Query, exam: int, expected: Expected | None, first: datetime) -> None:
    """Plan when the PACS is asked for the exam; `first` is when for the first time."""
    known = retrievals.of(exam)
    tries, asked = (known.tries, known.at) if known else (0, None)
    text = wanted(expected) if expected else ""
    # Where the RIS gives no ImageCount, the PACS is asked once how many images there are.
    needed = expected is not None and (bool(text) or (expected.announced is None and tries == 0))
    at = ask_again(tries, asked, first, query.tries, query.pause) if needed else None
    if expected is not None and expected.damaged:
        # Damage is a reason of its own to ask once, however often the PACS was asked for what is missing.
        at = first if known is None or known.missing != text else known.ask_at or at
    if at is not None and known is not None and known.down_until is not None:
        at = max(at, known.down_until)
    if (at, text) != ((known.ask_at, known.missing) if known else (None, "")):
        retrievals.plan(exam, text, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Asks one PACS. `to` is the AE to which it sends, which is this node's at `port`."""

    query: Query
    to: str
    port: int
    catalogue: Catalogue
    client: QueryClient
    bus: EventBus
    clock: Clock
    stop: Callable[[], bool]

    def step(self) -> bool:
        """Ask for one exam whose time has come; whether there was one."""
        due = self.catalogue.retrievals.due(self.clock.now())
        if due is None:
            return False
        answers: list[str] = []
        try:
            self._ask(due, answers)
        except TransientError as error:
            if isinstance(error, DestinationDown) and not answers:
                self._put_off(due, str(error))
                return True
            answers.append(f"it cannot be asked: {error}")
        if not self.stop():  # a question that was cut short is asked again at the next start
            now, answer = self.clock.now(), "; ".join(answers)
            text = f"the PACS {self.query.ae_title} was asked: {answer}"
            self.bus.record(Event(now, Kind.ASKED, text, exam=due.exam))
            self.catalogue.retrievals.asked(due.exam, answer, now)
        return True

    def _put_off(self, due: Asked, why: str) -> None:
        """Ask later: a PACS that is down was not asked. That is no try, and is told once."""
        now, said = self.clock.now(), f"it cannot be asked: {why}"
        if said != due.said:
            text = f"the PACS {self.query.ae_title} is to be asked; {said}"
            self.bus.record(Event(now, Kind.ASKED, text, exam=due.exam))
        self.catalogue.retrievals.put_off(due.exam, said, now + min(self.query.pause, _DOWN))

    def _ask(self, due: Asked, answers: list[str]) -> None:
        case = self.catalogue.exams.case(due.exam)
        apart = self.catalogue.exams.links.apart(due.exam)
        for held in self._held(case, due.accession_number, answers):
            hospitals = self.catalogue.instances.hospitals_of(held.study_uid)
            if held.study_uid in apart or not may_join(case.hospital, hospitals) or self.stop():
                continue
            if held.instances is not None:
                self.catalogue.retrievals.count(held.study_uid, held.instances)
            study = case.studies.get(held.study_uid)
            here = study.instances - study.damaged if study else 0
            has = "an unknown number of" if held.instances is None else held.instances
            answers.append(f"study {held.study_uid}: it has {has} instances, {here} are here")
            if worth_pulling(held.instances, here, lacking=bool(due.missing)):
                answers += self._move(held.study_uid)

    def _held(self, case: ExamSnapshot, accession: str, answers: list[str]) -> Iterable[Held]:
        """Studies of the exam that the PACS has: by UID, and by accession number where the RIS lists none."""
        found: dict[str, Held] = {}
        for uid in case.links:
            found |= self._studies(self.client.study(uid, self.stop), f"study {uid}", answers)
        listed = any(how == JoinedBy.LISTED for how in case.links.values())
        if not listed and accession and not _WILDCARDS & set(accession):
            asked = self.client.of_accession(accession, self.stop)
            found |= self._studies(asked, "the exam's accession number", answers)
        if not case.links and not found and not answers:
            answers.append("nothing: the exam names no study and no accession number to ask by")
        return found.values()

    def _move(self, uid: str) -> Iterator[str]:
        moved = self.client.move(uid, self.to, self.query.move_within.total_seconds(), self.stop)
        failed = f", {moved.failed} failed" if moved.failed else ""
        sent = moved.completed + moved.warning
        yield f"it was told to send it to {self.to}: {queried(moved.status)}, {sent} sent{failed}"
        if moved.status not in _NO_TROUBLE:
            yield f"the PACS refuses or fails C-MOVE: {self._known_as(self.to)}"

    def _studies(self, found: Found, what: str, answers: list[str]) -> dict[str, Held]:
        if found.status:
            answers.append(f"{what}: {queried(found.status)}")
        elif not found.studies:
            answers.append(f"{what}: it has no such study")
        if found.status not in _NO_TROUBLE:
            answers.append(f"the PACS refuses or fails C-FIND: {self._known_as(self.client.calling)}")
        return {one.study_uid: one for one in found.studies}

    def _known_as(self, title: str) -> str:
        return f"does it know our AE title {title}, our address and our port {self.port}?"
