"""The images that a destination commits to keeping (PS3.4 J), of studies that went there: for one without C-FIND."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from router.catalogue import Catalogue
from router.clock import Clock
from router.config.sections import DicomDestination
from router.dicom.dataset.uid import random_uid
from router.dicom.scu.client import StorageClient
from router.dicom.scu.commitment import CommitmentScu
from router.dicom.ul import dimse
from router.dicom.ul.commitment import MOST, Reference, Report
from router.dicom.ul.status import NO_SUCH_INSTANCE, Verdict, classify
from router.errors import NotOffered, TransientError
from router.policy.comparison import UNCOMMITTED, SentInstance, StudyThere, judge_study

_AT_ONCE = 20 * MOST  # instances, after which a group of studies is judged
_LOOK_SECONDS = 0.5
_LATE_SECONDS = 600.0  # for reports that come after the last request, over associations of the destination's own


class CommittedThere:
    """Asks once more for the commitment of instances that count as sent, which changes nothing of their deliveries."""

    def __init__(
        self, peer: DicomDestination, catalogue: Catalogue, destination: str, clock: Clock, stop: Callable[[], bool],
        late: float = _LATE_SECONDS,
    ) -> None:  # fmt: skip
        self._peer = peer
        self._catalogue = catalogue
        self._destination = destination
        self._clock = clock
        self._stop = stop
        self._late = late
        self._asked: list[str] = []
        self._prompt = True

    def look(self, studies: Mapping[str, int]) -> dict[str, StudyThere]:
        """Those of the studies, each with the number of instances sent, that it does not simply commit to.

        NotOffered where it reports on nothing. TransientError where it refuses to be asked, or the node stops, and as
        `StorageClient.asking`.
        """
        found, late = dict[str, StudyThere](), list[tuple[list[str], list[str]]]()
        try:
            with StorageClient(self._peer).asking(self._take, self._stop) as asking:
                for group in _groups(studies):
                    requests = self._ask(asking, group)
                    if self._reported(requests):
                        found |= self._judged(group, requests)
                    else:
                        late.append((group, requests))
                awaited = [one for _, requests in late for one in requests]
                if asking is not None:
                    asking.await_reports(self._wait, lambda: self._stop() or self._reported(awaited))
            self._await(awaited)
            for group, requests in late:
                found |= self._judged(group, requests)
        finally:
            self._catalogue.commitments.forget(self._asked)
        return found

    def _ask(self, asking: CommitmentScu | None, studies: Sequence[str]) -> list[str]:
        """Request the commitment of their instances; the transactions."""
        rows, requests = self._catalogue.compared_images, list[str]()
        sent = [one for uid in studies for one in rows.sent(self._destination, uid)]
        for start in range(0, len(sent), MOST):
            if asking is None or self._stop():
                raise TransientError("the node stops")
            requests.append(self._request(asking, sent[start : start + MOST]))
        return requests

    def _request(self, asking: CommitmentScu, some: Sequence[SentInstance]) -> str:
        transaction, commitments = random_uid(os.urandom(16)), self._catalogue.commitments
        self._asked.append(transaction)
        commitments.ask(transaction, self._destination, [one.key for one in some], self._clock.now())
        status = asking.request(transaction, [Reference(one.sop_class, one.sop_uid) for one in some])
        if classify(status) is not Verdict.STORED:
            raise TransientError(f"the destination refuses to be asked for storage commitment, status {status:04X}")
        if self._prompt:  # one that takes its time, or reports elsewhere, would cost the wait for each request
            asking.await_reports(self._wait, lambda: self._stop() or commitments.reported(transaction))
            self._prompt = commitments.reported(transaction)
        return transaction

    @property
    def _wait(self) -> float:
        return self._peer.commitment_wait.total_seconds()

    def _take(self, report: Report) -> int:
        """Take a report on our own association; it may be on a delivery's request, which is then asked again."""
        if report.transaction not in self._asked:
            return dimse.PROCESSING_FAILURE
        self._catalogue.commitments.settle(report.transaction, [], self._clock.now(), report.reasons)
        return dimse.SUCCESS

    def _reported(self, requests: Sequence[str]) -> bool:
        return all(self._catalogue.commitments.reported(one) for one in requests)

    def _await(self, requests: Sequence[str]) -> None:
        until = time.monotonic() + self._late
        while not self._reported(requests) and time.monotonic() < until:
            if self._stop():
                raise TransientError("the node stops")
            time.sleep(_LOOK_SECONDS)
        if self._asked and not any(self._catalogue.commitments.reported(one) for one in self._asked):
            raise NotOffered("it does not report on the storage commitment of what it took")

    def _judged(self, studies: Sequence[str], requests: Sequence[str]) -> dict[str, StudyThere]:
        reasons = self._catalogue.commitments.reasons(requests)
        self._catalogue.commitments.forget(requests)
        rows = self._catalogue.compared_images
        found = {uid: _judge(rows.sent(self._destination, uid), reasons) for uid in studies}
        return {uid: one for uid, one in found.items() if one != StudyThere()}


def _groups(studies: Mapping[str, int]) -> Iterator[list[str]]:
    group, instances = list[str](), 0
    for uid, count in sorted(studies.items()):
        group.append(uid)
        instances += count
        if instances >= _AT_ONCE:
            yield group
            group, instances = [], 0
    if group:
        yield group


def _judge(sent: Sequence[SentInstance], reasons: Mapping[int, int]) -> StudyThere:
    """Judge by the reports' reasons (PS3.3 C.14.1.1): lost is what is not there; another failure is a person's."""
    if any(reasons.get(one.key, dimse.RESOURCE_LIMITATION) == dimse.RESOURCE_LIMITATION for one in sent):
        return StudyThere(whole=False)
    there = [one.sop_uid for one in sent if reasons[one.key] != NO_SUCH_INSTANCE]
    refused = tuple(one.key for one in sent if reasons[one.key] not in (dimse.SUCCESS, NO_SUCH_INSTANCE))
    found = judge_study(sent, there, len(there))
    return StudyThere(lost=refused, why=UNCOMMITTED) if refused and not found.lost else found
