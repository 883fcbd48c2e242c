"""Withdrawals and inventories: the agent and the reference platform, by every profile."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from router.clock import FakeClock
from router.config.sections import HttpDestination
from router.crypto.keys import new_folder
from router.errors import ConfigurationError, NotOffered, PermanentError, RouterError, TransientError, UnprovedRefusal
from router.forward.answer import Answer
from router.forward.credentials import load_credentials
from router.forward.http import Session
from router.forward.inventory import Inventory
from router.forward.report import Notice, ReportAgent, Upload
from router.trial.platform.forgetting import share_of
from router.trial.platform.keyring import account_of, read_keyring
from router.trial.platform.service import ReferencePlatform
from support.sample_exam import exam_document

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ORG, OTHER, APP = "121100004000000001", "121100004000000027", "hospital-1"

EVERY_PROFILE = pytest.mark.parametrize("site", ["gm-envelope/1", "gm-psk/1"], indirect=True)
"""The others speak the one whose cryptography is quick."""


@dataclass
class Site:
    """A platform with pages of three, and an agent that speaks one profile to it; `begin` starts it."""

    folder: Path
    profile: str
    clock: FakeClock
    platform: ReferencePlatform | None = None
    agent: ReportAgent | None = None

    def begin(self, *faults: str, forgets: float = 0.0, page: int = 3) -> "Site":
        keys, data = self.folder / "keys", self.folder / "platform"
        ring = read_keyring(keys)
        self.platform = ReferencePlatform(
            data, ring, self.clock, accounts=[account_of(ring, APP)], faults=faults, forgets=forgets, page=page
        )
        destination = HttpDestination(
            url=f"http://127.0.0.1:{self.platform.start().http}",
            profile=self.profile,
            api_key_file=keys / "api.key",
            signing_key_file=keys / "hospital-sign.pem",
            platform_signing_key_file=keys / "platform-sign.pub.pem",
            platform_encryption_key_file=keys / "platform-encrypt.pub.pem",
            psk_file=keys / "psk.key",
        )
        found = load_credentials(destination)
        self.agent = ReportAgent(destination, lambda: found, self.clock)
        return self

    def end(self) -> None:
        if self.platform is not None:
            self.platform.stop()

    def upload(self, number: int = 1, revision: int = 1, org: str = ORG) -> str:
        """Upload a revision of an exam; its receipt."""
        assert self.agent is not None
        exam = self.folder / f"{number}.json"
        exam.write_text(json.dumps(exam_document({"USCI": org, "ExamId": f"E{number}"})), encoding="utf-8")
        (self.folder / "r.pdf").write_bytes(b"%PDF-1.7\n" + str(revision).encode())
        return self.agent.send(
            Upload(
                org=org,
                idem=f"i{number}-{revision}",
                revision=revision,
                exam_file=exam,
                report_file=self.folder / "r.pdf",
            )
        ).receipt

    def withdraw(self, number: int = 1, revision: int = 1, idem: str = "w1", **changes: Any) -> str | None:
        assert self.agent is not None
        document = exam_document({"ExamId": f"E{number}"})
        words: dict[str, str] = {
            "ExamId": f"E{number}",
            "HospitalBranchCode": document["HospitalBranchCode"],
            "Revision": str(revision),
            "WithdrawnTime": "2026-11-20 16:00:00",
            "Reason": "撤销",
        }
        receipt = self.agent.withdraw(Notice(org=ORG, idem=idem, revision=revision, words=words | changes))
        return None if receipt is None else receipt.receipt

    def ask(self, begin: datetime = NOW - DAY / 2, org: str = ORG) -> Inventory:
        assert self.agent is not None
        return self.agent.inventory(org, begin, begin + DAY)

    def states(self) -> dict[str, str]:
        return {one.idem: one.state for one in self.ask().exams}


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    new_folder(tmp_path / "keys", psk=True)
    made = Site(tmp_path, getattr(request, "param", "gm-psk/1"), FakeClock(NOW))
    yield made
    made.end()


@EVERY_PROFILE
def test_a_withdrawn_exam_is_withdrawn_until_its_next_revision(site: Site) -> None:
    site.begin()
    site.upload()
    first = site.withdraw()
    assert first
    assert site.withdraw() == first
    assert site.states() == {"i1-1": "withdrawn"}
    site.upload(revision=2)
    assert site.states() == {"i1-1": "superseded", "i1-2": "current"}


def test_a_withdrawal_stands_after_a_restart_of_the_platform(site: Site) -> None:
    site.begin()
    site.upload()
    receipt = site.withdraw()
    site.end()
    site.begin()
    assert site.withdraw() == receipt
    assert site.states() == {"i1-1": "withdrawn"}


@EVERY_PROFILE
def test_a_platform_that_has_no_such_exam_settles_it(site: Site) -> None:
    assert site.begin().withdraw(9) is None


def test_nothing_settles_it_that_is_not_proved(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.begin()
    _unsigned(monkeypatch)
    with pytest.raises(UnprovedRefusal):
        site.withdraw(9)


def test_another_notice_under_the_same_name_is_refused(site: Site) -> None:
    site.begin()
    site.upload()
    site.withdraw()
    with pytest.raises(PermanentError):
        site.withdraw(Reason="else")


def test_a_notice_without_its_fields_is_refused(site: Site) -> None:
    site.begin()
    site.upload()
    with pytest.raises(PermanentError) as caught:
        site.withdraw(Reason=7)
    assert caught.value.faults[0][0] == "Reason"


def test_a_platform_that_takes_none_is_told_from_one_that_is_down(site: Site) -> None:
    site.begin("withdrawal-405", "withdrawal-503")
    site.upload()
    with pytest.raises(NotOffered):
        site.withdraw()
    with pytest.raises(TransientError) as caught:
        site.withdraw()
    assert not isinstance(caught.value, NotOffered)
    assert site.withdraw()


def test_an_upload_is_no_withdrawal_and_a_withdrawal_no_upload(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.begin()
    site.upload()
    ask = Session.ask

    def elsewhere(session: Session, method: str, path: str, *given: Any) -> Answer:
        return ask(session, method, path.replace("/v1/withdrawals", "/v1/exams"), *given)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "ask", elsewhere)
        with pytest.raises(RouterError):
            site.withdraw()
    assert list(site.states().values()) == ["current"]


@EVERY_PROFILE
def test_an_inventory_comes_page_by_page_and_is_whole(site: Site) -> None:
    site.begin()
    receipts = {f"i{n}-1": site.upload(n) for n in range(1, 8)}
    found = site.ask()
    assert found.whole
    assert {one.idem: one.receipt for one in found.exams} == receipts
    assert not site.ask(NOW + DAY).exams
    assert site.ask(NOW - DAY).whole


def test_an_inventory_is_of_one_organisation(site: Site) -> None:
    site.begin()
    site.upload(1)
    site.upload(2, org=OTHER)
    assert [one.idem for one in site.ask().exams] == ["i1-1"]
    assert [one.idem for one in site.ask(org=OTHER).exams] == ["i2-1"]


@pytest.mark.parametrize(
    ("fault", "whole", "count"),
    [("inventory-empty", True, 0), ("inventory-short", False, 4), ("inventory-page", False, 3)],
)
def test_an_answer_that_lacks_some_of_what_it_counts_is_not_whole(
    site: Site, fault: str, whole: bool, count: int
) -> None:
    site.begin(fault)
    for number in range(1, 6):
        site.upload(number)
    found = site.ask()
    assert (found.whole, len(found.exams)) == (whole, count)
    assert site.ask().whole


def test_an_answer_that_names_others_is_told_by_its_idems(site: Site) -> None:
    site.begin("inventory-wrong")
    site.upload()
    assert [one.idem for one in site.ask().exams] == ["f" * 32]


def test_a_platform_without_inventories_is_told(site: Site) -> None:
    with pytest.raises(NotOffered):
        site.begin("inventory-501").ask()


def test_an_inventory_that_is_not_signed_is_not_believed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.begin()
    _unsigned(monkeypatch)
    with pytest.raises(Exception, match="proves"):
        site.ask()


def test_a_forgetful_platform_confirms_and_loses_each_once(site: Site) -> None:
    site.begin(forgets=1.0)
    site.upload(1)
    assert not site.ask().exams
    assert not list((site.folder / "platform" / "exams").glob("*/1"))
    site.upload(1)
    assert [one.idem for one in site.ask().exams] == ["i1-1"]


def test_the_share_that_is_forgotten_is_about_that(tmp_path: Path) -> None:
    from router.trial.platform.forgetting import Forgetting

    forgets = Forgetting(None, share_of("1%"))
    names = [hashlib.sha256(str(n).encode()).hexdigest()[:32] for n in range(20_000)]
    lost = [name for name in names if forgets.forget("o", name)]
    assert 130 < len(lost) < 270
    assert not any(forgets.forget("o", name) for name in lost)


@pytest.mark.parametrize("text", ["1", "101%", "-1%", "%", "a%"])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        share_of(text)


def _unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the proofs off every answer on its way."""
    ask = Session.ask

    def stripped(*given: Any) -> Answer:
        answer = ask(*given)
        return replace(answer, headers={k: v for k, v in answer.headers.items() if not k.upper().startswith("X-GM")})

    monkeypatch.setattr(Session, "ask", stripped)
