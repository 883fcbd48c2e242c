"""Storage Commitment Push Model SOP Class (PS3.4 J.3): data sets of request and report, and the answer to a report."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from router.dicom import libraries
from router.dicom.dataset.elements import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, encoding_of, top_level
from router.dicom.dataset.uid import valid
from router.dicom.ul import dimse
from router.dicom.ul.contexts import Context
from router.errors import InvalidData

SOP_CLASS = "1.2.840.10008.1.20.1"
SOP_INSTANCE = "1.2.840.10008.1.20.1.1"  # well-known, PS3.4 J.3.5
TRANSFER_SYNTAXES = (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN)
CONTEXTS: tuple[Context, ...] = tuple((SOP_CLASS, syntax) for syntax in TRANSFER_SYNTAXES)

MOST = 500  # instances in one request
LARGEST = 2**18  # bytes of a report; one on MOST instances has some 80,000

_EVENT_TYPES = frozenset({1, 2})  # request successful; request complete, failures exist


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance whose commitment is requested."""

    sop_class: str
    sop_instance: str


@dataclass(frozen=True, slots=True)
class Report:
    """A destination's report on a transaction: instances that it commits to, and those that it does not.

    A failed one has a reason of PS3.3 C.14.1.1. No instance is in both.
    """

    transaction: str
    committed: tuple[str, ...]
    failed: tuple[tuple[str, int], ...] = ()

    @property
    def reasons(self) -> dict[str, int]:
        """By instance why it failed, 0 where it is committed."""
        return dict.fromkeys(self.committed, dimse.SUCCESS) | dict(self.failed)


# Makes a report durable; returns the status to answer with, which is Success only once it is durable.
TakeReport = Callable[[Report], int]


def request_data_set(transaction: str, references: Sequence[Reference], transfer_syntax: str) -> bytes:
    """The Action Information of a request (PS3.4 Table J.3-1)."""
    dataset = Dataset()
    dataset.TransactionUID = transaction
    dataset.ReferencedSOPSequence = []
    for reference in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference.sop_class, reference.sop_instance
        dataset.ReferencedSOPSequence.append(item)
    encoded = BytesIO()
    dcmwrite(encoded, dataset, implicit_vr=transfer_syntax == IMPLICIT_LITTLE_ENDIAN, little_endian=True)
    return encoded.getvalue()


def read_report(data: bytes, transfer_syntax: str) -> Report:
    """The Event Information of a report (PS3.4 Table J.3-2).

    An instance named as committed and as failed has failed; a failure without a reason is a processing failure. Raises
    InvalidData when it is no report, or names more instances than one request can.
    """
    libraries.settle()
    try:
        encoding = encoding_of(data, transfer_syntax)
        deque(top_level(data, encoding), maxlen=0)  # pydicom reads also what ends in the middle
        dataset = read_dataset(BytesIO(data), not encoding.explicit, is_little_endian=True)
        reasons = {_instance(item): item.get("FailureReason") for item in dataset.get("FailedSOPSequence") or ()}
        committed = {_instance(item): None for item in dataset.get("ReferencedSOPSequence") or ()}
        transaction = valid(str(dataset.get("TransactionUID") or ""))
    except Exception as error:  # pydicom raises all kinds on malformed data
        raise InvalidData("the report cannot be read", kind=type(error).__name__) from error
    failed = {uid: reason if isinstance(reason, int) else dimse.PROCESSING_FAILURE for uid, reason in reasons.items()}
    if len(failed) + len(committed) > MOST:
        raise InvalidData("the report names more instances than are asked for at once")
    return Report(transaction, tuple(uid for uid in committed if uid not in failed), tuple(failed.items()))


def answer(request: dimse.Request, data: bytes, transfer_syntax: str, take: TakeReport) -> tuple[int, str]:
    """The status to answer an N-EVENT-REPORT with (PS3.7 10.1.1.1.8), and what is wrong unless it is Success."""
    if request.event_type not in _EVENT_TYPES:
        return dimse.NO_SUCH_EVENT_TYPE, "a storage commitment report of an unknown type"
    try:
        status = take(read_report(data, transfer_syntax))
    except InvalidData as error:
        return dimse.INVALID_ARGUMENT_VALUE, f"a storage commitment report: {error.message}"
    words = {dimse.SUCCESS: "", dimse.INVALID_ARGUMENT_VALUE: "a storage commitment report on a transaction not ours"}
    return status, words.get(status, "a storage commitment report could not be kept")


def _instance(item: Dataset) -> str:
    return valid(str(item.get("ReferencedSOPInstanceUID") or ""))
