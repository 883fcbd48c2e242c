"""The contract of signed heads: they outlive the files that they vouch for, and speak against a trail that was cut."""

import base64
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from router.admin.audit.audit import Audit, Guard
from router.admin.audit.seals import Seals, head_faults, is_signed, seals_of
from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import FakeClock
from router.crypto.symmetric import hmac_sm3, sm3
from router.errors import TransientError
from router.events import Event, EventBus, Kind
from router.model import Head
from router.storage.trail import Key, Record, Trail
from support.catalogue_rows import NOW
from support.harness import wait_for

NODE = "node-1"
DAY = timedelta(days=1)
KEEP = timedelta(days=1095)


class House:
    """A node's audit with its keys, its trail and the heads in the database."""

    def __init__(self, data: Path, catalogue: Catalogue) -> None:
        self.data = data
        self.catalogue = catalogue
        self.clock = FakeClock(NOW)
        self.told: list[Event] = []
        self.start()

    def start(self) -> None:
        """A process begins."""
        self.seals: Seals = seals_of(self.data, NODE)
        self.trail = Trail(self.data / "audit" / NODE, sm3, self.seals.key)
        self.audit = Audit(self.trail, NODE, self.clock, KEEP)
        self.bus = EventBus(self.audit.take, self.told.append)
        heads = self.catalogue.audit_heads
        self.guarding = Guard(seals=self.seals, heads=heads, bus=self.bus, close=self.catalogue.engine.close_thread)
        self.audit.guard(self.guarding)

    def tell(self, count: int = 1) -> None:
        for n in range(count):
            self.bus.record(Event(self.clock.now(), Kind.DECIDED, f"released {n}", who="wang", exam=n))
        self.audit.write()

    def look(self) -> str:
        """What its thread does once a minute; the fault that it tells."""
        self.audit._look(self.guarding, sign=False)
        last = self.told[-1]
        assert last.alarm == Alarm.AUDIT
        return last.text if last.kind == Kind.ALARM else ""

    def sign(self) -> Head:
        self.audit._look(self.guarding, sign=True)
        head = self.catalogue.audit_heads.newest(NODE)
        assert head is not None
        return head

    def files(self) -> list[Path]:
        return sorted(self.trail.folder.glob("*.jsonl"))

    def cut(self, lines: int) -> None:
        """Somebody takes so many lines from the end."""
        (path,) = self.files()
        kept = path.read_bytes().splitlines(keepends=True)[:-lines]
        path.write_bytes(b"".join(kept))


@pytest.fixture
def house(tmp_path: Path, catalogue: Catalogue) -> House:
    return House(tmp_path / "data", catalogue)


def test_the_keys_are_made_once_and_closed_to_others(house: House) -> None:
    again = seals_of(house.data, NODE)
    assert (again.id, again.key.id) == (house.seals.id, house.seals.key.id)
    assert seals_of(house.data, "node-2").id != again.id
    for path in (house.data / "node-keys" / NODE).iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_a_head_is_signed_kept_and_part_of_the_trail_and_so_of_what_syslog_gets(house: House) -> None:
    house.tell(3)
    head = house.sign()
    assert (head.node, head.n, head.key, head.chain) == (NODE, 3, house.seals.id, house.seals.key.id)
    record = house.trail.at(3)
    assert record is not None
    assert record.seal == head.seal
    assert is_signed(head, house.seals.signing.public)
    *_, sent_on = house.trail.after(3)
    assert f"{NODE}:3:{head.seal}" in sent_on.message
    assert head.signature in sent_on.message
    assert list(head_faults([head], house.trail, house.seals, NOW)) == []
    assert house.look() == ""


@pytest.mark.parametrize("field", ["node", "seal", "at", "chain", "key", "accepted"])
def test_a_head_that_was_changed_anywhere_is_not_the_nodes_word(house: House, field: str) -> None:
    house.tell()
    head = house.sign()
    changed = Head(**asdict(head) | {field: f"{getattr(head, field)}0"})
    assert not is_signed(changed, house.seals.signing.public)
    assert not is_signed(replace(head, n=head.n + 1), house.seals.signing.public)
    for signature in ("", "x", "%", base64.b64encode(b"0").decode()):
        assert not is_signed(replace(head, signature=signature), house.seals.signing.public)


def test_heads_are_kept_in_order_for_each_node_and_pruned_with_the_trail(house: House) -> None:
    house.tell()
    heads = []
    for _ in range(3):
        heads.append(house.sign())
        house.clock.advance(86400.0)
    other = replace(heads[0], node="node-2")
    house.catalogue.audit_heads.add(other)
    assert list(house.catalogue.audit_heads.of(NODE)) == heads
    assert list(house.catalogue.audit_heads.nodes()) == [NODE, "node-2"]
    house.catalogue.audit_heads.prune(NODE, (NOW + DAY).isoformat())
    assert list(house.catalogue.audit_heads.of(NODE)) == heads[1:]
    house.catalogue.audit_heads.prune(NODE, (NOW + 9 * DAY).isoformat())
    assert list(house.catalogue.audit_heads.of(NODE)) == heads[2:]
    assert house.catalogue.audit_heads.newest("node-2") == other


# -- what was done to the trail, and how it shows


def _rewritten(house: House) -> None:
    (path,) = house.files()
    path.write_bytes(path.read_bytes().replace(b"released 1", b"released 9"))


def _removed(house: House) -> None:
    for path in house.files():
        path.unlink()


def _unkeyed(house: House) -> None:
    """The whole trail is written again by somebody who has no key."""
    messages = [record.message for record in house.trail.records()]
    _removed(house)
    Trail(house.trail.folder, sm3).append(messages, NOW)


def _without_keys(house: House) -> None:
    for path in (house.data / "node-keys" / NODE).iterdir():
        path.unlink()


def _marked(house: House) -> None:
    house.trail.note_sent(10_000)


def _marked_by_hand(house: House) -> None:
    (house.trail.folder / "sent").write_text("10000")


def _no_folder(house: House) -> None:
    house.trail.folder.rename(house.data / "elsewhere")
    house.trail.folder.write_text("no folder")


def _garbage(house: House) -> None:
    (path,) = house.files()
    path.write_bytes(b"x\n" * 20)


def _forged(house: House) -> None:
    """A last record that bears the key's id, by somebody who has not the key."""
    forger = Key(house.seals.key.id, lambda data: hmac_sm3(b"another key", data))
    Trail(house.trail.folder, sm3, forger).append(["forged"], NOW)


DONE: dict[str, tuple[Callable[[House], None], str]] = {
    "cut": (lambda house: house.cut(3), "and record 5 was signed"),
    "removed": (_removed, "and record 5 was signed"),
    "written again without a key": (_unkeyed, "record 5 is not the one that was signed"),
    "a record forged": (_forged, "was changed"),
    "its keys removed": (_without_keys, "which is not here"),
    "a mark beyond the end": (_marked, "record 10000 was sent on"),
    "a mark beyond the end by hand": (_marked_by_hand, "record 10000 was sent on"),
    "no folder": (_no_folder, "the trail cannot be"),
    "garbage": (_garbage, "the trail cannot be"),
}


@pytest.mark.ends("audit")
@pytest.mark.fires("audit")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("do", "why"), DONE.values(), ids=DONE)
def test_a_trail_that_is_not_what_it_was_is_an_alarm_and_no_person_acts(
    house: House, do: Callable[[House], None], why: str, restarted: bool
) -> None:
    if do is _without_keys and not restarted:
        restarted = True  # the running process has them
    house.tell(5)
    head = house.sign()
    assert house.look() == ""
    do(house)
    if restarted:
        house.start()
    assert why in house.look()
    with pytest.raises(TransientError, match="nothing is done"):
        house.audit.seal()
    assert house.sign() == head, "no new head takes the place of the one that speaks against the trail"


def test_records_changed_in_the_middle_are_found_by_whoever_verifies(house: House) -> None:
    house.tell(5)
    house.sign()
    _rewritten(house)
    assert any("record 2 was changed" in fault for fault in house.trail.verify().faults)


@pytest.mark.fires("audit")
def test_a_trail_cut_since_the_last_head_is_noticed_by_the_process_that_wrote_it(house: House) -> None:
    house.tell(2)
    house.sign()
    house.tell(3)
    house.cut(2)
    house.tell(2)
    assert "the trail was shorter after that" in house.look()
    with pytest.raises(TransientError, match="in doubt"):
        house.audit.seal()


def test_what_another_thread_is_just_writing_is_no_fault(house: House) -> None:
    house.tell()
    begun, go_on = threading.Event(), threading.Event()
    real = house.trail.append

    def slow(messages: Sequence[str], at: datetime) -> list[Record]:
        begun.set()
        go_on.wait(5)
        return real(messages, at)

    house.trail.append = slow  # type: ignore[method-assign]  # a disk that takes its time
    writing = threading.Thread(target=house.tell)
    writing.start()
    begun.wait(5)
    threading.Timer(0.05, go_on.set).start()
    assert house.audit.fault(house.guarding) == ""
    writing.join()


def test_a_trail_that_another_process_adds_to_is_no_doubt(house: House) -> None:
    house.tell(2)
    house.sign()
    Trail(house.trail.folder, sm3, house.seals.key).append(["of a command"] * 3, NOW)
    house.tell()
    house.trail.note_sent(4)
    assert house.look() == ""
    house.audit.seal()


@pytest.mark.parametrize(("do", "why"), DONE.values(), ids=DONE)
def test_a_person_may_take_the_trail_as_it_is_and_that_is_in_the_trail_and_in_its_head(
    house: House, do: Callable[[House], None], why: str
) -> None:
    house.tell(5)
    house.sign()
    do(house)
    house.start()
    assert why in house.look()
    if do in (_no_folder, _garbage):  # put right by hand first
        house.trail.folder.unlink() if house.trail.folder.is_file() else _removed(house)
    house.tell()
    house.audit.accept(house.guarding, "wang", "the disk was replaced")
    assert house.look() == ""
    house.audit.seal()
    head = house.catalogue.audit_heads.newest(NODE)
    assert head is not None
    assert head.accepted == "wang: the disk was replaced"
    assert is_signed(head, house.seals.signing.public)
    assert any("wang: the disk was replaced" in record.message for record in house.trail.records())
    house.tell(2)
    house.sign()
    heads = house.catalogue.audit_heads.of(NODE)
    assert list(head_faults(heads, house.trail, house.seals, NOW)) == []
    house.start()
    assert house.look() == ""


def test_another_process_sees_that_a_person_has_taken_the_trail(house: House) -> None:
    house.tell(5)
    house.sign()
    house.cut(4)
    running = house.audit
    assert running.fault(house.guarding)
    house.start()
    house.audit.accept(house.guarding, "wang", "cut by hand")
    assert running.fault(house.guarding) == ""


def test_a_head_whose_record_retention_has_removed_is_no_doubt(house: House) -> None:
    house.tell(2)
    house.sign()
    house.clock.advance(KEEP.total_seconds() + 86400)  # the clock was set wrong, or the node was off for years
    house.tell()
    house.tell()
    assert house.trail.at(2) is None
    assert house.look() == ""
    assert house.trail.verify().faults == ()
    assert list(head_faults(house.catalogue.audit_heads.of(NODE), house.trail, house.seals, NOW + DAY)) == []


def test_heads_that_do_not_hold_are_named(house: House) -> None:
    house.tell(5)
    head = house.sign()
    heads = [replace(head, n=99), replace(head, seal="0"), replace(head, key="f" * 16), replace(head, signature="AA==")]
    found = [" ".join(head_faults([one], house.trail, house.seals, NOW - DAY)) for one in heads]
    assert "record 99, which was signed" in found[0]
    assert "record 5 is not the one" in found[1]
    assert "signed by key ffffffffffffffff, which is not here" in found[2]
    assert "is not signed by key" in found[3]
    assert "record 99" not in " ".join(head_faults([heads[0]], house.trail, house.seals, NOW + DAY)).split("head of")[0]


def test_a_head_is_signed_at_the_start_once_a_day_and_at_the_stop(house: House) -> None:
    house.tell()
    house.audit._looked = float("-inf")
    house.audit.start()
    heads = house.catalogue.audit_heads

    def signed(count: int) -> None:
        wait_for(lambda: len(heads.of(NODE)) == count)

    signed(1)
    house.clock.advance(61)
    house.clock.advance(86400)
    signed(2)
    house.audit.stop()
    signed(3)
    assert house.trail.verify().faults == ()
