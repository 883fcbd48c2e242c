"""Withdrawals and inventories by the calls of a profile outside the package."""

import json
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from router.clock import FakeClock
from router.config.sections import HttpDestination
from router.crypto.keys import new_folder
from router.errors import ConfigurationError, DestinationDown, NotOffered, TransientError, UnprovedRefusal, Unproven
from router.forward.answer import Answer
from router.forward.credentials import Credentials
from router.forward.guard.outside import Outside
from router.forward.guard.source import Source
from router.forward.http import Session
from router.forward.report import Notice, ReportAgent
from router.policy.comparison import Theirs

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
DAY = timedelta(days=1)
WORDS = {"ExamId": "E1", "HospitalBranchCode": "01", "Revision": "1", "WithdrawnTime": "", "Reason": "-"}
NOTICE = Notice(org="o", idem="w1", revision=1, words=WORDS | {"Idem": "i1", "Receipt": "R1"})
PROFILE = """
    from router.forward.blocks import (
        Accepted, Call, Declaration, Later, Listed, NotOffered, Parts, Request, Theirs, Unknown, milliseconds,
        read_json, write_json,
    )

    def begin(m):
        return Request(path="/begin", body=m.notice["Idem"].encode())

    def begun(m, answer):
        return Unknown() if answer.status == 404 else Accepted(keep={"no": read_json(answer).get("no", "-")})

    def end(m):
        return Request(path="/end", body=f"{m.kept['no']} {m.notice['Receipt']} {m.idem}".encode())

    def ended(m, answer):
        return NotOffered(why="no") if answer.status == 405 else Accepted(receipt="W1")

    def ask(m):
        page = m.page
        asked = {"org": m.org, "from": milliseconds(page.begin), "to": milliseconds(page.end), "page": page.after}
        return Request(path="/list", body=write_json(asked).encode())

    def listed(m, answer):
        said = read_json(answer)
        if answer.status == 501:
            return NotOffered(why="no")
        if answer.status == 418:
            return Accepted(receipt="no list")
        if "rows" not in said:
            return Later(why="not now")
        exams = tuple(Theirs(idem=one, revision=said.get("revision", 1), receipt="R", state="current")
                      for one in said["rows"])
        return Listed(exams=exams, count=said["all"], next=said["next"])

    def exam(m):
        return Request(path="/exam")

    PROFILE = Declaration(
        name="test/1", upload=(Call(name="exam", request=exam, judge=ended),),
        withdraw=(Call(name="begin", request=begin, judge=begun), {kind}(name="end", request=end, judge=ended{more})),
        inventory=Call(name="list", request=ask, judge=listed),
    )
"""


def source(kind: str = "Call", more: str = "") -> Source:
    # not str.format: the profile itself has braces
    text = textwrap.dedent(PROFILE).replace("{kind}", kind).replace("{more}", more)
    return Source(Path("own.py"), text, "0" * 64)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Outside, HttpDestination]]:
    """The profile, whose process serves every test."""
    folder = tmp_path_factory.mktemp("keys") / "k"
    new_folder(folder)
    there = HttpDestination(url="http://127.0.0.1:1", profile="file:own.py", api_key_file=folder / "api.key")
    profile = Outside(source())
    profile.open(there)
    yield profile, there
    profile.close()


class Platform:
    """Answers in their order, in place of the network; `asked` are the requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answers: list[Answer] = []

    def will(self, status: int, **said: object) -> "Platform":
        self.answers.append(Answer(status, {}, json.dumps(said).encode()))
        return self

    def asking(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        """`Session.ask`."""
        del method, headers
        self.asked.append((path, body.decode()))
        return self.answers.pop(0)


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    made = Platform()
    monkeypatch.setattr(Session, "ask", made.asking)
    return made


Begin = Callable[..., ReportAgent]


@pytest.fixture
def agent(known: tuple[Outside, HttpDestination]) -> Begin:
    """An agent by the profile; `vouched`: the connection vouches for the platform."""
    profile, there = known

    def begin(*, vouched: bool = True) -> ReportAgent:
        found = cast(Credentials, SimpleNamespace(profile=profile))
        return ReportAgent(there.model_copy(update={"gateway": vouched}), lambda: found, FakeClock(NOW))

    return begin


def test_a_withdrawal_of_several_calls_knows_the_upload_that_it_takes_back(agent: Begin, platform: Platform) -> None:
    platform.will(200, no="7").will(200)
    receipt = agent().withdraw(NOTICE)
    assert receipt is not None
    assert (receipt.receipt, receipt.idem) == ("W1", "w1")
    assert platform.asked == [("/begin", "i1"), ("/end", "7 R1 w1")]


def test_what_the_platform_does_not_have_or_take_is_told_apart(agent: Begin, platform: Platform) -> None:
    platform.will(404).will(404).will(200).will(405)
    assert agent().withdraw(NOTICE) is None
    with pytest.raises(UnprovedRefusal):
        agent(vouched=False).withdraw(NOTICE)
    with pytest.raises(NotOffered):
        agent().withdraw(NOTICE)


def test_pages_are_named_as_the_platform_likes_and_asked_for_in_their_order(agent: Begin, platform: Platform) -> None:
    for number in range(1, 12):
        platform.will(200, rows=[f"i{number}"], all=11, next=str(number + 1) if number < 11 else "")
    found = agent().inventory("o", NOW - DAY, NOW)
    assert found.whole
    assert found.exams[10] == Theirs(idem="i11", revision=1, receipt="R", state="current")
    asked = [json.loads(body) for _, body in platform.asked]
    assert [one["page"] for one in asked] == ["", *map(str, range(2, 12))]
    assert {(one["org"], one["to"] - one["from"]) for one in asked} == {("o", 86_400_000)}


def test_pages_that_come_again_or_are_empty_end_the_comparison(agent: Begin, platform: Platform) -> None:
    for rows in (["i1"], ["i2"]):
        platform.will(200, rows=rows, all=9, next="b")
    with pytest.raises(TransientError, match="does not end"):
        agent().inventory("o", NOW - DAY, NOW)
    platform.will(200, rows=[], all=9, next="c")
    with pytest.raises(TransientError, match="does not end"):
        agent().inventory("o", NOW - DAY, NOW)


def test_an_inventory_that_nothing_vouches_for_is_not_believed(agent: Begin, platform: Platform) -> None:
    platform.will(200, rows=["i1"], all=1, next="").will(501)
    with pytest.raises(Unproven):
        agent(vouched=False).inventory("o", NOW - DAY, NOW)
    with pytest.raises(NotOffered):
        agent().inventory("o", NOW - DAY, NOW)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, {"rows": ["i1"], "all": "1", "next": ""}),
        (200, {"rows": ["i1"], "all": -1, "next": ""}),
        (200, {"rows": ["i1"], "all": 1, "next": None}),
        (200, {"rows": ["i1"], "all": 1, "next": "", "revision": "1"}),
        (200, {"rows": [7], "all": 1, "next": ""}),
        (418, {}),
    ],
)
def test_a_list_that_is_none_is_the_profiles_fault(
    agent: Begin, platform: Platform, status: int, said: dict[str, object]
) -> None:
    platform.will(status, **said)
    with pytest.raises(DestinationDown):
        agent().inventory("o", NOW - DAY, NOW)


def test_only_an_upload_goes_in_parts() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Outside(source("Parts", ", size=4096"))
    assert caught.value.faults == ("call end: only a call of upload is Parts",)
