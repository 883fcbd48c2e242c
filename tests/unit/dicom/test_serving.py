"""What is done with each message, by its operation and the context that it came over."""

import io
from collections.abc import Sequence
from typing import BinaryIO

import pytest

from router.dicom.scp.services import serve
from router.dicom.scp.store import IncomingFile, Parties, Refused
from router.dicom.ul import commitment, dimse
from router.dicom.ul.commitment import Report
from router.dicom.ul.dimse import VERIFICATION, Operation, Request
from router.errors import CutOff
from router.model import InstanceUids
from router.refusals import Why
from support.raw_pdus import CT_CLASS, EXPLICIT, data_set, element

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
    request = Request(operation=operation, message_id=1, has_data_set=True, event_type=1)
    serving = serve(request, sop_class, IMPLICIT, Parties("PEER", "10.1.2.3", "ROUTER"), NoSink(), never)
    serving.write([memoryview(data)])
    return serving.finish()


@pytest.mark.parametrize(
    ("operation", "sop_class", "status"),
    [
        (Operation.C_ECHO, VERIFICATION, 0x0000),
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
    text = "a storage commitment report: the report cannot be read"
    assert outcome == Refused(
        calling_ae="PEER", address="10.1.2.3", reason=text, status=status, why=Why.COMMITMENT, called_ae="ROUTER"
    )


def test_a_report_is_never_kept_beyond_its_largest_size() -> None:
    request = Request(operation=Operation.N_EVENT_REPORT, message_id=1, has_data_set=True, event_type=1)
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


# -- what is known of an instance that is refused


class Sink:
    """Has room or not; what `commit` is to raise."""

    def __init__(self, *, room: bool = True, trouble: Exception | None = None) -> None:
        self._room = room
        self._trouble = trouble
        self._bytes = b""

    def written(self) -> BinaryIO:
        return io.BytesIO(self._bytes)

    def has_room(self) -> bool:
        return self._room

    def create(self) -> IncomingFile:
        return self

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        self._bytes += b"".join(parts)

    def commit(self, uids: InstanceUids) -> None:
        if self._trouble is not None:
            raise self._trouble

    def discard(self) -> None:
        pass


def stored(sink: Sink, data: bytes, sop: bytes = b"1.2.3.4.5\0", sop_class: str = CT_CLASS) -> object:
    request = Request(
        operation=Operation.C_STORE, message_id=1, has_data_set=True, sop_class=sop_class.encode(), sop_instance=sop
    )
    serving = serve(request, sop_class, EXPLICIT, Parties("CT01", "10.1.2.3", "ROUTER"), sink, never)
    for at in range(0, len(data), 100):
        serving.write([memoryview(data)[at : at + 100]])
    return serving.finish()[1]


WHOLE = data_set(pixels=20_000)
WITHOUT_SERIES = WHOLE[: WHOLE.index(b"\x20\0\x0e\0")]
WITHOUT_STUDY = WHOLE[: WHOLE.index(b"\x20\0\x0d\0")]


@pytest.mark.parametrize(("sink", "data", "status", "study"), [
    (Sink(room=False), WHOLE, 0xA700, "1.2.3"),
    (Sink(room=False), data_set(), 0xA700, "1.2.3"),
    (Sink(trouble=OSError(28, "No space left on device")), WHOLE, 0xA700, "1.2.3"),
    (Sink(trouble=CutOff("the data set is cut off")), WHOLE, 0xC000, "1.2.3"),
    (Sink(), WITHOUT_SERIES, 0xA900, "1.2.3"),
    (Sink(), data_set(sop=b"1.2.3.4.6\0"), 0xA900, "1.2.3"),
    (Sink(), element(0x0008, 0x0005, b"ISO_IR 100", b"CS") + WITHOUT_SERIES, 0xA900, "1.2.3"),
    (Sink(), WITHOUT_SERIES + b"\x20\0\x0e", 0xA900, "1.2.3"),
    (Sink(), WITHOUT_STUDY, 0xA900, ""),
    (Sink(), data_set(study=b"../../x\0"), 0xA900, ""),
    (Sink(), b"nonsense", 0xA900, ""),
    (Sink(room=False), b"", 0xA700, ""),
])  # fmt: skip
def test_a_refused_instance_is_named_by_its_study_where_that_is_written_and_always_by_itself(
    sink: Sink, data: bytes, status: int, study: str
) -> None:
    refused = stored(sink, data)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code) == (status, f"{status:04X}")
    assert (refused.calling_ae, refused.address, refused.called_ae) == ("CT01", "10.1.2.3", "ROUTER")
    assert (refused.study, refused.sop) == (study, "1.2.3.4.5")


def test_a_uid_of_the_command_that_is_none_names_nothing() -> None:
    refused = stored(Sink(), WHOLE, sop=b"../etc/passwd")
    assert isinstance(refused, Refused)
    assert (refused.status, refused.study, refused.sop) == (0xA900, "1.2.3", "")


@pytest.mark.parametrize("sop_class", [VERIFICATION, commitment.SOP_CLASS])
def test_an_instance_over_a_context_that_is_not_of_storage_is_refused_by_name(sop_class: str) -> None:
    refused = stored(Sink(), WHOLE, sop_class=sop_class)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.sop) == ("0122", "1.2.3.4.5")


def test_a_reason_is_never_longer_than_a_line() -> None:
    assert len(Parties("A", "10.1.2.3", "B").refused("x" * 10_000).reason) == 200
