"""A platform whose profile is a file outside the package: faults of it stop its reports alone, until it is right."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.admin.audit.messages import entry_of
from router.admin.checks import host
from router.admin.checks.result import Verdict
from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.config.changes import stamps
from router.config.file import parse, shipped
from router.config.sections import Destination
from router.crypto import keys
from router.crypto.envelope import idem
from router.crypto.symmetric import sm3
from router.delivery.breaker_gate import Route
from router.delivery.commitment import CommitmentReports
from router.delivery.dispatcher import Dispatcher
from router.delivery.routes import RouteFactory
from router.delivery.sharing import Sharing
from router.delivery.unwritten import Unwritten
from router.events import Event, EventBus, Kind
from router.intake.exam_reader import ExamReader
from router.model import Channel
from router.policy.states import State
from router.storage import open_storage
from router.storage.durable import write
from support.profile_receivers import FrontEndReceiver, serving

NAMES = ("city", "district")
EXAM = shipped("exam.json").read_bytes()
WANTED = "json=1 pdf=2 images=3 studies=-"
GOOD = (shipped("profiles") / "front_end.py").read_text(encoding="utf-8")
HEAD = "def exam(m: Message) -> Request:\n"


class Site:
    """Two platforms of one kind, each with a profile of its own file, and a node that sends to both."""

    def __init__(self, base: Path, urls: dict[str, str]) -> None:
        self.base, self.told, self.clock = base, list[Event](), FakeClock(datetime.now(UTC))
        text = '[hospital]\nUSCI = "121100004000000001"\nHospitalCode = "H"\nHospitalName = "H"\n'
        text += 'HospitalBranchCode = "01"\n[node]\ndata = "data"\n'
        for name, url in urls.items():
            text += f'[[destination]]\nname = "{name}"\n[destination.http]\nurl = "{url}"\ngateway = true\n'
            text += (
                f'profile = "file:profiles/{name}.py"\napi_key_file = "k/api.key"\nsecrets = {{ sign_key = "k/s" }}\n'
            )
            self.profile(name, GOOD)
        self.config = parse(text, base=base)
        self.bus = EventBus(self.told.append)
        self.storage = open_storage(base / "data", "n")
        self.catalogue: Catalogue = open_catalogue("", base / "data", self.bus)
        self.dispatcher = Dispatcher(self.catalogue, "n", self.bus, self.clock)
        self.routes: dict[str, Route] = {}

    def profile(self, name: str, text: str) -> None:
        write(self.base / "profiles" / f"{name}.py", text.encode())

    def start(self) -> None:
        reports = CommitmentReports(self.catalogue, self.bus, self.clock, lambda: 0.5)
        factory = RouteFactory(
            references=ExamReader(self.config), catalogue=self.catalogue, storage=self.storage,
            commitment_reports=reports, bus=self.bus, clock=self.clock, objection=lambda _: "", unwritten=Unwritten(),
            sharing=Sharing(self.catalogue, "n", timedelta(minutes=1), alone=True),
        )  # fmt: skip
        self.routes = {
            route.destination: route for one in self.config.destination for route in factory.routes(self.config, one)
        }

    def exam(self, exam_id: str) -> dict[str, Delivery]:
        """An exam whose report is ready for both."""
        now = self.clock.now()
        number = self.catalogue.exams.number_of("", "01", exam_id, now)
        self.catalogue.queue.make(number, [(name, Channel.REPORT) for name in NAMES], now)
        made = {one.destination: one for one in self.catalogue.queue.of_exam(number)}
        for name, one in made.items():
            changes = {"wanted": WANTED, "due": now + timedelta(hours=1)}
            assert self.catalogue.queue.move(one, State.READY, now, "all there", changes=changes)
            places = [self.storage.reports.sent_place(number, name, 1, file) for file in ("exam.json", "report.pdf")]
            for place, data in zip(places, (EXAM, b"%PDF-1.7"), strict=True):
                self.storage.reports.write(place, data, 1)
            own = idem(bytes(32), name, exam_id, sm3(EXAM), sm3(b"%PDF-1.7"))
            self.catalogue.uploads.freeze(
                one.id, 1, own, WANTED, exam_place=places[0], pdf_place=places[1], now=now
            )  # fmt: skip
        return made

    def run(self) -> None:
        self.clock.advance(120)
        for route in self.routes.values():
            for _ in range(2):  # a breaker lets one go, then says that it is closed
                self.dispatcher.run_one(route)

    def states(self, made: dict[str, Delivery]) -> dict[str, State]:
        found = {name: self.catalogue.queue.get(one.id) for name, one in made.items()}
        return {name: one.state for name, one in found.items() if one is not None}

    def alarms(self, alarm: Alarm) -> list[str]:
        return [one.subject for one in self.catalogue.alarms.standing() if one.alarm == alarm]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    keys.new_folder(tmp_path / "k")
    (tmp_path / "k" / "s").write_text("a secret\n")
    (tmp_path / "k" / "s").chmod(0o600)
    folders = [tmp_path / name for name in NAMES]
    for folder in folders:
        folder.mkdir()
    one, other = (FrontEndReceiver(folder, tmp_path / "k", b"a secret") for folder in folders)
    with serving(one) as first, serving(other) as second:
        made = Site(tmp_path, dict(zip(NAMES, (first, second), strict=True)))
        for receiver in (one, other):
            receiver.now = lambda: made.clock.now().timestamp()
        yield made
        made.catalogue.engine.close_thread()


@pytest.mark.fires("profile")
@pytest.mark.ends("profile")
def test_a_faulty_profile_stops_neither_the_start_nor_another_destination_until_it_is_right(site: Site) -> None:
    site.profile("district", GOOD.replace('name="front-end/1"', 'name="front end"') + "\nimport os\n")
    site.start()
    made = site.exam("E1")
    site.run()
    assert site.states(made) == {"city": State.DELIVERED, "district": State.READY}
    assert sorted(site.alarms(Alarm.PROFILE)) == ["profile of district", "report to district"]
    [said, _] = [one.text for one in site.told if one.alarm == Alarm.PROFILE]
    assert "imports os" in said
    site.profile("district", GOOD)
    site.run()
    assert site.states(made) == {"city": State.DELIVERED, "district": State.DELIVERED}
    assert not site.alarms(Alarm.PROFILE) + site.alarms(Alarm.BREAKER)
    place = site.storage.reports.sent_place(made["city"].exam, "city", 1, "receipt.json")
    receipt = json.loads(site.storage.reports.read(place))
    assert (receipt["profile"], receipt["receipt"][:2]) == ("front-end/1", "R-")
    entries = [entry_of(one, "n") for one in site.told if one.kind == Kind.CONFIGURED]
    digests = [one.text for one in entries if one is not None and "profile front-end/1 of" in one.text]
    assert len(digests) == len(NAMES)
    assert all("SHA-256 " in one for one in digests)


@pytest.mark.fires("profile")
@pytest.mark.ends("profile")
def test_a_profile_that_fails_on_the_way_stops_its_destination_and_counts_no_try(site: Site) -> None:
    site.profile("district", GOOD.replace(HEAD, f'{HEAD}    if m.idem != "0" * 32:\n        return m.kept["none"]\n'))
    site.start()
    assert not site.alarms(Alarm.PROFILE)
    made = site.exam("E1")
    site.run()
    assert site.states(made) == {"city": State.DELIVERED, "district": State.READY}
    assert (site.alarms(Alarm.PROFILE), site.alarms(Alarm.BREAKER)) == (["report to district"], ["report to district"])
    found = site.catalogue.queue.get(made["district"].id)
    assert found is not None
    assert (found.attempts, "raises KeyError at line" in found.error) == (0, True)
    site.profile("district", GOOD)
    site.run()
    assert site.states(made)["district"] == State.DELIVERED
    assert not site.alarms(Alarm.PROFILE) + site.alarms(Alarm.BREAKER)


@pytest.mark.fires("profile")
@pytest.mark.ends("profile")
def test_a_file_that_is_changed_for_the_worse_leaves_the_former_one_in_use(site: Site) -> None:
    site.start()
    site.profile("district", "import os\n")
    made = site.exam("E1")
    site.run()
    assert site.states(made)["district"] == State.DELIVERED
    assert site.alarms(Alarm.PROFILE) == ["profile of district"]
    site.profile("district", GOOD)
    site.exam("E2")
    site.run()
    assert not site.alarms(Alarm.PROFILE)


def test_the_last_exchange_is_kept_without_patient_data_or_secrets(site: Site) -> None:
    site.start()
    site.exam("E1")
    site.run()
    kept = (site.base / "data" / "exchanges" / "city.json").read_text(encoding="utf-8")
    calls = json.loads(kept)["calls"]
    assert [(one["call"], one["verdict"]) for one in calls] == [
        ("login", "Granted"), ("exam", "Accepted"), ("report", "Accepted")
    ]  # fmt: skip
    assert calls[1]["rule"] == "errCode 0, X-Sign verified"
    assert calls[1]["keys"][0]["by"] == "secret sign_key"
    exam = json.loads(EXAM)
    for secret in ("a secret", "token-1", exam["Patient"]["Name"], exam["Patient"]["IdNo"], exam["ExamId"]):
        assert secret not in kept


def test_a_reload_and_the_doctor_look_at_the_file(site: Site) -> None:
    first = stamps(site.config)
    site.profile("district", GOOD + "\n# another\n")
    changed = {name for name, one in stamps(site.config).items() if one != first[name]}
    assert changed == {"destination district.http profile"}
    weak = GOOD.replace("    sha256,\n", "    sha256,\n    md5,\n").replace(
        'name="front-end/1",', 'name="w/1", allow_weak="of 2025",'
    )
    site.profile("district", weak)
    destination = site.config.destination[1]
    assert destination.http is not None
    found = list(host.keys(site.config, destination, destination.http))
    assert any("allow_weak" in one.text and "of 2025" in one.text for one in found), found


@pytest.mark.parametrize(
    ("after", "takes", "warned"), [("10 min", False, True), ("10 min", True, False), ("off", False, False)]
)
def test_the_doctor_warns_of_withdrawals_that_the_profile_has_no_call_for(
    site: Site, after: str, takes: bool, warned: bool
) -> None:
    line = '    withdraw=(Call(name="mark-deleted", request=mark_deleted, judge=reported),),\n'
    assert line in GOOD
    site.profile("district", GOOD if takes else GOOD.replace(line, ""))
    destination = Destination.model_validate(site.config.destination[1].model_dump() | {"withdraw_after": after})
    assert destination.http is not None
    found = [one for one in host.keys(site.config, destination, destination.http) if "withdraw_after" in one.text]
    assert [one.verdict for one in found] == [Verdict.WARN] * warned
