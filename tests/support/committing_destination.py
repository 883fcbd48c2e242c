"""A destination that stores and commits, by pynetdicom: what it reports, when, and over which association."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, build_role, evt

from support.dicom_peers import CT_CLASS

COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"


@dataclass(frozen=True)
class Asked:
    """A request for storage commitment as it came: SOP class and instance of each item."""

    transaction: str
    items: tuple[tuple[str, str], ...]
    association: Any


class Cloud:
    """Takes CT images and requests. `answer` is what a request is answered with, `reasons` why instances fail.

    While `same`, each report goes out on the association of its request; otherwise the test calls `report`.
    """

    def __init__(self, *, same: bool = False, commits: bool = True, syntax: str = ImplicitVRLittleEndian) -> None:
        self.same = same
        self.answer = 0x0000
        self.reasons: dict[str, int] = {}
        self.stored: Counter[str] = Counter()
        self.asked: list[Asked] = []
        self.statuses: list[int] = []
        self.threads: list[threading.Thread] = []
        entity: Any = AE(ae_title="CLOUD")
        entity.add_supported_context(CT_CLASS, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
        if commits:
            entity.add_supported_context(COMMITMENT, syntax)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._take)]
        self._server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = int(self._server.socket.getsockname()[1])

    def stop(self) -> None:
        for thread in self.threads:
            thread.join()
        self._server.shutdown()

    def report(self, asked: Asked, port: int, *, calling: str = "CLOUD", role: bool = True) -> int:
        """Report on an association of our own, as Orthanc and dcm4chee do; the status that was answered."""
        with reporting(port, calling=calling, role=role) as association:
            return self._send(association, asked)

    def _store(self, event: Any) -> int:
        self.stored[str(event.request.AffectedSOPInstanceUID)] += 1
        return 0x0000

    def _take(self, event: Any) -> tuple[int, None]:
        data = event.action_information
        items = tuple((i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in data.ReferencedSOPSequence)
        asked = Asked(data.TransactionUID, items, event.assoc)
        self.asked.append(asked)
        if self.same and not self.answer:
            self.threads.append(threading.Thread(target=self._send, args=(event.assoc, asked)))
            self.threads[-1].start()
        return self.answer, None

    def _send(self, association: Any, asked: Asked) -> int:
        status = send_report(association, report_of(asked, self.reasons))
        self.statuses.append(status)
        return status


@contextmanager
def reporting(port: int, *, calling: str = "CLOUD", called: str = "ROUTER", role: bool = True) -> Iterator[Any]:
    """An association with roles reversed, or with nothing said of roles."""
    entity: Any = AE(ae_title=calling)
    roles = [build_role(COMMITMENT, scp_role=True)] if role else []
    contexts = [build_context(COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])]
    association = entity.associate("127.0.0.1", port, contexts=contexts, ae_title=called, ext_neg=roles)
    yield association
    if association.is_established:
        association.release()


def send_report(association: Any, data_set: Dataset, event_type: int | None = None) -> int:
    """N-EVENT-REPORT; the status that was answered."""
    kind = event_type or (2 if "FailedSOPSequence" in data_set else 1)
    answer, _ = association.send_n_event_report(data_set, kind, COMMITMENT, INSTANCE)
    return int(answer.Status)


def report_of(asked: Asked, reasons: Mapping[str, int]) -> Dataset:
    """Everything committed, but for the instances that have a reason."""
    data = Dataset()
    data.TransactionUID = asked.transaction
    kept = [_item(*item) for item in asked.items if item[1] not in reasons]
    failed = [_item(*item, reasons[item[1]]) for item in asked.items if item[1] in reasons]
    if kept:
        data.ReferencedSOPSequence = kept
    if failed:
        data.FailedSOPSequence = failed
    return data


def _item(sop_class: str, sop_instance: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    if reason is not None:
        item.FailureReason = reason
    return item


@contextmanager
def cloud(**settings: Any) -> Iterator[Cloud]:
    running = Cloud(**settings)
    try:
        yield running
    finally:
        running.stop()
