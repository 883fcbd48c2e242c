"""Stored images that are not what came: through real sending, the cataloguer and the scrub."""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt

from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.images.ledger import Fate
from router.clock import FakeClock
from router.config.file import parse
from router.config.sections import Config, DicomDestination, Series
from router.delivery.senders import ImagesSender, SendResult
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.scu.client import StorageClient, Waits
from router.dicom.ul import pdata
from router.dicom.ul.tls import server_context
from router.events import EventBus
from router.images.cataloguer import Cataloguer
from router.images.rulebook import rulebook
from router.model import Channel, InstanceUids
from router.policy.bandwidth import Paced, unbounded
from router.policy.states import State
from router.review.deliveries import Review
from router.storage import Storage, open_storage
from router.storage.incoming import IncomingFolder
from router.upkeep.check import take
from router.upkeep.scrub import LOOK_SECONDS, Scrub
from support.certificates import Authority, as_given
from support.dicom_peers import CT_CLASS

START = datetime(2026, 3, 1, tzinfo=UTC)
STUDY = "1.2.3"
DAY = timedelta(days=1)
CONFIG = """
[node]
data = "data"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[study]
stable_after = "0 s"
[[destination]]
name = "cloud"
[destination.dicom]
port = 1
"""


def never() -> bool:
    return False


def uid(number: int) -> str:
    return f"{STUDY}.4.{number}"


def data_set(number: int, pixels: int, note: str = "") -> bytes:
    """Explicit VR little endian; `note` makes another data set of the same instance."""

    def element(tag: int, vr: bytes, value: bytes) -> bytes:
        value += (b"\0" if vr in (b"UI", b"OW") else b" ") * (len(value) % 2)
        head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
        return head + struct.pack("<2xL" if vr == b"OW" else "<H", len(value)) + value

    return b"".join(
        (
            element(0x00080016, b"UI", CT_CLASS.encode()), element(0x00080018, b"UI", uid(number).encode()),
            element(0x00080060, b"CS", b"CT"), element(0x00100010, b"PN", b"Zhang^San"),
            element(0x0020000D, b"UI", STUDY.encode()), element(0x0020000E, b"UI", f"{STUDY}.4".encode()),
            element(0x00204000, b"LT", note.encode()), element(0x7FE00010, b"OW", bytes([number]) * pixels),
        )
    )  # fmt: skip


class Cloud:
    """A Storage SCP that takes any instance whole, and remembers each; `syntax` is the one that it takes."""

    def __init__(self, syntax: str = ExplicitVRLittleEndian, context: Any = None, longest: int = 16382) -> None:
        self.came: dict[str, bytes] = {}
        entity: Any = AE()
        entity.maximum_pdu_size = longest
        entity.add_supported_context(CT_CLASS, syntax)
        handlers = [(evt.EVT_C_STORE, self._store)]
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=context)
        self.port = int(self.server.server_address[1])

    def _store(self, event: Any) -> int:
        self.came[str(event.request.AffectedSOPInstanceUID)] = event.request.DataSet.getvalue()
        return 0x0000


@contextmanager
def cloud(**settings: Any) -> Iterator[Cloud]:
    running = Cloud(**settings)
    try:
        yield running
    finally:
        running.server.shutdown()


@dataclass
class Node:
    """A data folder, its cataloguer and what is set aside in it."""

    config: Config
    storage: Storage
    catalogue: Catalogue
    clock: FakeClock
    bus: EventBus
    busy: bool = False
    waited: float = 0.0
    exam: int = field(default=0)

    def receive(self, *numbers: int, pixels: int = 1000, note: str = "") -> None:
        """As from the PACS, catalogued, joined to the exam and selected."""
        incoming = IncomingFolder(self.storage.incoming.worker_folder(1), 0)
        for number in numbers:
            file = incoming.create()
            meta = preamble_and_meta(CT_CLASS, uid(number), ExplicitVRLittleEndian, "CT01", "ROUTER")
            file.write([meta, data_set(number, pixels, note)])
            file.commit(InstanceUids(STUDY, f"{STUDY}.4", uid(number)))
        book, now = rulebook(Series()), self.clock.now()
        known = (self.storage, self.catalogue.instances, lambda _: book, lambda _: None, self.bus, self.clock)
        while Cataloguer(*known).run_batch():
            pass
        self.exam = self.catalogue.exams.number_of("", "01", "E1", now)
        self.catalogue.exams.links.link(self.exam, [STUDY], "listed", now)
        self.catalogue.queue.make(self.exam, [("cloud", Channel.IMAGES)], now)
        self.select()

    def select(self) -> None:
        undecided = self.catalogue.ledger.undecided(self.exam, "cloud")
        self.catalogue.ledger.decide("cloud", [(one.key, True, "all go") for one in undecided], self.clock.now())

    def path(self, number: int, version: int = 1) -> Path:
        return self.storage.studies.path(InstanceUids(STUDY, f"{STUDY}.4", uid(number)), version)

    def send(self, port: int, paced: Paced = unbounded, **settings: object) -> SendResult:
        destination = DicomDestination.model_validate({"port": port, "associations": 1, **settings})
        client = StorageClient(destination, Waits(connect=2, association=2, write=5, response=5, release=1), paced)
        sender = ImagesSender(
            config=self.config,
            catalogue=self.catalogue,
            storage=self.storage,
            client=client,
            clock=self.clock,
            asker=None,
            objection=lambda _: "",
            bus=self.bus,
        )
        return sender.send(self.catalogue.queue.of_exam(self.exam)[0], never)

    def damaged(self) -> list[str]:
        entries = self.catalogue.ledger.entries(self.exam, "cloud")
        return [entry.uids.sop for entry in entries if entry.fate is Fate.DAMAGED]

    def alarms(self) -> list[str]:
        return [one.subject for one in self.catalogue.alarms.standing() if one.alarm is Alarm.DAMAGED]

    def forget_checksums(self) -> None:
        """As rows were before there were any."""
        self.catalogue.engine.execute("UPDATE instance SET checksum = NULL", ())

    def scrub(self, every: timedelta = DAY) -> Scrub:
        def wait(seconds: float) -> bool:
            self.waited += seconds
            return False

        return Scrub(
            every=every, catalogue=self.catalogue, storage=self.storage, bus=self.bus, clock=self.clock,
            busy=lambda: self.busy, wait=wait,
        )  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    config = parse(CONFIG, base=tmp_path)
    bus = EventBus()
    storage, catalogue = open_storage(config.node.data, "n"), open_catalogue("", config.node.data, bus)
    yield Node(config, storage, catalogue, FakeClock(START), bus)
    catalogue.engine.close_thread()


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "the last bit": lambda path: flip(path, -1),
    "a pixel's bit": lambda path: flip(path, -500),
    "a name's bit": lambda path: flip(path, path.read_bytes().index(b"Zhang") + 1),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0\0"),
    "another's file": lambda path: path.write_bytes(path.with_name(f"{uid(1)}.dcm").read_bytes()),
    "no DICOM": lambda path: path.write_bytes(b"x" * 1000),
    "a folder": lambda path: path.rename(path.with_suffix(".away")).with_suffix(".dcm").mkdir(),
    "gone": Path.unlink,
}
SIZES = {"small": 1000, "as large as the room": pdata.ROOM, "larger": 3 * pdata.ROOM + 77}


@pytest.mark.parametrize("checksums", [True, False], ids=["XXH3-128", "SHA-256"])
@pytest.mark.parametrize("pixels", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_set_aside_and_the_rest_goes_as_it_came(
    node: Node, damage: str, pixels: int, checksums: bool
) -> None:
    node.receive(1, 2, 3, pixels=pixels)
    if not checksums:
        node.forget_checksums()
    DAMAGES[damage](node.path(2))
    with cloud() as there:
        assert node.send(there.port) == SendResult(State.FAILED, "1 of 3 damaged", {"error": "1 of 3 damaged"})
        assert there.came == {uid(n): data_set(n, pixels) for n in (1, 3)}
    assert node.damaged() == [uid(2)]
    assert node.alarms() == [f"study {STUDY}"]


@pytest.mark.parametrize("pixels", SIZES.values(), ids=SIZES)
def test_over_tls_and_slowly_too(node: Node, pixels: int, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    authority = Authority(tmp_path / "keys")
    paced: list[int] = []
    node.receive(1, 2, pixels=pixels)
    flip(node.path(1), -1)
    with cloud(context=server_context(authority.issue("peer"))) as there:
        ending = node.send(there.port, paced.append, tls=as_given(authority.issue("node")))
        assert ending.why == "1 of 2 damaged"
        assert there.came == {uid(2): data_set(2, pixels)}
    assert max(paced) <= 16384


@pytest.mark.parametrize("longest", [128, 4096, 16382, 131072, 0])
@pytest.mark.parametrize("pixels", [0, 1, 122, 1000, 70_001])
def test_a_data_set_arrives_whole_in_pdus_of_any_length(node: Node, longest: int, pixels: int) -> None:
    node.receive(1, pixels=pixels)
    with cloud(longest=longest) as there:
        assert node.send(there.port).to is State.DELIVERED
        assert there.came[uid(1)] == data_set(1, pixels)


@pytest.mark.parametrize("pixels", SIZES.values(), ids=SIZES)
def test_what_is_converted_is_compared_before(node: Node, pixels: int) -> None:
    node.receive(1, 2, pixels=pixels)
    flip(node.path(1), -1)
    with cloud(syntax=ImplicitVRLittleEndian) as there:
        assert node.send(there.port).why == "1 of 2 damaged"
        assert list(there.came) == [uid(2)]


def test_damage_and_refusal_are_told_apart(node: Node) -> None:
    node.receive(1, 2, 3)
    flip(node.path(1), -1)
    with cloud(syntax="1.2.840.10008.1.2.4.70") as there:
        assert node.send(there.port).why.startswith("3 of 3 refused; 3 instance(s): "), "nothing of it was read"
        Review(node.catalogue, node.clock).retry(node.catalogue.queue.of_exam(node.exam)[0], "again", "me")
    assert node.damaged() == []


@pytest.mark.fires("damaged")
def test_many_damaged_files_do_not_keep_the_others(node: Node) -> None:
    node.receive(*range(1, 41))
    for number in range(1, 41, 2):
        flip(node.path(number), -1)
    with cloud() as there:
        assert node.send(there.port, associations=4).why == "20 of 40 damaged"
        assert set(there.came) == {uid(number) for number in range(2, 41, 2)}
    assert node.alarms() == [f"study {STUDY}"], "one alarm for them all"


# -- a sound copy


def sent_once_damaged(node: Node, port: int) -> None:
    node.receive(1, 2, 3)
    flip(node.path(2), -1)
    assert node.send(port).why == "1 of 3 damaged"


@pytest.mark.ends("damaged")
def test_what_comes_again_as_it_was_takes_the_damaged_files_place_and_goes(node: Node) -> None:
    with cloud() as there:
        sent_once_damaged(node, there.port)
        node.receive(1, 2, 3)
        assert node.path(2).read_bytes().endswith(data_set(2, 1000))
        assert not list(node.path(2).parent.glob("*.fresh"))
        there.came.clear()
        assert node.send(there.port).to is State.DELIVERED
        assert there.came == {uid(2): data_set(2, 1000)}
    node.scrub().step()
    assert node.alarms() == []
    assert take(node.storage.studies, node.catalogue.instances, lambda _: False, iter).sound


def test_a_crash_between_file_and_row_is_made_good_by_the_next_start(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cloud() as there:
        sent_once_damaged(node, there.port)
        with monkeypatch.context() as patched:
            patched.setattr(
                "router.catalogue.images.instances.mend", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            )
            with pytest.raises(KeyboardInterrupt):
                node.receive(2)
        node.receive()
        assert node.send(there.port).to is State.DELIVERED


def test_what_comes_again_otherwise_is_a_new_version_and_goes(node: Node) -> None:
    with cloud() as there:
        sent_once_damaged(node, there.port)
        node.receive(2, note="coerced")
        there.came.clear()
        assert node.send(there.port).to is State.DELIVERED
        assert there.came == {uid(2): data_set(2, 1000, "coerced")}
    node.scrub().step()
    assert node.alarms() == []


def test_a_person_who_has_put_the_file_back_retries_and_one_who_has_not_is_told_again(node: Node) -> None:
    with cloud() as there:
        sent_once_damaged(node, there.port)
        delivery = node.catalogue.queue.of_exam(node.exam)[0]
        for to in (State.READY, State.SENDING, State.FAILED):
            node.catalogue.queue.move(delivery, to, START, "on the way")
            delivery = node.catalogue.queue.of_exam(node.exam)[0]
        review = Review(node.catalogue, node.clock)
        assert review.retry(delivery, "I looked", "me")
        assert node.send(there.port).why == "1 of 3 damaged"
        flip(node.path(2), -1)
        node.catalogue.ledger.reselect_refused(node.exam, "cloud", START)
        assert node.send(there.port).to is State.DELIVERED
    node.scrub().step()
    assert node.alarms() == []


# -- the scrub


def round_of(scrub: Scrub) -> int:
    """Steps of one round."""
    for steps in range(1, 200):
        if scrub.step() == LOOK_SECONDS:
            return steps
    raise AssertionError("the round has no end")


def test_the_scrub_finds_what_no_destination_has_confirmed(node: Node) -> None:
    node.receive(1, 2, 3)
    flip(node.path(2), -1)
    scrub = node.scrub()
    round_of(scrub)
    assert node.damaged() == [], "what came today was read today"
    node.clock.advance(DAY.total_seconds() + 1)
    round_of(scrub)
    assert node.damaged() == [uid(2)]
    assert node.alarms() == [f"study {STUDY}"]
    with cloud() as there:
        assert node.send(there.port).why == "1 of 3 damaged"


def test_what_no_exam_names_yet_is_read_and_what_is_sent_is_not(node: Node) -> None:
    with cloud() as there:
        node.receive(1)
        node.send(there.port)
    flip(node.path(1), -1)
    node.catalogue.engine.execute("DELETE FROM exam_study", ())
    node.clock.advance(2 * DAY.total_seconds())
    node.receive(2)
    node.catalogue.engine.execute("DELETE FROM ledger WHERE state = 'selected'", ())
    flip(node.path(2), -1)
    node.clock.advance(2 * DAY.total_seconds())
    round_of(node.scrub())
    damaged = node.catalogue.engine.execute("SELECT sop_uid FROM instance WHERE damaged IS NOT NULL", ())
    assert damaged == [(uid(2),)]


def test_at_most_one_round_in_an_interval_also_after_a_restart(node: Node) -> None:
    node.receive(1, 2)
    node.clock.advance(2 * DAY.total_seconds())
    assert round_of(node.scrub()) >= 3
    flip(node.path(1), -1)
    assert round_of(node.scrub()) == 1
    assert node.damaged() == []
    node.clock.advance(DAY.total_seconds())
    round_of(node.scrub())
    assert node.damaged() == [uid(1)]


def test_a_round_that_was_cut_short_is_gone_on_with(node: Node) -> None:
    node.receive(1, 2, 3)
    node.clock.advance(2 * DAY.total_seconds())
    scrub = node.scrub()
    scrub.step(), scrub.step()
    flip(node.path(3), -1)
    round_of(node.scrub())
    assert node.damaged() == [uid(3)]


def test_it_pauses_while_something_is_sent_and_reads_slowly(node: Node) -> None:
    node.receive(1, 2, pixels=2_000_000)
    node.clock.advance(2 * DAY.total_seconds())
    node.busy = True
    scrub = node.scrub()
    assert 0 < scrub.step() < LOOK_SECONDS
    node.busy = False
    round_of(scrub)
    assert 0.1 < node.waited < 1, "4 MB"


def test_never_is_never_but_alarms_end(node: Node) -> None:
    node.receive(1)
    flip(node.path(1), -1)
    node.clock.advance(9 * DAY.total_seconds())
    assert round_of(node.scrub(timedelta(0))) == 1
    assert node.damaged() == []


def test_a_file_that_was_put_back_is_noticed(node: Node) -> None:
    node.receive(1)
    flip(node.path(1), -1)
    node.clock.advance(2 * DAY.total_seconds())
    scrub = node.scrub()
    round_of(scrub)
    flip(node.path(1), -1)
    node.clock.advance(2 * DAY.total_seconds())
    round_of(scrub)
    assert node.damaged() == []
    node.clock.advance(2 * LOOK_SECONDS)
    scrub.step()
    assert node.alarms() == []


def test_what_is_purged_while_it_is_read_is_no_damage(node: Node) -> None:
    node.receive(1)
    node.clock.advance(2 * DAY.total_seconds())
    scrub = node.scrub()
    scrub.step()
    node.catalogue.engine.execute("UPDATE instance SET purged = 1", ())
    node.path(1).unlink()
    round_of(scrub)
    assert node.alarms() == []


def test_a_clock_that_was_put_back_does_not_keep_the_scrub_waiting(node: Node) -> None:
    node.receive(1)
    node.clock.advance(900 * DAY.total_seconds())
    round_of(node.scrub())
    flip(node.path(1), -1)
    node.clock.advance(-890 * DAY.total_seconds())
    round_of(node.scrub())
    assert node.damaged() == [uid(1)]
