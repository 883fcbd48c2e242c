"""Alarms of what waits for a person where there are several hospitals: each hospital's receiver hears of its own."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from router.admin.notify.notifier import AlarmNotifier
from router.alarms import Alarm
from router.clock import FakeClock
from router.cluster.membership import Membership
from router.config.file import load
from router.config.sections import Config
from router.delivery.deadline_monitor import DeadlineMonitor
from router.events import Event, Kind
from router.loop import Loop, Step
from router.policy.attention import LEDGER_LOST
from router.policy.states import State
from router.review.sources import hospital_of_source
from router.storage import open_storage
from router.storage.takeover import Takeover
from router.upkeep.sources import SourceWatch
from support.catalogue_rows import CLOUD, studies_at
from support.hospital_rows import District, configure

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
LATER = timedelta(days=1) / timedelta(minutes=1)
SENDER = 'senders = [{ ae_title = "RENMIN", address = "10.1.1.0/24" }]\n'
WAYS = """
[[alarms.webhook]]
url = "http://127.0.0.1:1/"
[[alarms.webhook]]
url = "http://127.0.0.1:2/"
hospitals = ["renmin"]
"""


class Ward:
    """A district whose exams are held and go, a receiver of all alarms, and one of renmin's."""

    def __init__(self, folder: Path) -> None:
        self.district = District(folder, NOW)
        self.clock = FakeClock(NOW)
        with self.district.file.open("a", encoding="utf-8") as file:
            file.write(WAYS)
        renmin = folder / "hospitals" / "renmin.toml"
        renmin.write_text(renmin.read_text(encoding="utf-8") + SENDER, encoding="utf-8")
        incoming = folder / "data" / "incoming"
        (incoming / "node").mkdir(parents=True)
        self.catalogue, self.bus = self.district.catalogue, self.district.bus
        self.membership = Membership(
            self.catalogue, Takeover(incoming, "node"), "node", lease=timedelta(seconds=30), bus=self.bus,
            clock=self.clock,
        )  # fmt: skip
        self.membership.beat()
        self.seen: set[int] = set()
        self.ends: dict[str, str] = {}
        self.bus.subscribe(self._note)
        self.restart()

    def restart(self, config: Config | None = None) -> None:
        """Begin anew with what the database says."""
        self.config = config or self.district.config
        self.lookout = DeadlineMonitor(self.config, self.catalogue, self.bus, self.clock)
        self.notifier = AlarmNotifier(
            self.district.config, self.catalogue, self.membership, self.clock, self._loop, lambda: True
        )  # fmt: skip

    def _note(self, event: Event) -> None:
        if event.kind == Kind.CLEARED:
            self.ends[event.subject] = event.text

    def _loop(self, name: str, step: Step, share: float) -> Loop:
        return Loop(name, step, self.bus, self.clock, share=share)

    def hold(self, hospital: str, exam_id: str, error: str = "") -> int:
        exam = self.district.delivery(hospital, exam_id, LATER, State.READY, State.HELD)
        if error:
            (one,) = self.catalogue.queue.of_exam(exam)
            self.catalogue.queue.update(one, held_by="person", error=error)
        return exam

    def release(self, *exams: int) -> None:
        for exam in exams:
            (one,) = self.catalogue.queue.of_exam(exam)
            assert self.catalogue.queue.move(one, State.WAITING, self.clock.now(), "released", changes={"held_by": ""})

    def told(self) -> dict[str, list[tuple[str, int, tuple[str, ...]]]]:
        """Messages since the last call: state, count and hospitals, by receiver."""
        self.clock.advance(700)
        self.membership.beat()
        self.lookout.step()
        self.notifier.step()
        found: dict[str, list[tuple[str, int, tuple[str, ...]]]] = {"all": [], "renmin": []}
        for way in self.notifier.fit(self.district.config).ways:
            for one in self.catalogue.notifications.waiting(way.name, 100):
                body: Any = json.loads(one.body)
                if one.id not in self.seen and body["alarm"] in ("held", "quarantine", "ledger"):
                    message = body["state"], body["count"], tuple(sorted(body["hospitals"]))
                    found["renmin" if way.hospitals else "all"].append(message)
                self.seen.add(one.id)
        return found

    def stands(self, alarm: Alarm = Alarm.HELD) -> dict[str, str]:
        return {one.subject: one.hospital for one in self.catalogue.alarms.of([alarm])}


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    found = Ward(tmp_path)
    yield found
    found.district.close()


def test_a_hospitals_receiver_hears_of_its_exams_alone_and_the_common_one_of_all(ward: Ward) -> None:
    mine = [ward.hold("renmin", name) for name in ("A1", "A2")]
    theirs, nobodys = ward.hold("xiehe", "A1"), ward.hold("?", "A1")
    assert ward.told() == {"all": [("standing", 3, ("?", "renmin", "xiehe"))], "renmin": [("standing", 1, ("renmin",))]}
    assert ward.stands() == {
        f"held at {CLOUD} for renmin": "renmin", f"held at {CLOUD} for xiehe": "xiehe", f"held at {CLOUD} for ?": "?",
    }  # fmt: skip
    others = ward.hold("fuxing", "A1")
    assert ward.told() == {"all": [("standing", 1, ("fuxing",))], "renmin": []}
    ward.release(theirs, mine[0])
    ward.restart()
    assert ward.told() == {"all": [], "renmin": []}
    ward.release(mine[1])
    assert ward.told() == {"all": [], "renmin": [("cleared", 1, ("renmin",))]}
    ward.release(nobodys, others)
    assert [state for state, _, _ in ward.told()["all"]] == ["cleared"]
    assert ward.stands() == {}


def test_alarms_of_before_become_those_of_hospitals_and_nobody_is_told_of_an_end(ward: Ward) -> None:
    exam = ward.hold("renmin", "A1")
    for subject in (f"held at {CLOUD}", f"late-images at {CLOUD}"):
        fields = {"destination": CLOUD}
        ward.bus.record(Event(NOW, Kind.ALARM, "held", alarm=Alarm.HELD, subject=subject, fields=fields))
    ward.notifier.step()
    assert ward.stands() == {f"held at {CLOUD}": "", f"late-images at {CLOUD}": ""}
    found = ward.told()
    assert ward.stands() == {f"held at {CLOUD} for renmin": "renmin"}
    assert "cleared" not in [state for state, _, _ in found["all"]]
    assert found["renmin"] == [("standing", 1, ("renmin",))]
    assert ward.ends == {
        f"held at {CLOUD}": "what waits for a person is counted by hospital",
        f"late-images at {CLOUD}": "nothing waits for a person any more for this cause",
    }  # fmt: skip
    ward.release(exam)
    assert [[state for state, _, _ in some] for some in ward.told().values()] == [["cleared"], ["cleared"]]


def test_alarms_of_hospitals_become_one_where_one_hospital_alone_is_left(ward: Ward, tmp_path: Path) -> None:
    ward.hold("renmin", "A1")
    ward.hold("xiehe", "A1")
    assert [len(some) for some in ward.told().values()] == [1, 1]
    (tmp_path / "alone").mkdir()
    ward.restart(load(configure(tmp_path / "alone", ())))
    found = ward.told()
    assert ward.stands() == {f"held at {CLOUD}": ""}
    assert "cleared" not in [state for state, _, _ in found["all"]]
    assert [state for state, _, _ in found["renmin"]] == ["cleared"]


def test_quarantine_is_an_alarm_of_the_hospital_whose_sender_it_came_from(ward: Ward) -> None:
    quarantine = open_storage(ward.config.node.data, "node").quarantine
    for title, why in (("RENMIN", "unreadable"), ("RENMIN", "poison"), ("OTHER", "unreadable"), ("OTHER", "poison")):
        place = quarantine.keep("1.dcm", b"bytes", NOW, why, "it is cut").name
        fields = {"folder": place, "calling_ae": title}
        ward.catalogue.refusals.keep(Event(NOW, Kind.QUARANTINED, "it is cut", fields=fields))
        if why == "poison":
            subject = f"quarantine {place}"
            ward.bus.record(Event(NOW, Kind.ALARM, "it is cut", alarm=Alarm.POISON, subject=subject))
    assert ward.told() == {"all": [("standing", 2, ("renmin",))], "renmin": [("standing", 1, ("renmin",))]}
    assert ward.stands(Alarm.QUARANTINE) == {"quarantine at node": "", "quarantine at node for renmin": "renmin"}
    for one in quarantine.listed():
        quarantine.delete(one)
    assert [[state for state, _, _ in some] for some in ward.told().values()] == [["cleared"], ["cleared"]]


def test_what_lost_the_ledger_is_told_until_nothing_is_held_for_it_and_each_hospital_hears_of_its_own(
    ward: Ward,
) -> None:
    ward.bus.record(Event(NOW, Kind.ALARM, "rows were lost", alarm=Alarm.LEDGER, subject="ledger"))
    exams = [ward.hold(name, "A1", f"{LEDGER_LOST}: compare") for name in ("renmin", "xiehe")]
    ward.told()
    mine = {"ledger for renmin": "renmin", "ledger for xiehe": "xiehe"}
    assert ward.stands(Alarm.LEDGER) == {"ledger": "", **mine}
    ward.release(exams[1])
    ward.told()
    assert ward.stands(Alarm.LEDGER) == {"ledger": "", "ledger for renmin": "renmin"}
    ward.release(exams[0])
    assert [state for state, _, _ in ward.told()["renmin"]] == ["cleared"]
    assert ward.stands(Alarm.LEDGER) == {}


def test_an_exam_that_has_an_alarm_of_its_own_leaves_the_other_hospitals_theirs(ward: Ward) -> None:
    exams = [ward.hold(name, "A1") for name in ("renmin", "xiehe")]
    ward.district.alarm(Alarm.HELD, exams[0])
    ward.lookout.step()
    assert f"held at {CLOUD} for renmin" not in ward.stands()
    assert ward.stands()[f"held at {CLOUD} for xiehe"] == "xiehe"


def test_a_source_that_is_one_hospitals_is_its_own_in_the_alarm(ward: Ward) -> None:
    morning = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday, 08:00 by the hospital's clock
    usual = [morning + timedelta(days=day, minutes=10 * n) for day in range(14) for n in range(54)]
    today = [morning + timedelta(days=14, minutes=10 * n) for n in range(24)]
    for sender, times in (("RENMIN", usual), ("PACS", usual), ("CT2", usual + today)):
        studies_at(ward.catalogue, sender, times)
    SourceWatch(ward.config, ward.catalogue, ward.bus, FakeClock(morning + timedelta(days=14, hours=4))).step()
    assert ward.stands(Alarm.SILENT_SOURCE) == {"sender RENMIN": "renmin", "sender PACS": ""}
    named = {name: hospital_of_source(name, ward.config) for name in ("reports of xiehe", "reports", "reports of ?")}
    assert named == {"reports of xiehe": "xiehe", "reports": "", "reports of ?": ""}
