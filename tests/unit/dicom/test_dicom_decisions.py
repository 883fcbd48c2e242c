"""What the DICOM door decides without a socket: admission, contexts, what a status means."""

from dataclasses import dataclass

import pytest

from router.config.sections import Sender
from router.dicom.scp.admission import (
    CALLED_AE,
    CALLING_AE,
    CERTIFICATE,
    FULL,
    SENDER_FULL,
    Admission,
    Ask,
    Rejection,
    judge,
)
from router.dicom.ul.contexts import MOST, propose
from router.dicom.ul.status import Verdict, classify, hint, is_for_good


@dataclass(frozen=True)
class Item:
    sop_class: str
    transfer_syntax: str
    key: int = 0


def as_stored(syntax: str) -> tuple[str, ...]:
    return (syntax,)


def asked(rules: Admission, *, in_all: int = 0, from_sender: int = 0, **changes: object) -> Rejection | None:
    request: dict[str, object] = {"called": "ROUTER", "calling": "CT01", "address": "10.1.2.3", **changes}
    ask = Ask(number=1, **request)  # type: ignore[arg-type]  # tests vary one argument at a time
    return judge(rules, ask, in_all=in_all, from_sender=from_sender)


def test_anyone_is_admitted_where_no_sender_is_named() -> None:
    assert asked(Admission()) is None
    assert asked(Admission(), called="ANY", calling="X") is None


def test_a_sender_is_its_title_and_its_address() -> None:
    rules = Admission(senders=(Sender(ae_title="CT01", address="10.1.2.0/24"), Sender(ae_title="MR01")))
    assert asked(rules) is None
    assert asked(rules, calling="MR01", address="192.0.2.1") is None
    assert asked(rules, address="::ffff:10.1.2.9") is None
    assert asked(rules, address="10.1.3.3") is CALLING_AE
    assert asked(rules, address="fe80::1%eth0") is CALLING_AE
    assert asked(rules, calling="CT02") is CALLING_AE
    assert (CALLING_AE.result, CALLING_AE.source, CALLING_AE.reason) == (1, 1, 3)


def test_a_certificate_is_bound_to_the_title_where_the_senders_say_so() -> None:
    bound = Sender(ae_title="CT01", certificate="ct01.hospital")
    rules = Admission(senders=(bound, Sender(ae_title="MR01"), Sender(ae_title="CT02", certificate="ct02.hospital")))
    assert asked(rules, certificate=frozenset({"x", "CT01.hospital"})) is None
    assert asked(rules, certificate=frozenset({"ct02.hospital"})) is CERTIFICATE
    assert asked(rules, certificate=frozenset()) is CERTIFICATE
    assert asked(rules, calling="MR01") is None
    assert asked(rules, calling="CT03", certificate=frozenset({"ct01.hospital"})) is CALLING_AE
    assert (CERTIFICATE.result, CERTIFICATE.source, CERTIFICATE.reason) == (1, 1, 3)


def test_another_called_title_is_not_recognised() -> None:
    assert asked(Admission(ae_title="ROUTER")) is None
    assert asked(Admission(ae_title="ROUTER"), called="OTHER") is CALLED_AE
    assert (CALLED_AE.source, CALLED_AE.reason) == (1, 7)


def test_the_limits_are_reached_at_the_limit() -> None:
    rules = Admission(max_associations=4, max_associations_per_sender=2)
    assert asked(rules, in_all=3, from_sender=1) is None
    assert asked(rules, in_all=4, from_sender=0) is FULL
    assert asked(rules, in_all=3, from_sender=2) is SENDER_FULL
    assert not any(is_for_good(one.result, one.source, one.reason) for one in (FULL, SENDER_FULL))


def test_one_context_is_proposed_for_each_class_and_syntax_in_order() -> None:
    items = [Item("2", "b", 1), Item("1", "a", 2), Item("2", "b", 3), Item("2", "a", 4)]
    [proposal] = propose(items, as_stored)
    assert proposal.contexts == (("2", "b"), ("1", "a"), ("2", "a"))
    assert proposal.items == tuple(items)


def test_nothing_to_send_proposes_nothing() -> None:
    assert propose([], as_stored) == ()


@pytest.mark.parametrize(("contexts", "associations"), [(MOST, 1), (MOST + 1, 2), (3 * MOST, 3)])
def test_contexts_are_split_at_128_and_every_item_goes_where_its_context_is(contexts: int, associations: int) -> None:
    items = [Item(str(number % contexts), "a", number) for number in range(2 * contexts)]
    proposals = propose(items, as_stored)
    assert len(proposals) == associations
    assert all(len(proposal.contexts) <= MOST for proposal in proposals)
    for proposal in proposals:
        assert {(item.sop_class, item.transfer_syntax) for item in proposal.items} == set(proposal.contexts)
    assert sorted(item.key for proposal in proposals for item in proposal.items) == list(range(2 * contexts))


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 0xBFFF, 0x0107, 0x0116])
def test_success_and_warnings_are_stored(status: int) -> None:
    assert classify(status) is Verdict.STORED


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0213, 0x0110, 0xFE00, 0xFF00, 0x1234])
def test_what_may_pass_is_tried_later(status: int) -> None:
    assert classify(status) is Verdict.LATER


@pytest.mark.parametrize("status", [0xA900, 0xA9FF, 0xC000, 0xC211, 0xCFFF, 0x0117, 0x0122, 0x0124, 0x0111, 0x0212])
def test_what_the_instance_is_refused_for_is_final(status: int) -> None:
    assert classify(status) is Verdict.REFUSED


@pytest.mark.parametrize(
    ("result", "source", "reason", "for_good"),
    [
        (1, 1, 3, True),
        (1, 1, 7, True),
        (2, 1, 7, True),
        (1, 2, 2, True),
        (1, 1, 1, True),
        (2, 1, 1, False),
        (2, 3, 1, False),
        (1, 3, 2, False),
    ],
)
def test_a_rejection_is_load_or_configuration(result: int, source: int, reason: int, *, for_good: bool) -> None:
    assert is_for_good(result, source, reason) is for_good


def test_each_rejection_for_configuration_has_its_own_hint() -> None:
    hints = {hint(1, 3), hint(1, 7), hint(2, 2)}
    assert len(hints) == 3
    assert "calling_ae_title" in hint(1, 3)
