"""Destinations that accept little at a time, end associations, or answer a second try: all that can go does go."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt

from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.scu.client import Outgoing, Result
from router.dicom.scu.unaccepted import others
from router.dicom.ul.status import Verdict
from router.errors import DestinationDown, TransientError
from support.dicom_peers import CT, CT_CLASS, SHIPPED, client, data_set, made, orthanc, send, stored, storescp
from support.scripted_acceptors import Acceptor, acceptor
from support.selective_destination import Context, Picky

CR, MR, SR = (f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("1", "4", "88.11"))


def never() -> bool:
    return False


def verdicts(results: Sequence[Result]) -> dict[int, Verdict]:
    assert len({result.key for result in results}) == len(results), "each once"
    return {result.key: result.verdict for result in results}


def all_stored(results: Sequence[Result], number: int) -> bool:
    return verdicts(results) == dict.fromkeys(range(number), Verdict.STORED)


def mixed(folder: Path, *classes: str) -> list[Outgoing]:
    return [stored(made(folder, key, sop_class=each), key) for key, each in enumerate(classes)]


# -- contexts


def as_jpeg(folder: Path, key: int) -> Outgoing:
    """An instance that only JPEG 2000 is offered for."""
    item = stored(made(folder, key), key)
    meta = preamble_and_meta(item.sop_class, item.sop_instance, JPEG2000, "A", "B")
    item.path.write_bytes(meta + data_set(item.path))
    return stored(item.path, key)


def test_what_the_first_association_does_not_cover_goes_over_a_second(tmp_path: Path) -> None:
    """A destination that accepts one context a SOP class."""

    def first_of_each_class(contexts: Sequence[Context]) -> Sequence[Context]:
        return list({context[0]: context for context in reversed(contexts)}.values())

    items = [*mixed(tmp_path, CT_CLASS, MR, CT_CLASS), as_jpeg(tmp_path, 3), as_jpeg(tmp_path, 4)]
    peer = Picky(first_of_each_class)
    with acceptor(peer) as port:
        assert all_stored(send(port, items, associations=1), 5)
    assert peer.proposals[1:] == [[(CT_CLASS, JPEG2000)]]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_destination_that_accepts_few_contexts_at_a_time_gets_all_over_as_many_associations(
    tmp_path: Path, most: int
) -> None:
    classes = [f"1.2.3.4.{number}" for number in range(6)]
    with acceptor(Picky(lambda contexts: [c for c in contexts if c[1] == ImplicitVRLittleEndian][:most])) as port:
        assert all_stored(send(port, mixed(tmp_path, *classes * 2), associations=2), 12)


def test_more_classes_than_fit_into_one_association_go_over_several(tmp_path: Path) -> None:
    classes = [f"1.2.3.4.{number}" for number in range(150)]
    peer = Picky()
    with acceptor(peer) as port:
        assert all_stored(send(port, mixed(tmp_path, *classes), associations=1), 150)
    assert max(map(len, peer.proposals)) <= 128


def only(*accepted: Context) -> Callable[[Sequence[Context]], Sequence[Context]]:
    return lambda contexts: [context for context in contexts if context in accepted]


IMPLICIT_CT, IMPLICIT_MR = (CT_CLASS, str(ImplicitVRLittleEndian)), (MR, str(ImplicitVRLittleEndian))


def test_a_syntax_that_is_never_accepted_is_named_with_what_would_help(tmp_path: Path) -> None:
    with acceptor(Picky(only(IMPLICIT_CT))) as port:
        [result] = send(port, [as_jpeg(tmp_path, 0)])
    assert (result.status, result.verdict) == (None, Verdict.REFUSED)
    assert result.why == (
        "the destination does not accept transfer syntax JPEG 2000 Image Compression (1.2.840.10008.1.2.4.91);"
        " decompress = true in its [destination.dicom] sends it uncompressed, with the extra of that name:"
        " pip install 'imaging-cloud-router[decompress]'"
    )


@pytest.mark.parametrize("takes", [IMPLICIT_CT, IMPLICIT_MR, (CR, str(ExplicitVRLittleEndian))])
def test_a_class_that_is_never_accepted_is_named(tmp_path: Path, takes: Context) -> None:
    with acceptor(Picky(only(takes))) as port:
        results = send(port, mixed(tmp_path, SR))
    assert [result.why for result in results] == [
        f"the destination does not accept Basic Text SR Storage ({SR}) in any transfer syntax"
    ]


def test_a_destination_that_takes_another_syntax_alone_is_not_down(tmp_path: Path) -> None:
    lossless = "1.2.840.10008.1.2.4.70"
    with acceptor(Picky(only((SR, lossless)))) as port:
        [result] = send(port, mixed(tmp_path, SR))
    assert result.why == (
        "the destination does not accept transfer syntax Implicit VR Little Endian (1.2.840.10008.1.2) or"
        " Explicit VR Little Endian (1.2.840.10008.1.2.1)"
    )


@pytest.mark.parametrize("classes", [1, 19, 20, 58, 128])
def test_what_is_asked_to_learn_why_fits_into_one_association(classes: int) -> None:
    asked = others(f"1.2.3.4.{number}" for number in range(classes))
    assert len(set(asked)) == len(asked) <= 128
    assert IMPLICIT_CT in asked


def test_a_private_class_that_is_never_accepted_is_named_by_its_uid(tmp_path: Path) -> None:
    with acceptor(Picky(only(IMPLICIT_CT))) as port:
        results = send(port, mixed(tmp_path, CT_CLASS, "1.2.3.4.5"))
    assert verdicts(results) == {0: Verdict.STORED, 1: Verdict.REFUSED}
    assert "does not accept 1.2.3.4.5 in any" in results[-1].why


def test_a_destination_that_accepts_nothing_at_all_is_down(tmp_path: Path) -> None:
    peer = Picky(lambda contexts: [])
    with acceptor(peer) as port, pytest.raises(DestinationDown, match="accepts no image") as caught:
        send(port, [*mixed(tmp_path, SR, "1.2.3.4"), as_jpeg(tmp_path, 2)])
    assert "calling_ae_title" in caught.value.hint
    assert len(peer.proposals) == 2, "once for what goes, once for any image"
    assert peer.stored == []


def test_a_destination_that_accepts_verification_alone_is_down_too(tmp_path: Path) -> None:
    entity: Any = AE()
    entity.add_supported_context("1.2.840.10008.1.1", ImplicitVRLittleEndian)
    peer = entity.start_server(("127.0.0.1", 0), block=False)
    try:
        sender = client(peer.server_address[1])
        sender.echo()
        with pytest.raises(DestinationDown, match="accepts no image"):
            list(sender.send(mixed(tmp_path, CT_CLASS), never))
    finally:
        peer.shutdown()


def test_a_destination_that_ceases_to_accept_anything_within_a_session_is_down(tmp_path: Path) -> None:
    peer = Picky(does=lambda place, _: 0 if place < 3 else None)
    items = mixed(tmp_path, *[CT_CLASS] * 6)
    with acceptor(peer) as port, client(port, associations=1).session() as session:
        assert verdicts(list(session.send(items[:2], never))) == {0: Verdict.STORED, 1: Verdict.STORED}
        peer.accepts = lambda contexts: []
        with pytest.raises(DestinationDown):
            list(session.send(items[2:], never))


def test_what_was_found_not_to_be_accepted_is_asked_once_a_session(tmp_path: Path) -> None:
    peer = Picky(only(IMPLICIT_CT))
    with acceptor(peer) as port, client(port, associations=1).session() as session:
        for number in range(0, 9, 3):
            items = [stored(made(tmp_path, number), number), as_jpeg(tmp_path, number + 1)]
            items += [stored(made(tmp_path, number + 2, sop_class=SR), number + 2)]
            assert [v.value for v in verdicts(list(session.send(items, never))).values()] == [
                "stored", "refused", "refused",
            ]  # fmt: skip
    assert len(peer.proposals) <= 3 + 2


# -- associations that end


def bytes_of(*items: Outgoing) -> list[bytes]:
    return sorted(data_set(item.path) for item in items)


@pytest.mark.parametrize("silent", [False, True], ids=["aborts", "hangs up"])
@pytest.mark.parametrize("place", [2, 3, 7])
@pytest.mark.parametrize("associations", [1, 3])
def test_a_destination_that_ends_each_association_at_one_place_gets_all(
    tmp_path: Path, place: int, associations: int, silent: bool
) -> None:
    peer = Picky(does=lambda n, _: None if n == place else 0, silent=silent)
    items = mixed(tmp_path, *[CT_CLASS] * 30)
    with acceptor(peer) as port:
        assert all_stored(send(port, items, associations=associations), 30)
    assert sorted(peer.stored) == bytes_of(*items)
    assert peer.places.count(place) <= 1 + 2 * associations, "then its associations hold fewer"


def test_the_number_is_learned_anew_where_it_becomes_less(tmp_path: Path) -> None:
    seen: list[int] = []

    def does(place: int, _: bytes) -> int | None:
        seen.append(place)
        return None if place == (5 if len(seen) < 30 else 2) else 0

    with acceptor(Picky(does=does)) as port:
        assert all_stored(send(port, mixed(tmp_path, *[CT_CLASS] * 40), associations=1), 40)


def test_a_line_that_breaks_once_does_not_make_associations_shorter(tmp_path: Path) -> None:
    broken: list[int] = []

    def does(place: int, _: bytes) -> int | None:
        if place == 3 and not broken:
            broken.append(place)
            return None
        return 0

    peer = Picky(does=does)
    with acceptor(peer) as port:
        assert all_stored(send(port, mixed(tmp_path, *[CT_CLASS] * 20), associations=1), 20)
    assert len(peer.proposals) == 2


def test_a_destination_that_ends_at_ever_other_places_gets_all(tmp_path: Path) -> None:
    count = iter(range(1000))
    peer = Picky(does=lambda place, _: None if place > 1 and next(count) % 3 == 0 else 0)
    with acceptor(peer) as port:
        assert all_stored(send(port, mixed(tmp_path, *[CT_CLASS] * 30), associations=1), 30)


# -- the second try


def forgetful(times: int) -> tuple[Callable[[int, bytes], int | None], list[bytes]]:
    """Stores, and hangs up before it answers, so many times; then answers what it has with 0111."""
    kept: list[bytes] = []

    def does(_: int, data: bytes) -> int | None:
        if data in kept:
            return 0x0111
        kept.append(data)
        return None if len(kept) in range(3, 3 + times) else 0

    return does, kept


def test_a_duplicate_answered_to_our_own_second_try_is_stored(tmp_path: Path) -> None:
    does, kept = forgetful(1)
    items = mixed(tmp_path, *[CT_CLASS] * 5)
    with acceptor(Picky(does=does, silent=True)) as port:
        results = send(port, items, associations=1)
    assert all_stored(results, 5)
    assert [result.status for result in results].count(0x0111) == 1
    assert sorted(kept) == bytes_of(*items)


def test_whatever_may_have_been_stored_when_a_destination_goes_down_is_reported_as_tried(tmp_path: Path) -> None:
    kept: list[bytes] = []

    def does(_: int, data: bytes) -> int | None:
        kept.append(data)
        time.sleep(0.02)
        return 0 if len(kept) < 12 else None

    down = Acceptor(Picky(does=does, silent=True))
    items = mixed(tmp_path, *[CT_CLASS] * 60)
    results: list[Result] = []

    def close_when_lost() -> None:
        while len(kept) < 12:
            time.sleep(0.001)
        down.stop_listening()

    closing = threading.Thread(target=close_when_lost)
    closing.start()
    with pytest.raises(TransientError):
        results.extend(client(down.port, associations=4).send(items, never))
    closing.join()
    down.close()
    reported = verdicts(results)
    tried = {item.key for item in items if data_set(item.path) in kept}
    assert len(tried) > 12, "more than one association was lost"
    assert reported.keys() == tried
    assert set(reported.values()) == {Verdict.STORED, Verdict.LOST}


def test_a_duplicate_answered_to_a_first_try_is_refused(tmp_path: Path) -> None:
    [item] = mixed(tmp_path, CT_CLASS)
    with acceptor(Picky(does=lambda place, data: 0x0111)) as port:
        [result] = send(port, [item])
    assert (result.status, result.verdict) == (0x0111, Verdict.REFUSED)


@pytest.mark.parametrize(
    ("tried", "sole", "verdict"),
    [(True, True, Verdict.STORED), (True, False, Verdict.REFUSED), (False, True, Verdict.REFUSED)],
)
def test_a_duplicate_counts_only_where_it_can_mean_nothing_but_these_bytes(
    tmp_path: Path, tried: bool, sole: bool, verdict: Verdict
) -> None:
    [item] = mixed(tmp_path, CT_CLASS)
    with acceptor(Picky(does=lambda place, data: 0x0111)) as port:
        [result] = send(port, [replace(item, tried=tried, sole=sole)])
    assert result.verdict is verdict


def test_a_second_version_that_is_a_duplicate_on_its_second_try_is_not_stored(tmp_path: Path) -> None:
    """The destination keeps the first version, and hangs up once."""
    answers = iter([0, None, 0x0111])
    items = [replace(item, sole=False) for item in mixed(tmp_path, CT_CLASS, CT_CLASS)]
    with acceptor(Picky(does=lambda place, data: next(answers))) as port:
        results = send(port, items, associations=1)
    assert verdicts(results) == {0: Verdict.STORED, 1: Verdict.REFUSED}


def test_a_destination_that_aborts_on_everything_is_in_trouble(tmp_path: Path) -> None:
    with acceptor(Picky(does=lambda place, data: None)) as port, pytest.raises(TransientError, match="3 instances"):
        send(port, mixed(tmp_path, *[CT_CLASS] * 6), associations=1)


# -- real destinations


@contextmanager
def storage(take: Callable[[Any], int]) -> Iterator[int]:
    """pynetdicom as a destination of CT images."""
    entity: Any = AE()
    entity.add_supported_context(CT_CLASS, ImplicitVRLittleEndian)
    peer = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)])
    try:
        yield peer.server_address[1]
    finally:
        peer.shutdown()


def test_pynetdicom_that_aborts_on_the_second_of_each_association_gets_all(tmp_path: Path) -> None:
    came: Counter[object] = Counter()
    kept: list[str] = []

    def take(event: Any) -> int:
        came[event.assoc] += 1
        if came[event.assoc] == 2:
            event.assoc.abort()
        else:
            kept.append(event.request.AffectedSOPInstanceUID)
        return 0

    items = mixed(tmp_path, *[CT_CLASS] * 8)
    with storage(take) as port:
        assert all_stored(send(port, items, associations=1), 8)
    assert sorted(kept) == sorted(item.sop_instance for item in items)


def test_pynetdicom_that_stores_hangs_up_and_then_calls_it_a_duplicate_has_all(tmp_path: Path) -> None:
    kept: set[str] = set()

    def take(event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid in kept:
            return 0x0111
        kept.add(uid)
        if len(kept) == 3:
            event.assoc.abort()
        return 0

    with storage(take) as port:
        assert all_stored(send(port, mixed(tmp_path, *[CT_CLASS] * 5), associations=1), 5)
    assert len(kept) == 5


def test_orthanc_that_takes_no_jpeg_2000_says_so_and_gets_the_rest(tmp_path: Path) -> None:
    items = [stored(CT, 0), stored(SHIPPED / "test_files" / "JPEG2000.dcm", 1)]
    accepted = {"AcceptedTransferSyntaxes": [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)]}
    with orthanc(tmp_path, **accepted) as (port, _):
        results = {result.key: result for result in send(port, items)}
    assert results[0].verdict is Verdict.STORED
    assert results[1].why.startswith("the destination does not accept transfer syntax JPEG 2000 Image Compression (")


def test_dcmtk_that_aborts_on_everything_has_nothing_refused(tmp_path: Path) -> None:
    with storescp(tmp_path / "dcmtk", "--abort-after") as port, pytest.raises(TransientError, match="3 instances"):
        send(port, mixed(tmp_path, *[CT_CLASS] * 5), associations=1)
