"""What the node answers to each thing that an association request may negotiate (PS3.7 D.3, PS3.8 7.1 and 9.3)."""

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pynetdicom import AE

from router.config.sections import Sender
from router.dicom.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from router.dicom.scp import negotiation
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.ul import pdu
from router.dicom.ul.socket import Limits
from router.refusals import Why
from router.storage.incoming import IncomingFolder
from support.dicom_peers import CT
from support.raw_pdus import (
    COMMAND,
    CONTEXTS,
    CT_CLASS,
    DATA,
    EXPLICIT,
    GOOD,
    IMPLEMENTATION,
    LAST,
    VERIFICATION,
    answer,
    association_request,
    connected,
    context,
    data_set,
    item,
    maximum_length,
    p_data,
    status,
    store_command,
)

IMPLICIT = "1.2.840.10008.1.2"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
MR_CLASS = "1.2.840.10008.5.1.4.1.1.4"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
RELEASE = struct.pack(">BxL", pdu.PduType.RELEASE_RQ, 4) + bytes(4)
BASIC = maximum_length(16384) + IMPLEMENTATION


@dataclass(frozen=True)
class Accepted:
    """An A-ASSOCIATE-AC: (result, transfer syntax) by context id, and the user information sub-items in order."""

    contexts: dict[int, tuple[int, str]]
    user_information: list[tuple[int, bytes]]

    def values(self, kind: int) -> list[bytes]:
        return [value for number, value in self.user_information if number == kind]


@pytest.fixture
def outcomes() -> list[Received | Refused]:
    return []


@pytest.fixture
def port(tmp_path: Path, outcomes: list[Received | Refused]) -> Iterator[int]:
    server = StorageServer(
        IncomingFolder(tmp_path / "in", 0),
        admission=Admission(),
        record=outcomes.append,
        limits=Limits(message=2.0, idle=2.0, linger=1.0),
    )
    yield server.start("127.0.0.1", 0)
    server.stop(2)


def items(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        kind, size = struct.unpack_from(">BxH", data)
        found.append((kind, data[4 : 4 + size]))
        data = data[4 + size :]
    return found


def read_accept(body: bytes) -> Accepted:
    parts = items(body[68:])
    contexts = {}
    for value in (value for kind, value in parts if kind == 0x21):
        [(_, syntax)] = items(value[4:]) or [(0, b"")]
        contexts[value[0]] = value[2], syntax.rstrip(b"\0").decode()
    [user] = [value for kind, value in parts if kind == 0x50]
    return Accepted(contexts, items(user))


def negotiate(port: int, request: bytes) -> Accepted:
    """The answer to a request that must be accepted, after which an instance is stored and the peer releases."""
    with connected(port) as peer:
        peer.sendall(request)
        kind, body = answer(peer)
        assert kind == pdu.PduType.ASSOCIATE_AC
        peer.sendall(GOOD)
        assert status(peer) == 0
        peer.sendall(RELEASE)
        assert answer(peer) == (pdu.PduType.RELEASE_RP, bytes(4))
    return read_accept(body)


def role(sop_class: str, scu: int, scp: int) -> bytes:
    uid = sop_class.encode()
    return item(0x54, struct.pack(">H", len(uid)) + uid + bytes((scu, scp)))


def identity(kind: int, primary: bytes, secondary: bytes = b"", *, answer_wanted: bool = False) -> bytes:
    lengths = struct.pack(">BBH", kind, answer_wanted, len(primary)) + primary
    return item(0x58, lengths + struct.pack(">H", len(secondary)) + secondary)


def test_the_plain_answer_holds_lengths_and_names_and_nothing_else(port: int) -> None:
    accepted = negotiate(port, association_request())
    assert accepted.contexts == {1: (0, EXPLICIT), 3: (0, EXPLICIT)}
    assert accepted.user_information == [
        (0x51, struct.pack(">L", Limits().max_pdu)),
        (0x52, IMPLEMENTATION_CLASS_UID.encode()),
        (0x55, IMPLEMENTATION_VERSION.encode()),
    ]
    assert len(IMPLEMENTATION_CLASS_UID) <= 64
    assert 1 <= len(IMPLEMENTATION_VERSION) <= 16


def test_ae_titles_and_reserved_fields_of_the_request_come_back_as_they_were(port: int) -> None:
    request = bytearray(association_request())
    request[42:74] = bytes(range(32))
    with connected(port) as peer:
        peer.sendall(request)
        _, body = answer(peer)
    assert body[:2] == b"\0\1"
    assert body[4:68] == bytes(request[10:74])


def test_each_context_is_answered_by_itself(port: int) -> None:
    proposed = (
        context(1, CT_CLASS, EXPLICIT)
        + context(5, CT_CLASS, JPEG_2000, IMPLICIT)
        + context(7, FIND, IMPLICIT)
        + context(9, VERIFICATION, IMPLICIT)
        + context(11, "1.2.3.4.5.6.7", "1.2.3.4.99")
        + context(255, MR_CLASS, IMPLICIT, EXPLICIT)
    )
    accepted = negotiate(port, association_request(proposed))
    assert {number: found for number, found in accepted.contexts.items() if found[0] == 0} == {
        1: (0, EXPLICIT), 5: (0, JPEG_2000), 9: (0, IMPLICIT), 11: (0, "1.2.3.4.99"), 255: (0, IMPLICIT),
    }  # fmt: skip
    assert accepted.contexts[7][0] == 3  # abstract syntax not supported


@pytest.mark.parametrize("scp", [0, 1])
def test_a_peer_that_would_be_scp_too_is_told_that_it_is_scu_alone(port: int, scp: int) -> None:
    request = association_request(CONTEXTS + context(5, MR_CLASS, EXPLICIT), BASIC + role(MR_CLASS, 1, scp))
    accepted = negotiate(port, request)
    assert accepted.values(0x54) == [struct.pack(">H", len(MR_CLASS)) + MR_CLASS.encode() + b"\1\0"]
    assert accepted.contexts == {1: (0, EXPLICIT), 3: (0, EXPLICIT), 5: (0, EXPLICIT)}


@pytest.mark.parametrize("scp", [0, 1])
def test_a_context_in_which_the_peer_would_not_be_scu_is_rejected_alone(port: int, scp: int) -> None:
    request = association_request(CONTEXTS + context(5, MR_CLASS, EXPLICIT), BASIC + role(MR_CLASS, 0, scp))
    accepted = negotiate(port, request)
    assert accepted.values(0x54) == []
    assert {number: result for number, (result, _) in accepted.contexts.items()} == {1: 0, 3: 0, 5: 1}


def test_a_role_is_answered_once_for_all_contexts_of_its_sop_class(port: int) -> None:
    contexts = CONTEXTS + context(5, CT_CLASS, IMPLICIT) + context(7, MR_CLASS, IMPLICIT)
    accepted = negotiate(port, association_request(contexts, BASIC + role(CT_CLASS, 1, 1) + role("1.2.3.4", 1, 1)))
    assert accepted.values(0x54) == [struct.pack(">H", len(CT_CLASS)) + CT_CLASS.encode() + b"\1\0"]
    assert {number: result for number, (result, _) in accepted.contexts.items()} == {1: 0, 3: 0, 5: 0, 7: 0}


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize(
    ("kind", "primary", "secondary"),
    [
        (1, b"operator", b""),
        (2, "操作员".encode(), b"passcode"),
        (3, bytes(range(256)), b""),
        (4, b"<saml:Assertion/>" * 300, b""),
        (5, b"e30.e30.", b""),
        (6, b"of a later edition", b""),
        (2, b"", b""),
    ],
)
def test_user_identity_of_every_kind_is_let_pass_without_an_answer(
    port: int, kind: int, primary: bytes, secondary: bytes, wanted: bool
) -> None:
    user = BASIC + identity(kind, primary, secondary, answer_wanted=wanted)
    assert negotiate(port, association_request(user_information=user)).values(0x59) == []


@pytest.mark.parametrize("window", [(0, 0), (1, 1), (8, 3), (65535, 65535)])
def test_an_asynchronous_window_is_answered_with_one_and_one(port: int, window: tuple[int, int]) -> None:
    user = BASIC + item(0x53, struct.pack(">HH", *window))
    assert negotiate(port, association_request(user_information=user)).values(0x53) == [b"\0\1\0\1"]


def test_extended_negotiation_is_let_pass_without_an_answer(port: int) -> None:
    uid = struct.pack(">H", len(CT_CLASS)) + CT_CLASS.encode()
    service = b"\0\x17" + b"1.2.840.10008.4.2.12345"
    related = struct.pack(">H", 2 + len(CT_CLASS)) + uid
    user = BASIC + item(0x56, uid + b"\2\0\2\0\1\0") + item(0x57, uid + service + related)
    accepted = negotiate(port, association_request(user_information=user))
    assert [kind for kind, _ in accepted.user_information] == [0x51, 0x52, 0x55]


@pytest.mark.parametrize("unknown", [item(0x5A, b"x"), item(0xFF, b""), item(0x59, b"\0\2ok"), item(0x60, bytes(3000))])
def test_user_information_that_the_node_does_not_know_is_skipped(port: int, unknown: bytes) -> None:
    user = unknown + maximum_length(16384) + unknown + IMPLEMENTATION + unknown
    assert len(negotiate(port, association_request(user_information=user)).user_information) == 3


@pytest.mark.parametrize("unknown", [item(0x30, b"1.2.3"), item(0x90, b"later"), item(0x21, b"\1\0\0\0")])
def test_an_item_of_the_request_that_the_node_does_not_know_is_skipped(port: int, unknown: bytes) -> None:
    accepted = negotiate(port, association_request(unknown + CONTEXTS + unknown))
    assert accepted.contexts == {1: (0, EXPLICIT), 3: (0, EXPLICIT)}


def test_user_information_may_come_before_the_contexts_and_names_may_be_missing(port: int) -> None:
    early = item(0x50, maximum_length(0))
    body = association_request(early + CONTEXTS, b"")[6:-4]
    accepted = negotiate(port, struct.pack(">BxL", 1, len(body)) + body)
    assert accepted.contexts == {1: (0, EXPLICIT), 3: (0, EXPLICIT)}


@pytest.mark.parametrize(
    "names",
    [
        item(0x52, b"1.2.840.113619.6.\0") + item(0x55, b""),
        item(0x52, b"") + item(0x55, b"A NAME LONGER THAN SIXTEEN"),
        item(0x55, "实现".encode()) + item(0x52, b"not a uid"),
        item(0x55, b"TWICE") + item(0x52, b"1.2") + item(0x55, b"TWICE"),
    ],
)
def test_the_peers_implementation_names_are_its_own_affair(port: int, names: bytes) -> None:
    accepted = negotiate(port, association_request(user_information=maximum_length(16384) + names))
    assert accepted.values(0x52) == [IMPLEMENTATION_CLASS_UID.encode()]


@pytest.mark.parametrize("padding", ["\0", " "])
def test_uids_padded_to_even_length_are_read(port: int, padding: str) -> None:
    accepted = negotiate(port, association_request(context(1, CT_CLASS + padding, EXPLICIT + padding)))
    assert accepted.contexts == {1: (0, EXPLICIT)}


@pytest.mark.parametrize("size", [1, 7, 8, 13, 64])
def test_a_tiny_maximum_length_is_kept_to(port: int, size: int) -> None:
    with connected(port) as peer:
        peer.sendall(association_request(user_information=maximum_length(size) + IMPLEMENTATION))
        assert answer(peer)[0] == pdu.PduType.ASSOCIATE_AC
        peer.sendall(GOOD)
        command, last = b"", 0
        while not last:
            kind, body = answer(peer)
            assert kind == pdu.PduType.P_DATA_TF
            assert len(body) <= max(size, 7)  # a PDV of one byte is the least that there is
            last = body[5] & LAST
            command += body[6:]
        assert command.endswith(struct.pack("<HHLH", 0, 0x0900, 2, 0) + element_of(command))


def element_of(command: bytes) -> bytes:
    """The affected SOP instance, last of the response."""
    return command[command.index(struct.pack("<HH", 0, 0x1000)) :]


def test_a_maximum_length_of_zero_is_no_limit(port: int) -> None:
    with connected(port) as peer:
        peer.sendall(association_request(user_information=maximum_length(0) + IMPLEMENTATION))
        assert answer(peer)[0] == pdu.PduType.ASSOCIATE_AC
        peer.sendall(GOOD)
        _, body = answer(peer)
        assert body[5] == COMMAND | LAST


def test_reserved_bytes_are_not_looked_at(port: int) -> None:
    request = bytearray(association_request())
    request[1] = request[8] = request[9] = 0xFF
    request[42:74] = b"\xff" * 32
    at = 74
    while at < len(request):
        kind, size = struct.unpack_from(">BxH", request, at)
        request[at + 1] = 0xFF
        if kind == 0x20:
            request[at + 5 : at + 8] = b"\xff\xff\xff"
            spoil_sub_items(request, at + 8, at + 4 + size)
        elif kind == 0x50:
            spoil_sub_items(request, at + 4, at + 4 + size)
        at += 4 + size
    with connected(port) as peer:
        peer.sendall(request)
        kind, body = answer(peer)
        assert kind == pdu.PduType.ASSOCIATE_AC
        assert read_accept(body).contexts == {1: (0, EXPLICIT), 3: (0, EXPLICIT)}
        for part in (p_data(store_command(), COMMAND | LAST), p_data(data_set(), DATA | LAST)):
            peer.sendall(part[:1] + b"\xff" + part[2:])
        assert status(peer) == 0
        peer.sendall(b"\5\xff\0\0\0\4\xff\xff\xff\xff")
        assert answer(peer) == (pdu.PduType.RELEASE_RP, bytes(4))


def spoil_sub_items(request: bytearray, at: int, end: int) -> None:
    while at < end:
        request[at + 1] = 0xFF
        at += 4 + int.from_bytes(request[at + 2 : at + 4])


def test_the_upper_bits_of_a_message_control_header_are_not_looked_at(port: int) -> None:
    with connected(port) as peer:
        peer.sendall(association_request())
        assert answer(peer)[0] == pdu.PduType.ASSOCIATE_AC
        peer.sendall(p_data(store_command(), 0xFC | COMMAND | LAST) + p_data(data_set(), 0xFC | LAST))
        assert status(peer) == 0


def test_an_abort_is_answered_by_closing_at_once(port: int) -> None:
    for reserved in (b"\0\0", b"\xff\xff"):
        with connected(port) as peer:
            peer.sendall(association_request())
            assert answer(peer)[0] == pdu.PduType.ASSOCIATE_AC
            peer.sendall(b"\7\xff\0\0\0\4" + reserved + b"\0\0")
            peer.settimeout(0.8)
            assert answer(peer) == (0, b"")


def test_the_longest_request_is_decoded_and_answered_at_once() -> None:
    names = [f"1.2.{number}" for number in range(150)]
    contexts = b"".join(context(2 * number + 1, CT_CLASS, *names) for number in range(116))
    roles = item(0x54, b"\0\3" + b"1.2" + b"\1\1") * 5000
    data = association_request(contexts, maximum_length(16384) + roles)
    assert 0.9 * negotiation.LONGEST_REQUEST < len(data) < 1.1 * negotiation.LONGEST_REQUEST
    began = time.process_time()
    accepted = negotiation.accept(negotiation.read_request(data), 131072, reports=False)[1]
    assert time.process_time() - began < 0.5
    assert accepted == {2 * number + 1: (CT_CLASS, "1.2.0") for number in range(116)}


# -- values that are not as they should be


def titled(called: bytes, calling: bytes, contexts: bytes = CONTEXTS) -> bytes:
    request = association_request(contexts)
    return request[:10] + called + calling + request[42:]


@pytest.mark.parametrize(
    ("title", "read"),
    [
        (b"CT1".ljust(16, b"\0"), "CT1"),
        (b"CT1\0garbage ".ljust(16), "CT1"),
        (b" CT1".ljust(16), "CT1"),
        (b"\0CT1\0\0stale".ljust(16), "CT1"),
        (b" " * 16, ""),
        (bytes(16), ""),
        (" CT一室".encode("gbk").ljust(16), "CT一室"),
        ("CT一室".encode().ljust(16, b"\0"), "CT一室"),
        (b"SITE\\CT1".ljust(16), "SITE\\CT1"),
        (b"CT\r\n1".ljust(16), "CT\\x0d\\x0a1"),
        (b"\xff\xfe\x80".ljust(16), "\N{REPLACEMENT CHARACTER}"),
        (b"SIXTEENCHARACTER", "SIXTEENCHARACTER"),
    ],
)
def test_a_title_of_any_bytes_is_served_answered_as_it_came_and_safe_to_show(
    port: int, outcomes: list[Received | Refused], title: bytes, read: str
) -> None:
    request = titled(title, title)
    with connected(port) as peer:
        peer.sendall(request)
        kind, body = answer(peer)
        assert (kind, body[4:36]) == (pdu.PduType.ASSOCIATE_AC, title * 2)
        peer.sendall(GOOD)
        assert status(peer) == 0
    assert [one.calling_ae for one in outcomes] == [read]


@pytest.mark.parametrize("blank", [b" " * 16, bytes(16), b"\0 ".ljust(16)])
def test_a_blank_title_is_rejected_with_its_reason_where_senders_are_named(tmp_path: Path, blank: bytes) -> None:
    outcomes: list[Received | Refused] = []
    server = StorageServer(
        IncomingFolder(tmp_path / "in", 0), admission=Admission(senders=(Sender(ae_title="CT1"),)),
        record=outcomes.append,
    )  # fmt: skip
    try:
        port = server.start("127.0.0.1", 0)
        with connected(port) as peer:
            peer.sendall(titled(b"ROUTER".ljust(16), blank))
            assert answer(peer) == (pdu.PduType.ASSOCIATE_RJ, b"\0\1\1\3")
        with connected(port) as peer:
            peer.sendall(titled(b"ROUTER".ljust(16), b"CT1".ljust(16, b"\0")))
            assert answer(peer)[0] == pdu.PduType.ASSOCIATE_AC
    finally:
        server.stop(2)
    text = "the calling AE title is blank, and senders are named"
    assert outcomes == [Refused(calling_ae="", address="127.0.0.1", reason=text, why=Why.SENDER, called_ae="ROUTER")]


@pytest.mark.parametrize("numbers", [(2, 4), (0, 254), (1, 2)])
def test_even_context_ids_are_served(port: int, numbers: tuple[int, int]) -> None:
    first, second = numbers
    proposed = context(first, CT_CLASS, EXPLICIT) + context(second, VERIFICATION, EXPLICIT)
    with connected(port) as peer:
        peer.sendall(association_request(proposed))
        kind, body = answer(peer)
        assert kind == pdu.PduType.ASSOCIATE_AC
        assert read_accept(body).contexts == {first: (0, EXPLICIT), second: (0, EXPLICIT)}
        peer.sendall(p_data(store_command(), COMMAND | LAST, first) + p_data(data_set(), DATA | LAST, first))
        assert status(peer) == 0


def names(*parts: tuple[int, bytes]) -> bytes:
    return b"".join(item(kind, value) for kind, value in parts)


CT_NAME, EXPLICIT_NAME = (0x30, CT_CLASS.encode()), (0x40, EXPLICIT.encode())
MALFORMED = {
    "no names": (b"\0\0\0", 3),
    "no syntax": (b"\0\0\0" + names(CT_NAME), 4),
    "no class": (b"\0\0\0" + names(EXPLICIT_NAME), 3),
    "empty class": (b"\0\0\0" + names((0x30, b""), EXPLICIT_NAME), 3),
    "empty syntax": (b"\0\0\0" + names(CT_NAME, (0x40, b"")), 4),
    "class is no UID": (b"\0\0\0" + names((0x30, "计算机断层".encode("gbk")), EXPLICIT_NAME), 3),
    "class too long": (b"\0\0\0" + names((0x30, b"1." * 40), EXPLICIT_NAME), 3),
    "syntax is no UID": (b"\0\0\0" + names(CT_NAME, (0x40, b"Explicit VR")), 4),
    "two classes": (b"\0\0\0" + names(CT_NAME, (0x30, MR_CLASS.encode()), EXPLICIT_NAME), 3),
    "lies about a length": (b"\0\0\0" + names(CT_NAME) + b"\x40\0\xff\xff1.2", 2),
    "ends inside a head": (b"\0\0\0" + names(CT_NAME) + b"\x40\0", 2),
    "an id alone": (b"", 2),
    "reserved bytes missing": (b"\0", 2),
}


@pytest.mark.parametrize(("value", "result"), MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("first", [True, False])
def test_a_malformed_context_is_rejected_alone(port: int, value: bytes, result: int, first: bool) -> None:
    wrong = item(0x20, b"\5" + value)
    contexts = wrong + CONTEXTS if first else CONTEXTS + wrong
    accepted = negotiate(port, association_request(contexts))
    assert {number: found for number, (found, _) in accepted.contexts.items()} == {1: 0, 3: 0, 5: result}


@pytest.mark.parametrize("tail", [b"\x20\0\xff\xff\5\0\0\0", b"\x20\0\0", b"\x90\0\1\0x"])
def test_the_contexts_before_one_that_lies_about_its_own_length_are_served(port: int, tail: bytes) -> None:
    body = association_request()[6:]
    body = body[: body.rindex(item(0x50, BASIC))] + tail
    accepted = negotiate(port, struct.pack(">BxL", 1, len(body)) + body)
    assert accepted.contexts == {1: (0, EXPLICIT), 3: (0, EXPLICIT)}


@pytest.mark.parametrize("padding", [b"\0", b"\0\0", b"\0\0\0", b"\0\0\0\0", bytes(50)])
def test_a_request_padded_with_zeros_is_read(port: int, padding: bytes) -> None:
    body = association_request()[6:] + padding
    assert negotiate(port, struct.pack(">BxL", 1, len(body)) + body).contexts == {1: (0, EXPLICIT), 3: (0, EXPLICIT)}


@pytest.mark.parametrize("length", [0, 20, 67, 72, 100])
def test_a_request_that_ends_before_a_context_is_a_violation(length: int) -> None:
    with pytest.raises(pdu.Violation):
        negotiation.read_request(struct.pack(">BxL", 1, length) + association_request()[6 : 6 + length])


def test_a_context_of_no_bytes_is_passed_over(port: int) -> None:
    accepted = negotiate(port, association_request(item(0x20, b"") + CONTEXTS))
    assert set(accepted.contexts) == {1, 3}


def test_a_name_that_is_no_uid_does_not_cost_the_sound_ones_beside_it(port: int) -> None:
    wrong = item(0x20, bytes((5, 0, 0, 0)) + names(CT_NAME, (0x40, b"?"), (0x40, b""), (0x41, b"x"), EXPLICIT_NAME))
    assert negotiate(port, association_request(CONTEXTS + wrong)).contexts[5] == (0, EXPLICIT)


def test_an_id_that_stands_for_two_contexts_means_neither(port: int) -> None:
    twice = context(5, MR_CLASS, EXPLICIT) + context(5, CT_CLASS, IMPLICIT)
    accepted = negotiate(port, association_request(CONTEXTS + twice + context(1, CT_CLASS, EXPLICIT)))
    assert {number: found for number, (found, _) in accepted.contexts.items()} == {1: 0, 3: 0, 5: 2}


@pytest.mark.parametrize(
    "wrong",
    [
        item(0x51, b"\0\0"), item(0x51, b""), item(0x53, b""), item(0x54, b""), item(0x54, b"\xff\xff1.2\1\1"),
        item(0x54, b"\0\0\1\1"), item(0x52, b""), item(0x55, b""), item(0x55, b"X" * 28), item(0x58, b"\2"),
        b"\x51\0\0", b"\x58\0\xff\xffuser",
    ],
)  # fmt: skip
def test_a_sub_item_that_is_not_as_it_should_be_costs_itself(port: int, wrong: bytes) -> None:
    accepted = negotiate(port, association_request(user_information=BASIC + wrong))
    assert accepted.contexts == {1: (0, EXPLICIT), 3: (0, EXPLICIT)}
    accepted = negotiate(port, association_request(user_information=wrong))
    assert accepted.contexts == {1: (0, EXPLICIT), 3: (0, EXPLICIT)}


def test_answers_stay_short_where_the_peers_maximum_length_cannot_be_read() -> None:
    broken = b"\x55\0\0\x40X" + maximum_length(64)
    assert negotiation.read_request(association_request(user_information=broken)).peer_max_pdu == 16384
    assert negotiation.read_request(association_request(user_information=b"")).peer_max_pdu == 0


# -- which transfer syntax

BIG_ENDIAN, DEFLATED, RLE = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
BASELINE, LOSSLESS, LOSSY_2000, MPEG4 = (f"1.2.840.10008.1.2.4.{number}" for number in ("50", "70", "91", "102.1"))
PRIVATE, JPIP = "1.2.3.4.99", "1.2.840.10008.1.2.4.94"


@pytest.mark.parametrize(
    ("proposed", "picked"),
    [
        ([BIG_ENDIAN, EXPLICIT], EXPLICIT),
        ([DEFLATED, EXPLICIT], EXPLICIT),
        ([BIG_ENDIAN, DEFLATED, IMPLICIT], IMPLICIT),
        ([BIG_ENDIAN], BIG_ENDIAN),
        ([DEFLATED, BIG_ENDIAN], DEFLATED),
        ([BIG_ENDIAN, DEFLATED], BIG_ENDIAN),
        ([DEFLATED, LOSSLESS], LOSSLESS),
        ([BASELINE, EXPLICIT], EXPLICIT),
        ([LOSSY_2000, JPEG_2000], JPEG_2000),
        ([BASELINE, MPEG4, LOSSY_2000], BASELINE),
        ([MPEG4, RLE], RLE),
        ([BASELINE, BIG_ENDIAN], BASELINE),
        ([LOSSLESS, EXPLICIT, IMPLICIT], LOSSLESS),
        ([IMPLICIT, EXPLICIT], IMPLICIT),
        ([EXPLICIT, LOSSLESS], EXPLICIT),
        ([JPIP, IMPLICIT], IMPLICIT),
        ([PRIVATE, EXPLICIT], PRIVATE),
        ([*(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81, 91, 93)), *[MPEG4] * 20, IMPLICIT], IMPLICIT),
    ],
)
def test_the_senders_order_counts_but_for_what_serves_worse(port: int, proposed: list[str], picked: str) -> None:
    accepted = negotiate(port, association_request(CONTEXTS + context(5, MR_CLASS, *proposed)))
    assert accepted.contexts[5] == (0, picked)


@pytest.mark.parametrize("proposed", [[BIG_ENDIAN, EXPLICIT], [DEFLATED, EXPLICIT], [BASELINE, EXPLICIT]])
def test_pynetdicom_as_a_sender_of_several_syntaxes_sends_explicit_little_endian(
    port: int, outcomes: list[Received | Refused], proposed: list[str]
) -> None:
    entity: Any = AE()
    entity.add_requested_context(CT_CLASS, proposed)
    association = entity.associate("127.0.0.1", port)
    assert [each.transfer_syntax for each in association.accepted_contexts] == [[EXPLICIT]]
    assert association.send_c_store(dcmread(CT)).Status == 0
    association.release()
    assert [type(one) for one in outcomes] == [Received]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_a_request_holds_is_answered_or_a_violation(data: st.DataObject) -> None:
    roles = role(CT_CLASS, 1, 0) + item(0x53, b"\0\0\0\0")
    request = bytearray(association_request(CONTEXTS + context(5, MR_CLASS, BASELINE, IMPLICIT), BASIC + roles))
    for position, value in data.draw(st.lists(st.tuples(st.integers(6, len(request) - 1), st.integers(0, 255)))):
        request[position] = value
    del request[data.draw(st.integers(6, len(request))) :]
    try:
        read = negotiation.read_request(bytes(request))
    except pdu.Violation:
        return
    answer, contexts = negotiation.accept(read, 16384, reports=True)
    assert struct.unpack_from(">BxL", answer) == (pdu.PduType.ASSOCIATE_AC, len(answer) - 6)
    answers = read_accept(answer[6:]).contexts
    assert {number for number, (result, _) in answers.items() if result == 0} == set(contexts)
    proposed = {one.number: one for one in read.proposed}
    assert answers.keys() == proposed.keys()
    assert all(syntax in proposed[n].transfer_syntaxes for n, (_, syntax) in contexts.items())
