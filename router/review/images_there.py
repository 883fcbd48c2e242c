"""The images that a destination has of studies that went there, study by study, as its archive answers."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from router.catalogue.queue.compared_images import ComparedImages
from router.dicom.scu.finder import Counted, Listed
from router.policy.comparison import ELSEWHERE, SentInstance, StudyThere, judge_study

_ONE_BY_ONE = 1000  # instances in a comparison that are asked for alone
_WILDCARDS = frozenset("*?\\")  # PS3.4 C.2.2.2.4


class Archive(Protocol):
    """An archive that answers questions about studies (dicom/scu/finder.py)."""

    def study(self, uid: str) -> Counted | None:
        """The study, None where it is not there."""

    def of_accession(self, number: str) -> Mapping[str, int | None]:
        """The studies with this accession number, and their counts of instances."""

    def instances(self, study: str, series: str, instance: str = "") -> Listed:
        """The instances of a series, or that one alone."""


Opened = AbstractContextManager[Archive]


class ImagesThere:
    """Asks about one study after the other: for its count, and for its instances where that differs."""

    def __init__(self, archive: Archive, rows: ComparedImages, destination: str) -> None:
        self._archive = archive
        self._rows = rows
        self._destination = destination
        self._alone = 0

    def look(self, studies: Mapping[str, int]) -> dict[str, StudyThere]:
        """Those of the studies, each with the number of instances sent, that do not simply have as many."""
        found = {uid: self._study(uid, count) for uid, count in sorted(studies.items())}
        return {uid: one for uid, one in found.items() if one is not None}

    def _study(self, uid: str, count: int) -> StudyThere | None:
        there = self._archive.study(uid)
        if there is not None and there.instances == count:
            return None
        sent = self._rows.sent(self._destination, uid)
        if there is None and self._is_elsewhere(uid, count):
            return StudyThere(lost=tuple(one.key for one in sent), why=ELSEWHERE)
        if there is None:
            return judge_study(sent, (), 0)
        listed = self._listed(uid, sent, there.instances)
        return judge_study(sent, listed.instances, there.instances, whole=listed.whole)

    def _listed(self, uid: str, sent: Sequence[SentInstance], count: int | None) -> Listed:
        """The instances that it lists of these series; what it leaves out is asked for alone, as it may bound a list.

        Not whole where it lists none at all, or leaves out more than can be asked for alone.
        """
        answers = [self._archive.instances(uid, series) for series in sorted({one.series_uid for one in sent})]
        found = frozenset[str]().union(*(one.instances for one in answers))
        whole = all(one.whole for one in answers)
        lacking = [one for one in sent if one.sop_uid not in found]
        if not lacking or (whole and len(found) == count):
            return Listed(found, whole=True)
        self._alone += len(lacking)
        if self._alone > _ONE_BY_ONE or not (whole or found):
            return Listed(found, whole=False)
        alone = [self._archive.instances(uid, one.series_uid, one.sop_uid) for one in lacking]
        found = found.union(*(one.instances for one in alone))
        return Listed(found, whole=all(one.whole for one in alone))

    def _is_elsewhere(self, uid: str, count: int) -> bool:
        """Whether a study of its accession number has as many instances, under a UID that never came here."""
        number = self._rows.accession(uid)
        if not number or _WILDCARDS.intersection(number):
            return False
        alike = {other for other, instances in self._archive.of_accession(number).items() if instances == count}
        return bool(alike - self._rows.here(alike))
