"""The codec of DIMSE command sets: what is written is read again, and what is no command set is refused."""

import struct

import pytest

from router.dicom.ul import dimse, pdata
from router.dicom.ul.dimse import Operation
from router.errors import InvalidData

STORE = dimse.composite_rq(Operation.C_STORE, 7, "1.2.840.10008.5.1.4.1.1.2", instance="1.2.3.4")
MOVE = dimse.composite_rq(Operation.C_MOVE, 7, "1.2.3", destination="ODD")


@pytest.mark.parametrize(
    ("command", "operation", "data_set"),
    [
        (STORE, Operation.C_STORE, True),
        (dimse.c_echo_rq(7), Operation.C_ECHO, False),
        (dimse.composite_rq(Operation.C_FIND, 7, "1.2.3"), Operation.C_FIND, True),
        (MOVE, Operation.C_MOVE, True),
        (dimse.n_action_rq(7, "1.2.3", "1.2.4", 1), Operation.N_ACTION, True),
    ],
)
def test_a_request_is_read_as_it_was_written_and_its_response_names_it(
    command: bytes, operation: Operation, data_set: bool
) -> None:
    request = dimse.read_request(command)
    assert (request.operation, request.message_id, request.has_data_set) == (operation, 7, data_set)
    assert len(command) % 2 == 0
    assert struct.unpack_from("<HHLL", command) == (0, 0, 4, len(command) - 12)
    answer = dimse.response(request, 0xB007)
    assert not dimse.is_response(command)
    assert dimse.is_response(answer)
    assert not dimse.has_data_set(answer)
    assert dimse.read_response(answer) == dimse.Response(operation=operation, message_id=7, status=0xB007)


def test_a_cancelled_request_is_named_and_needs_no_message_id_of_its_own() -> None:
    request = dimse.read_request(dimse.c_cancel_rq(7))
    assert (request.operation, request.message_id, request.has_data_set) == (Operation.C_CANCEL, 0, False)


def test_a_response_tells_how_many_sub_operations_there_were() -> None:
    move = dimse.response(dimse.read_request(MOVE), 0xB000)
    counts = b"".join(struct.pack("<HHLH", 0, number, 2, n) for n, number in enumerate((0x1021, 0x1022, 0x1023), 5))
    answer = dimse.read_response(move + counts)
    assert (answer.completed, answer.failed, answer.warning) == (5, 6, 7)


@pytest.mark.parametrize("end", [1, 5, 11, 13, len(STORE) - 1])
def test_a_command_set_that_ends_inside_an_element_is_none(end: int) -> None:
    for read in (dimse.read_request, dimse.read_response, dimse.is_response, dimse.has_data_set):
        with pytest.raises(InvalidData):
            read(STORE[:end])


@pytest.mark.parametrize("lost", [0x0100, 0x0110, 0x0800])
def test_a_request_without_one_of_its_elements_is_none(lost: int) -> None:
    with pytest.raises(InvalidData, match="lacks an element"):
        dimse.read_request(STORE.replace(struct.pack("<HHLH", 0, lost, 2, 0)[:8], struct.pack("<HHL", 0, 0x0001, 2)))


def test_a_request_is_no_response_and_a_response_no_request() -> None:
    answer = dimse.response(dimse.read_request(STORE), 0)
    with pytest.raises(InvalidData):
        dimse.read_request(answer)
    with pytest.raises(InvalidData):
        dimse.read_response(STORE)


def test_elements_of_other_groups_change_nothing_in_a_command_set() -> None:
    stray = struct.pack("<HHLH", 8, 0x0100, 2, 0x0030)
    assert dimse.read_request(STORE + stray) == dimse.read_request(STORE)


@pytest.mark.parametrize("longest", [0, 8, 9, 30, 16384])
def test_a_command_set_is_cut_into_even_fragments_of_the_longest_pdu(longest: int) -> None:
    data, joined, sizes, at = pdata.message_pdus(3, STORE, longest), b"", [], 0
    while at < len(data):
        kind, size, pdv, context, control = struct.unpack_from(">BxLLBB", data, at)
        assert (kind, context, size) == (4, 3, pdv + 4)
        joined += data[at + 12 : at + 6 + size]
        sizes.append(size)
        at += 6 + size
        assert control == (3 if at == len(data) else 1)
    assert joined == STORE
    assert all(size % 2 == 0 for size in sizes)
    assert max(sizes) <= longest or not longest
