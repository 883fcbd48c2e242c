"""Storage commitment without a peer: coding of requests and reports, and what a report makes of the ledger."""

import struct
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from router.catalogue.images.ledger import Fate
from router.catalogue.queue.commitments import Settled, Uncommitted
from router.delivery.commitment import settled_by
from router.dicom.dataset.elements import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from router.dicom.dataset.uid import random_uid, valid
from router.dicom.ul import commitment, dimse
from router.dicom.ul.commitment import MOST, TRANSFER_SYNTAXES, Reference, Report, answer, read_report, request_data_set
from router.dicom.ul.status import Verdict, failure_reason, uncommitted
from router.errors import InvalidData

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"
TRANSACTION = "2.25.7"


def item(uid: str, **values: object) -> Dataset:
    found = Dataset()
    found.ReferencedSOPClassUID, found.ReferencedSOPInstanceUID = CT, uid
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def report(
    committed: list[str], failed: dict[str, int | None], *, transaction: str = TRANSACTION, implicit: bool = True,
    change: Callable[[Dataset], None] = lambda _: None,
) -> bytes:  # fmt: skip
    """The Event Information as a destination encodes it."""
    data = Dataset()
    data.TransactionUID = transaction
    if committed:
        data.ReferencedSOPSequence = [item(uid) for uid in committed]
    if failed:
        data.FailedSOPSequence = [item(uid, **({} if r is None else {"FailureReason": r})) for uid, r in failed.items()]
    change(data)
    return encoded(data, implicit=implicit)


def encoded(data: Dataset, *, implicit: bool = True) -> bytes:
    file = BytesIO()
    dcmwrite(file, data, implicit_vr=implicit, little_endian=True)
    return file.getvalue()


# -- coding


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
def test_a_request_names_its_transaction_and_every_instance(syntax: str) -> None:
    references = [Reference(CT, "1.2.3"), Reference("1.3.46.670589.5.0.10", "1.2.30")]
    data = read_dataset(
        BytesIO(request_data_set(TRANSACTION, references, syntax)), syntax == IMPLICIT_LITTLE_ENDIAN, True
    )
    assert list(data.keys()) == [0x00081195, 0x00081199]
    assert data.TransactionUID == TRANSACTION
    found = [(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in data.ReferencedSOPSequence]
    assert found == [(one.sop_class, one.sop_instance) for one in references]


def test_the_request_s_command_is_an_n_action_on_the_well_known_instance() -> None:
    command = dimse.n_action_rq(7, commitment.SOP_CLASS, commitment.SOP_INSTANCE, 1)
    data = read_dataset(BytesIO(command), True, True)
    assert data[0x00000000].value == len(command) - 12
    assert data[0x00000003].value == "1.2.840.10008.1.20.1"
    assert data[0x00001001].value == "1.2.840.10008.1.20.1.1"
    numbers = {tag: data[tag].value for tag in (0x00000100, 0x00000110, 0x00000800, 0x00001008)}
    assert numbers == {0x00000100: 0x0130, 0x00000110: 7, 0x00000800: 0, 0x00001008: 1}


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
@pytest.mark.parametrize("implicit", [True, False])  # also not as announced: such peers exist
def test_a_report_is_read_in_every_encoding(syntax: str, implicit: bool) -> None:
    data = report(["1.2.1", "1.2.2"], {"1.2.3": 0x0112}, implicit=implicit)
    assert read_report(data, syntax) == Report(TRANSACTION, ("1.2.1", "1.2.2"), (("1.2.3", 0x0112),))


def test_a_report_with_what_the_standard_allows_besides_is_read() -> None:
    def add(data: Dataset) -> None:
        data.RetrieveAETitle = "CLOUD"
        data.ReferencedSOPSequence[0].RetrieveAETitle = "CLOUD"
        data.StorageMediaFileSetID = "DISK1"

    assert read_report(report(["1.2.1\0"], {}, change=add), IMPLICIT_LITTLE_ENDIAN).committed == ("1.2.1",)


def test_an_instance_that_is_named_as_both_has_failed() -> None:
    found = read_report(report(["1.2.1", "1.2.2"], {"1.2.1": 0x0110}), IMPLICIT_LITTLE_ENDIAN)
    assert found == Report(TRANSACTION, ("1.2.2",), (("1.2.1", 0x0110),))


def test_a_failure_without_a_reason_is_a_processing_failure() -> None:
    assert read_report(report([], {"1.2.1": None}), IMPLICIT_LITTLE_ENDIAN).failed == (("1.2.1", 0x0110),)


def _not_a_sequence(data: Dataset) -> None:
    data.add_new(0x00081198, "OB", b"\1\2\3\4")


def _deep(data: Dataset) -> None:
    inner = item("1.2.3")
    for _ in range(30):
        outer = item("1.2.3")
        outer.FailedSOPSequence = [inner]
        inner = outer
    data.FailedSOPSequence = [inner]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0", bytes(100), b"<html>", report(["1.2.1"], {})[:-3], report(["1.2.1"], {}, transaction=""),
        report(["1.2.1"], {}, transaction="1.2.3456").replace(b"1.2.3456", b"../../.."),
        report(["1.2.3456"], {}).replace(b"1.2.3456", b"../../.."), report([], {"1.2.3456": 1}).replace(b"56", b"5a"),
        report([""], {}), report([], {}, change=_not_a_sequence, implicit=False),
        report([f"1.2.{n}" for n in range(MOST + 1)], {}),
        struct.pack("<HHL", 0x0008, 0x1199, 2**32 - 2) + bytes(8),
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData) as caught:
        read_report(data, EXPLICIT_LITTLE_ENDIAN)
    assert "../" not in str(caught.value)


def test_a_report_of_sequences_within_sequences_is_read_no_deeper_than_it_must() -> None:
    assert read_report(report([], {}, change=_deep), IMPLICIT_LITTLE_ENDIAN).failed == (("1.2.3", 0x0110),)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # the node silences them, pytest does not
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_no_bytes_do_more_than_be_refused(data: st.DataObject) -> None:
    whole = bytearray(report(["1.2.1", "1.2.2"], {"1.2.3": 0x0112}, implicit=data.draw(st.booleans())))
    for position, value in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)))):
        whole[position] = value
    del whole[data.draw(st.integers(0, len(whole))) :]
    whole += data.draw(st.binary(max_size=40))
    try:
        found = read_report(bytes(whole), data.draw(st.sampled_from(TRANSFER_SYNTAXES)))
    except InvalidData:
        return
    assert {valid(uid) for uid in (found.transaction, *found.committed, *dict(found.failed))}


def test_a_report_of_nothing_but_items_takes_little_memory() -> None:
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * (commitment.LARGEST // 8 // 8)
    hostile = struct.pack("<HHL", 0x0008, 0x1199, len(items)) + items
    tracemalloc.start()
    try:
        with pytest.raises(InvalidData):
            read_report(hostile, IMPLICIT_LITTLE_ENDIAN)
        assert tracemalloc.get_traced_memory()[1] < 2**23  # an eighth of the largest one
    finally:
        tracemalloc.stop()


# -- the answer


def request(event_type: int) -> dimse.Request:
    return dimse.Request(
        operation=dimse.Operation.N_EVENT_REPORT, message_id=1, has_data_set=True, event_type=event_type
    )


@pytest.mark.parametrize(
    ("event_type", "data", "taken", "status"),
    [
        (1, report(["1.2.1"], {}), 0x0000, 0x0000),
        (2, report(["1.2.1"], {}), 0x0000, 0x0000),
        (1, report(["1.2.1"], {}), 0x0115, 0x0115),
        (1, report(["1.2.1"], {}), 0x0110, 0x0110),
        (0, report(["1.2.1"], {}), 0x0000, 0x0113),
        (3, report(["1.2.1"], {}), 0x0000, 0x0113),
        (1, b"", 0x0000, 0x0115),
    ],
)
def test_a_report_is_answered_as_it_was_taken(event_type: int, data: bytes, taken: int, status: int) -> None:
    found, wrong = answer(request(event_type), data, IMPLICIT_LITTLE_ENDIAN, lambda _: taken)
    assert found == status
    assert bool(wrong) == bool(status)


def test_a_report_s_command_is_read_with_its_event_type() -> None:
    def element(number: int, value: int) -> bytes:
        return struct.pack("<HHLH", 0, number, 2, value)

    command = element(0x0100, 0x0100) + element(0x0110, 9) + element(0x0800, 0) + element(0x1002, 2)
    found = dimse.read_request(command)
    assert (found.operation, found.message_id, found.has_data_set, found.event_type) == (0x0100, 9, True, 2)
    assert not dimse.is_response(command)
    assert dimse.has_data_set(command)
    assert dimse.is_response(dimse.response(found, 0))
    assert not dimse.has_data_set(dimse.response(found, 0))
    with pytest.raises(InvalidData):
        dimse.read_request(command[:-10])


# -- what comes of it


def asked(*uids: str, times: int = 1) -> list[Uncommitted]:
    return [
        Uncommitted(key=key, sop_class=CT, sop_instance=uid, asked=times, unanswered=1)
        for key, uid in enumerate(uids, 1)
    ]


def test_committed_instances_are_sent_and_no_others() -> None:
    found = settled_by(Report(TRANSACTION, ("1.2.1", "1.2.9")), asked("1.2.1", "1.2.2"), NOW, 0.0)
    assert found == [Settled(1, Fate.SENT, 0)]


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (0x0110, Verdict.LATER), (0x0112, Verdict.LATER), (0x0213, Verdict.LATER), (0x0131, Verdict.LATER),
        (0x0122, Verdict.REFUSED), (0x0119, Verdict.REFUSED), (0xC001, Verdict.LATER), (0, Verdict.LATER),
    ],
)  # fmt: skip
def test_a_failure_is_final_or_not_by_its_reason(reason: int, verdict: Verdict) -> None:
    assert uncommitted(reason) is verdict
    [found] = settled_by(Report(TRANSACTION, (), (("1.2.1", reason),)), asked("1.2.1", "1.2.2"), NOW, 0.0)
    if verdict is Verdict.REFUSED:
        assert found == Settled(1, Fate.REFUSED, reason)
    else:
        assert found == Settled(1, Fate.STORED, reason, NOW + timedelta(seconds=5))


@pytest.mark.parametrize(("times", "seconds"), [(1, 5), (2, 10), (6, 160), (7, 300), (1000, 300)])
def test_the_pause_before_the_next_request_grows_up_to_five_minutes(times: int, seconds: int) -> None:
    failed = Report(TRANSACTION, (), (("1.2.1", 0x0112),))
    [found] = settled_by(failed, asked("1.2.1", times=times), NOW, 0.0)
    assert found.ask_at == NOW + timedelta(seconds=seconds)
    [found] = settled_by(failed, asked("1.2.1", times=times), NOW, 0.99)
    assert found.ask_at is not None
    assert NOW < found.ask_at < NOW + timedelta(seconds=seconds)


def test_failure_reasons_are_told_in_the_standard_s_words() -> None:
    assert failure_reason(0x0112) == "0112 no such object instance"
    assert failure_reason(0xC123).startswith("C123 ")


def test_transaction_uids_are_uids_of_their_random_bytes() -> None:
    found = {random_uid(bytes([n]) * 16) for n in range(256)}
    assert all(valid(uid) == uid and uid.startswith("2.25.") for uid in found)
    assert len(found) == 256
