"""Other exams of an exam's studies, and the instances that wait for the approval of one of them."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from peewee import Expression, Select, fn

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.exams import Document, Exam
from router.catalogue.db.tables.images import WITHHELD_IN_LEDGER, Instance, LedgerRow, Study, StudyIdentity
from router.catalogue.db.tables.queue import Delivery
from router.catalogue.images.ledger import Fate
from router.matching.images.requests import Companion
from router.policy.states import State

_CLOSED = frozenset({State.CANCELLED, State.EXCLUDED, State.OUT_OF_SCOPE, State.NOT_SHARED})
_RULE = "its RequestAttributesSequence names another exam alone, which is not approved"


@dataclass(frozen=True, slots=True)
class Request:
    """Accession numbers of requests in a study's instances that have the identity of this number."""

    identity: int
    study_uid: str
    named: frozenset[str]


class Withheld(Rows):
    """Instances that are not to be sent before the one exam is approved that they name."""

    def companions(self, exams: Collection[int]) -> list[Companion]:
        """How these exams stand, by number."""
        deliveries: dict[int, dict[int, str]] = {exam: {} for exam in exams}
        of_them = Delivery.select(Delivery.exam, Delivery.id, Delivery.state).where(Delivery.exam.in_(sorted(exams)))
        for exam, number, state in self._engine.rows(of_them.order_by(Delivery.id)):
            deliveries[exam][number] = state
        query = (
            Exam.select(Exam.id, Exam.approved_at.is_null(False), Exam.created, fn.MAX(Document.arrived))
            .join(Document, "LEFT JOIN", on=Document.exam == Exam.id)
            .where(Exam.id.in_(sorted(exams)))
            .group_by(Exam.id, Exam.approved_at, Exam.created)
            .order_by(Exam.id)
        )
        return [
            Companion(
                exam=exam, deliveries=tuple(deliveries[exam]), approved=bool(approved),
                closed=bool(deliveries[exam]) and _CLOSED.issuperset(deliveries[exam].values()),
                changed=max(created, arrived or created),
            )
            for exam, approved, created, arrived in self._engine.rows(query)
        ]  # fmt: skip

    def requests(self, studies: Iterable[str]) -> list[Request]:
        """Requests that the instances of the studies name, by identity; those without any are left out."""
        found: list[Request] = []
        columns = (StudyIdentity.id, Study.uid, StudyIdentity.other_accession_numbers)
        for some in portions(list(studies)):
            naming = Study.uid.in_(some) & (StudyIdentity.other_accession_numbers != "[]")
            rows = self._engine.rows(StudyIdentity.select(*columns).join(Study).where(naming))
            found += [Request(number, uid, frozenset(json.loads(named))) for number, uid, named in rows]
        return found

    def any(self, studies: Iterable[str]) -> bool:
        """Whether anything of these studies is withheld."""
        return any(self._engine.rows(_WITHHELD(some)) for some in portions(list(studies)))

    def wanted(self, destination: str, requests: Sequence[Request]) -> bool:
        """Whether something that names these requests is selected for the destination."""
        mine = (LedgerRow.destination == destination) & (LedgerRow.state == Fate.SELECTED)
        return bool(requests) and self._engine.has(LedgerRow.select(LedgerRow.id).where(mine & _naming(requests)))

    def withhold(self, destination: str, requests: Sequence[Request], now: datetime) -> None:
        """Withhold the instances that name these requests and are undecided, or selected and not sent."""
        if not requests:
            return
        decided = LedgerRow.select(LedgerRow.id).where(
            (LedgerRow.instance == Instance.id) & (LedgerRow.destination == destination)
        )
        new = _of_requests(requests) & Instance.newest & Instance.purged.is_null() & ~fn.EXISTS(decided)
        selected = (LedgerRow.destination == destination) & (LedgerRow.state == Fate.SELECTED) & _naming(requests)
        with self._engine.write():
            rows = [
                {"destination": destination, "instance": key, "study": study, "state": Fate.WITHHELD, "rule": _RULE,
                 "at": now}
                for key, study in self._engine.rows(Instance.select(Instance.id, Instance.study).where(new))
            ]  # fmt: skip
            for some in portions(rows):
                self._engine.run(LedgerRow.insert_many(some).on_conflict_ignore())
            self._engine.run(LedgerRow.update(state=Fate.WITHHELD, rule=_RULE, at=now).where(selected))

    def give_back(self, destination: str, studies: Iterable[str], kept: Sequence[Request]) -> None:
        """Have the withheld instances of these studies decided again, except those that name `kept`."""
        for some in portions(list(studies)):
            mine = LedgerRow.study.in_(_numbers(some)) & WITHHELD_IN_LEDGER & (LedgerRow.destination == destination)
            mine = mine & ~_naming(kept) if kept else mine
            with self._engine.write():
                self._engine.run(LedgerRow.delete().where(mine))


def _numbers(studies: Sequence[str]) -> Select:
    return Study.select(Study.id).where(Study.uid.in_(studies))


_WITHHELD = Prepared(
    lambda studies: (
        LedgerRow.select(LedgerRow.id).where(WITHHELD_IN_LEDGER & LedgerRow.study.in_(_numbers(studies))).limit(1)
    )
)


def _of_requests(requests: Sequence[Request]) -> Expression:
    mine = Instance.study.in_(_numbers([one.study_uid for one in requests]))
    return mine & Instance.identity.in_([one.identity for one in requests])


def _naming(requests: Sequence[Request]) -> Expression:
    return LedgerRow.instance.in_(Instance.select(Instance.id).where(_of_requests(requests)))
