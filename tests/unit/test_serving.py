"""What is done with each message, by its operation and the context that it came over."""

import pytest

from router.dicom import commitment, dimse
from router.dicom.commitment import Report
from router.dicom.dimse import Operation, Request
from router.dicom.negotiation import VERIFICATION
from router.dicom.serving import serve
from router.dicom.store import IncomingFile, Parties, Refused

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
N_ACTION = 0x0130


class NoSink:
    def has_room(self) -> bool:
        return False

    def create(self) -> IncomingFile:
        raise AssertionError


def never(report: Report) -> int:
    raise AssertionError


def answer(operation: int, sop_class: str, data: bytes = b"") -> tuple[int, object]:
    request = Request(operation, 1, has_data_set=True, event_type=1)
    serving = serve(request, sop_class, IMPLICIT, Parties("PEER", "10.1.2.3", "ROUTER"), NoSink(), never)
    serving.write([memoryview(data)])
    return serving.finish()


@pytest.mark.parametrize(
    ("operation", "sop_class", "status"),
    [
        (Operation.C_ECHO, VERIFICATION, 0x0000),
        (Operation.C_STORE, VERIFICATION, 0x0122),
        (Operation.C_STORE, commitment.SOP_CLASS, 0x0122),
        (Operation.N_EVENT_REPORT, CT, 0x0211),
        (N_ACTION, commitment.SOP_CLASS, 0x0211),
        (0x0020, CT, 0x0211),  # C-FIND
    ],
)
def test_what_does_not_depend_on_its_data_set_is_answered_by_operation(
    operation: int, sop_class: str, status: int
) -> None:
    assert answer(operation, sop_class, bytes(100)) == (status, None)


def test_a_report_that_is_none_is_refused_and_recorded_with_its_sender() -> None:
    status, outcome = answer(Operation.N_EVENT_REPORT, commitment.SOP_CLASS, b"nonsense")
    assert status == dimse.INVALID_ARGUMENT_VALUE
    assert outcome == Refused("PEER", "10.1.2.3", "a storage commitment report: the report cannot be read", status)


def test_a_report_is_never_kept_beyond_its_largest_size() -> None:
    request = Request(Operation.N_EVENT_REPORT, 1, has_data_set=True, event_type=1)
    parties = Parties("PEER", "10.1.2.3", "ROUTER")
    serving = serve(request, commitment.SOP_CLASS, IMPLICIT, parties, NoSink(), never)
    for _ in range(commitment.LARGEST // 1000 + 1):
        serving.write([memoryview(bytes(500)), memoryview(bytes(500))])
    status, outcome = serving.finish()
    assert status == dimse.RESOURCE_LIMITATION
    assert isinstance(outcome, Refused)


def test_a_c_store_over_a_storage_context_goes_to_the_sink() -> None:
    status, _ = answer(Operation.C_STORE, CT)
    assert status == dimse.NOT_THIS_INSTANCE  # no UIDs in the request
