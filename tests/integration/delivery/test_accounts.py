"""Three hospitals with one ExamId at one platform: by accounts of their own, of which one stops no other."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from router.admin.audit.messages import entry_of
from router.admin.checks import destinations
from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.queue.queue import Delivery
from router.cli.doctor import _looks
from router.clock import FakeClock
from router.config.file import parse, shipped
from router.config.sections import Config
from router.crypto import keys
from router.crypto.envelope import idem
from router.crypto.symmetric import sm3
from router.delivery.breaker_gate import Route
from router.delivery.commitment import CommitmentReports
from router.delivery.deadline_monitor import DeadlineMonitor
from router.delivery.dispatcher import Dispatcher
from router.delivery.routes import RouteFactory
from router.delivery.sharing import Sharing
from router.delivery.unwritten import Unwritten
from router.events import Event, EventBus, Kind
from router.intake.exam_reader import ExamReader
from router.model import Channel
from router.policy.account import keys_of
from router.policy.breaker import Position
from router.policy.states import State
from router.storage import open_storage
from router.trial.platform.keyring import read_accounts, read_keyring
from router.trial.platform.service import ReferencePlatform

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
# c has no account of its own: its reports go by the common one.
ORGS = {"a": "121100004000000001", "b": "121100004000000027", "c": "12110000400000003A"}
EXAM = json.loads(shipped("exam.json").read_text(encoding="utf-8"))
WANTED = "json=1 pdf=2 images=3 studies=-"
_HTTP = """
platform_signing_key_file = "common/platform-sign.pub.pem"
platform_encryption_key_file = "common/platform-encrypt.pub.pem"
"""


def _keys_of(folder: str) -> str:
    return f'api_key_file = "{folder}/api.key"\nsigning_key_file = "{folder}/hospital-sign.pem"\n'


def configured(base: Path, port: int, accounts: str = "ab") -> Config:
    text = "".join(
        f'[[hospital]]\nname = "{name}"\nUSCI = "{org}"\nHospitalCode = "H-{name}"\nHospitalName = "{name}"\n'
        'HospitalBranchCode = "01"\n'
        for name, org in ORGS.items()
    )
    text += (
        f'[node]\ndata = "data"\n[[destination]]\nname = "cloud"\n[destination.http]\nurl = "http://127.0.0.1:{port}"\n'
    )
    text += f'app = "app-common"\n{_keys_of("common")}{_HTTP}'
    for name in accounts:
        text += f'[[destination.account]]\nhospital = "{name}"\napp = "app-{name}"\n{_keys_of(name)}'
    return parse(text, base=base)


class Site:
    """A platform that knows three applications, and a node that sends to it."""

    def __init__(self, base: Path) -> None:
        self.base, self.clock, self.told = base, FakeClock(NOW), list[Event]()
        for name in ("common", "a", "b", "spare"):
            keys.new_folder(base / name)
        keyring, self.there = read_keyring(base / "common"), base / "platform"
        given = [f"app-common:{ORGS['c']}", *(f"app-{name}:{ORGS[name]}={base / name}" for name in "ab")]
        self.platform = ReferencePlatform(self.there, keyring, self.clock, accounts=read_accounts(keyring, given))
        self.port = self.platform.start().http
        self.bus = EventBus(self.told.append)
        self.storage = open_storage(base / "data", "n")
        self.catalogue: Catalogue = open_catalogue("", base / "data", self.bus)
        self.dispatcher = Dispatcher(self.catalogue, "n", self.bus, self.clock)
        self.use(configured(base, self.port))

    def use(self, config: Config) -> None:
        """Make the routes, as a start or a reload does."""
        self.config = config
        reports = CommitmentReports(self.catalogue, self.bus, self.clock, lambda: 0.5)
        factory = RouteFactory(
            references=ExamReader(config), catalogue=self.catalogue, storage=self.storage, commitment_reports=reports,
            bus=self.bus, clock=self.clock, objection=lambda _: "", unwritten=Unwritten(),
            sharing=Sharing(self.catalogue, "n", timedelta(minutes=1), alone=True),
        )  # fmt: skip
        self.routes = {one.account: one for one in factory.routes(config, config.destination[0])}

    def exam(self, hospital: str, exam_id: str) -> Delivery:
        """A report of the hospital that is ready: the ExamId, branch, patient and accession number are all alike."""
        number = self.catalogue.exams.number_of(hospital, "01", exam_id, NOW)
        self.catalogue.queue.make(number, [("cloud", Channel.REPORT)], NOW)
        (made,) = self.catalogue.queue.of_exam(number)
        changes = {"wanted": WANTED, "due": NOW + timedelta(hours=1)}
        assert self.catalogue.queue.move(made, State.READY, NOW, "all there", changes=changes)
        document = EXAM | {"ExamId": exam_id, "USCI": ORGS[hospital], "HospitalCode": f"H-{hospital}"}
        exam, pdf = json.dumps(document).encode(), b"%PDF-1.7 " + hospital.encode()
        places = [self.storage.reports.sent_place(number, "cloud", 1, name) for name in ("exam.json", "report.pdf")]
        for place, data in zip(places, (exam, pdf), strict=True):
            self.storage.reports.write(place, data, 1)
        name = idem(hospital.encode() * 32, "cloud", exam_id, sm3(exam), sm3(pdf))
        self.catalogue.uploads.freeze(
            made.id, 1, name, WANTED, exam_place=places[0], pdf_place=places[1], now=NOW
        )  # fmt: skip
        return self.now(made)

    def now(self, one: Delivery) -> Delivery:
        found = self.catalogue.queue.get(one.id)
        assert found is not None
        return found

    def run(self) -> None:
        """Let every route send what it can."""
        for route in self.routes.values():
            while self.dispatcher.run_one(route) and self.position(route) == Position.CLOSED:
                pass

    def position(self, route: Route) -> Position:
        return self.catalogue.breakers.of(*route.place).position

    def receipts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.there / "receipts.jsonl").read_text().splitlines()]

    def subjects(self, alarm: Alarm) -> set[str]:
        return {one.subject for one in self.catalogue.alarms.standing() if one.alarm == alarm}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.platform.stop()
    made.catalogue.engine.close_thread()


def test_each_exam_arrives_under_its_own_hospital_signed_by_its_own_key(site: Site) -> None:
    assert {account: route.hospitals for account, route in site.routes.items()} == {
        "": ("c",), "a": ("a",), "b": ("b",)
    }  # fmt: skip
    made = {name: site.exam(name, "E1") for name in ORGS}
    site.run()
    assert [site.now(one).state for one in made.values()] == [State.DELIVERED] * 3
    assert {(one["org"], one["app"], one["branch"]) for one in site.receipts()} == {
        (ORGS["a"], "app-a", "01"), (ORGS["b"], "app-b", "01"), (ORGS["c"], "app-common", "01")
    }  # fmt: skip
    for name, org in ORGS.items():
        there = site.there / "exams" / org / "01" / "E1" / "1"
        assert json.loads((there / "exam.json").read_bytes())["USCI"] == org
        assert (there / "report.pdf").read_bytes().endswith(name.encode())
        place = site.storage.reports.sent_place(made[name].exam, "cloud", 1, "receipt.json")
        receipt = json.loads(site.storage.reports.read(place))
        folder = site.base / (name if name in "ab" else "common")
        signer = keys.key_id(keys.load_public(folder / "hospital-sign.pub.pem"))
        app = f"app-{name}" if name in "ab" else "app-common"
        assert (receipt["hospital"], receipt["org"], receipt["app"]) == (name, org, app)
        assert receipt["request_keys"]["signing"] == signer
        (confirmed,) = [e for e in site.told if e.kind == Kind.CONFIRMED and e.delivery == made[name].id]
        entry = entry_of(confirmed, "n")
        assert entry is not None
        assert f"app {app}" in entry.text
        assert signer in entry.text
        assert confirmed.fields["hospital"] == name


@pytest.mark.fires("breaker")
@pytest.mark.ends("breaker")
@pytest.mark.parametrize("broken", ["api.key", "hospital-sign.pem"], ids=["expired key", "wrong signature"])
def test_one_hospitals_keys_stop_its_reports_alone_until_they_are_right(site: Site, broken: str) -> None:
    file = site.base / "b" / broken
    right = file.read_bytes()
    shutil.copy2(site.base / "spare" / broken, file)
    made = {name: site.exam(name, "E1") for name in ORGS}
    site.run()
    assert [site.now(one).state for one in made.values()] == [State.DELIVERED, State.READY, State.DELIVERED]
    assert site.subjects(Alarm.BREAKER) == {"report to cloud for b"}
    assert {account: site.position(route) for account, route in site.routes.items()} == {
        "": Position.CLOSED, "a": Position.CLOSED, "b": Position.OPEN
    }  # fmt: skip
    later = [site.exam(name, "E2") for name in "ac"]
    site.run()
    assert [site.now(one).state for one in later] == [State.DELIVERED] * 2
    DeadlineMonitor(site.config, site.catalogue, site.bus, site.clock).step()
    assert site.position(site.routes["b"]) == Position.OPEN  # an account that is configured keeps its breaker
    file.write_bytes(right)
    site.clock.advance(120)
    for _ in range(2):  # one by one while half-open, and once more to see that nothing is left
        site.dispatcher.run_one(site.routes["b"])
    assert site.now(made["b"]).state == State.DELIVERED
    assert not site.subjects(Alarm.BREAKER)


@pytest.mark.fires("crypto")
@pytest.mark.ends("crypto")
def test_key_files_of_one_hospital_that_cannot_be_read_stop_neither_the_start_nor_the_others(site: Site) -> None:
    gone = site.base / "b" / "hospital-sign.pem"
    aside = gone.rename(gone.with_suffix(".aside"))
    site.use(configured(site.base, site.port))
    made = {name: site.exam(name, "E1") for name in ORGS}
    site.run()
    assert [site.now(one).state for one in made.values()] == [State.DELIVERED, State.READY, State.DELIVERED]
    assert site.subjects(Alarm.CRYPTO) == {"keys of cloud for b"}
    aside.rename(gone)
    site.clock.advance(120)
    for _ in range(2):
        site.dispatcher.run_one(site.routes["b"])
    assert site.now(made["b"]).state == State.DELIVERED
    assert not site.subjects(Alarm.CRYPTO)


def test_doctor_looks_at_the_keys_and_the_token_of_each_account(site: Site) -> None:
    shutil.copy2(site.base / "spare" / "api.key", site.base / "b" / "api.key")
    destination = site.config.destination[0]
    found = list(destinations.destination(site.config, destination, site.clock))
    assert [one.subject for one in found].count("clock") == 1  # the platform's, which is one
    assert [(one.subject, str(one.verdict)) for one in found if one.subject != "clock"] == [
        ("token of cloud", "ok"), ("token of cloud for a", "ok"), ("token of cloud for b", "fail"),
    ]  # fmt: skip
    looks = dict(_looks(site.config, site.clock))
    for account, folder in (("", "common"), ("a", "a"), ("b", "b")):
        results = list(looks[keys_of("cloud", account)]())
        signer = keys.key_id(keys.load_public(site.base / folder / "hospital-sign.pub.pem"))
        assert {one.subject for one in results} == {keys_of("cloud", account)}
        assert any(signer in one.text for one in results)


@pytest.mark.ends("breaker")
def test_an_account_that_is_added_or_removed_takes_its_hospitals_reports_along(site: Site) -> None:
    site.use(configured(site.base, site.port, accounts="a"))
    made = site.exam("b", "E1")
    site.run()  # the platform refuses b under the common name
    assert (site.now(made).state, site.subjects(Alarm.BREAKER)) == (State.READY, {"report to cloud"})
    site.use(configured(site.base, site.port))
    site.run()
    assert site.now(made).state == State.DELIVERED
    site.clock.advance(120)
    last = site.exam("c", "E1")
    for _ in range(2):
        site.dispatcher.run_one(site.routes[""])
    assert site.now(last).state == State.DELIVERED
    assert not site.subjects(Alarm.BREAKER)


def test_a_breaker_of_an_account_that_is_gone_is_forgotten_with_its_alarm(site: Site) -> None:
    shutil.copy2(site.base / "spare" / "api.key", site.base / "b" / "api.key")
    site.exam("b", "E1")
    site.run()
    assert site.subjects(Alarm.BREAKER) == {"report to cloud for b"}
    site.use(configured(site.base, site.port, accounts="a"))
    DeadlineMonitor(site.config, site.catalogue, site.bus, site.clock).step()
    assert not site.subjects(Alarm.BREAKER)
    assert not site.catalogue.breakers.tripped()


def test_a_report_whose_exam_was_filed_under_another_hospital_meanwhile_is_not_sent(site: Site) -> None:
    made = site.exam("a", "E1")
    site.catalogue.engine.execute("UPDATE exam SET hospital = 'b'")
    site.run()
    assert (site.now(made).state, site.receipts()) == (State.DEFERRED, [])
    nobodys = site.exam("c", "E2")
    site.catalogue.engine.execute("UPDATE delivery SET hospital = 'gone' WHERE id = ?", (nobodys.id,))
    cast(Any, site.routes)["c"] = Route(
        destination="cloud", channel=Channel.REPORT, width=1, sender=site.routes[""].sender, hospitals=("gone",)
    )
    site.run()
    assert (site.now(nobodys).state, site.receipts()) == (State.WAITING, [])
