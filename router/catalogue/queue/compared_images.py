"""Images that destinations have confirmed, as they are compared with what is there, and those that are sent again."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from peewee import Case, Expression, Select, fn

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.images import Instance, LedgerRow, Study
from router.catalogue.db.tables.queue import CommitmentItem, Delivery
from router.catalogue.images.fate import SENT_AND_REJECTED, Fate
from router.model import Channel
from router.policy.comparison import OurImages, SentInstance
from router.policy.states import State

_LOST = "; sent again, it was lost there"
"""Ends the rule of an instance that a comparison has had sent again, until a later one finds it."""


class ComparedImages(Rows):
    """Rows of the ledger and deliveries of images. Instances of studies that are purged here are not among them."""

    def begin(self, destination: str, hospital: str) -> datetime | None:
        """When the destination confirmed the first images of the hospital that are still known."""
        first: datetime | None = self._engine.value(
            Delivery.select(fn.MIN(Delivery.delivered_at)).where(_mine(destination, hospital))
        )
        return first

    def ours(self, destination: str, hospital: str, begin: datetime, end: datetime) -> list[OurImages]:
        """Each delivery of images whose last confirmation lies in that time, the first confirmed first.

        Not those that a person has cancelled, or whose exam is not approved any more or is taken back there.
        """
        report = Delivery.alias()
        gone = report.select(report.id).where(
            (report.exam == Delivery.exam) & (report.destination == destination) & (report.state == State.WITHDRAWN)
        )
        within = (Delivery.delivered_at >= begin) & (Delivery.delivered_at < end)
        stands = Exam.approved_at.is_null(False) & (Delivery.state != State.CANCELLED) & ~fn.EXISTS(gone)
        query = (
            Delivery.select(Delivery.id, Delivery.exam, Delivery.delivered_at, Delivery.state)
            .join(Exam).where(_mine(destination, hospital) & within & stands)
            .order_by(Delivery.delivered_at, Delivery.id)
        )  # fmt: skip
        rows = self._engine.rows(query)
        studies = self._studies(destination, [exam for _, exam, _, _ in rows])
        return [
            OurImages(delivery=delivery, exam=exam, confirmed=at, goes_again=state != State.DELIVERED,
                      studies={uid: count for uid, count, _ in studies[exam]},
                      again=frozenset(uid for uid, _, again in studies[exam] if again))
            for delivery, exam, at, state in rows if studies[exam]
        ]  # fmt: skip

    def _studies(self, destination: str, exams: Sequence[int]) -> dict[int, list[tuple[str, int, int]]]:
        """By exam its studies, and how many instances of each the destination has taken; of those, sent again."""
        found: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
        counts = fn.COUNT(fn.DISTINCT(Instance.sop_uid)), fn.COUNT(Case(None, [(LedgerRow.rule.endswith(_LOST), 1)]))
        for some in portions(exams):
            links: Any = ExamStudy.select(ExamStudy.exam, Study.uid, *counts)
            links = links.join(Study, on=ExamStudy.study_uid == Study.uid).join(Instance, on=Instance.study == Study.id)
            links = links.join(LedgerRow, on=LedgerRow.instance == Instance.id)
            links = links.where(ExamStudy.exam.in_(some) & _sent(destination)).group_by(ExamStudy.exam, Study.uid)
            for exam, *study in self._engine.rows(links):
                found[exam].append(tuple(study))
        return found

    def sent(self, destination: str, study_uid: str) -> list[SentInstance]:
        """Those instances of a study, by the version that went last."""
        last = {row[2]: row for row in self._engine.rows(_SENT_OF_STUDY(study_uid, destination))}
        return [
            SentInstance(key=key, series_uid=series, sop_uid=sop, again=rule.endswith(_LOST), sop_class=sop_class)
            for key, series, sop, rule, sop_class in last.values()
        ]

    def accession(self, study_uid: str) -> str:
        """The study's accession number."""
        return str(self._engine.value(Study.select(Study.accession_number).where(Study.uid == study_uid)) or "")

    def here(self, study_uids: Collection[str]) -> set[str]:
        """Those of the studies that came here."""
        return set(self._engine.column(Study.select(Study.uid).where(Study.uid.in_(list(study_uids)))))

    def select_again(self, keys: Sequence[int], now: datetime) -> None:
        """Have these instances sent again, as far as they are still here and sent; call it in a transaction."""
        for some in portions(keys):
            mine = LedgerRow.id.in_(some) & (LedgerRow.state == Fate.SENT)
            changes = {"state": Fate.SELECTED, "tries": 0, "rule": LedgerRow.rule.concat(_LOST), "at": now}
            # What a comparison that was cut off has asked is no request for what goes now.
            asked = CommitmentItem.ledger.in_(LedgerRow.select(LedgerRow.id).where(mine))
            self._engine.run(CommitmentItem.delete().where(asked))
            self._engine.run(LedgerRow.update(changes).where(mine))

    def found(self, destination: str, study_uids: Iterable[str]) -> None:
        """Note that the destination has all of these studies, also what was sent again."""
        for some in portions(sorted(study_uids)):
            studies = Study.select(Study.id).where(Study.uid.in_(some))
            query = LedgerRow.select(LedgerRow.id, LedgerRow.rule).where(
                LedgerRow.study.in_(studies) & _sent(destination) & LedgerRow.rule.endswith(_LOST)
            )
            rows = self._engine.rows(query)
            with self._engine.write():
                for key, rule in rows:
                    changed = LedgerRow.update(rule=rule.removesuffix(_LOST))
                    self._engine.run(changed.where(LedgerRow.id == key))


def _mine(destination: str, hospital: str) -> Expression:
    there = (Delivery.destination == destination) & (Delivery.channel == Channel.IMAGES)
    return there & (Delivery.hospital == hospital) & Delivery.delivered_at.is_null(False)


def _sent(destination: str) -> Expression:
    return (
        (LedgerRow.destination == destination) & (LedgerRow.state == Fate.SENT) & (LedgerRow.rule != SENT_AND_REJECTED)
    )


def _sent_of_study(study_uid: Any, destination: Any) -> Select:
    columns = (LedgerRow.id, Instance.series_uid, Instance.sop_uid, LedgerRow.rule, Instance.sop_class)
    query = LedgerRow.select(*columns).join(Instance).join(Study, on=Instance.study == Study.id)
    return query.where((Study.uid == study_uid) & _sent(destination)).order_by(Instance.version)


_SENT_OF_STUDY = Prepared(_sent_of_study)
