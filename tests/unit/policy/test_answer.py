"""The one answer to "why is it not going?": every state with every cause has a sentence, an actor and a command."""

import ast
import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest

import router
from router.cli import COMMANDS, commands
from router.errors import Outage
from router.model import Channel
from router.policy.answer import _HELD_FOR, Actor, Answer, Facts, answer
from router.policy.breaker import Breaker, Position
from router.policy.pause import EVERY, Pause
from router.policy.states import CLOSED, HeldBy, Needs, State
from router.text.language import places, tongue_of

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FACTS = Facts(
    now=NOON, zone=ZoneInfo("Asia/Shanghai"), delivery=85, exam=17, destination="cloud", channel=Channel.REPORT,
    state=State.READY, changed=NOON - 5 * MINUTE,
)  # fmt: skip
FIRST = "Order.Procedures[0].CheckItemCode (检查项目编码): expected a code, found 'X'; to mend in the RIS export"
PAUSE = Pause(destination=EVERY, since=NOON - MINUTE, who="wang", why="the platform moves {house}")


def down(outage: Outage, minutes: int = 1, position: Position = Position.OPEN) -> Breaker:
    return Breaker(
        position=position,
        failures=3,
        width=0,
        since=NOON - minutes * MINUTE,
        probe_at=NOON + MINUTE,
        why="it said no",
        outage=outage,
    )


def causes() -> Iterator[dict[str, object]]:
    """What can be true besides the state, one after the other and some together."""
    yield {}
    yield {"configured": False}
    yield {"running": False, "seen": NOON - MINUTE}
    yield {"running": False}
    yield {"pause": PAUSE}
    yield {"limit": 2**20, "limit_until": NOON + MINUTE, "place": 3, "queued": 17}
    yield {"place": 3, "queued": 17}
    yield {"place": 3, "queued": 17, "expected": NOON + MINUTE}
    yield {"place": 3, "queued": 17, "expected": NOON + MINUTE, "due": NOON}
    yield {"unproved": True, "error": "the platform answers 410", "next_try": NOON + MINUTE}
    yield {"unproven": True, "error": "the receipt is not signed", "next_try": NOON + MINUTE}
    yield {"error": "the platform answers 503", "next_try": NOON + MINUTE, "due": NOON - MINUTE}
    yield {"asked": NOON - MINUTE, "waiting_for": (Needs.COMMITMENT,)}
    yield {"half": NOON + MINUTE, "waiting_for": (Needs.IMAGES,)}
    yield {"quiet_at": NOON + MINUTE, "waiting_for": (Needs.STABLE,)}
    yield {"error": "approval: its ApproveTime is odd", "waiting_for": (Needs.APPROVAL,)}
    yield {"error": "exam JSON: Patient.Name (姓名): is missing", "waiting_for": (Needs.JSON,)}
    for need in Needs:
        yield {"waiting_for": (need,)}
    for cause in ("", *_HELD_FOR, "something else"):
        yield {"held_by": cause, "error": f"{cause}: whatever {{it}} says"}
    for outage, position, minutes in itertools.product(Outage, Position, (1, 60)):
        yield {"breaker": down(outage, minutes, position)}


def cases(state: State) -> Iterator[Facts]:
    for channel, cause in itertools.product(Channel, causes()):
        yield replace(FACTS, state=state, channel=channel, **cause)  # type: ignore[arg-type]


def exists(command: str) -> bool:
    """Whether a command is one of ours, with these options and so many arguments, or starts the node's service."""
    words = shlex.split(command)
    if words[0] == "systemctl":
        return words == ["systemctl", "start", "imaging-cloud-router"]
    found = commands.get_command(click.Context(commands), words[0].removeprefix("scripts/"))
    rest = words[1:]
    if isinstance(found, click.Group):
        found, rest = found.get_command(click.Context(found), rest[0]), rest[1:]
    if found is None or not words[0].startswith("scripts/"):
        return False
    try:
        found.make_context(words[0], rest, resilient_parsing=False)
    except click.UsageError:
        return False
    return True


@pytest.mark.parametrize("state", State)
def test_every_state_and_cause_has_a_sentence_who_acts_and_a_command_that_exists(state: State) -> None:
    for found in cases(state):
        said = answer(found)
        assert str(said.what).strip(), found
        assert "{" not in str(said.what).replace("{it}", "").replace("{house}", ""), found
        assert said.who in Actor
        assert (said.who == Actor.NOBODY) == (state in CLOSED), found
        assert said.since is not None
        assert exists(said.command), said.command


def test_commands_that_do_not_exist_are_told_from_those_that_do() -> None:
    assert exists("scripts/queue resume --destination cloud")
    assert not exists("scripts/queue resume --target cloud")
    assert not exists("scripts/queue revive d85")
    assert not exists("queue list")
    assert not exists("scripts/nothing")
    assert "queue" in COMMANDS


@pytest.mark.parametrize("state", State)
def test_every_sentence_is_said_in_chinese_with_the_same_values(state: State) -> None:
    for found in cases(state):
        what = answer(found).what
        chinese = tongue_of("zh_CN")
        assert set(places(chinese.say(what.template))) == set(places(what.template))
        assert re.search("[一-鿿]", chinese.say(what.template))
        assert re.search("[一-鿿]", chinese.say(answer(found).who))


def said(**changes: object) -> Answer:
    return answer(replace(FACTS, **changes))  # type: ignore[arg-type]


def in_short(given: Answer) -> tuple[str, Actor, str]:
    return str(given.what), given.who, given.command


def test_of_a_refused_key_nobody_reads_that_it_goes_on_by_itself() -> None:
    for minutes, outage in itertools.product((0, 1, 600), Outage):
        found = said(breaker=down(outage, minutes))
        assert found.since == NOON - minutes * MINUTE
        assert "it said no" in str(found.what)
        assert "asked again 12:01:00" in str(found.what)
        by_itself = outage in (Outage.CONNECTION, Outage.TROUBLE) and minutes < 10
        assert (found.who == Actor.NODE) == by_itself
    assert "until this is corrected" in str(said(breaker=down(Outage.CREDENTIALS)).what)


def test_a_pause_comes_before_the_breaker_and_after_what_others_have_to_bring() -> None:
    stopped: dict[str, object] = {"pause": PAUSE, "breaker": down(Outage.CONNECTION)}
    for state in (State.READY, State.DEFERRED, State.SENDING):
        told = "sending to all destinations is paused by wang: the platform moves {house}"
        assert in_short(said(state=state, **stopped)) == (told, Actor.ADMINISTRATOR, "scripts/queue resume")
        assert said(state=state, **stopped).since == PAUSE.since
    waits = said(state=State.WAITING, waiting_for=(Needs.APPROVAL, Needs.PDF), **stopped)
    assert in_short(waits)[1:] == (Actor.RIS, "scripts/queue explain e17")
    asks = said(state=State.WAITING, waiting_for=(Needs.COMMITMENT,), channel=Channel.IMAGES, **stopped)
    assert asks.command == "scripts/queue resume"


def test_nothing_is_expected_while_nothing_can_go() -> None:
    assert not FACTS.stopped
    assert replace(FACTS, pause=PAUSE).stopped
    assert replace(FACTS, breaker=down(Outage.CONNECTION)).stopped
    assert not replace(FACTS, breaker=down(Outage.CONNECTION, position=Position.HALF_OPEN)).stopped


@pytest.mark.parametrize(
    ("error", "count", "first"),
    [
        ("Patient.Name (姓名): is missing", "1", "Patient.Name (姓名): is missing"),
        (
            f"{FIRST}; Patient.Sex (性别): expected 1 or 2; ExamId: is missing; to mend in the RIS export",
            "3",
            FIRST,
        ),
    ],
)
def test_of_json_faults_the_first_is_named_and_all_are_counted(error: str, count: str, first: str) -> None:
    found = said(state=State.WAITING, waiting_for=(Needs.JSON,), error=f"exam JSON: {error}")
    assert str(found.what) == f"its exam JSON has {count} fault(s), the first: {first}"
    assert found.who == Actor.RIS


def test_who_acts_on_a_failure_depends_on_what_failed() -> None:
    cases = [
        (Channel.IMAGES, "2 of 300 refused", Actor.PLATFORM),
        (Channel.IMAGES, "1 of 300 damaged, 2 of 300 refused", Actor.PACS),
        (Channel.IMAGES, "2 of 300 removed before they were sent", Actor.PACS),
        (Channel.REPORT, "the platform does not accept the exam JSON: Patient.IdNo: is missing", Actor.RIS),
        (Channel.REPORT, "the upload is too large for the platform", Actor.PLATFORM),
    ]
    for channel, error, who in cases:
        found = said(state=State.FAILED, channel=channel, error=error)
        assert in_short(found) == (f"has failed: {error}", who, 'scripts/queue retry d85 --why "..."')


@pytest.mark.parametrize(("channel", "error", "told"), [
    (Channel.IMAGES, "2 of 9 refused; 2 instance(s): not A; decompress = true sends it",
     "has failed: 2 of 9 refused; 2 instance(s): not A; decompress = true sends it"),
    (Channel.IMAGES, "3 of 9 refused; 2 instance(s): not A; decompress = true sends it; 1 instance(s): not B",
     "has failed for 2 reasons, the first: 3 of 9 refused; 2 instance(s): not A; decompress = true sends it"),
    (Channel.REPORT, "the platform does not accept the exam JSON: Patient.IdNo: is missing; Order.Status: is odd",
     "has failed for 2 reasons, the first: the platform does not accept the exam JSON: Patient.IdNo: is missing"),
    (Channel.REPORT, "the platform answers 413; see it", "has failed: the platform answers 413; see it"),
])  # fmt: skip
def test_of_several_reasons_of_a_failure_the_first_is_named_and_all_are_counted(
    channel: Channel, error: str, told: str
) -> None:
    assert str(said(state=State.FAILED, channel=channel, error=error).what) == told


def test_an_identity_doubt_is_compared_before_anything_is_released() -> None:
    found = said(state=State.HELD, held_by="identity", error="identity: another patient id")
    assert found.command == "scripts/queue compare e17"
    assert said(state=State.HELD, held_by="person", error="held by wang: x").command.startswith("scripts/queue release")


def test_a_wait_says_until_when_and_a_time_of_another_day_says_the_day() -> None:
    at = said(state=State.WAITING, waiting_for=(Needs.STABLE,), quiet_at=NOON + 2 * MINUTE)
    assert str(at.what) == "waits for its study to be quiet, until 12:02:00"
    tomorrow = said(state=State.DEFERRED, error="busy", next_try=NOON + timedelta(days=1))
    assert str(tomorrow.what) == "busy; tried again 03-03 12:00"


def test_the_queue_says_the_place_and_when_it_will_be_there() -> None:
    assert str(said(place=3, queued=17, expected=NOON + MINUTE).what) == (
        "is number 3 of 17 in the queue, expected there by 12:01:00"
    )
    assert str(said(place=3, queued=17, limit=2**19, limit_until=NOON + MINUTE).what).endswith(
        "which goes at 0.5 MiB/s at most until 12:01:00"
    )


def test_a_destination_that_is_gone_comes_first_of_all_that_is_open() -> None:
    for state in set(State) - CLOSED:
        assert said(state=state, configured=False).command.startswith("scripts/queue cancel d85")


CODE = Path(router.__file__).parent


def test_each_cause_of_a_hold_has_its_own_answer() -> None:
    assert set(_HELD_FOR) == set(HeldBy)


def raised(name: str) -> Iterator[tuple[Path, ast.Call]]:
    for path in CODE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == name:
                yield path, call


def test_whoever_finds_a_destination_down_says_of_which_kind_that_is() -> None:
    found = list(raised("DestinationDown"))
    assert len(found) > 10
    assert [
        f"{path.name}:{call.lineno}" for path, call in found if "outage" not in {k.arg for k in call.keywords}
    ] == []
